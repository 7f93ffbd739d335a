//! Element types as the tests see them, and numbers to try.

use steadygrad::Element;

/// What an element type can hold.
pub(crate) trait Format: Element {
    /// Bits of the mantissa, the hidden one included.
    const BITS: i64;
    /// The smallest subnormal is 2 to this.
    const SMALLEST: i64;
    /// The largest exponent.
    const LARGEST: i64;
    /// Units in the last place by which a clipped element may miss the exact one.
    const ALLOWED: f64 = 1.0;

    /// Half the distance from 1 to the next number.
    fn u() -> f64 {
        2f64.powi(-(Self::BITS as i32))
    }

    /// The exponent of the unit in the last place at `x`.
    fn unit(x: f64) -> i64 {
        let exponent = i64::from(steadygrad::Wide::from(x).parts().1 as i32);
        if x == 0.0 {
            Self::SMALLEST
        } else {
            (exponent - Self::BITS + 1).max(Self::SMALLEST)
        }
    }

    /// `m · 2^e`, or the nearest number of this type that is finite.
    fn make(m: f64, e: i64) -> Self {
        let x = m * 2f64.powi((e / 2) as i32) * 2f64.powi((e - e / 2) as i32);
        if x.is_finite() {
            Self::toward_zero(x)
        } else {
            Self::toward_zero(f64::MAX.copysign(x))
        }
    }

    /// The bits, as a number.
    fn bits(self) -> u64;
}

impl Format for f32 {
    const BITS: i64 = 24;
    const SMALLEST: i64 = -149;
    const LARGEST: i64 = 127;

    fn bits(self) -> u64 {
        self.to_bits().into()
    }
}

impl Format for f64 {
    const BITS: i64 = 53;
    const SMALLEST: i64 = -1074;
    const LARGEST: i64 = 1023;
    const ALLOWED: f64 = 4.0;

    fn bits(self) -> u64 {
        self.to_bits()
    }
}

#[cfg(feature = "half")]
impl Format for half::f16 {
    const BITS: i64 = 11;
    const SMALLEST: i64 = -24;
    const LARGEST: i64 = 15;

    fn bits(self) -> u64 {
        self.to_bits().into()
    }
}

#[cfg(feature = "half")]
impl Format for half::bf16 {
    const BITS: i64 = 8;
    const SMALLEST: i64 = -133;
    const LARGEST: i64 = 127;

    fn bits(self) -> u64 {
        self.to_bits().into()
    }
}

/// Calls a generic function once for each element type.
macro_rules! for_each_type {
    ($f:ident) => {
        $f::<f32>();
        $f::<f64>();
        #[cfg(feature = "half")]
        {
            $f::<half::f16>();
            $f::<half::bf16>();
        }
    };
}

pub(crate) use for_each_type;

/// The generator `SplitMix64` (Steele, Lea and Flood, 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// In [−1, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 10) as f64 / 2f64.powi(53) - 1.0
    }

    /// In `low..=high`.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + (self.bits() % (high - low + 1) as u64) as i64
    }
}

/// What `Edit` promises: `f64` elements are rounded once, narrower ones lie within half a unit and a little.
pub(crate) fn is_as_edits_leave<T: Format>(y: T, exact: f64) -> bool {
    let slack = match T::BITS {
        53 => return y.widen().to_bits() == exact.to_bits(),
        24 => 2_f64.powi(-20),
        _ => 2_f64.powi(-12),
    };
    let unit = 2_f64.powi(T::unit(exact) as i32);
    bits(&[y]) == bits(&[T::narrow(exact)]) || (y.widen() - exact).abs() <= (0.5 + slack) * unit
}

/// The bits of each element.
pub(crate) fn bits<T: Format>(xs: &[T]) -> Vec<u64> {
    xs.iter().map(|x| x.bits()).collect()
}

pub(crate) fn narrow<T: Element>(xs: &[f64]) -> Vec<T> {
    xs.iter().map(|&x| T::narrow(x)).collect()
}

pub(crate) fn widen<T: Element>(xs: &[T]) -> Vec<f64> {
    xs.iter().map(|x| x.widen()).collect()
}
