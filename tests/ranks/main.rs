//! Guards on several ranks decide as one does that has it all.

mod calls;
mod failing;
mod splits;

use std::thread;

use steadygrad::Result;
use steadygrad::reduce::Threads;

/// Runs something on so many ranks, each a thread, and gathers what came of it.
fn on_ranks<T: Send>(ranks: usize, f: impl Fn(usize, Threads) -> T + Sync) -> Vec<T> {
    let f = &f;
    thread::scope(|scope| {
        let all = Threads::ranks_of(ranks).into_iter().enumerate();
        let all: Vec<_> = all
            .map(|(rank, wire)| scope.spawn(move || f(rank, wire)))
            .collect();
        all.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

/// The same where something may go wrong: what each rank says of it.
fn sentences<T: Send>(ranks: usize, f: impl Fn(usize, Threads) -> Result<T> + Sync) -> Vec<String> {
    let all = on_ranks(ranks, f).into_iter();
    all.map(|said| match said {
        Ok(_) => "in order".into(),
        Err(error) => error.to_string(),
    })
    .collect()
}
