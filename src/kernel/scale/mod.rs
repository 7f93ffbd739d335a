//! `f32`s times a factor that only an `f64` holds, without an `f64` on the way.
//!
//! The factor f is taken as two `f32`: `hi`, the largest that is not above it, and `lo`, the nearest to f − hi. What is
//! written is
//!
//! ```text
//! y = round(x·hi + round(x·lo))
//! ```
//!
//! by a product and a fused multiply-add. With u = 2^-24:
//!
//! - f is at least 2^-40, so hi is normal and f − hi less than a place of it, 2u·hi. What is not 0 of it is more than
//!   2^-53·f, so lo is normal too, at most 2u·hi, and off by at most u·(f − hi) < 2u²·f = 2^-47·f.
//! - x·lo is at most 2u·|x·f|. Where it is normal, rounding takes at most u of it, 2^-47·|x·f|; where it is not, at most
//!   2^-150. This way is for |x·f| ≥ 2^-103 alone, so that this too is at most 2^-47·|x·f|.
//! - Together the sum that is rounded to y is within 2^-46·|x·f| of x·f. A unit in the last place of y is more than
//!   2^-25·|x·f|, so the sum is within 2^-21 units of x·f and **y within 1/2 + 2^-21 units of it**.
//!
//! A chain of factors is one `f64` by as many roundings, each 2^-53 of it: 2^-28 units more. So is a norm off by some
//! 2^-50: what a clip gives is within 1/2 + 2^-20 units of g·max/norm.
//!
//! hi is rounded down so that lo ≥ 0, and a zero keeps its sign; lo = 0 is a product alone, which keeps infinities
//! infinite and may underflow as it likes. Every x with |x·f| below 2^-103 goes the long way through `f64`: whether it does
//! depends on x and f alone, not on what stands beside it. It is told by its exponent.
//!
//! Bits do not depend on the processor: where it has no fused multiply-add, the sum is rounded to `f64` first, which shows
//! only if that lands midway between two `f32`; then the rest says which of the two is nearer.

#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod x86;

use super::lanes::along_lines;
use super::unit::{Plain, Run, widest};

/// Elements that are looked at before they are written.
const BLOCK: usize = 256;

/// How a factor is applied.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// The factor is an `f32`.
    Once(f32),
    Parts(Parts),
}

/// A factor as two `f32`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    hi: f32,
    lo: f32,
    /// Bits of the exponent, one of which has who need not go the long way.
    large: u32,
    whole: f64,
}

impl Way {
    /// `None` where all have to go the long way.
    pub(super) fn of(factor: f64) -> Option<Self> {
        let near = factor as f32;
        if f64::from(near) == factor {
            return Some(Self::Once(near));
        }
        // With 2^-95 and 2^-63 as the least |x|.
        let large = if factor >= f64::from_bits((1023 - 8) << 52) {
            0x7000_0000
        } else {
            0x6000_0000
        };
        let range = f64::from_bits((1023 - 40) << 52)..=f64::from(f32::MAX);
        if !range.contains(&factor) {
            return None;
        }
        let above = f64::from(near) > factor;
        let hi = f32::from_bits(near.to_bits() - u32::from(above));
        Some(Self::Parts(Parts {
            hi,
            lo: (factor - f64::from(hi)) as f32,
            large,
            whole: factor,
        }))
    }
}

impl Parts {
    #[inline(always)]
    fn is_small(&self, x: f32) -> bool {
        x.to_bits() & self.large == 0
    }

    #[inline(always)]
    fn the_long_way(&self, x: f32) -> f32 {
        (f64::from(x) * self.whole) as f32
    }
}

/// What becomes of a product.
pub(super) trait Then: Copy {
    fn then(self, y: f32) -> f32;

    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    fn then_all<S: pulp::Simd>(self, simd: S, ys: S::f32s) -> S::f32s;
}

/// It stays.
#[derive(Clone, Copy)]
pub(super) struct Stay;

impl Then for Stay {
    #[inline(always)]
    fn then(self, y: f32) -> f32 {
        y
    }

    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    #[inline(always)]
    fn then_all<S: pulp::Simd>(self, _simd: S, ys: S::f32s) -> S::f32s {
        ys
    }
}

/// It is clamped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) min: f32,
    pub(super) max: f32,
}

impl Then for Bounds {
    /// By comparison, so that NaN stays NaN.
    #[inline(always)]
    fn then(self, y: f32) -> f32 {
        let y = if y < self.min { self.min } else { y };
        if y > self.max { self.max } else { y }
    }

    /// Of a NaN and a number the second comes out.
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    #[inline(always)]
    fn then_all<S: pulp::Simd>(self, simd: S, ys: S::f32s) -> S::f32s {
        let ys = simd.max_f32s(simd.splat_f32s(self.min), ys);
        simd.min_f32s(simd.splat_f32s(self.max), ys)
    }
}

