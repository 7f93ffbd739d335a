//! Passes of cells into the memory of others ask the heap for nothing.

use std::ops::ControlFlow;

use ndarray::Array3;
use steadygrad::recurrent::{Activation, At, Gru, Layer, Lstm, Rnn, Sequence, Upstream};

use super::allocations;

/// What a pass and its gradients ask of the heap, in their first and in their third call.
fn passes<L>(layer: &L, time: usize, lengths: &[usize], has_hook: bool) -> [[u64; 2]; 2]
where
    L: for<'t> Layer<At<'t> = &'t mut <L as Layer>::State>,
{
    let batch = lengths.len();
    let (xs, d) = (
        Array3::ones((time, batch, 2)),
        Array3::ones((time, batch, 5)),
    );
    let xs = Sequence::new(xs.view()).lengths(lengths).unwrap();
    let (s0, d_final) = (layer.zero_state(batch), layer.zero_state(batch));
    let (mut pass, mut back) = (None, None);
    let mut nothing = |_: At, _: &mut L::State| Ok(ControlFlow::Continue(()));
    let mut call = || {
        let made = allocations(|| layer.forward_into(xs, &s0, &mut pass).unwrap());
        let d = Upstream::outputs(d.view()).final_state(&d_final);
        let pass = pass.as_ref().unwrap();
        let back = allocations(|| {
            if has_hook {
                layer.backward_into(pass, d, Some(&mut nothing), &mut back)
            } else {
                layer.backward_into(pass, d, None, &mut back)
            }
            .unwrap();
        });
        [made, back]
    };
    let first = call();
    call();
    [first, call()]
}

/// Of whole and of padded sequences; the longest takes its gradients in several segments.
fn ask_for_nothing<L>(layer: &L)
where
    L: for<'t> Layer<At<'t> = &'t mut <L as Layer>::State>,
{
    for (time, batch) in [(1, 1), (1, 3), (20, 3), (20, 1), (33, 8), (100, 17)] {
        let whole = vec![time; batch];
        let padded: Vec<usize> = (0..batch).map(|b| (b * 7) % (time + 1)).collect();
        for lengths in [whole, padded] {
            for has_hook in [false, true] {
                let [first, later] = passes(layer, time, &lengths, has_hook);
                assert_eq!(later, [0, 0], "{time} {lengths:?} hook {has_hook}");
                assert!(first[0] > 0 && first[1] > 0, "{first:?}");
            }
        }
    }
}

fn every_cell_asks_for_nothing() {
    let uniform = &mut || 0.75;
    ask_for_nothing(&Rnn::<f32>::builder(2, 5).build(uniform).unwrap());
    ask_for_nothing(&Lstm::<f32>::builder(2, 5).build(uniform).unwrap());
    ask_for_nothing(&Gru::<f32>::builder(2, 5).build(uniform).unwrap());
    ask_for_nothing(&Lstm::<f64>::builder(2, 5).build(uniform).unwrap());
    ask_for_nothing(&Gru::<f64>::builder(2, 5).build(uniform).unwrap());
    let linear = Rnn::<f64>::builder(2, 5).activation(Activation::Identity);
    ask_for_nothing(&linear.build(uniform).unwrap());
}

#[test]
#[cfg(not(feature = "rayon"))]
fn passes_into_used_memory_ask_for_none() {
    every_cell_asks_for_nothing();
}

/// On the threads of a pool, where what is counted is one thread's part; one that comes from outside waits in a queue,
/// which is rayon's and may grow.
#[test]
#[cfg(feature = "rayon")]
fn passes_into_used_memory_ask_for_none() {
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(every_cell_asks_for_nothing);
    }
}
