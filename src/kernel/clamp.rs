//! A clamp that counts what it changes, in one walk.

use super::chunks;
use super::edit::clamped;
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
            counts.add(clamp_near(near, low, high));
        }
        counts
    };
    let mut counts = Clamped::default();
    chunks::write(xs, chunk, |found| counts.add(found));
    counts
}

#[cfg_attr(
    feature = "std",
    multiversion::multiversion(targets("x86_64+avx2+f16c", "aarch64+neon"))
)]
fn clamp_near<T: Number>(xs: &mut [T], low: T, high: T) -> Clamped {
    let count = |is: bool| u32::from(is);
    let is_finite = |x: T| x.value().magnitude() < T::Part::INFINITY;
    let (least, most) = (low.value(), high.value());
    // By what is inside, so that NaN is not.
    let is_inside = |x: &T| count(x.value() >= least) & count(x.value() <= most);
    let inside = xs.iter().map(is_inside).sum::<u32>() as usize;
    let len = xs.len();
    if inside == len && is_finite(low) && is_finite(high) {
        return Clamped::of(len as u64, 0, 0, 0);
    }
    // What lies outside is clamped while it is looked at.
    let finite = if inside == len {
        xs.iter().map(|x| count(is_finite(*x))).sum::<u32>()
    } else {
        let clamp = |x: &mut T| {
            let was = *x;
            *x = clamped(was, low, high);
            count(is_finite(was))
        };
        xs.iter_mut().map(clamp).sum::<u32>()
    };
    let not_finite = len - finite as usize;
    let nan = match not_finite {
        0 => 0,
        _ => xs.iter().filter(|x| x.value().is_nan()).count(),
    };
    let clipped = len - inside - nan;
    let [len, clipped, nan, inf] = [len, clipped, nan, not_finite - nan].map(|n| n as u64);
    Clamped::of(len, clipped, nan, inf)
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
