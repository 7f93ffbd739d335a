//! How a net is made and trained: drawn, not tuned.

use steadygrad::recurrent::Activation;

use crate::optimiser::Kind;
use crate::random::Random;
use crate::tasks::Task;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell {
    Rnn(Activation),
    Lstm,
    Gru,
}

/// Half of the nets have set the constants of the detectors; of the others it is only told how these did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Half {
    Setting,
    Reported,
}

/// A rate that rises in mid-run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ramp {
    /// From this step on.
    pub(crate) from: u64,
    /// Over so many steps.
    pub(crate) over: u64,
    /// To so many times what it was.
    pub(crate) times: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) index: u64,
    pub(crate) seed: u64,
    pub(crate) cell: Cell,
    pub(crate) task: Task,
    pub(crate) optimiser: Kind,
    pub(crate) hidden: usize,
    pub(crate) time: usize,
    pub(crate) batch: usize,
    /// Of the recurrent weights as they are drawn.
    pub(crate) radius: f64,
    /// Whether the losses of a batch are summed, not averaged.
    pub(crate) is_summed: bool,
    pub(crate) rate: f64,
    pub(crate) ramp: Option<Ramp>,
    pub(crate) steps: u64,
}

impl Setup {
    /// Net number `index` of those that follow from a seed.
    pub(crate) fn draw(seed: u64, index: u64, is_short: bool) -> Self {
        let mut random = Random::new(seed, index);
        let cell = random.one_of(&[
            Cell::Rnn(Activation::Tanh),
            Cell::Rnn(Activation::Tanh),
            Cell::Rnn(Activation::Relu),
            Cell::Lstm,
            Cell::Gru,
        ]);
        let task = random.one_of(&[Task::Adding, Task::TemporalOrder, Task::Sunspots]);
        let optimiser = random.one_of(&[Kind::Sgd, Kind::Momentum, Kind::Adam]);
        let steps = if is_short {
            120
        } else {
            random.whole(400, 600) as u64
        };
        // What people try, from too low to far too high.
        let (low, high) = match optimiser {
            Kind::Sgd => (3e-3, 3.0),
            Kind::Momentum => (3e-4, 0.3),
            Kind::Adam => (3e-4, 0.1),
        };
        // A tanh unit holds back what a matrix makes large; of a relu unit the states grow by the radius at every step.
        let largest_radius = match cell {
            Cell::Rnn(Activation::Relu) => 1.25,
            _ => 2.0,
        };
        let from = random.whole(35, 65) as u64 * steps / 100;
        let ramp = Ramp {
            from,
            over: random.whole(1, 60) as u64,
            times: random.log_uniform(2.0, 2000.0),
        };
        Self {
            index,
            seed: (random.uniform() * 1e15) as u64,
            cell,
            task,
            optimiser,
            hidden: random.log_uniform(4.0, 65.0) as usize,
            time: random.whole(8, 60),
            batch: random.one_of(&[8, 16, 32, 64]),
            radius: random.log_uniform(0.4, largest_radius),
            is_summed: random.uniform() < 0.5,
            rate: random.log_uniform(low, high),
            ramp: (index % 3 == 2).then_some(ramp),
            steps,
        }
    }

    pub(crate) fn half(&self) -> Half {
        if self.index.is_multiple_of(2) {
            Half::Setting
        } else {
            Half::Reported
        }
    }

    /// What the losses of a batch are multiplied by: a sum is that of `terms` losses.
    pub(crate) fn scale(&self, terms: usize) -> f64 {
        if self.is_summed { terms as f64 } else { 1.0 }
    }

    /// The rate of a step, from 1. It is drawn for a mean: the gradient of a sum is so many times larger, and
    /// whoever sums takes a smaller one. Adam takes no notice of the size.
    pub(crate) fn rate(&self, step: u64, terms: usize) -> f64 {
        let rate = match self.optimiser {
            Kind::Adam => self.rate,
            Kind::Sgd | Kind::Momentum => self.rate / self.scale(terms),
        };
        let Some(ramp) = self.ramp else { return rate };
        let part = step.saturating_sub(ramp.from) as f64 / ramp.over as f64;
        rate * ramp.times.powf(part.min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_is_ramped_and_both_halves_have_as_many_of_them() {
        let all: Vec<Setup> = (0..60).map(|i| Setup::draw(1, i, false)).collect();
        for half in [Half::Setting, Half::Reported] {
            let of_half = all.iter().filter(|setup| setup.half() == half);
            assert_eq!(of_half.filter(|setup| setup.ramp.is_some()).count(), 10);
        }
    }

    #[test]
    fn a_ramp_rises_to_its_height_and_stays() {
        let ramp = Ramp {
            from: 100,
            over: 10,
            times: 100.0,
        };
        let setup = Setup {
            ramp: Some(ramp),
            optimiser: Kind::Sgd,
            is_summed: true,
            rate: 0.5,
            ..Setup::draw(1, 0, false)
        };
        let rates = [1, 100, 105, 110, 400].map(|step| setup.rate(step, 5));
        for (rate, expected) in rates.iter().zip([0.1, 0.1, 1.0, 10.0, 10.0]) {
            assert!((rate / expected - 1.0_f64).abs() < 1e-12, "{rates:?}");
        }
    }
}
