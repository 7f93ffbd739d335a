//! Cells, gradients and states as tensor sets: what the rest of the crate sees of them.

use core::ops::ControlFlow;

use ndarray::Array3;
use steadygrad::recurrent::{Activation, Layer};
use steadygrad::{Edits, Factor, Measurement, TensorSet};

use crate::common::{Named, Problem, gru, lstm, rnn, scalar};

fn names<S: TensorSet + ?Sized>(set: &S) -> Vec<String> {
    let mut names = Vec::new();
    set.visit(&mut |name, _| {
        names.push(name.to_owned());
        Ok(())
    })
    .unwrap();
    names
}

fn pairs_with_its_gradients<C: Named<Elem = f64>>(
    problem: &Problem<C>,
    parameters: &[&str],
    state: &[&str],
) {
    let back = problem.backward();
    assert_eq!(names(&problem.cell), parameters);
    assert_eq!(names(&back.grads), names(&problem.cell));
    assert_eq!(names(&back.d_state0), state);
    let cell = Measurement::of(&problem.cell).unwrap();
    let grads = Measurement::of(&back.grads).unwrap();
    let exact = C::grads(&back.grads);
    for (k, grad) in exact.iter().enumerate() {
        assert_eq!(cell.tensor(k).len(), grads.tensor(k).len());
        let norm = grad.iter().map(|x| x * x).sum::<f64>().sqrt();
        assert!((grads.tensor(k).l2() / norm - 1.0).abs() < 1e-14);
    }
}

#[test]
fn gradients_carry_the_names_of_the_parameters() {
    let parameters = ["w_in", "w_rec", "bias", "bias_rec"];
    let tanh = rnn(Activation::Tanh, 2, 3, 1.0);
    pairs_with_its_gradients(&Problem::new(tanh, 5, 2, 2, 3), &parameters[..3], &["h"]);
    let lstm = Problem::new(lstm(2, 3), 5, 2, 2, 3);
    pairs_with_its_gradients(&lstm, &parameters[..3], &["h", "c"]);
    pairs_with_its_gradients(&Problem::new(gru(2, 3), 5, 2, 2, 3), &parameters, &["h"]);
}

#[test]
fn the_hook_measures_and_edits_with_the_crates_own_tools() {
    // h_t = x_t + 2·h_{t−1}, clipped to norm 3 at each step: 1, 2, 3 (from 4), 3 (from 6).
    let net = scalar(2.0);
    let pass = net
        .forward(Array3::ones((4, 1, 1)).view(), &net.zero_state(1))
        .unwrap();
    let mut d_outputs = Array3::zeros((4, 1, 1));
    d_outputs[[3, 0, 0]] = 1.0;
    let mut profile = Vec::new();
    let back = net
        .backward_with(&pass, d_outputs.view(), &mut |_, d_state| {
            let norm = Measurement::of(d_state)?.total().l2();
            profile.push(norm);
            if norm > 3.0 {
                let mut edits = Edits::for_count(1);
                edits.scale_all(Factor::new(3.0 / norm)?);
                edits.apply(d_state)?;
            }
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    assert_eq!(profile, [1.0, 2.0, 4.0, 6.0]);
    assert_eq!(back.d_inputs.as_slice(), Some(&[3.0, 3.0, 2.0, 1.0][..]));
}
