//! The one write: a chain of operations on each element, as if in `f64` and rounded once.

use super::chunks::change;
#[cfg(feature = "half")]
use super::half;
use super::scale::{self, Bounds, Way};
use crate::edit::{Edit, Op};
use crate::factor::Factor;
use crate::number::Number;
use crate::slice::SliceMut;

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

/// What most chains come to: one factor, and then one clamp.
///
/// With factors above 0, clamping first into [l, h] and then scaling by f is scaling by f and then clamping into [l·f, h·f].
struct Line {
    factor: f64,
    min: f64,
    max: f64,
}

impl Line {
    fn times(factor: f64) -> Self {
        Self {
            factor,
            min: f64::NEG_INFINITY,
            max: f64::INFINITY,
        }
    }

    /// `None` if a factor is 0, or so far from 1 that an `f64` might lose something on the way; or if elements are zeroed.
    fn of<T: Number>(edit: &Edit<'_>, at: Option<&At<'_>>) -> Option<Self> {
        let near_one = f64::from_bits((1023 - 160) << 52)..=f64::from_bits((1023 + 160) << 52);
        let mut line = Self::times(1.0);
        for op in edit.ops() {
            match Ready::<T>::new(&op, at) {
                Ready::Scale(factor) if near_one.contains(&factor) => {
                    line.factor *= factor;
                    line.min *= factor;
                    line.max *= factor;
                    if !near_one.contains(&line.factor) {
                        return None;
                    }
                }
                Ready::Clamp(min, max) => {
                    let (min, max) = (min.exact(), max.exact());
                    line.min = clamp(line.min, min, max);
                    line.max = clamp(line.max, min, max);
                }
                _ => return None,
            }
        }
        line.min = T::near(line.min).exact();
        line.max = T::near(line.max).exact();
        Some(line)
    }

    fn bounds(&self) -> Option<Bounds> {
        let open = self.min == f64::NEG_INFINITY && self.max == f64::INFINITY;
        (!open).then_some(Bounds {
            min: self.min as f32,
            max: self.max as f32,
        })
    }

    /// Whether it could be carried out in `f32`; if not, nothing is done.
    fn is_carried_out<T: Number>(&self, xs: &mut [T]) -> bool {
        let bounds = self.bounds();
        match T::slice_mut(xs) {
            SliceMut::F64(_) => false,
            SliceMut::F32(xs) => Way::of(self.factor)
                .map(|way| change(xs, |xs| scale::scale(xs, way, bounds)))
                .is_some(),
            #[cfg(feature = "half")]
            SliceMut::F16(xs) => half::short(self.factor)
                .map(|factor| change(xs, |xs| half::scale_f16(xs, factor, bounds)))
                .is_some(),
            #[cfg(feature = "half")]
            SliceMut::BF16(xs) => half::short(self.factor)
                .map(|factor| change(xs, |xs| half::scale_bf16(xs, factor, bounds)))
                .is_some(),
        }
    }
}

/// Carries out `edit` on `xs`.
pub(crate) fn apply<T: Number>(xs: &mut [T], edit: &Edit<'_>, at: Option<&At<'_>>) {
    let mut ops = edit.ops().map(|op| Ready::<T>::new(&op, at));
    let first = [ops.next(), ops.next(), ops.next(), ops.next()];
    match first {
        [None, ..] => return,
        [Some(Ready::Clamp(min, max)), None, ..] => {
            return change(xs, |xs| clamp_all(xs, min, max));
        }
        [Some(Ready::Zero), None, ..] => return change(xs, |xs| xs.fill(T::default())),
        [Some(Ready::Scale(factor)), None, ..] if Line::times(factor).is_carried_out(xs) => return,
        [_, None, ..] => (),
        _ if size_of::<T>() < size_of::<f64>()
            && Line::of::<T>(edit, at).is_some_and(|line| line.is_carried_out(xs)) =>
        {
            return;
        }
        _ => (),
    }
    match first {
        [Some(Ready::Scale(factor)), None, ..] => change(xs, |xs| scale(xs, factor)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Edits;
    use alloc::vec::Vec;

    /// What one factor and one clamp make of a chain, beside the chain taken step by step in `f64`.
    fn as_step_by_step<T: Number>(xs: &[T], edits: &Edits, digits: i32) {
        let edit = edits.get(0);
        let mut found = xs.to_vec();
        apply(&mut found, &edit, None);
        let steps: Vec<_> = edit.ops().map(|op| Ready::<T>::new(&op, None)).collect();
        for (x, y) in xs.iter().zip(found) {
            let mut exact = [x.exact()];
            for step in &steps {
                step.run(&mut exact);
            }
            let [exact] = exact;
            let near = T::near(exact);
            let unit = exact.abs() * 2_f64.powi(1 - digits) + T::near(f64::from_bits(1)).exact();
            let agrees = y.exact().is_nan() && exact.is_nan()
                || y == near
                || (y.exact() - exact).abs() <= unit * (0.5 + 2_f64.powi(-12));
            assert!(agrees, "{x} became {y}, not {near}, by {edit:?}");
        }
    }

    #[test]
    fn chains_are_what_they_are_step_by_step() {
        type Step = fn(&mut Edits);
        let steps: [Step; 9] = [
            |edits| edits.scale(0, Factor::new(0.3).expect("a factor")),
            |edits| edits.scale(0, Factor::new(1.0 / 0.3).expect("a factor")),
            |edits| edits.scale(0, Factor::new(1e30).expect("a factor")),
            |edits| edits.scale(0, Factor::new(1e-60).expect("a factor")),
            |edits| edits.scale(0, Factor::new(0.0).expect("a factor")),
            |edits| edits.clamp(0, -2.0, 1.0 / 3.0),
            |edits| edits.clamp(0, -1e-4, 1e20),
            |edits| edits.clamp(0, 0.5, f64::INFINITY),
            |edits| edits.zero(0),
        ];
        let mut xs = alloc::vec![0.0_f32, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        for i in 0..300_u32 {
            xs.push(f32::from_bits(i * 14_316_557));
            xs.push(i as f32 / 70.0 - 2.0);
        }
        for a in &steps {
            for b in &steps {
                for c in &steps {
                    let mut edits = Edits::for_count(1);
                    for step in [a, b, c] {
                        step(&mut edits);
                    }
                    as_step_by_step(&xs, &edits, 24);
                    let wide: Vec<f64> = xs.iter().map(|x| x.exact()).collect();
                    as_step_by_step(&wide, &edits, 53);
                    #[cfg(feature = "half")]
                    {
                        use ::half::{bf16, f16};
                        let halves: Vec<_> = xs.iter().map(|x| f16::from_f32(*x)).collect();
                        as_step_by_step(&halves, &edits, 11);
                        let halves: Vec<_> = xs.iter().map(|x| bf16::from_f32(*x)).collect();
                        as_step_by_step(&halves, &edits, 8);
                    }
                }
            }
        }
    }
}
