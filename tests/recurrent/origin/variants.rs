//! LSTMs with options: what an option adds overflows in its own place.

use ndarray::{Array1, Array2, Array3, array};
use steadygrad::recurrent::{Layer, Lstm, LstmBuilder, LstmOptions, LstmState, Unrolled, Upstream};

use super::{is, told, told_of};

type Variant = Unrolled<steadygrad::recurrent::LstmVariant<f32>>;

/// All weights are zero but those of the biases, by gates.
fn made(builder: LstmBuilder<f32, LstmOptions>, biases: &[f32]) -> Variant {
    let mut lstm = builder.build(&mut || 0.5).unwrap();
    lstm.cell.w_in.fill(0.0);
    lstm.cell.w_rec.fill(0.0);
    let units = lstm.cell.hidden();
    lstm.cell.bias = Array1::from_shape_fn(biases.len() * units, |k| biases[k / units]);
    lstm
}

fn plain(units: usize) -> LstmBuilder<f32, LstmOptions> {
    Lstm::<f32>::builder(1, units).cell_clip(f64::INFINITY)
}

fn c0(c: Array2<f32>, outputs: usize) -> LstmState<f32> {
    LstmState {
        h: Array2::zeros((c.nrows(), outputs)),
        c,
    }
}

/// Gates that are open, or half so, or shut.
const OPEN: f32 = 800.0;
const SHUT: f32 = -800.0;

#[test]
fn a_projection_makes_too_much_of_what_is_bounded() {
    let mut lstm = made(plain(2).projection(3), &[OPEN, 0.0, OPEN, OPEN]);
    let w_proj = lstm.cell.w_proj.as_mut().unwrap();
    w_proj.fill(0.0);
    (w_proj[[1, 0]], w_proj[[1, 1]]) = (3e38, 3e38);
    // m = tanh c, of c = 1, 1.5, …: twice 0.76·3e38.
    let (zeros, s0) = (Array3::zeros((4, 1, 1)), lstm.zero_state(1));
    is(
        told(&lstm, &zeros, &s0, &Array3::zeros((4, 1, 3))),
        "the forward pass: the state h of layer 0 at time 0 (sequence 0, unit 1) is +inf, from finite numbers (a sum overflows)",
    );

    let mut lstm = made(plain(2).projection(3), &[SHUT, 0.0, 0.0, OPEN]);
    lstm.cell.w_proj.as_mut().unwrap().fill(1e30);
    let mut d_outputs = Array3::zeros((4, 2, 3));
    d_outputs[[2, 1, 0]] = -1e20;
    is(
        told(
            &lstm,
            &Array3::zeros((4, 2, 1)),
            &lstm.zero_state(2),
            &d_outputs,
        ),
        "the backward pass: the gradient of m of layer 0 at time 2 (sequence 1, unit 0) is -inf, from finite numbers (a product overflows)",
    );
}

#[test]
fn gates_are_explained_as_those_of_the_plain_cell() {
    for (builder, gates) in [(plain(2), 4), (plain(2).coupled(), 3)] {
        let mut lstm = made(builder, &vec![0.0; gates]);
        // The second unit of the cell input, g.
        let row = 2 * (gates - 2) + 1;
        (lstm.cell.w_rec[[row, 0]], lstm.cell.w_rec[[row, 1]]) = (1e30, 1e30);
        let mut s0 = lstm.zero_state(1);
        s0.h = array![[1e30, -1e30]];
        let zeros = Array3::zeros((3, 1, 1));
        is(
            told(&lstm, &zeros, &s0, &Array3::zeros((3, 1, 2))),
            "the forward pass: gate g of layer 0 at time 0 (sequence 0, unit 1) is NaN, from finite numbers (inf - inf)",
        );
    }
    // Clamped, they saturate at the bound; a sum that is no number stays none.
    let mut lstm = made(plain(2).gate_clip(1.0), &[0.0; 4]);
    lstm.cell.w_in.fill(1e30);
    let (xs, ones) = (Array3::from_elem((3, 2, 1), 1e30), Array3::ones((3, 2, 2)));
    assert_eq!(told(&lstm, &xs, &lstm.zero_state(2), &ones), None);
}

