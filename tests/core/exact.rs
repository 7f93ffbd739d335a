//! Exact arithmetic on dyadic numbers: slow and obviously right.

use num_bigint::BigUint;
use steadygrad::{Element, Wide};

/// `n · 2^e`, a non-negative number, exactly.
#[derive(Clone, Debug)]
pub(crate) struct Exact {
    n: BigUint,
    e: i64,
}

/// The integer mantissa and the exponent of `|x|`.
fn split(x: f64) -> (u64, i64) {
    assert!(x.is_finite());
    let bits = x.to_bits() & !(1 << 63);
    match bits >> 52 {
        0 => (bits, -1074),
        biased => (bits & ((1 << 52) - 1) | 1 << 52, biased as i64 - 1075),
    }
}

impl Exact {
    /// `|x|`
    pub(crate) fn of(x: f64) -> Self {
        let (m, e) = split(x);
        Self { n: m.into(), e }
    }

    /// `2^e`
    pub(crate) fn pow2(e: i64) -> Self {
        Self { n: 1u8.into(), e }
    }

    pub(crate) fn of_wide(x: Wide) -> Self {
        let (m, e) = x.parts();
        Self::of(m).times(&Self::pow2(e))
    }

    pub(crate) fn times(&self, other: &Self) -> Self {
        Self {
            n: &self.n * &other.n,
            e: self.e + other.e,
        }
    }

    pub(crate) fn plus(&self, other: &Self) -> Self {
        let e = self.e.min(other.e);
        Self {
            n: self.at(e) + other.at(e),
            e,
        }
    }

    pub(crate) fn is_at_most(&self, other: &Self) -> bool {
        let e = self.e.min(other.e);
        self.at(e) <= other.at(e)
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.n == BigUint::ZERO
    }

    /// In units of `2^e`, rounded down.
    fn at(&self, e: i64) -> BigUint {
        shift(&self.n, self.e - e)
    }

    /// `Σ|x|^k` for `k` up to 3 (`f64`: 2), by one integer for each exponent.
    pub(crate) fn sum_of_powers<T: Element>(xs: &[T], k: u32) -> Self {
        const OFFSET: i64 = 3 * 1075;
        let mut sums = vec![0_u128; 2 * OFFSET as usize];
        for x in xs {
            let (m, e) = split(x.widen());
            // What a narrow type leaves empty at the end of the mantissa, so that cubes fit.
            let empty = m.trailing_zeros().min(29);
            let m = u128::from(m >> empty);
            let place = (e + i64::from(empty)) * i64::from(k) + OFFSET;
            let place = usize::try_from(place).unwrap();
            sums[place] = sums[place].checked_add(m.pow(k)).unwrap();
        }
        let mut n = BigUint::ZERO;
        for (place, &sum) in sums.iter().enumerate() {
            if sum != 0 {
                n += BigUint::from(sum) << place;
            }
        }
        Self { n, e: -OFFSET }
    }

    /// How far `found` is from the `k`-th root of this, in units of the last place of an `f64` mantissa.
    pub(crate) fn root_error(&self, k: u32, found: Wide) -> f64 {
        assert!(found.is_finite());
        if self.is_zero() || found == Wide::ZERO {
            assert!(
                self.is_zero() && found == Wide::ZERO,
                "{found:?} is not the root of {self:?}"
            );
            return 0.0;
        }
        let (_, e) = found.parts();
        self.root_error_in(k, &Self::of_wide(found), e - 52)
    }

    /// How far `found` is from the `k`-th root of this, in units of `2^unit`.
    pub(crate) fn root_error_in(&self, k: u32, found: &Self, unit: i64) -> f64 {
        // A fraction of 20 bits is enough to say how many units it is.
        let fine = unit - 20;
        let root = shift(&self.n, self.e - i64::from(k) * fine).nth_root(k);
        let found = found.at(fine);
        let apart = if root > found {
            root - found
        } else {
            found - root
        };
        u64::try_from(apart).map_or(f64::INFINITY, |apart| apart as f64 / f64::from(1 << 20))
    }

    /// How far `found` is from `g·target/√self`, in units of `2^unit`.
    pub(crate) fn scaled_error_in(&self, g: f64, target: f64, found: f64, unit: i64) -> f64 {
        // (g·target)²/S, with 200 bits behind the point of its square root's unit.
        let top = Self::of(g).times(&Self::of(target));
        let top = top.times(&top);
        let fine = unit - 20;
        let up = top.e - self.e - 2 * fine;
        let squared = if up >= 0 {
            (&top.n << up as u64) / &self.n
        } else {
            &top.n / (&self.n << (-up) as u64)
        };
        let exact = Self {
            n: squared.sqrt(),
            e: fine,
        };
        let (a, b) = (exact.n, Self::of(found).at(fine));
        let apart = if a > b { a - b } else { b - a };
        u64::try_from(apart).map_or(f64::INFINITY, |apart| apart as f64 / f64::from(1 << 20))
    }
}

fn shift(n: &BigUint, by: i64) -> BigUint {
    if by >= 0 {
        n << by as u64
    } else {
        n >> by.unsigned_abs()
    }
}

#[test]
fn exact_numbers_are_exact() {
    let five = Exact::sum_of_powers(&[3.0_f64, -4.0], 2);
    assert_eq!(five.root_error(2, Wide::from(5.0)), 0.0);
    assert_eq!(
        five.root_error(2, Wide::from(5.0 + 4.0 * f64::EPSILON)),
        1.0
    );
    assert_eq!(five.scaled_error_in(3.0, 10.0, 6.0, -50), 0.0);
    assert_eq!(five.scaled_error_in(-3.0, 10.0, 6.5, -1), 1.0);
    let tiny = Exact::sum_of_powers(&[5e-324_f64, 5e-324], 1);
    assert_eq!(tiny.root_error(1, Wide::from(1e-323)), 0.0);
    let far = Exact::sum_of_powers(&[f64::MAX, 5e-324], 2);
    assert!(far.root_error(2, Wide::from(f64::MAX)) < 1e-3);
    assert!(
        far.is_at_most(
            &Exact::of(f64::MAX)
                .times(&Exact::of(f64::MAX))
                .plus(&Exact::pow2(-2148))
        )
    );
    assert!(!far.is_at_most(&Exact::of(f64::MAX).times(&Exact::of(f64::MAX))));
}
