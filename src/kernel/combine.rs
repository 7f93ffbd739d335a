//! Two slices at once, element by element.

use super::chunks::{change, write_beside};
use crate::number::Number;

/// Makes of each `y` what `f` makes of it and its `x`, in `f64`, rounded once.
pub(crate) fn combine<X: Number, Y: Number>(
    xs: &[X],
    ys: &mut [Y],
    f: impl Fn(f64, f64) -> f64 + Sync,
) {
    write_beside(xs, ys, |(xs, ys)| each_pair(xs, ys, &f), |()| ());
}

/// Makes of each `y` what `f` makes of it, in `f64`, rounded once.
pub(crate) fn map<Y: Number>(ys: &mut [Y], f: impl Fn(f64) -> f64 + Sync) {
    change(ys, |ys| each(ys, &f));
}

#[cfg_attr(
    feature = "std",
    multiversion::multiversion(targets("x86_64+avx2+f16c", "aarch64+neon"))
)]
fn each_pair<X: Number, Y: Number, F: Fn(f64, f64) -> f64>(xs: &[X], ys: &mut [Y], f: &F) {
    for (x, y) in xs.iter().zip(ys) {
        *y = Y::near(f(x.exact(), y.exact()));
    }
}

#[cfg_attr(
    feature = "std",
    multiversion::multiversion(targets("x86_64+avx2+f16c", "aarch64+neon"))
)]
fn each<Y: Number, F: Fn(f64) -> f64>(ys: &mut [Y], f: &F) {
    for y in ys {
        *y = Y::near(f(y.exact()));
    }
}