/// How x·hi + x·lo is come by.
trait Fused: Copy {
    /// Right, unless it is doubtful.
    fn product(self, x: f32, parts: &Parts) -> f32;

    fn is_doubtful(self, x: f32, parts: &Parts) -> bool;

    fn surely(self, x: f32, parts: &Parts) -> f32;
}

/// By the processor.
#[cfg(all(
    feature = "std",
    any(test, target_arch = "x86_64", target_feature = "neon")
))]
#[derive(Clone, Copy)]
struct Hard;

#[cfg(all(
    feature = "std",
    any(test, target_arch = "x86_64", target_feature = "neon")
))]
impl Fused for Hard {
    #[inline(always)]
    fn product(self, x: f32, parts: &Parts) -> f32 {
        x.mul_add(parts.hi, x * parts.lo)
    }

    #[inline(always)]
    fn is_doubtful(self, _x: f32, _parts: &Parts) -> bool {
        false
    }

    #[inline(always)]
    fn surely(self, x: f32, parts: &Parts) -> f32 {
        self.product(x, parts)
    }
}

/// By arithmetic in `f64`, in which x·hi is exact.
#[derive(Clone, Copy)]
struct Soft;

impl Soft {
    /// The sum rounded to `f64`, and what rounding took.
    #[inline(always)]
    fn sum(x: f32, parts: &Parts) -> (f64, f64) {
        let (large, small) = (f64::from(x) * f64::from(parts.hi), f64::from(x * parts.lo));
        let sum = large + small;
        (sum, small - (sum - large))
    }
}

impl Fused for Soft {
    #[inline(always)]
    fn product(self, x: f32, parts: &Parts) -> f32 {
        Self::sum(x, parts).0 as f32
    }

    /// Midway between two `f32`, which are normal here.
    #[inline(always)]
    fn is_doubtful(self, x: f32, parts: &Parts) -> bool {
        Self::sum(x, parts).0.to_bits() as u32 & 0x1fff_ffff == 0x1000_0000
    }

    #[inline(always)]
    fn surely(self, x: f32, parts: &Parts) -> f32 {
        let (sum, rest) = Self::sum(x, parts);
        let bits = sum.to_bits();
        // One place further from zero, or nearer: on the right side of the middle.
        let bits = if !self.is_doubtful(x, parts) || rest == 0.0 {
            bits
        } else if (rest < 0.0) == (sum < 0.0) {
            bits + 1
        } else {
            bits - 1
        };
        f64::from_bits(bits) as f32
    }
}

/// Scales, and then clamps if there are bounds.
pub(super) fn scale(xs: &mut [f32], way: Way, bounds: Option<Bounds>) {
    widest(Scale { xs, way, bounds });
}

struct Scale<'a> {
    xs: &'a mut [f32],
    way: Way,
    bounds: Option<Bounds>,
}

impl Run<Plain> for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, _unit: Plain) {
        #[cfg(all(feature = "std", target_feature = "neon"))]
        self.on(Hard);
        #[cfg(not(all(feature = "std", target_feature = "neon")))]
        self.on(Soft);
    }
}

impl Scale<'_> {
    /// In loops that the compiler makes vectors of.
    #[inline(always)]
    fn on<F: Fused>(self, fused: F) {
        for xs in along_lines(self.xs) {
            match (self.way, self.bounds) {
                (Way::Once(factor), None) => once(xs, factor, Stay),
                (Way::Once(factor), Some(bounds)) => once(xs, factor, bounds),
                (Way::Parts(parts), None) => by_parts(fused, xs, &parts, Stay),
                (Way::Parts(parts), Some(bounds)) => by_parts(fused, xs, &parts, bounds),
            }
        }
    }
}

#[inline(always)]
fn once(xs: &mut [f32], factor: f32, and: impl Then) {
    for x in xs {
        *x = and.then(*x * factor);
    }
}

#[inline(always)]
fn by_parts<F: Fused>(fused: F, xs: &mut [f32], parts: &Parts, and: impl Then) {
    let (blocks, rest) = xs.as_chunks_mut::<BLOCK>();
    for block in blocks {
        of_block(fused, block, parts, and);
    }
    of_block(fused, rest, parts, and);
}

