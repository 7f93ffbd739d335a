//! In a loop: what the guard's report says; and layers that say nothing of their own.

use core::cell::Cell;

use ndarray::{Array3, ArrayView3, array};
use steadygrad::recurrent::origin::{Cause, NotFinite, Part, Way};
use steadygrad::recurrent::{
    Activation, Backward, Hook, Init, Layer, Lstm, Origin, Rnn, RnnState, Sequence, Stacked,
    Upstream,
};
use steadygrad::{Guard, OnNonFinite, Result, Step, TensorSet, TensorSetMut, Verdict};

use super::{is, linear, spike, told, told_of};
use crate::common::uniform;

#[test]
fn a_loop_is_told_who_made_what_its_guard_met() -> Result<()> {
    let mut draw = uniform(5);
    let mut rnn = Rnn::<f32>::builder(1, 4)
        .activation(Activation::Identity)
        .w_rec(Init::Scaled { radius: 1.0 })
        .build(&mut draw)?;
    let mut guard = Guard::new();
    let (xs, mut asked) = (Array3::ones((60, 2, 1)), 0);
    let mut told = None;
    for _ in 0..100 {
        let pass = rnn.forward(xs.view(), &rnn.zero_state(2))?;
        let d_outputs = pass.outputs().mapv(|h| h - 0.5);
        let loss = d_outputs.iter().map(|d| 0.5 * d * d).sum::<f32>();
        let mut back = rnn.backward(&pass, d_outputs.view())?;
        let count = Cell::new(0);
        let origin = || {
            count.set(count.get() + 1);
            rnn.origin(&pass, d_outputs.view())
        };
        let step = Step::new(&mut back.grads).params(&rnn).loss(loss);
        let report = guard.step(step.explained_by(&origin))?;
        asked += count.get();
        if report.verdict() != Verdict::Apply {
            told = Some((
                report.origin().map(str::to_string),
                report.to_string(),
                origin()?,
            ));
            break;
        }
        steadygrad::set::axpy(-0.1, &back.grads, &mut rnn)?;
    }
    let (origin, report, found) = told.expect("an unclipped linear net at such a rate explodes");
    assert_eq!(asked, 1);
    let found = found.expect("what is not finite has an origin");
    assert_eq!(origin, Some(found.to_string()));
    assert!(
        matches!(found.cause, Cause::Product | Cause::Sum),
        "{found:?}"
    );
    assert!(report.contains(", made by the "), "{report}");
    assert!(report.contains("pass: the "), "{report}");
    Ok(())
}

#[test]
fn the_sentence_of_a_report_is_whole() -> Result<()> {
    let rnn = Rnn::<f32>::new(
        array![[1.0]],
        array![[2.0]],
        array![0.0],
        Activation::Identity,
    )?;
    let mut xs = Array3::zeros((200, 1, 1));
    xs[[11, 0, 0]] = 1.0;
    let pass = rnn.forward(xs.view(), &rnn.zero_state(1))?;
    let d_outputs = Array3::ones((200, 1, 1));
    let mut back = rnn.backward(&pass, d_outputs.view())?;
    let mut guard = Guard::new();
    let step = Step::new(&mut back.grads).params(&rnn);
    let report = guard.step(step.explained_by(&|| rnn.origin(&pass, d_outputs.view())))?;
    assert_eq!(
        report.to_string(),
        "step 1: norm NaN; skip (1 in a row); gradient w_in has 1 NaN and 0 infinite elements, the first at index 0 \
         (non-finite), made by the forward pass: the state h of layer 0 at time 139 (sequence 0, unit 0) is +inf, \
         from finite numbers (a product overflows)",
    );

    // A pass of another layer is told as such, and is no reason to lose the report.
    let wide = Rnn::<f32>::builder(2, 1).build(&mut || 0.75)?;
    let step = Step::new(&mut back.grads).params(&rnn);
    let report = guard.step(step.explained_by(&|| wide.origin(&pass, d_outputs.view())))?;
    assert_eq!(
        report.origin(),
        Some("nobody knows whom (pass inputs: expected shape [200, 1, 2], found [200, 1, 1])"),
    );
    // Where nothing in the net is to blame, nobody is.
    let fine = rnn.forward(Array3::ones((9, 1, 1)).view(), &rnn.zero_state(1))?;
    let d_outputs = Array3::ones((9, 1, 1));
    let mut back = rnn.backward(&fine, d_outputs.view())?;
    let step = Step::new(&mut back.grads).loss(f32::NAN);
    let report = guard.step(step.explained_by(&|| rnn.origin(&fine, d_outputs.view())))?;
    assert_eq!((report.origin(), report.verdict()), (None, Verdict::Skip));
    Ok(())
}

#[test]
fn an_error_of_the_guard_has_asked_too() -> Result<()> {
    let lstm = Lstm::<f32>::builder(1, 2).build(&mut || 0.75)?;
    let mut xs = Array3::ones((5, 1, 1));
    xs[[2, 0, 0]] = f32::NAN;
    let pass = lstm.forward(xs.view(), &lstm.zero_state(1))?;
    let d_outputs = Array3::ones((5, 1, 2));
    let mut back = lstm.backward(&pass, d_outputs.view())?;
    let mut guard = Guard::new().on_non_finite(OnNonFinite::Error);
    let origin = || lstm.origin(&pass, d_outputs.view());
    assert!(
        guard
            .step(Step::new(&mut back.grads).explained_by(&origin))
            .is_err()
    );
    let expected = "the input x, which is NaN at time 2 (sequence 0, feature 0)";
    assert_eq!(guard.report().origin(), Some(expected));
    Ok(())
}

