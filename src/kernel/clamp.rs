//! A clamp that counts what it changes, in one walk.

use super::chunks;
use super::edit::clamp_each;
use crate::number::{Number, Part};
use crate::tell::Clamped;

/// Elements that stay in the nearest cache between the look and the write.
const NEAR: usize = 2048;

/// Clamps a slice into `[min, max]`. Where nothing lies outside, nothing is written.
pub(crate) fn clamp_and_count<T: Number>(xs: &mut [T], min: f64, max: f64) -> Clamped {
    let (low, high) = (T::inward(min), T::inward(max));
    let chunk = |chunk: &mut [T]| {
        let mut counts = Clamped::default();
        for near in chunk.chunks_mut(NEAR) {
            let found = outside(near, low, high);
            if found.is_clipped() {
                clamp_each(near, low, high);
            }
            counts.add(found);
        }
        counts
    };
    let mut counts = Clamped::default();
    chunks::write(xs, chunk, |found| counts.add(found));
    counts
}

/// What a clamp into `[min, max]` would do.
pub(crate) fn count_outside(xs: &[f64], min: f64, max: f64) -> Clamped {
    outside(xs, min, max)
}

#[cfg_attr(
    feature = "std",
    multiversion::multiversion(targets("x86_64+avx2+f16c", "aarch64+neon"))
)]
fn outside<T: Number>(xs: &[T], low: T, high: T) -> Clamped {
    let len = xs.len() as u64;
    let (low, high) = (low.value(), high.value());
    let bounded = low.magnitude() < T::Part::INFINITY && high.magnitude() < T::Part::INFINITY;
    // By what is inside, so that NaN is not.
    let inside = |x: &T| u32::from(x.value() >= low) & u32::from(x.value() <= high);
    if bounded && xs.iter().map(inside).sum::<u32>() as usize == xs.len() {
        return Clamped::of(len, 0, 0, 0);
    }
    let (mut clipped, mut nan, mut inf) = (0_u32, 0_u32, 0_u32);
    for x in xs {
        let x = x.value();
        clipped += u32::from(x < low) | u32::from(x > high);
        nan += u32::from(x.is_nan());
        inf += u32::from(x.magnitude() == T::Part::INFINITY);
    }
    Clamped::of(len, clipped.into(), nan.into(), inf.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// One element after the other.
    fn plainly<T: Number>(xs: &mut [T], min: f64, max: f64) -> Clamped {
        let mut counts = Clamped::default();
        for x in xs {
            let clamped = match x.exact() {
                x if x < T::inward(min).exact() => T::inward(min),
                x if x > T::inward(max).exact() => T::inward(max),
                _ => *x,
            };
            let changed = u64::from(!x.exact().is_nan() && clamped != *x);
            let (nan, inf) = (x.exact().is_nan(), x.exact().is_infinite());
            counts.add(Clamped::of(1, changed, nan.into(), inf.into()));
            *x = clamped;
        }
        counts
    }

    fn as_one_by_one<T: Number>(xs: &[T]) {
        let inf = f64::INFINITY;
        for (min, max) in [
            (-0.7, 0.7),
            (-0.1, 2.0),
            (0.25, 0.25),
            (0.0, 0.0),
            (-2.0, 2.0),
            (-9.0, inf),
            (-inf, inf),
        ] {
            for len in [0, 1, 7, 64, 2047, 2048, 2049, xs.len()] {
                let (mut found, mut expected) = (xs[..len].to_vec(), xs[..len].to_vec());
                let counts = clamp_and_count(&mut found, min, max);
                assert_eq!(
                    counts,
                    plainly(&mut expected, min, max),
                    "{len} {min} {max}"
                );
                let bits = |xs: &[T]| xs.iter().map(|x| x.exact().to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&found), bits(&expected));
            }
        }
    }

    #[test]
    fn counts_are_those_of_one_by_one() {
        let mut xs: Vec<f32> = (0..5000)
            .map(|i| ((i * 7919) % 3001) as f32 / 1500.0 - 1.0)
            .collect();
        for _ in 0..2 {
            as_one_by_one(&xs);
            as_one_by_one(&xs.iter().map(|&x| f64::from(x) / 3.0).collect::<Vec<_>>());
            #[cfg(feature = "half")]
            {
                use half::{bf16, f16};
                as_one_by_one(&xs.iter().map(|&x| f16::from_f32(x)).collect::<Vec<_>>());
                as_one_by_one(&xs.iter().map(|&x| bf16::from_f32(x)).collect::<Vec<_>>());
            }
            (xs[3], xs[2500], xs[2501]) = (f32::NAN, f32::INFINITY, f32::NEG_INFINITY);
        }
    }
}
