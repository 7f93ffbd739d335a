//! Training without a guard, step by step written down.

use steadygrad::{Measurement, Result};

use crate::net;
use crate::optimiser::Optimiser;
use crate::random::Random;
use crate::setup::Setup;
use crate::tasks::Series;

/// What is seen of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) loss: f64,
    pub(crate) grad_norm: f64,
    /// Of the parameters before the step.
    pub(crate) weight_norm: f64,
    /// Of what the step added to them, if that was written down.
    pub(crate) update_norm: Option<f64>,
}

impl Row {
    pub(crate) fn is_finite(&self) -> bool {
        self.loss.is_finite() && self.grad_norm.is_finite() && self.weight_norm.is_finite()
    }
}

/// Trains to the end, or to the first loss that is not finite.
pub(crate) fn record(setup: &Setup, series: &Series) -> Result<Vec<Row>> {
    let mut net = net::build(setup)?;
    let mut optimiser = Optimiser::new(setup.optimiser, net.params())?;
    let mut random = Random::new(setup.seed, 1);
    let terms = setup.task.terms(setup);
    let mut rows = vec![];
    for step in 1..=setup.steps {
        let batch = setup.task.batch(setup, series, &mut random);
        let (loss, grads) = net.loss(setup, &batch)?;
        let grad_norm = Measurement::of(&grads)?.total().l2();
        let weight_norm = Measurement::of(net.params())?.total().l2();
        let update_norm = optimiser.step(&grads, setup.rate(step, terms), net.params())?;
        rows.push(Row {
            loss,
            grad_norm,
            weight_norm,
            update_norm: Some(update_norm),
        });
        if !loss.is_finite() {
            break;
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_rows() {
        let series = Series::sunspots().unwrap();
        let rows = |index| {
            record(
                &Setup {
                    steps: 5,
                    ..Setup::draw(3, index, true)
                },
                &series,
            )
            .unwrap()
        };
        assert_eq!(rows(0), rows(0));
        assert_ne!(rows(0), rows(1));
    }

    #[test]
    fn a_sum_of_losses_is_the_same_training_in_other_numbers() {
        let series = Series::sunspots().unwrap();
        for index in 0..6 {
            let mean = Setup {
                steps: 20,
                is_summed: false,
                ..Setup::draw(3, index, true)
            };
            let sum = Setup {
                is_summed: true,
                ..mean.clone()
            };
            let terms = mean.task.terms(&mean) as f64;
            let [mean, sum] = [mean, sum].map(|setup| record(&setup, &series).unwrap());
            for (mean, sum) in mean
                .iter()
                .zip(&sum)
                .take_while(|(mean, _)| mean.is_finite())
            {
                let apart = sum.loss / terms / mean.loss - 1.0;
                assert!(
                    apart.abs() < 1e-2,
                    "net {index}: {} and {}",
                    mean.loss,
                    sum.loss
                );
            }
        }
    }
}
