//! Gradients against central differences.
//!
//! A central difference of step ε = 6e-6 (the cube root of u) errs by ε²·|L'''|/6 plus u·|L|/ε, both near
//! 1e-10 where the loss and its derivatives are near one. Over 50 steps they are some tens, so the
//! bound is 1e-7 of the tensor's largest gradient: thousands of times below what a missing term (a forgotten
//! gate, a step off by one, a transposed weight) would show.

use steadygrad::recurrent::Activation;

use crate::common::{ACTIVATIONS, Named, Problem, distance, lstm, rnn};
use crate::unrolled::elman;

const STEP: f64 = 6e-6;
const BOUND: f64 = 1e-7;

/// The slope of the loss in every entry of the slices that `of` picks.
fn slopes<C: Named<Elem = f64>>(
    problem: &mut Problem<C>,
    of: impl Fn(&mut Problem<C>) -> &mut [f64],
) -> Vec<f64> {
    let n = of(problem).len();
    (0..n)
        .map(|k| {
            let at = |problem: &mut Problem<C>, offset: f64| {
                let kept = of(problem)[k];
                of(problem)[k] = kept + offset;
                let loss = problem.loss();
                of(problem)[k] = kept;
                loss
            };
            (at(problem, STEP) - at(problem, -STEP)) / (2.0 * STEP)
        })
        .collect()
}

pub(crate) fn agree<C: Named<Elem = f64>>(mut problem: Problem<C>, what: &str) {
    let mut back = problem.backward();
    let close = |name: &str, found: &[f64], expected: &[f64]| {
        assert!(
            expected.iter().any(|x| x.abs() > 1e-3),
            "{what}: {name} has no gradient to speak of"
        );
        let off = distance(found, expected);
        assert!(off < BOUND, "{what}: {name} off by {off:e}");
    };

    let names: Vec<&str> = C::weights(&mut problem.cell)
        .iter()
        .map(|(name, _)| *name)
        .collect();
    for (k, (name, found)) in names.iter().zip(C::grads(&back.grads)).enumerate() {
        let expected = slopes(&mut problem, |p| C::weights(&mut p.cell).swap_remove(k).1);
        close(name, &found, &expected);
    }
    let expected = slopes(&mut problem, |p| p.xs.as_slice_mut().unwrap());
    close("inputs", back.d_inputs.as_slice().unwrap(), &expected);
    for (k, (name, found)) in C::state(&mut back.d_state0).into_iter().enumerate() {
        let expected = slopes(&mut problem, |p| C::state(&mut p.s0).swap_remove(k).1);
        close(name, found, &expected);
    }
}

#[test]
fn rnn_gradients_are_the_slopes_of_the_loss() {
    for activation in ACTIVATIONS {
        for time in [1, 2, 50] {
            for batch in [1, 3] {
                // A sigmoid step shrinks to a quarter at best, so it needs a larger radius for its initial
                // state to be felt after 50 steps; a linear one must not explode.
                let radius = match activation {
                    Activation::Sigmoid => 4.0,
                    Activation::Identity => 1.0,
                    _ => 1.2,
                };
                let cell = rnn(activation, 2, 4, radius);
                agree(
                    Problem::new(cell, time, batch, 2, 4),
                    &format!("{activation:?} {time}x{batch}"),
                );
            }
        }
    }
}

#[test]
fn lstm_gradients_are_the_slopes_of_the_loss() {
    for time in [1, 2, 50] {
        for batch in [1, 3] {
            agree(
                Problem::new(lstm(2, 4), time, batch, 2, 4),
                &format!("lstm {time}x{batch}"),
            );
        }
    }
}

#[test]
fn gradients_of_the_final_state_are_the_slopes_of_the_loss() {
    for time in [1, 2, 50] {
        for batch in [1, 3] {
            for activation in [Activation::Tanh, Activation::Relu] {
                let problem = Problem::new(rnn(activation, 2, 4, 1.2), time, batch, 2, 4);
                agree(problem.of_final_state(), &format!("{activation:?}"));
            }
            agree(
                Problem::new(lstm(2, 4), time, batch, 2, 4).of_final_state(),
                &format!("lstm {time}x{batch}"),
            );
            agree(
                Problem::new(elman(), time, batch, 2, 4).of_final_state(),
                &format!("unrolled {time}x{batch}"),
            );
        }
    }
}
