//! A cell written step by step against the cell that knows the whole sequence.

use core::ops::ControlFlow;

use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut2, Axis};
use steadygrad::recurrent::origin::Part;
use steadygrad::recurrent::{
    Activation, At, CellGrads, Layer, Origin, Rnn, RnnState, StepCell, Unrolled,
};
use steadygrad::{Error, Measurement, Result, TensorSet};

use crate::common::{Named, Problem, distance, rnn};

/// [`Rnn`]'s equations as a user would write them down.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Elman(pub(crate) Rnn<f64>);

impl TensorSet for Elman {
    fn visit<'a>(&'a self, f: &mut steadygrad::Visitor<'_, 'a>) -> Result<()> {
        self.0.visit(f)
    }
}

impl steadygrad::TensorSetMut for Elman {
    fn visit_mut(&mut self, f: &mut steadygrad::VisitorMut<'_>) -> Result<()> {
        self.0.visit_mut(f)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tape {
    x: Array2<f64>,
    before: Array2<f64>,
    after: Array2<f64>,
}

impl StepCell for Elman {
    type Elem = f64;
    type State = RnnState<f64>;
    type Tape = Tape;
    type Grads = CellGrads<f64>;

    fn zero_state(&self, batch: usize) -> RnnState<f64> {
        self.0.zero_state(batch)
    }

    fn zero_grads(&self) -> CellGrads<f64> {
        let Rnn {
            w_in, w_rec, bias, ..
        } = &self.0;
        CellGrads {
            w_in: w_in * 0.0,
            w_rec: w_rec * 0.0,
            bias: bias * 0.0,
        }
    }

    fn output<'s>(&self, s: &'s RnnState<f64>) -> ArrayView2<'s, f64> {
        s.h.view()
    }

    fn output_mut<'s>(&self, s: &'s mut RnnState<f64>) -> ArrayViewMut2<'s, f64> {
        s.h.view_mut()
    }

    fn step_forward(
        &self,
        x: ArrayView2<'_, f64>,
        s: &RnnState<f64>,
    ) -> Result<(RnnState<f64>, Tape)> {
        let z = x.dot(&self.0.w_in.t()) + s.h.dot(&self.0.w_rec.t()) + &self.0.bias;
        let h = z.mapv(f64::tanh);
        Ok((
            RnnState { h: h.clone() },
            Tape {
                x: x.to_owned(),
                before: s.h.clone(),
                after: h,
            },
        ))
    }

    fn step_backward(
        &self,
        tape: &Tape,
        d_state: &mut RnnState<f64>,
        mut d_x: ArrayViewMut2<'_, f64>,
        grads: &mut CellGrads<f64>,
    ) -> Result<()> {
        let d_z = &d_state.h * &tape.after.mapv(|h| 1.0 - h * h);
        grads.w_in += &d_z.t().dot(&tape.x);
        grads.w_rec += &d_z.t().dot(&tape.before);
        grads.bias += &d_z.sum_axis(Axis(0));
        d_x.assign(&d_z.dot(&self.0.w_in));
        d_state.h = d_z.dot(&self.0.w_rec);
        Ok(())
    }

    fn forward_origin(&self, tape: &Tape, seen: &Origin) -> Option<Origin> {
        let input = seen.among(Part::Input, "x", tape.x.view());
        input.or_else(|| seen.among(Part::InitialState, "h", tape.before.view()))
    }
}

impl Named for Unrolled<Elman> {
    fn weights(cell: &mut Self) -> Vec<(&'static str, &mut [f64])> {
        Rnn::weights(&mut cell.cell.0)
    }

    fn grads(grads: &CellGrads<f64>) -> Vec<Vec<f64>> {
        Rnn::grads(grads)
    }

    fn state(state: &mut RnnState<f64>) -> Vec<(&'static str, &mut [f64])> {
        Rnn::<f64>::state(state)
    }
}

/// [`Elman`], unrolled.
pub(crate) fn elman() -> Unrolled<Elman> {
    Unrolled::new(Elman(rnn(Activation::Tanh, 2, 4, 1.2)))
}

