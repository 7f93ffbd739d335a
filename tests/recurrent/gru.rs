//! What a GRU's gates do at their ends.

use ndarray::{Array1, Array2, Array3, Axis};
use steadygrad::recurrent::{Gru, Layer, Real, RnnState};
use steadygrad::{Element, Result};

use crate::common::{gru, signed};

/// A drawn cell with so much on the sums of one gate, the reset gate being the first.
fn with_bias<A: Real>(gate: usize, bias: f64) -> Gru<A> {
    let mut cell = gru::<A>(2, 5);
    let mut rows = cell.bias.iter_mut().skip(5 * gate).take(5);
    rows.by_ref().for_each(|b| *b = A::narrow(bias));
    cell
}

fn drawn<A: Element>(shape: [usize; 3]) -> Array3<A> {
    let mut draw = signed(3, 1.0);
    Array3::from_shape_simple_fn(shape, || A::narrow(draw()))
}

/// Through a hundred steps, states and gradients keep all their bits.
fn an_open_update_gate_keeps<A: Real>() -> Result<()> {
    let cell = with_bias::<A>(1, 800.0);
    // States small beside what the cell would write, which a difference to it would swallow.
    let h = drawn([1, 3, 5]).index_axis_move(Axis(0), 0);
    let h = h.mapv(|h: A| h * A::narrow(1e-6));
    let xs = drawn::<A>([100, 3, 2]);
    let pass = cell.forward(xs.view(), &RnnState { h: h.clone() })?;
    for state in pass.hidden().outer_iter() {
        assert_eq!(state, h);
    }
    let mut d = Array3::zeros((100, 3, 5));
    d.index_axis_mut(Axis(0), 99).assign(&h);
    let back = cell.backward(&pass, d.view())?;
    assert_eq!(back.d_state0.h, h);
    assert!(back.d_inputs.iter().all(|&d| d == A::zero()));
    Ok(())
}

#[test]
fn an_update_gate_that_is_one_passes_states_and_gradients_on_unchanged() {
    an_open_update_gate_keeps::<f32>().unwrap();
    an_open_update_gate_keeps::<f64>().unwrap();
}

#[test]
fn gates_that_are_zero_leave_a_map_of_the_input() {
    // z = 0: h = n; r = 0: neither the state nor bias_rec gets into n.
    let mut cell = with_bias::<f64>(1, -800.0);
    cell.bias.iter_mut().take(5).for_each(|b| *b = -800.0);
    cell.bias_rec.fill(3.0);
    let xs = drawn::<f64>([4, 3, 2]);
    let found = cell.forward(xs.view(), &cell.zero_state(3)).unwrap();
    let (w, none) = (cell.w_in.clone(), Array2::zeros(cell.w_rec.raw_dim()));
    let alone = Gru::new(w, none, cell.bias.clone(), Array1::zeros(5)).unwrap();
    let other = RnnState {
        h: Array2::from_elem((3, 5), 0.7),
    };
    let expected = alone.forward(xs.view(), &other).unwrap();
    assert_eq!(found.outputs(), expected.outputs());
    let back = cell.backward(&found, Array3::ones((4, 3, 5)).view());
    let back = back.unwrap();
    assert!(back.grads.bias_rec.iter().all(|&d| d == 0.0));
    assert!(back.d_state0.h.iter().all(|&d| d == 0.0));
    assert!(back.d_inputs.iter().all(|&d| d != 0.0));
}
