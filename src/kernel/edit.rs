//! The one write: a chain of operations on each element, in `f64`, rounded once.

use super::chunks::change;
use crate::edit::{Edit, Op};
use crate::factor::Factor;
use crate::number::Number;

/// Elements worked on together, in a buffer of `f64`.
const BLOCK: usize = 256;

/// Where a slice stands in its tensor: the unit it belongs to along each axis that matters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a> {
    axis: usize,
    unit: usize,
    outer: Option<&'a At<'a>>,
}

impl<'a> At<'a> {
    /// The `unit`-th index along `axis`, inside `outer`.
    pub(crate) fn unit(axis: usize, unit: usize, outer: Option<&'a At<'a>>) -> Self {
        Self { axis, unit, outer }
    }

    /// Whether a unit along `axis` is named.
    #[cfg(feature = "ndarray")]
    pub(crate) fn fixes(at: Option<&Self>, axis: usize) -> bool {
        core::iter::successors(at, |at| at.outer).any(|at| at.axis == axis)
    }
}

impl At<'_> {
    /// The unit along `axis`; a slice that names none is the only unit there is.
    fn along(at: Option<&Self>, axis: usize) -> usize {
        let mut named = core::iter::successors(at, |at| at.outer);
        named.find(|at| at.axis == axis).map_or(0, |at| at.unit)
    }
}

/// An operation with everything looked up that is the same for the whole slice.
enum Ready<T> {
    Scale(f64),
    /// A factor that no `f64` can hold, as three that are applied in turn.
    ScaleFar([f64; 3]),
    Clamp(T, T),
    Zero,
}

impl<T: Number> Ready<T> {
    fn new(op: &Op<'_>, at: Option<&At<'_>>) -> Self {
        match *op {
            Op::Scale(factor) => Self::scale(factor),
            Op::Clamp { min, max } => Self::Clamp(T::inward(min), T::inward(max)),
            Op::ScaleUnits { axis, factors } => {
                let factor = factors.get(At::along(at, axis)).copied();
                Self::scale(factor.unwrap_or(Factor::ONE))
            }
            Op::Zero => Self::Zero,
        }
    }

    fn scale(factor: Factor) -> Self {
        match factor.in_steps() {
            [x, 1.0, 1.0] => Self::Scale(x),
            steps => Self::ScaleFar(steps),
        }
    }

    /// On `f64`s on their way to becoming `T`.
    #[inline(always)]
    fn run(&self, xs: &mut [f64]) {
        match *self {
            Self::Scale(factor) => {
                for x in xs {
                    *x *= factor;
                }
            }
            Self::ScaleFar([a, b, c]) => {
                for x in xs {
                    *x = *x * a * b * c;
                }
            }
            Self::Clamp(min, max) => {
                let (min, max) = (min.exact(), max.exact());
                for x in xs {
                    *x = clamp(*x, min, max);
                }
            }
            Self::Zero => xs.fill(0.0),
        }
    }
}

/// By comparison, so that NaN stays NaN.
#[inline(always)]
fn clamp<T: PartialOrd>(x: T, min: T, max: T) -> T {
    let x = if x < min { min } else { x };
    if x > max { max } else { x }
}

