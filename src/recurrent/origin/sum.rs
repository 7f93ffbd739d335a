//! Why a sum of products, or a line of a formula, is not finite.

#![expect(clippy::needless_pass_by_value, reason = "views are given as they are")]

use alloc::vec::Vec;

use ndarray::{Array2, ArrayRef1, ArrayView1};

use super::{Cause, NotFinite, Origin, Part};
use crate::recurrent::Real;

/// A line of a matrix of weights.
#[derive(Clone, Copy)]
pub(super) enum Line {
    Row(usize),
    /// From a row on.
    Column(usize, usize),
}

/// The products in a sum: a line of weights, and what it is multiplied by.
pub(super) struct Products<'a, A> {
    name: &'static str,
    line: Line,
    weights: ArrayView1<'a, A>,
    by: ArrayView1<'a, A>,
    /// What the latter is, if it may have come in.
    of: Option<Part>,
}

impl<'a, A: Real> Products<'a, A> {
    /// Of weights and numbers that were made before, and are finite.
    pub(super) fn new(
        (name, line): (&'static str, Line),
        weights: ArrayView1<'a, A>,
        by: ArrayView1<'a, A>,
    ) -> Self {
        Self {
            name,
            line,
            weights,
            by,
            of: None,
        }
    }

    /// Of a row of weights and the inputs of a step.
    pub(super) fn of_input(
        name: &'static str,
        (w, row): (&'a Array2<A>, usize),
        x: ArrayView1<'a, A>,
    ) -> Self {
        Self {
            of: Some(Part::Input),
            ..Self::new((name, Line::Row(row)), w.row(row), x)
        }
    }

    /// Of a row of weights and the state before a step.
    pub(super) fn of_state(
        name: &'static str,
        (w, row): (&'a Array2<A>, usize),
        h: ArrayView1<'a, A>,
    ) -> Self {
        Self {
            of: Some(Part::InitialState),
            ..Self::new((name, Line::Row(row)), w.row(row), h)
        }
    }

    fn parameter(&self) -> Option<Origin> {
        let k = position(&self.weights)?;
        let index = match self.line {
            Line::Row(row) => [row, k],
            Line::Column(column, first) => [first + k, column],
        };
        let value = NotFinite::of(self.weights[k].widen());
        Some(Origin::parameter(self.name, Vec::from(index), value))
    }

    /// What came in, of the step and the sequence of what was made of it.
    fn given(&self, made: &Origin) -> Option<Origin> {
        let k = position(&self.by)?;
        let (t, found) = (made.at?.time, (made.sequence?, k, self.by[k]));
        match self.of? {
            Part::Input => Some(Origin::given(Part::Input, "x", t, found)),
            // A later state was made in the pass, and has shown.
            part if t == 0 => Some(Origin::given(part, "h", t, found)),
            _ => None,
        }
    }

    fn overflow(&self) -> bool {
        let mut pairs = self.weights.iter().zip(&self.by);
        pairs.any(|(&w, &x)| !(w * x).is_finite())
    }
}

fn position<A: Real>(xs: &ArrayRef1<A>) -> Option<usize> {
    xs.iter().position(|x| !x.is_finite())
}

/// Who made a sum of products, of which it is known what it is: what is not finite in it, parameters first, or itself.
pub(super) fn of_sum<A: Real>(
    made: Origin,
    products: &[Products<'_, A>],
    bias: Option<(&'static str, usize, A)>,
) -> Origin {
    let weights = products.iter().find_map(Products::parameter);
    let bias = bias.filter(|(_, _, bias)| !bias.is_finite());
    let bias = bias.map(|(name, k, bias)| {
        Origin::parameter(name, Vec::from([k]), NotFinite::of(bias.widen()))
    });
    let given = weights.or(bias);
    let given = given.or_else(|| products.iter().find_map(|products| products.given(&made)));
    given.unwrap_or_else(|| {
        // Sums overflow in whatever order the kernel adds; a product by itself.
        let cause = match made.value {
            NotFinite::Nan => Cause::Opposites,
            _ if products.iter().any(Products::overflow) => Cause::Product,
            _ => Cause::Sum,
        };
        made.because(cause)
    })
}

/// Arithmetic that notes how numbers come to be not finite.
#[derive(Default)]
pub(super) struct Watch {
    infinity: Option<Cause>,
    nan: Option<Cause>,
}

impl Watch {
    pub(super) fn mul<A: Real>(&mut self, a: A, b: A) -> A {
        let y = a * b;
        if y.is_infinite() && a.is_finite() && b.is_finite() {
            self.infinity.get_or_insert(Cause::Product);
        }
        if y.is_nan() && !a.is_nan() && !b.is_nan() {
            self.nan.get_or_insert(Cause::ZeroTimesInfinity);
        }
        y
    }

    pub(super) fn add<A: Real>(&mut self, a: A, b: A) -> A {
        let y = a + b;
        if y.is_infinite() && a.is_finite() && b.is_finite() {
            self.infinity.get_or_insert(Cause::Sum);
        }
        if y.is_nan() && !a.is_nan() && !b.is_nan() {
            self.nan.get_or_insert(Cause::Opposites);
        }
        y
    }

    pub(super) fn sub<A: Real>(&mut self, a: A, b: A) -> A {
        self.add(a, -b)
    }

    /// The product of them all, from the left.
    pub(super) fn product<A: Real, const N: usize>(&mut self, factors: [A; N]) -> A {
        factors.into_iter().fold(A::one(), |y, x| self.mul(y, x))
    }

    /// How such a value came to be.
    pub(super) fn cause(&self, value: NotFinite) -> Cause {
        let cause = match value {
            NotFinite::Nan => self.nan,
            _ => self.infinity,
        };
        cause.unwrap_or(Cause::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Way;
    use super::*;
    use ndarray::array;

    #[test]
    fn the_value_tells_which_of_several_overflows_made_it() {
        let mut watch = Watch::default();
        let inf = watch.mul(1e30_f32, 1e30);
        assert_eq!(watch.cause(NotFinite::of(inf.into())), Cause::Product);
        let nan = watch.mul(inf, 0.0);
        assert_eq!(
            watch.cause(NotFinite::of(nan.into())),
            Cause::ZeroTimesInfinity
        );
        let mut watch = Watch::default();
        let (up, down) = (
            watch.add(f32::MAX, f32::MAX),
            watch.sub(-f32::MAX, f32::MAX),
        );
        assert_eq!(watch.cause(NotFinite::of(up.into())), Cause::Sum);
        let nan = watch.add(up, down);
        assert_eq!(watch.cause(NotFinite::of(nan.into())), Cause::Opposites);
        assert_eq!(watch.product([2.0, 3.0, 0.5]), 3.0);
    }

    fn cause(weights: &ndarray::Array1<f32>, by: &ndarray::Array1<f32>, value: f32) -> Origin {
        let products = Products::new(("w", Line::Column(7, 2)), weights.view(), by.view());
        let made = Origin::of_step(Way::Forward, Part::State, "h", 0, (0, 0, value));
        of_sum(made, &[products], Some(("b", 0, 0.0)))
    }

    #[test]
    fn sums_overflow_by_a_product_or_by_themselves() {
        let inf = f32::INFINITY;
        let cause = |w, x, value| cause(&w, &x, value);
        let big = array![3e38, 3e38];
        assert_eq!(cause(big.clone(), array![1.0, 1.0], inf).cause, Cause::Sum);
        assert_eq!(
            cause(big.clone(), array![2.0, 0.0], inf).cause,
            Cause::Product
        );
        assert_eq!(
            cause(big.clone(), array![2.0, -2.0], f32::NAN).cause,
            Cause::Opposites
        );
        let origin = cause(array![1.0, f32::NAN], big, f32::NAN);
        assert_eq!(
            (origin.part, origin.index),
            (Part::Parameter, Vec::from([3, 7]))
        );
    }
}
