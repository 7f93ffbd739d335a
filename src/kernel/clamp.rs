//! A clamp that says what was there and what is, in one walk.

use super::chunks;
use super::edit::{apply, clamp_each};
use super::lanes::{BLOCK, Twofold};
use super::measure::{self, Lanes, Sums};
use super::stream::{complete_slice, range_of, stats_of_slice};
use super::unit::{Plain, Unit};
use crate::Stats;
use crate::edit::Clamp;
use crate::needs::Look;
use crate::number::{Number, Part};

/// Clamps a slice into `[min, max]` and says what parts of it were and what they are. A block that needs no
/// clamp is not written.
pub(crate) fn clamp_and_stats<T: Number>(
    xs: &mut [T],
    min: f64,
    max: f64,
    mut add: impl FnMut([Stats; 2]),
) {
    let clamp = Clamp::new(min, max);
    let chunk = |chunk: &mut [T]| of_chunk(chunk, &clamp);
    chunks::write(xs, chunk, |(done, rest)| {
        add(done);
        rest.map(&mut add);
    });
}

/// How many elements, what they were and are, and their range before.
type Blocks = (usize, [Sums; 2], (f64, f64));

/// What the plain blocks were and are, and the rest if there is one.
fn of_chunk<T: Number>(xs: &mut [T], clamp: &Clamp) -> ([Stats; 2], Option<[Stats; 2]>) {
    let (done, sums, range) = plain_blocks(xs, clamp);
    let (xs, rest) = xs.split_at_mut(done);
    let mut done = sums.map(|sums| complete_slice(xs, sums, Look::LEAST));
    (done[0].low, done[0].high) = range;
    if rest.is_empty() {
        return (done, None);
    }
    let before = stats_of_slice(rest, clamp.look());
    apply(rest, &clamp.edit(), None);
    let after = stats_of_slice(rest, Look::LEAST);
    (done, Some([before, after]))
}

/// Clamps block by block, up to the first that needs a second look, which must come before it is written:
/// one that is not finite, or has squares out of range. Says how many elements that was, what they were and
/// are, and the range in which they were, as far as it must be known.
fn plain_blocks<T: Number>(xs: &mut [T], clamp: &Clamp) -> Blocks {
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    if let Some(unit) = super::unit::v3() {
        return unit.vectorize(on_v3::PlainBlocks { unit, xs, clamp });
    }
    plain_blocks_plain(xs, clamp)
}

#[cfg_attr(
    feature = "std",
    multiversion::multiversion(targets("x86_64+avx2+f16c", "aarch64+neon"))
)]
fn plain_blocks_plain<T: Number>(xs: &mut [T], clamp: &Clamp) -> Blocks {
    plain_blocks_on(Plain, xs, clamp)
}

#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod on_v3 {
    use super::{Blocks, Clamp, Number, plain_blocks_on};
    use pulp::{NullaryFnOnce, x86::V3};

    pub(super) struct PlainBlocks<'a, T> {
        pub(super) unit: V3,
        pub(super) xs: &'a mut [T],
        pub(super) clamp: &'a Clamp,
    }

    impl<T: Number> NullaryFnOnce for PlainBlocks<'_, T> {
        type Output = Blocks;

        #[inline(always)]
        fn call(self) -> Self::Output {
            plain_blocks_on(self.unit, self.xs, self.clamp)
        }
    }
}