/// Carries out `edit` on `xs`.
pub(crate) fn apply<T: Number>(xs: &mut [T], edit: &Edit<'_>, at: Option<&At<'_>>) {
    let mut ops = edit.ops().map(|op| Ready::<T>::new(&op, at));
    match [ops.next(), ops.next(), ops.next(), ops.next()] {
        [None, ..] => (),
        [Some(Ready::Scale(factor)), None, ..] if size_of::<T>() < size_of::<f32>() => {
            change(xs, |xs| scale_half(xs, factor));
        }
        [Some(Ready::Scale(factor)), None, ..] => change(xs, |xs| scale(xs, factor)),
        [Some(Ready::Clamp(min, max)), None, ..] => change(xs, |xs| clamp_all(xs, min, max)),
        [Some(Ready::Zero), None, ..] => change(xs, |xs| xs.fill(T::default())),
        // The usual chains have a loop of their own: what is not there multiplies by one.
        [Some(Ready::Clamp(min, max)), Some(Ready::Scale(b)), None, _] => {
            change(xs, |xs| scale_clamp_scale(xs, 1.0, min, max, b));
        }
        [Some(Ready::Scale(a)), Some(Ready::Clamp(min, max)), None, _] => {
            change(xs, |xs| scale_clamp_scale(xs, a, min, max, 1.0));
        }
        [
            Some(Ready::Scale(a)),
            Some(Ready::Clamp(min, max)),
            Some(Ready::Scale(b)),
            None,
        ] => {
            change(xs, |xs| scale_clamp_scale(xs, a, min, max, b));
        }
        _ => change(xs, |xs| chain(xs, edit, at)),
    }
}

/// Gives `to` what `xs` would be after `edit`, block by block.
pub(crate) fn preview<T: Number>(
    xs: &[T],
    edit: &Edit<'_>,
    at: Option<&At<'_>>,
    to: &mut dyn FnMut(&[T]),
) {
    if edit.is_keep() {
        return to(xs);
    }
    for block in xs.chunks(BLOCK) {
        let mut copy = [T::default(); BLOCK];
        let copy = &mut copy[..block.len()];
        copy.copy_from_slice(block);
        apply(copy, edit, at);
        to(copy);
    }
}

#[cfg_attr(
    feature = "std",
    multiversion::multiversion(targets("x86_64+avx2+f16c", "aarch64+neon"))
)]
fn chain<T: Number>(xs: &mut [T], edit: &Edit<'_>, at: Option<&At<'_>>) {
    let mut wide = [0.0; BLOCK];
    for block in xs.chunks_mut(BLOCK) {
        let wide = &mut wide[..block.len()];
        for (w, x) in wide.iter_mut().zip(block.iter()) {
            *w = x.exact();
        }
        for op in edit.ops() {
            Ready::<T>::new(&op, at).run(wide);
        }
        for (x, w) in block.iter_mut().zip(wide) {
            *x = T::near(*w);
        }
    }
}

#[cfg_attr(
    feature = "std",
    multiversion::multiversion(targets("x86_64+avx2+f16c", "aarch64+neon"))
)]
fn scale<T: Number>(xs: &mut [T], factor: f64) {
    for x in xs {
        *x = T::near(x.exact() * factor);
    }
}

/// The same for types that round by integer arithmetic, of which wider vectors do more at once. Conversions
/// between `f32` and `f64` they do slower, and what they store is slow to be read in smaller pieces.
#[cfg_attr(
    feature = "std",
    multiversion::multiversion(targets(
        "x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+f16c",
        "x86_64+avx2+f16c",
        "aarch64+neon"
    ))
)]
fn scale_half<T: Number>(xs: &mut [T], factor: f64) {
    for x in xs {
        *x = T::near(x.exact() * factor);
    }
}

#[cfg_attr(
    feature = "std",
    multiversion::multiversion(targets("x86_64+avx2+f16c", "aarch64+neon"))
)]
fn scale_clamp_scale<T: Number>(xs: &mut [T], a: f64, min: T, max: T, b: f64) {
    let (min, max) = (min.exact(), max.exact());
    for x in xs {
        *x = T::near(clamp(x.exact() * a, min, max) * b);
    }
}

#[cfg_attr(
    feature = "std",
    multiversion::multiversion(targets("x86_64+avx2+f16c", "aarch64+neon"))
)]
fn clamp_all<T: Number>(xs: &mut [T], min: T, max: T) {
    for x in xs {
        *x = clamped(*x, min, max);
    }
}

/// For a function that is compiled for the processor.
#[inline(always)]
pub(super) fn clamped<T: Number>(x: T, min: T, max: T) -> T {
    let above = if x.value() < min.value() { min } else { x };
    if above.value() > max.value() {
        max
    } else {
        above
    }
}
