//! The gradient check itself: what it must find.

use ndarray::{Array3, ArrayView2, ArrayViewMut2};
use steadygrad::recurrent::{
    CellGrads, Layer, Rnn, RnnState, Sequence, StepCell, Unrolled, gradcheck,
};
use steadygrad::{Result, TensorSet, TensorSetMut, Visitor, VisitorMut};

use crate::common::{fill, signed};
use crate::torch::Torch;
use crate::unrolled::{Elman, Tape};

/// Where a way back goes wrong.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    Weight,
    Input,
    State,
    NaN,
}

#[derive(Clone)]
struct Faulty(Elman, Fault);

impl TensorSet for Faulty {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.0.visit(f)
    }
}

impl TensorSetMut for Faulty {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        self.0.visit_mut(f)
    }
}

impl StepCell for Faulty {
    type Elem = f64;
    type State = RnnState<f64>;
    type Tape = Tape;
    type Grads = CellGrads<f64>;

    fn zero_state(&self, batch: usize) -> RnnState<f64> {
        self.0.zero_state(batch)
    }

    fn zero_grads(&self) -> CellGrads<f64> {
        self.0.zero_grads()
    }

    fn output<'s>(&self, s: &'s RnnState<f64>) -> ArrayView2<'s, f64> {
        self.0.output(s)
    }

    fn output_mut<'s>(&self, s: &'s mut RnnState<f64>) -> ArrayViewMut2<'s, f64> {
        self.0.output_mut(s)
    }

    fn step_forward(
        &self,
        x: ArrayView2<'_, f64>,
        s: &RnnState<f64>,
    ) -> Result<(RnnState<f64>, Tape)> {
        self.0.step_forward(x, s)
    }

    fn step_backward(
        &self,
        tape: &Tape,
        d_state: &mut RnnState<f64>,
        mut d_x: ArrayViewMut2<'_, f64>,
        grads: &mut CellGrads<f64>,
    ) -> Result<()> {
        self.0.step_backward(tape, d_state, d_x.view_mut(), grads)?;
        match self.1 {
            Fault::None => (),
            Fault::Weight => grads.w_rec[[1, 2]] += 1e-5,
            Fault::Input => d_x[[1, 0]] *= 1.001,
            // Small, since it spoils the weights' gradients as well, and these less.
            Fault::State => d_state.h[[0, 2]] += 1e-5,
            Fault::NaN => grads.bias[1] = f64::NAN,
        }
        Ok(())
    }
}

#[test]
fn it_finds_what_is_wrong_and_says_where() {
    let xs = Array3::from_shape_simple_fn((4, 2, 2), signed(5, 1.0));
    for (fault, tensor, index) in [
        (Fault::None, None, None),
        (Fault::Weight, Some("grads.w_rec"), Some(&[1, 2][..])),
        (Fault::Input, Some("d_inputs"), None),
        (Fault::State, None, None),
        (Fault::NaN, Some("grads.bias"), Some(&[1][..])),
    ] {
        let rnn = Rnn::random(2, 3, 3);
        let cell = Unrolled::new(Faulty(Elman(rnn), fault));
        let mut s0 = cell.zero_state(2);
        fill(&mut s0, signed(6, 1.0));
        let check = gradcheck(&cell, xs.view(), &s0).unwrap();
        let is_right = matches!(fault, Fault::None);
        assert_eq!(check.is_within(1e-7), is_right, "{fault:?}: {check}");
        let worst = check.worst().unwrap();
        if let Some(tensor) = tensor {
            assert_eq!(worst.tensor, tensor, "{check}");
        }
        if let Some(index) = index {
            assert_eq!(worst.index, index, "{check}");
        }
        assert_eq!(check.deviations().len(), 5);
        assert_eq!(
            is_right || matches!(fault, Fault::NaN),
            worst.relative < 1e-7 || worst.relative.is_infinite()
        );
    }
}

#[test]
fn it_tells_the_place_in_one_line() {
    let cell = Unrolled::new(Faulty(Elman(Rnn::random(2, 3, 3)), Fault::NaN));
    let xs = Array3::from_shape_simple_fn((4, 2, 2), signed(5, 1.0));
    let check = gradcheck(&cell, xs.view(), &cell.zero_state(2)).unwrap();
    let line = check.to_string();
    assert!(
        line.starts_with("40 derivatives, the worst grads.bias[1]: found NaN, expected "),
        "{line}"
    );
    assert!(line.ends_with(", a relative error of inf"), "{line}");
}

#[test]
fn padding_has_no_slope_and_no_gradient() {
    let cell = Unrolled::new(Elman(Rnn::random(2, 3, 3)));
    let xs = Array3::from_shape_simple_fn((4, 3, 2), signed(5, 1.0));
    let padded = Sequence::new(xs.view()).lengths(&[4, 0, 2]).unwrap();
    let check = gradcheck(&cell, padded, &cell.zero_state(3)).unwrap();
    assert!(check.is_within(1e-7), "{check}");
}

#[test]
fn nothing_to_compare_is_right() {
    let cell = Rnn::<f64>::random(2, 3, 3);
    let check = gradcheck(&cell, Array3::zeros((3, 0, 2)).view(), &cell.zero_state(0)).unwrap();
    assert!(check.is_within(0.0), "{check}");
    assert_eq!(check.deviations().len(), 3);
    assert!(check.worst().is_some_and(|worst| worst.largest == 0.0));
}

#[test]
fn what_the_layer_refuses_is_refused() {
    let cell = Rnn::<f64>::random(2, 3, 3);
    let error = gradcheck(&cell, Array3::zeros((3, 2, 5)).view(), &cell.zero_state(2));
    assert_eq!(
        error.unwrap_err().to_string(),
        "inputs: expected shape [3, 2, 2], found [3, 2, 5]"
    );
}
