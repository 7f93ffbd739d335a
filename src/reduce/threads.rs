//! Ranks that are threads of one process.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::AllReduce;
use crate::{Error, Result};

/// One rank of several that are threads of one process: a handle for each thread.
///
/// A handle that is dropped, also by a panic, is a rank that is gone: those that wait for it, and whoever calls later, get
/// an [`Error::Wire`]. So do all if calls do not fit together, one a sum and one a maximum, or of different lengths.
///
/// # Examples
///
/// ```
/// use steadygrad::reduce::{AllReduce, Threads};
///
/// let sums = std::thread::scope(|scope| {
///     let ranks = Threads::ranks_of(3).into_iter().map(|mut wire| {
///         scope.spawn(move || {
///             let mut limbs = [1, wire.rank() as i64];
///             wire.sum(&mut limbs).map(|()| limbs)
///         })
///     });
///     let ranks: Vec<_> = ranks.collect();
///     ranks.into_iter().map(|rank| rank.join().unwrap()).collect::<Vec<_>>()
/// });
/// assert_eq!(sums, [const { Ok([3, 3]) }; 3]);
/// ```
#[derive(Debug)]
pub struct Threads {
    rank: usize,
    ranks: usize,
    room: Arc<(Mutex<Room>, Condvar)>,
}

/// Where they meet, one call after the other.
#[derive(Debug, Default)]
struct Room {
    call: u64,
    arrived: usize,
    sums: Vec<i64>,
    maxima: Vec<f64>,
    /// Of the call before, until all have arrived at the next.
    told_sums: Vec<i64>,
    told_maxima: Vec<f64>,
    /// Why nobody meets any more.
    over: Option<Error>,
}

impl Threads {
    /// The handles of so many ranks, in order.
    #[must_use]
    pub fn ranks_of(ranks: usize) -> Vec<Self> {
        let room = Arc::default();
        let rank = |rank| Self {
            rank,
            ranks,
            room: Arc::clone(&room),
        };
        (0..ranks).map(rank).collect()
    }

    fn enter(&self) -> MutexGuard<'_, Room> {
        // Nobody panics in the room; and who did elsewhere is gone.
        self.room.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, mut room: MutexGuard<'_, Room>, why: Error) -> Error {
        let why = room.over.get_or_insert(why).clone();
        self.room.1.notify_all();
        why
    }

    /// Brings what the call is about, and takes what all brought.
    fn meet(&self, mut call: Call<'_>) -> Result<()> {
        let mut room = self.enter();
        if let Some(error) = &room.over {
            return Err(error.clone());
        }
        if let Err(error) = room.bring(self.rank, &call) {
            return Err(self.leave(room, error));
        }
        room.arrived += 1;
        let number = room.call;
        if room.arrived == self.ranks {
            room.close();
            self.room.1.notify_all();
        }
        while room.call == number {
            if let Some(error) = &room.over {
                return Err(error.clone());
            }
            let waited = self.room.1.wait(room);
            room = waited.unwrap_or_else(PoisonError::into_inner);
        }
        match &mut call {
            Call::Sum(limbs) => limbs.copy_from_slice(&room.told_sums),
            Call::Max(values) => values.copy_from_slice(&room.told_maxima),
        }
        Ok(())
    }
}

/// What a rank calls for.
enum Call<'c> {
    Sum(&'c mut [i64]),
    Max(&'c mut [f64]),
}

impl Room {
    fn bring(&mut self, rank: usize, call: &Call<'_>) -> Result<()> {
        let brought = match call {
            Call::Sum(limbs) => (limbs.len(), 0),
            Call::Max(values) => (0, values.len()),
        };
        if self.arrived == 0 {
            self.sums.clear();
            self.maxima.clear();
            match call {
                Call::Sum(limbs) => self.sums.extend_from_slice(limbs),
                Call::Max(values) => self.maxima.extend_from_slice(values),
            }
            return Ok(());
        }
        if brought != (self.sums.len(), self.maxima.len()) {
            let what = |(sums, maxima)| format!("{sums} sums and {maxima} maxima");
            return Err(Error::Wire(format!(
                "expected a call for {}, as the other ranks made, found one for {} from rank {rank}",
                what((self.sums.len(), self.maxima.len())),
                what(brought),
            )));
        }
        match call {
            Call::Sum(limbs) => {
                let sums = self.sums.iter_mut().zip(&**limbs);
                sums.for_each(|(sum, limb)| *sum = sum.wrapping_add(*limb));
            }
            Call::Max(values) => {
                let maxima = self.maxima.iter_mut().zip(&**values);
                maxima.for_each(|(max, value)| *max = max.max(*value));
            }
        }
        Ok(())
    }

    /// All have arrived.
    fn close(&mut self) {
        core::mem::swap(&mut self.sums, &mut self.told_sums);
        core::mem::swap(&mut self.maxima, &mut self.told_maxima);
        self.arrived = 0;
        self.call += 1;
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let gone = Error::Wire(format!("rank {} is gone", self.rank));
        self.leave(self.enter(), gone);
    }
}

impl AllReduce for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.ranks
    }

    fn sum(&mut self, limbs: &mut [i64]) -> Result<()> {
        self.meet(Call::Sum(limbs))
    }

    fn max(&mut self, values: &mut [f64]) -> Result<()> {
        self.meet(Call::Max(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;
    use std::thread::scope;

    #[test]
    fn a_rank_that_is_gone_is_an_error_of_those_that_wait() {
        let [mut a, mut b, c] = <[Threads; 3]>::try_from(Threads::ranks_of(3)).unwrap();
        scope(|scope| {
            let waiting = [
                scope.spawn(move || (a.sum(&mut [1]), a.max(&mut [1.0]))),
                scope.spawn(move || (b.sum(&mut [1]), b.max(&mut [1.0]))),
            ];
            drop(c);
            for rank in waiting {
                let (now, later) = rank.join().unwrap();
                let told = now.unwrap_err().to_string();
                assert_eq!(told, "across ranks: rank 2 is gone");
                assert!(later.is_err());
            }
        });
    }

    #[test]
    fn who_goes_after_a_call_leaves_its_sum_to_the_others() {
        for _ in 0..200 {
            let ranks = Threads::ranks_of(4);
            scope(|scope| {
                for mut rank in ranks {
                    scope.spawn(move || {
                        let (mut limbs, mut values) = ([1, 2], [f64::from(rank.rank() as u32)]);
                        rank.sum(&mut limbs).unwrap();
                        rank.max(&mut values).unwrap();
                        assert_eq!((limbs, values), ([4, 8], [3.0]));
                    });
                }
            });
        }
    }

    #[test]
    fn calls_that_do_not_fit_together_end_it_for_all() {
        let [mut a, mut b] = <[Threads; 2]>::try_from(Threads::ranks_of(2)).unwrap();
        scope(|scope| {
            let one = scope.spawn(move || a.sum(&mut [1, 2, 3]));
            let other = b.max(&mut [1.0]);
            assert_eq!(one.join().unwrap(), other);
            assert!(
                other
                    .unwrap_err()
                    .to_string()
                    .contains("expected a call for")
            );
        });
    }
}
