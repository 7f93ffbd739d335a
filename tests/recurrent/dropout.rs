//! Dropout: its masks, and `PyTorch`'s numbers between two layers.

use ndarray::{Array3, Ix3};
use steadygrad::recurrent::{Dropout, Gru, Layer, Lstm, Rnn, Stacked, Trace};
use steadygrad::set::Two;
use steadygrad::{Error, Result};

use crate::common::uniform;
use crate::lengths::Case;
use crate::torch::{Run, Torch};

type Tanh = Rnn<f64>;
type Gated = Lstm<f64>;

fn dropout_is_pytorchs<C: Torch>() {
    let mut seen = 0;
    let kind = ["dropout", C::KIND].join("-");
    for case in Case::all().iter().filter(|case| case.0.kind() == kind) {
        let mut above = Dropout::new(case.cell::<C>("1"), 0.4).unwrap();
        above.set_mask(case.0.array::<Ix3>("mask"));
        let net = Stacked(Two(case.cell::<C>("0"), above));
        let (xs, d_outputs) = (case.0.array::<Ix3>("xs"), case.0.array::<Ix3>("d_outputs"));
        let pass = net.forward(xs.view(), &net.zero_state(3)).unwrap();
        case.0.agrees("outputs", pass.outputs());
        let back = net.backward(&pass, d_outputs.view()).unwrap();
        case.0.agrees("d_xs", &back.d_inputs);
        case.grads_agree("0", &back.grads.0);
        case.grads_agree("1", &back.grads.1);
        seen += 1;
    }
    assert_eq!(seen, 2);
}

#[test]
fn dropout_between_layers_is_pytorchs() {
    dropout_is_pytorchs::<Tanh>();
    dropout_is_pytorchs::<Gated>();
    dropout_is_pytorchs::<Gru<f64>>();
}

#[test]
fn a_mask_leaves_out_as_many_as_it_says_and_keeps_the_mean() {
    let mut layer = Dropout::new(Tanh::random(40, 3, 1), 0.3).unwrap();
    layer.draw([50, 50, 40], &mut uniform(1)).unwrap();
    let mask = layer.mask().unwrap();
    let share = mask.iter().filter(|&&m| m == 0.0).count() as f64 / 1e5;
    assert!((share - 0.3).abs() < 0.01, "{share}");
    assert!(mask.iter().all(|&m| m == 0.0 || m == 1.0 / 0.7));
    assert!((mask.mean().unwrap() - 1.0).abs() < 0.01);
}

#[test]
fn a_mask_drawn_between_the_passes_changes_nothing_on_the_way_back() {
    let mut run = Run::new(Dropout::new(Tanh::random(2, 3, 1), 0.5).unwrap(), 5, 3, 2);
    run.layer.draw([5, 3, 2], &mut uniform(1)).unwrap();
    let pass = run.layer.forward(run.xs.view(), &run.s0).unwrap();
    let back = |layer: &Dropout<Tanh>| layer.backward(&pass, run.d_outputs.view()).unwrap();
    let before = back(&run.layer);
    let mut other = run.layer.clone();
    other.draw([5, 3, 2], &mut uniform(2)).unwrap();
    assert_ne!(other.mask(), run.layer.mask());
    assert_eq!(back(&other), before);
    other.rest();
    assert_eq!(back(&other), before);
}

fn message<T>(result: Result<T>) -> String {
    result.err().unwrap().to_string()
}

#[test]
fn a_mask_of_another_shape_is_refused() {
    let xs = Array3::zeros((5, 3, 2));
    let mut layer = Dropout::new(Tanh::random(2, 3, 1), 0.5).unwrap();
    layer.draw([5, 2, 2], &mut || 0.5).unwrap();
    assert_eq!(
        message(layer.forward(xs.view(), &layer.zero_state(3))),
        "dropout mask: expected shape [5, 3, 2], found [5, 2, 2]"
    );
    assert!(matches!(
        layer.draw([usize::MAX, 2, 2], &mut || 0.5),
        Err(Error::TooLarge { .. })
    ));
}
