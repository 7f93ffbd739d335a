//! What LSTMs with options refuse, and what they say then.

use ndarray::{Array1, Array2};
use steadygrad::recurrent::{
    Init, Lstm, LstmBuilder, LstmOptions, LstmState, LstmVariant, StepCell,
};

use crate::common::uniform;
use crate::variants::{Variant, with};

fn message<T>(result: steadygrad::Result<T>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn options_out_of_range_are_refused() {
    let message = |builder: LstmBuilder<f32, LstmOptions>| message(builder.build(&mut uniform(0)));
    let cell = || Lstm::<f32>::builder(2, 4);
    let bound = "expected a number > 0 of the element type, found";
    for (wrong, told) in [
        (0.0, "0"),
        (-1.0, "-1"),
        (f64::NAN, "NaN"),
        (1e-60, "1e-60"),
    ] {
        assert_eq!(
            message(cell().cell_clip(wrong)),
            format!("cell clip: {bound} {told}")
        );
        assert_eq!(
            message(cell().gate_clip(wrong)),
            format!("gate clip: {bound} {told}")
        );
    }
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e60, 1e-60] {
        let told = message(cell().layer_norm_with(wrong));
        assert!(
            told.starts_with("layer norm ε: expected a finite number > 0"),
            "{told}"
        );
    }
    assert_eq!(
        message(cell().projection(0)),
        "projection: expected at least one output, found 0"
    );
    assert_eq!(
        message(Lstm::builder(2, 1).layer_norm()),
        "hidden: expected at least two units to normalise, found 1"
    );
    assert_eq!(
        message(Lstm::builder(2, 0).coupled()),
        "hidden: expected at least one unit, found 0"
    );
    assert_eq!(
        message(cell().w_proj(Init::Xavier)),
        "projections, where their weights are described: expected 1, found 0"
    );
    assert_eq!(
        message(cell().coupled().forget_bias(f64::NAN)),
        "forget bias: expected a finite number, found NaN"
    );
    assert_eq!(
        message(cell().projection(3).w_rec(Init::Scaled { radius: 1.0 })),
        "matrix with a spectral radius: expected shape [4, 4], found [4, 3]"
    );
    let square = cell().projection(4).w_rec(Init::Scaled { radius: 1.0 });
    assert!(square.build(&mut uniform(0)).is_ok());
}

#[test]
fn wrong_shapes_are_named() {
    let build = || with::<f64>(0b11000, 4).build(&mut uniform(0)).unwrap();
    let lstm = build();
    let (x, s) = (Array2::zeros((2, 2)), lstm.cell.zero_state(2));
    let step = |lstm: &Variant<f64>| message(lstm.cell.step_forward(x.view(), &s));
    let broken = |edit: fn(&mut LstmVariant<f64>)| {
        let mut lstm = build();
        edit(&mut lstm.cell);
        step(&lstm)
    };
    assert_eq!(
        broken(|c| c.w_rec = Array2::zeros((15, 3))),
        "w_rec: expected shape [16, 3], found [15, 3]"
    );
    assert_eq!(
        broken(|c| c.w_in = Array2::zeros((12, 2))),
        "w_in: expected shape [16, 2], found [12, 2]"
    );
    assert_eq!(
        broken(|c| c.bias = Array1::zeros(4)),
        "bias: expected shape [16], found [4]"
    );
    assert_eq!(
        broken(|c| c.w_proj = Some(Array2::zeros((2, 4)))),
        "w_proj: expected shape [3, 4], found [2, 4]"
    );
    assert_eq!(
        broken(|c| c.norm = None),
        "gain_in: expected shape [16], found []"
    );
    let gain = |c: &mut LstmVariant<f64>| c.norm.as_mut().unwrap().gain_c = Array1::ones(1);
    assert_eq!(broken(gain), "gain_c: expected shape [4], found [1]");
    let mut projected = Lstm::<f64>::builder(2, 4)
        .coupled()
        .build(&mut uniform(0))
        .unwrap();
    projected.cell.w_proj = Some(Array2::zeros((4, 4)));
    let found = projected
        .cell
        .step_forward(x.view(), &projected.cell.zero_state(2));
    assert_eq!(message(found), "w_proj: expected shape [], found [4, 4]");
}

#[test]
fn wrong_inputs_and_states_are_named() {
    let lstm = with::<f64>(0b11000, 4).build(&mut uniform(0)).unwrap();
    let (x, s) = (Array2::zeros((2, 2)), lstm.cell.zero_state(2));
    let cell = &lstm.cell;
    let wide = Array2::zeros((2, 3));
    assert_eq!(
        message(cell.step_forward(wide.view(), &s)),
        "input: expected shape [2, 2], found [2, 3]"
    );
    let bad = LstmState {
        c: Array2::zeros((2, 3)),
        ..s.clone()
    };
    assert_eq!(
        message(cell.step_forward(x.view(), &bad)),
        "state c: expected shape [2, 4], found [2, 3]"
    );
    let bad = LstmState {
        h: Array2::zeros((2, 4)),
        ..s.clone()
    };
    assert_eq!(
        message(cell.step_forward(x.view(), &bad)),
        "state h: expected shape [2, 3], found [2, 4]"
    );
}

#[test]
fn wrong_tapes_and_gradients_are_named() {
    let lstm = with::<f64>(0b11000, 4).build(&mut uniform(0)).unwrap();
    let (x, s, cell) = (Array2::zeros((2, 2)), lstm.cell.zero_state(2), &lstm.cell);
    let (_, tape) = cell.step_forward(x.view(), &s).unwrap();
    let back = |cell: &LstmVariant<f64>, d: &LstmState<f64>, d_x: (usize, usize)| {
        let mut d_x = Array2::zeros(d_x);
        let mut grads = cell.zero_grads();
        cell.step_backward(&tape, &mut d.clone(), d_x.view_mut(), &mut grads)
    };
    assert!(back(cell, &s, (2, 2)).is_ok());
    assert_eq!(
        message(back(cell, &s, (1, 2))),
        "input gradients: expected shape [2, 2], found [1, 2]"
    );
    assert_eq!(
        message(back(
            cell,
            &LstmState {
                c: Array2::zeros((2, 1)),
                ..s.clone()
            },
            (2, 2)
        )),
        "state c gradients: expected shape [2, 4], found [2, 1]"
    );
    // A tape of another cell: with other options, or of another size.
    for (bits, hidden, told) in [
        (
            0b10000,
            4,
            "tape of normalised sums: expected shape [0, 0], found [2, 16]",
        ),
        (
            0b11100,
            4,
            "tape of clamped sums: expected shape [2, 16], found [0, 0]",
        ),
        (
            0b11001,
            4,
            "tape of normalised sums: expected shape [2, 12], found [2, 16]",
        ),
        (
            0b01000,
            3,
            "tape of gates: expected shape [2, 12], found [2, 16]",
        ),
        (
            0b01000,
            4,
            "tape of the state: expected shape [2, 4], found [2, 3]",
        ),
    ] {
        let other = with::<f64>(bits, hidden).build(&mut uniform(0)).unwrap();
        assert_eq!(
            message(back(&other.cell, &other.cell.zero_state(2), (2, 2))),
            told
        );
    }
    let mut other = lstm.cell.zero_grads();
    other.norm = None;
    let mut d_x = Array2::zeros((2, 2));
    let found = cell.step_backward(&tape, &mut s.clone(), d_x.view_mut(), &mut other);
    assert_eq!(message(found), "gain_in: expected shape [16], found []");
}
