//! Gradients against central differences.
//!
//! A central difference of step ε = 6e-6 (the cube root of u) errs by ε²·|L'''|/6 plus u·|L|/ε, both near
//! 1e-10 where the loss and its derivatives are near one. Over 50 steps they are some tens, so the
//! bound is 1e-7 of the tensor's largest gradient: thousands of times below what a missing term (a forgotten
//! gate, a step off by one, a transposed weight) would show.

use steadygrad::recurrent::{Activation, Layer, Sequence, Upstream, gradcheck};

use crate::common::{ACTIVATIONS, Named, Problem, distance, gru, lstm, numbers, rnn};
use crate::torch::Run;
use crate::unrolled::elman;

const BOUND: f64 = 1e-7;

/// Every gradient of the layer is the slope of the loss, and none of them is zero everywhere.
pub(crate) fn is_right<L>(run: &Run<L>, lengths: Option<&[usize]>, what: &str)
where
    L: Layer<Elem = f64> + Clone,
{
    let mut xs = Sequence::new(run.xs.view());
    if let Some(lengths) = lengths {
        xs = xs.lengths(lengths).unwrap();
    }
    let check = gradcheck(&run.layer, xs, &run.s0).unwrap();
    assert!(check.is_within(BOUND), "{what}: {check}");
    for at in check.deviations() {
        assert!(at.largest > 1e-3, "{what}: no gradient to speak of in {at}");
    }
    gradients_add_up(run, xs, what);
}

/// What outputs and final state send back apart is together what they send back together.
fn gradients_add_up<L>(run: &Run<L>, xs: Sequence<'_, f64>, what: &str)
where
    L: Layer<Elem = f64>,
{
    let pass = run.layer.forward(xs, &run.s0).unwrap();
    let outputs = Upstream::outputs(run.d_outputs.view());
    let ends = Upstream::default().final_state(&run.d_final);
    let [both, outputs, ends] = [outputs.final_state(&run.d_final), outputs, ends].map(|d| {
        let back = run.layer.backward(&pass, d).unwrap();
        let all = [
            &back.grads as &dyn steadygrad::TensorSet,
            &back.d_inputs,
            &back.d_state0,
        ];
        all.map(numbers).concat()
    });
    let sum: Vec<f64> = outputs.iter().zip(&ends).map(|(a, b)| a + b).collect();
    let off = distance(&sum, &both);
    assert!(off < 1e-12, "{what}: a sum off by {off:e}");
}

/// [`is_right`] for a cell.
pub(crate) fn agree<C: Named<Elem = f64>>(problem: Problem<C>, what: &str) {
    let problem = problem.of_final_state();
    let run = Run {
        d_final: problem.d_final.unwrap_or_else(|| problem.s0.clone()),
        layer: problem.cell,
        xs: problem.xs,
        s0: problem.s0,
        d_outputs: problem.d_outputs,
    };
    is_right(&run, None, what);
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
fn gru_gradients_are_the_slopes_of_the_loss() {
    for time in [1, 2, 50] {
        for batch in [1, 3] {
            agree(
                Problem::new(gru(2, 4), time, batch, 2, 4),
                &format!("gru {time}x{batch}"),
            );
        }
    }
}

#[test]
fn gradients_of_a_cell_of_ones_own_are_the_slopes_of_the_loss() {
    for time in [1, 2, 50] {
        for batch in [1, 3] {
            agree(
                Problem::new(elman(), time, batch, 2, 4),
                &format!("unrolled {time}x{batch}"),
            );
        }
    }
}
