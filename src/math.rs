//! The few functions that `core` lacks: the standard library's, or where that is left out those of `libm`.

/// `2^e` for `e` in −1022..=1023, exactly.
#[inline(always)]
pub(crate) fn pow2(e: i64) -> f64 {
    debug_assert!((-1022..=1023).contains(&e));
    f64::from_bits(((e + 1023) as u64) << 52)
}

macro_rules! from_float {
    ($($name:ident),*) => {$(
        #[inline]
        pub(crate) fn $name(x: f64) -> f64 {
            num_traits::Float::$name(x)
        }
    )*};
}

from_float!(sqrt, floor, trunc, exp2, log2);

#[inline]
pub(crate) fn powf(x: f64, p: f64) -> f64 {
    num_traits::Float::powf(x, p)
}