#[inline(always)]
fn of_block<F: Fused>(fused: F, xs: &mut [f32], parts: &Parts, and: impl Then) {
    let mut odd = 0;
    for x in &*xs {
        odd |= u32::from(parts.is_small(*x)) | u32::from(fused.is_doubtful(*x, parts));
    }
    if odd != 0 {
        // Zeros, of which there may be many, are small too, but either way gives the same.
        odd = 0;
        for x in &*xs {
            let small = u32::from(parts.is_small(*x)) & u32::from(*x != 0.0);
            odd |= small | u32::from(fused.is_doubtful(*x, parts));
        }
    }
    if odd == 0 {
        for x in xs {
            *x = and.then(fused.product(*x, parts));
        }
    } else {
        for x in xs {
            let (near, far) = (fused.surely(*x, parts), parts.the_long_way(*x));
            *x = and.then(if parts.is_small(*x) { far } else { near });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// `SplitMix64`.
    struct Random(u64);

    impl Random {
        fn bits(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }

        fn factor(&mut self, exponents: core::ops::Range<i64>) -> f64 {
            let span = (exponents.end - exponents.start) as u64;
            let exponent = exponents.start + (self.bits() % span) as i64;
            f64::from_bits(((1023 + exponent) as u64) << 52 | self.bits() >> 12)
        }
    }

    /// How many units in the last place `y` is from x·f, in integers.
    fn units_off(x: f32, f: f64, y: f32) -> f64 {
        let single = |x: f32| {
            let (m, e) = (x.to_bits() & 0x7f_ffff, x.to_bits() >> 23 & 0xff);
            (
                i128::from(m | u32::from(e > 0) << 23),
                e.max(1) as i32 - 150,
            )
        };
        let ((mx, ex), (my, ey)) = (single(x), single(y));
        assert!(f.is_normal() && y.is_finite());
        let (mf, ef) = (f.to_bits() & ((1 << 52) - 1) | 1 << 52, f.to_bits() >> 52);
        let (product, e) = (mx * i128::from(mf), ex + ef as i32 - 1075);
        assert!(product == 0 || y == 0.0 || x.is_sign_negative() == y.is_sign_negative());
        match ey - e {
            // What is left of it is far below a unit.
            101.. => my as f64,
            places @ 0..=100 => {
                (product - (my << places)).unsigned_abs() as f64 / (1_i128 << places) as f64
            }
            // Only of a zero.
            _ => (mx + my) as f64,
        }
    }

    /// Every exponent, with mantissas at both ends and between, and what is no number.
    fn every_kind(random: &mut Random) -> Vec<f32> {
        let mut xs = Vec::new();
        for exponent in 0..=255 {
            let between = [random.bits() as u32, random.bits() as u32];
            for m in [0, 1, 2, 0x40_0000, 0x7f_ffff, between[0], between[1]] {
                let bits = exponent << 23 | m & 0x7f_ffff;
                xs.extend([f32::from_bits(bits), f32::from_bits(bits | 1 << 31)]);
            }
        }
        xs
    }

    fn bits(xs: &[f32]) -> Vec<u32> {
        xs.iter().map(|x| x.to_bits()).collect()
    }

    /// A kind of processor.
    type Kind = fn(Scale<'_>);

    /// What every kind of processor makes of them, once it is seen that they agree.
    fn on_all(xs: &[f32], factor: f64, bounds: Option<Bounds>) -> Vec<f32> {
        let way = Way::of(factor).expect("a factor near one");
        let all: [(&str, Kind); _] = [
            ("chosen", |what| widest(what)),
            ("emulated", |what| what.on(Soft)),
            #[cfg(feature = "std")]
            ("fused", |what| what.on(Hard)),
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            ("AVX2", |what| {
                if let Some(unit) = super::super::unit::v3() {
                    super::super::unit::on_v3(unit, what);
                } else {
                    what.run(Plain);
                }
            }),
            ("plain", |what| what.run(Plain)),
        ];
        let mut found = [const { Vec::new() }; 2];
        for (name, on) in all {
            let mut xs = xs.to_vec();
            on(Scale {
                xs: &mut xs,
                way,
                bounds,
            });
            if found[0].is_empty() {
                found[0] = xs;
            } else {
                found[1] = xs;
                assert_eq!(bits(&found[0]), bits(&found[1]), "{name}, times {factor:e}");
            }
        }
        core::mem::take(&mut found[0])
    }

    fn within_half_a_unit(xs: &[f32], factor: f64) {
        for (x, y) in xs.iter().zip(on_all(xs, factor, None)) {
            if x.is_nan() {
                assert!(y.is_nan());
            } else if f64::from(*x).abs() * factor >= f64::from(f32::MAX) * (1.0 + 2_f64.powi(-25))
            {
                assert_eq!(y, f32::INFINITY.copysign(*x), "{x:e} times {factor:e}");
            } else {
                let off = units_off(*x, factor, y);
                let most = 0.5 + 2_f64.powi(-21);
                assert!(
                    off <= most,
                    "{x:e} times {factor:e} became {y:e}, {off} units off"
                );
            }
        }
    }

    #[test]
    fn every_exponent_times_every_exponent() {
        let mut random = Random(1);
        for exponent in -40..128 {
            let xs = every_kind(&mut random);
            within_half_a_unit(&xs, random.factor(exponent..exponent + 1));
        }
        // A unit of an f64 above and below an f32, and both ends of what there are parts for.
        let xs = every_kind(&mut random);
        for near in [0.75_f64, 1.0, 3e-11, 2_f64.powi(-40), 2_f64.powi(-8), 1e30] {
            let near = f64::from(near as f32);
            within_half_a_unit(&xs, near);
            within_half_a_unit(&xs, f64::from_bits(near.to_bits() + 1));
            if near > 2_f64.powi(-40) {
                within_half_a_unit(&xs, f64::from_bits(near.to_bits() - 1));
            }
        }
        assert!(Way::of(f64::from_bits(2_f64.powi(-40).to_bits() - 1)).is_none());
        assert!(Way::of(f64::from(f32::MAX) * (1.0 + f64::EPSILON)).is_none());
    }

    #[test]
    fn what_an_f64_takes_for_a_tie_goes_where_the_rest_says() {
        let mut random = Random(2);
        let mut seen = [0; 2];
        while seen[0] < 300 || seen[1] < 300 {
            // A product of two f32 a little below the middle between two others...
            let [x, hi] = [(); 2].map(|()| random.bits() >> 41 | 1 << 23);
            let dropped = 64 - (x * hi).leading_zeros() - 24;
            let missing = i64::from(1_u32 << (dropped - 1)) - (x * hi % (1 << dropped)) as i64;
            if !(1..1 << 17).contains(&missing) {
                continue;
            }
            // ... and a factor that brings it as near to it as the last place of an f64 can.
            let places = (missing as f64 / x as f64 * f64::from(1_u32 << 29)).round();
            for places in [places - 1.0, places, places + 1.0] {
                let (x, factor) = (x as f32, hi as f64 + places / f64::from(1_u32 << 29));
                let Some(Way::Parts(parts)) = Way::of(factor) else {
                    continue;
                };
                let (_, rest) = Soft::sum(x, &parts);
                if Soft.is_doubtful(x, &parts) && rest != 0.0 {
                    seen[usize::from(rest > 0.0)] += 1;
                    within_half_a_unit(&[x, -x], factor);
                }
            }
        }
    }

    #[test]
    fn ties_go_to_even_where_the_factor_is_short() {
        let ys = on_all(&[16_777_215.0, 16_777_213.0, -3.0], 1.5, None);
        assert_eq!(ys, [25_165_822.0, 25_165_820.0, -4.5]);
    }

    #[test]
    fn random_pairs() {
        let mut random = Random(3);
        for _ in 0..400 {
            let factor = random.factor(-40..128);
            let xs: Vec<f32> = (0..300)
                .map(|_| f32::from_bits(random.bits() as u32))
                .filter(|x| x.is_finite())
                .collect();
            within_half_a_unit(&xs, factor);
            let factor = random.factor(-3..1);
            let xs: Vec<f32> = (0..300)
                .map(|_| (random.bits() >> 40) as f32 - 8e6)
                .collect();
            within_half_a_unit(&xs, factor);
        }
    }

    #[test]
    fn nothing_depends_on_the_neighbours() {
        let mut random = Random(4);
        let mut xs = every_kind(&mut random);
        xs.extend((0..1500).map(|i| i as f32 - 750.0));
        let bounds = Bounds {
            min: -3.5,
            max: 1e20,
        };
        for factor in [0.3, 1.0 / 0.3, 1e-9, 0.5, 7e20] {
            for bounds in [None, Some(bounds)] {
                let together = on_all(&xs, factor, bounds);
                let alone: Vec<f32> = xs
                    .iter()
                    .flat_map(|x| on_all(&[*x], factor, bounds))
                    .collect();
                assert_eq!(bits(&together), bits(&alone));
                for skip in [1, 3, 17] {
                    let rest = on_all(&xs[skip..], factor, bounds);
                    assert_eq!(bits(&together[skip..]), bits(&rest));
                }
            }
        }
    }

    #[test]
    fn signs_and_what_is_no_number() {
        for factor in [0.1, 0.5, 2.7] {
            let xs = [
                0.0,
                -0.0,
                f32::INFINITY,
                f32::NEG_INFINITY,
                f32::NAN,
                -1e-45,
            ];
            let ys = on_all(&xs, factor, None);
            let expected = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY];
            assert_eq!(bits(&ys[..4]), bits(&expected));
            assert!(ys[4].is_nan() && ys[5].is_sign_negative());
            let bounds = Some(Bounds { min: 0.0, max: 3.0 });
            let ys = on_all(&xs, factor, bounds);
            assert_eq!(bits(&ys[..4]), bits(&[0.0, -0.0, 3.0, 0.0]));
            assert!(ys[4].is_nan());
        }
    }
}
