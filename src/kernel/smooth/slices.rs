//! The functions over slices.

use super::Smooth;
use crate::kernel::chunks::change;

macro_rules! over_slices {
    ($($(#[$doc:meta])* $name:ident, $all:ident, $method:ident;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name<T: Smooth + Send>(xs: &mut [T]) {
            change(xs, |xs| $all(xs));
        }

        #[cfg_attr(
            feature = "std",
            multiversion::multiversion(targets(
                "x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+f16c",
                "x86_64+avx2+f16c",
                "aarch64+neon"
            ))
        )]
        fn $all<T: Smooth>(xs: &mut [T]) {
            for x in xs {
                *x = x.$method();
            }
        }
    )*};
}

over_slices! {
    /// e^x in place of each x.
    exp, exp_all, exp_;
    /// tanh x in place of each x.
    tanh, tanh_all, tanh_;
    /// 1/(1 + e^−x) in place of each x.
    sigmoid, sigmoid_all, sigmoid_;
}