/// A layer of somebody's own, which says nothing of who made what.
#[derive(Clone)]
struct Silent(Rnn<f32>);

impl TensorSet for Silent {
    fn visit<'a>(&'a self, f: &mut steadygrad::Visitor<'_, 'a>) -> Result<()> {
        self.0.visit(f)
    }
}

impl TensorSetMut for Silent {
    fn visit_mut(&mut self, f: &mut steadygrad::VisitorMut<'_>) -> Result<()> {
        self.0.visit_mut(f)
    }
}

impl Layer for Silent {
    type Elem = f32;
    type State = RnnState<f32>;
    type At<'t> = &'t mut RnnState<f32>;
    type Pass = <Rnn<f32> as Layer>::Pass;
    type Grads = <Rnn<f32> as Layer>::Grads;
    type Space = ();

    fn zero_state(&self, batch: usize) -> RnnState<f32> {
        self.0.zero_state(batch)
    }

    fn forward_into<'a>(
        &self,
        xs: impl Into<Sequence<'a, f32>>,
        s0: &RnnState<f32>,
        pass: &mut Option<Self::Pass>,
    ) -> Result<()> {
        self.0.forward_into(xs, s0, pass)
    }

    fn backward_into(
        &self,
        pass: &Self::Pass,
        d: Upstream<'_, Self>,
        at: Option<&mut Hook<'_, Self>>,
        back: &mut Option<Backward<Self>>,
    ) -> Result<()> {
        let outputs = d
            .outputs
            .unwrap_or(ArrayView3::from_shape((0, 0, 0), &[]).unwrap());
        let d = match d.final_state {
            Some(d_final) => Upstream::outputs(outputs).final_state(d_final),
            None => outputs.into(),
        };
        let mut made = None;
        self.0.backward_into(pass, d, at, &mut made)?;
        *back = made.map(|made| Backward::new(made.grads, made.d_inputs, made.d_state0));
        Ok(())
    }
}

fn silent(w_in: f32, w_rec: f32) -> Silent {
    Silent(linear(w_in, w_rec))
}

fn late(t: usize, x: f32) -> Array3<f32> {
    spike(150, 2, (t, 1), x)
}

#[test]
fn a_layer_that_says_nothing_has_its_outputs_and_hook_looked_at() {
    let zeros = Array3::zeros((150, 2, 1));
    let (layer, s0) = (silent(1.0, 2.0), silent(1.0, 2.0).zero_state(2));
    assert_eq!(told(&layer, &late(100, 1.0), &s0, &zeros), None);
    is(
        told(&layer, &late(3, 1.0), &s0, &zeros),
        "the forward pass: the output of layer 0 at time 131 (sequence 1, unit 0) is +inf",
    );
    is(
        told(&layer, &zeros, &s0, &late(140, 1.0)),
        "the backward pass: the gradient of the state h of layer 0 at time 12 (sequence 1, unit 0) is +inf",
    );
    is(
        told(&layer, &zeros, &s0, &late(140, f32::NAN)),
        "the gradient of the output, which came in as NaN at time 140 (sequence 1, unit 0)",
    );
    let mut d = layer.zero_state(2);
    d.h[[1, 0]] = f32::NEG_INFINITY;
    let found = told_of(
        &layer,
        (&zeros, &[150, 9]),
        &s0,
        Upstream::outputs(zeros.view()).final_state(&d),
    );
    is(
        found,
        "the gradient of the final state h, which came in as -inf (sequence 1, unit 0)",
    );
    is(
        told(&silent(1e30, 0.0), &zeros, &s0, &late(140, 1e20)),
        "the backward pass: the gradient of the input x of layer 0 at time 140 (sequence 1, feature 0) is +inf",
    );
    is(
        told(&silent(1.0, 0.0), &late(140, 1e30), &s0, &late(140, 1e20)),
        "the backward pass: the gradient of w_in at [0, 0] is +inf",
    );
    is(
        told(&silent(1.0, f32::NAN), &zeros, &s0, &zeros),
        "the parameter w_rec, which is NaN at [0, 0]",
    );
    let stack = Stacked(vec![silent(1.0, 0.0), silent(1.0, 2.0)]);
    is(
        told(&stack, &late(3, 1.0), &stack.zero_state(2), &zeros),
        "the forward pass: the output of layer 1 at time 131 (sequence 1, unit 0) is +inf",
    );
}

#[test]
fn parts_can_be_matched_and_compared() {
    fn value<T: Send + Sync + core::fmt::Debug + Clone + PartialEq + core::hash::Hash>() {}
    value::<Origin>();
    value::<(Way, Part, Cause, NotFinite)>();
    let layer = silent(1.0, f32::NAN).0;
    let pass = layer
        .forward(Array3::ones((3, 1, 1)).view(), &layer.zero_state(1))
        .unwrap();
    let (a, b) = (
        layer.forward_origin(&pass).unwrap(),
        layer.forward_origin(&pass).unwrap(),
    );
    assert_eq!(a, b);
    assert_eq!(a.map(|origin| origin.value), Some(NotFinite::Nan));
}