fn problem(batch: usize) -> (Problem<Rnn<f64>>, Unrolled<Elman>) {
    let whole = Problem::new(rnn(Activation::Tanh, 2, 4, 1.2), 9, batch, 2, 4);
    let stepped = Unrolled::new(Elman(whole.cell.clone()));
    (whole, stepped)
}

#[test]
fn unrolled_steps_are_the_whole_sequence() {
    for batch in [1, 3] {
        for stop in [None, Some(0), Some(4), Some(8)] {
            let (whole, stepped) = problem(batch);
            let pass = stepped.forward(whole.xs.view(), &whole.s0).unwrap();
            let expected = whole.pass();
            assert!(distance(pass.outputs(), expected.outputs()) < 1e-14);
            assert!(distance(&pass.final_state().h, &expected.final_state().h) < 1e-14);

            // Halve each step's gradient, and perhaps break.
            let at = &mut |at: At, d: &mut RnnState<f64>| {
                d.h *= 0.5;
                Ok(if Some(at.time) == stop {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            };
            let d_outputs = whole.d_outputs.view();
            let found = stepped.backward_with(&pass, d_outputs, at).unwrap();
            let expected = whole.cell.backward_with(&expected, d_outputs, at).unwrap();
            assert_eq!(found.stopped_at, stop.map(At::time));
            assert!(distance(&found.grads.w_in, &expected.grads.w_in) < 1e-13);
            assert!(distance(&found.grads.w_rec, &expected.grads.w_rec) < 1e-13);
            assert!(distance(&found.grads.bias, &expected.grads.bias) < 1e-13);
            assert!(distance(&found.d_inputs, &expected.d_inputs) < 1e-13);
            assert!(distance(&found.d_state0.h, &expected.d_state0.h) < 1e-13);
        }
    }
}

#[test]
fn a_pass_is_equal_to_its_copy_and_to_no_other() {
    let (whole, stepped) = problem(1);
    let pass = |xs: &Array3<f64>| stepped.forward(xs.view(), &whole.s0).unwrap();
    let first = pass(&whole.xs);
    assert!(first == first.clone() && first == pass(&whole.xs));
    assert!(first != pass(&(&whole.xs * 0.5)));
}

#[test]
fn its_tensors_keep_their_names() {
    let (whole, stepped) = problem(1);
    let (found, expected) = (
        Measurement::of(&stepped).unwrap(),
        Measurement::of(&whole.cell).unwrap(),
    );
    assert_eq!(found.tensors(), expected.tensors());
    assert_eq!(found.name(1), "w_rec");
}

#[test]
fn empty_sequences_and_wrong_shapes_are_handled() {
    let (whole, stepped) = problem(3);
    for (time, batch) in [(0, 3), (4, 0), (0, 0)] {
        let s0 = RnnState {
            h: Array2::ones((batch, 4)),
        };
        let pass = stepped
            .forward(Array3::zeros((time, batch, 2)).view(), &s0)
            .unwrap();
        assert_eq!(pass.outputs().dim(), (time, batch, 4));
        let back = stepped.backward(&pass, pass.outputs()).unwrap();
        assert!(back.grads.w_rec.iter().all(|&d| d == 0.0));
        assert_eq!(back.d_inputs.dim(), (time, batch, 2));
        if time == 0 {
            assert_eq!(pass.final_state(), s0);
        }
    }

    let message = |error: Option<Error>| error.unwrap().to_string();
    let found = stepped
        .forward(Array3::zeros((2, 5, 2)).view(), &whole.s0)
        .err();
    assert_eq!(message(found), "state: expected shape [5, 4], found [3, 4]");
    let pass = stepped.forward(whole.xs.view(), &whole.s0).unwrap();
    let found = stepped
        .backward(&pass, Array3::zeros((9, 3, 5)).view())
        .err();
    assert_eq!(
        message(found),
        "output gradients: expected shape [9, 3, 4], found [9, 3, 5]"
    );
    let found = stepped.backward_with(&pass, whole.d_outputs.view(), &mut |_, d| {
        d.h = Array2::zeros((1, 4));
        Ok(ControlFlow::Continue(()))
    });
    assert_eq!(
        message(found.err()),
        "state from the hook: expected shape [3, 4], found [1, 4]"
    );
}