#[test]
fn gradients_of_gates_overflow_as_those_of_the_plain_cell() {
    let zeros = Array3::zeros((5, 2, 1));
    let of = |lstm: &Variant, c: f32, d: f32| {
        let s0 = c0(array![[0.0], [c]], 1);
        let d = c0(array![[0.0], [d]], 1);
        told_of(
            lstm,
            (&zeros, &[5, 3]),
            &s0,
            Upstream::default().final_state(&d),
        )
    };
    let half = made(plain(1), &[SHUT, 0.0, 0.0, OPEN]);
    is(
        of(&half, 1e30, 1e20),
        "the backward pass: the gradient of gate f of layer 0 at time 2 (sequence 1, unit 0) is +inf, from finite numbers (a product overflows)",
    );
    let open = made(plain(1), &[SHUT, OPEN, 0.0, OPEN]);
    is(
        of(&open, 1e30, 1e20),
        "the backward pass: the gradient of gate f of layer 0 at time 2 (sequence 1, unit 0) is NaN, from finite numbers (0·inf)",
    );
    let coupled = made(plain(1).coupled(), &[0.0, 0.0, OPEN]);
    is(
        of(&coupled, 1e30, 1e20),
        "the backward pass: the gradient of gate f of layer 0 at time 2 (sequence 1, unit 0) is +inf, from finite numbers (a product overflows)",
    );
    // No gradient comes past a clip of the cell state, nor past one of the gate's sum.
    let clipped = made(
        Lstm::<f32>::builder(1, 1).cell_clip(1e10),
        &[SHUT, OPEN, 0.0, OPEN],
    );
    assert_eq!(of(&clipped, 1e30, 1e20), None);
    let clipped = made(plain(1).gate_clip(1.0), &[SHUT, OPEN, 0.0, OPEN]);
    assert_eq!(of(&clipped, 1e30, 1e20), None);
    // Both shares of the cell state's.
    let d = LstmState {
        h: array![[0.0], [3e38]],
        c: array![[0.0], [3e38]],
    };
    let s0 = open.zero_state(2);
    is(
        told_of(
            &open,
            (&zeros, &[5, 3]),
            &s0,
            Upstream::default().final_state(&d),
        ),
        "the backward pass: the gradient of the state c of layer 0 at time 2 (sequence 1, unit 0) is +inf, from finite numbers (a sum overflows)",
    );
}

#[test]
fn a_cell_state_that_came_in_infinite_is_found_behind_finite_outputs() {
    let lstm = made(plain(1), &[SHUT, OPEN, 0.0, OPEN]);
    let s0 = c0(array![[1.0], [f32::INFINITY]], 1);
    let zeros = Array3::zeros((5, 2, 1));
    let pass = lstm.forward(zeros.view(), &s0).unwrap();
    assert!(pass.outputs().iter().all(|h| h.is_finite()));
    is(
        lstm.forward_origin(&pass)
            .unwrap()
            .map(|origin| origin.to_string()),
        "the initial state c of layer 0, which is +inf (sequence 1, unit 0)",
    );
}

#[test]
fn normalisation_takes_means_of_what_overflows() {
    let normal = || made(plain(2).layer_norm(), &[0.0; 4]);
    let (zeros, ones) = (Array3::<f32>::zeros((3, 1, 2)), Array3::ones((3, 1, 1)));
    let xs = 1e30 * &ones;
    // One product is infinite, and with it the mean: no row is a number any more.
    let mut lstm = normal();
    lstm.cell.w_in[[5, 0]] = 1e30;
    is(
        told(&lstm, &xs, &lstm.zero_state(1), &zeros),
        "the forward pass: a of layer 0 at time 0 (sequence 0, unit 5) is +inf, from finite numbers (a product overflows)",
    );
    // All are finite, and their sum is not.
    let mut lstm = normal();
    lstm.cell.w_in.fill(1e8);
    is(
        told(&lstm, &xs, &lstm.zero_state(1), &zeros),
        "the forward pass: gate i of layer 0 at time 0 (sequence 0, unit 0) is NaN, from finite numbers (0·inf)",
    );
    // The same of the state.
    let lstm = made(plain(2).layer_norm(), &[SHUT, OPEN, 0.0, OPEN]);
    let s0 = c0(array![[3e38, 3e38]], 2);
    is(
        told(&lstm, &ones, &s0, &zeros),
        "the forward pass: u of layer 0 at time 0 (sequence 0, unit 0) is NaN, from finite numbers (0·inf)",
    );
    // At a state of zeros the slope is 1/√ε, 316: a gradient that comes to it grows.
    let lstm = normal();
    let mut d_outputs = zeros.clone();
    d_outputs[[1, 0, 0]] = 3e38;
    is(
        told(&lstm, &ones, &lstm.zero_state(1), &d_outputs),
        "the backward pass: the gradient of the state c of layer 0 at time 1 (sequence 0, unit 0) is +inf, from finite numbers (a product overflows)",
    );
}

#[test]
fn shares_of_parameters_are_told_by_the_sequence() {
    let lstm = made(plain(1), &[OPEN, 0.0, 0.0, OPEN]);
    let mut xs = Array3::zeros((4, 3, 1));
    xs[[2, 1, 0]] = 1e30;
    let mut d_outputs = Array3::zeros((4, 3, 1));
    d_outputs[[2, 1, 0]] = 1e20;
    // dg = d, of a gate in the middle of its range.
    is(
        told(&lstm, &xs, &lstm.zero_state(3), &d_outputs),
        "the backward pass: the gradient of w_in at [2, 0] of layer 0 at time 2 (sequence 1) is +inf, from finite numbers (a product overflows)",
    );
    let many = Array3::from_elem((4, 3, 1), 5e37);
    is(
        told(&lstm, &Array3::zeros((4, 3, 1)), &lstm.zero_state(3), &many),
        "the backward pass: the gradient of bias at [2] is +inf, a sum over time of finite numbers",
    );
    let mut once = Array3::zeros((4, 3, 1));
    (0..3).for_each(|b| once[[1, b, 0]] = 1.5e38);
    is(
        told(&lstm, &Array3::zeros((4, 3, 1)), &lstm.zero_state(3), &once),
        "the backward pass: the gradient of bias at [2] of layer 0 at time 1 is +inf, from finite numbers (a sum overflows)",
    );
}