#[inline(always)]
fn plain_blocks_on<T: Number, U: Unit>(unit: U, xs: &mut [T], clamp: &Clamp) -> Blocks {
    let (low, high) = clamp.bounds::<T>();
    let mut before = (T::Part::ZERO, Twofold::ZERO);
    let mut after = before;
    let symmetric = low.value().magnitude() == high.value().magnitude();
    let mut range = (f64::NEG_INFINITY, f64::INFINITY);
    if clamp.look().range {
        range = (range.1, range.0);
    }
    let mut done = 0;
    for block in xs.chunks_mut(BLOCK) {
        let seen = measure::look::<T, U, true>(unit, block, T::Part::ZERO);
        // A maximum of `f64` does not tell of a NaN.
        let has_nan = || unit.store(seen.1).iter().any(|sum| sum.is_nan());
        let is_finite = seen.0 <= T::LARGEST_PART && (T::Part::SQUARES_ARE_EXACT || !has_nan());
        if !is_finite {
            break;
        }
        let mut left = seen;
        let most = before.0.larger(seen.0);
        let size = seen.0.to_f64() * T::PART_UNIT;
        let mut keeps = clamp.keeps(-size, size);
        if clamp.look().range {
            let here = if keeps {
                (-size, size)
            } else {
                range_of(block)
            };
            keeps = clamp.keeps(here.0, here.1);
            range = (range.0.min(here.0), range.1.max(here.1));
        }
        if !keeps {
            // No block that is kept has a larger element than this.
            if !T::Part::squares_are_safe(most.to_f64() * T::PART_UNIT) {
                break;
            }
            clamp_each(block, low, high);
            left = if symmetric {
                // Something was outside, and what was is at the bound now.
                measure::look::<T, U, false>(unit, block, high.part().magnitude())
            } else {
                measure::look::<T, U, true>(unit, block, T::Part::ZERO)
            };
        }
        before.0 = most;
        after.0 = after.0.larger(left.0);
        before.1.add(unit, seen.1);
        after.1.add(unit, left.1);
        done += block.len();
    }
    let [before, after] = [before, after].map(|(most, sq)| Lanes::<T>::of_squares(most, sq));
    let sums = [before.finish_on(unit, false), after.finish_on(unit, false)];
    (done, sums, range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn as_separate_passes_say<T: Number>(xs: &[T]) {
        for (min, max) in [
            (-0.7, 0.7),
            (-0.1, 2.0),
            (0.25, 0.25),
            (0.0, 0.0),
            (-9.0, f64::INFINITY),
        ] {
            for len in [1, 63, 64, 65, 200, 256, 257, 600, xs.len()] {
                let (mut once, mut apart) = (xs[..len].to_vec(), xs[..len].to_vec());
                let mut plain = once.clone();
                let clamp = Clamp::new(min, max);
                let before = stats_of_slice(&apart, clamp.look());
                apply(&mut apart, &clamp.edit(), None);
                let after = stats_of_slice(&apart, Look::LEAST);
                let mut parts = Vec::new();
                clamp_and_stats(&mut once, min, max, |mut part| {
                    if !part[0].is_empty() {
                        assert_eq!(part[0].lies_within(min, max), before.lies_within(min, max));
                        (part[0].low, part[0].high) = (before.low, before.high);
                        parts.push(part);
                    }
                });
                assert_eq!(
                    parts,
                    [[before, after]],
                    "{} {len} {min} {max}",
                    core::any::type_name::<T>()
                );
                assert_eq!(once, apart);
                let (done, sums, _) = plain_blocks_on(Plain, &mut plain, &clamp);
                let mut sums = sums.map(|sums| complete_slice(&once, sums, Look::LEAST));
                (sums[0].low, sums[0].high) = (before.low, before.high);
                assert_eq!((done, sums), (len, [before, after]));
                assert_eq!(plain, once);
            }
        }
    }

    #[test]
    fn one_walk_gives_the_bits_of_three() {
        let xs: Vec<f32> = (0..3000)
            .map(|i| ((i * 7919) % 3001) as f32 / 1500.0 - 1.0)
            .collect();
        as_separate_passes_say(&xs);
        as_separate_passes_say(&xs.iter().map(|&x| f64::from(x) / 3.0).collect::<Vec<_>>());
        #[cfg(feature = "half")]
        {
            as_separate_passes_say(
                &xs.iter()
                    .map(|&x| half::f16::from_f32(x))
                    .collect::<Vec<_>>(),
            );
            as_separate_passes_say(
                &xs.iter()
                    .map(|&x| half::bf16::from_f32(x))
                    .collect::<Vec<_>>(),
            );
        }
    }
}
