//! What the nets are to learn, and how wrong they are.

use ndarray::{Array2, Array3, Axis, s};
use steadygrad::Result;
use steadygrad::recurrent::loss::{cross_entropy, squared_error};

use crate::random::Random;
use crate::setup::Setup;

/// Hochreiter and Schmidhuber's (1997) adding problem and temporal order, shortened, and the sunspots.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Task {
    /// The sum of the two numbers that are marked.
    Adding,
    /// In which order two of X and Y came, among distractors: four classes.
    TemporalOrder,
    /// The number of sunspots in the next month, at every step.
    Sunspots,
}

/// A batch of sequences.
pub(crate) struct Batch {
    /// `[time, batch, inputs]`
    pub(crate) xs: Array3<f32>,
    targets: Targets,
}

enum Targets {
    Numbers(Array3<f32>),
    Classes(Array2<usize>),
}

impl Task {
    pub(crate) fn inputs(self) -> usize {
        match self {
            Self::Adding => 2,
            Self::TemporalOrder => 6,
            Self::Sunspots => 1,
        }
    }

    pub(crate) fn outputs(self) -> usize {
        match self {
            Self::Adding | Self::Sunspots => 1,
            Self::TemporalOrder => 4,
        }
    }

    /// From which step on the outputs count.
    pub(crate) fn counts_from(self, time: usize) -> usize {
        match self {
            Self::Adding | Self::TemporalOrder => time - 1,
            Self::Sunspots => 0,
        }
    }

    /// How many losses the loss of a batch is made of.
    pub(crate) fn terms(self, setup: &Setup) -> usize {
        (setup.time - self.counts_from(setup.time)) * setup.batch
    }

    pub(crate) fn batch(self, setup: &Setup, series: &Series, random: &mut Random) -> Batch {
        match self {
            Self::Adding => adding(setup, random),
            Self::TemporalOrder => temporal_order(setup, random),
            Self::Sunspots => series.windows(setup, random),
        }
    }
}

/// One of the first half of the steps, and one of the second.
fn two_steps(time: usize, random: &mut Random) -> (usize, usize) {
    let middle = time / 2;
    (random.whole(0, middle - 1), random.whole(middle, time - 1))
}

fn adding(setup: &Setup, random: &mut Random) -> Batch {
    let (time, batch) = (setup.time, setup.batch);
    let mut xs = Array3::zeros((time, batch, 2));
    let mut sums = Array3::zeros((1, batch, 1));
    for b in 0..batch {
        for t in 0..time {
            xs[[t, b, 0]] = random.uniform() as f32;
        }
        let (first, second) = two_steps(time, random);
        for t in [first, second] {
            xs[[t, b, 1]] = 1.0;
            sums[[0, b, 0]] += xs[[t, b, 0]];
        }
    }
    let targets = Targets::Numbers(sums);
    Batch { xs, targets }
}

fn temporal_order(setup: &Setup, random: &mut Random) -> Batch {
    let (time, batch) = (setup.time, setup.batch);
    let mut xs = Array3::zeros((time, batch, 6));
    let mut classes = Array2::zeros((1, batch));
    for b in 0..batch {
        let (first, second) = two_steps(time, random);
        for t in 0..time {
            let symbol = if t == first || t == second {
                let y = random.whole(0, 1);
                classes[[0, b]] = 2 * classes[[0, b]] + y;
                y
            } else {
                random.whole(2, 5)
            };
            xs[[t, b, symbol]] = 1.0;
        }
    }
    let targets = Targets::Classes(classes);
    Batch { xs, targets }
}

impl Batch {
    /// The mean loss of outputs at the steps that count, and its gradient.
    pub(crate) fn loss(&self, outputs: &Array3<f32>) -> Result<(f64, Array3<f32>)> {
        match &self.targets {
            Targets::Numbers(targets) => squared_error(outputs.view(), targets.view()),
            Targets::Classes(targets) => cross_entropy(outputs.view(), targets.view()),
        }
    }
}

/// The monthly mean sunspot numbers from January 1749 to June 2009, with mean 0 and variance 1.
pub(crate) struct Series(Vec<f32>);

impl Series {
    pub(crate) fn sunspots() -> std::result::Result<Self, String> {
        let text = include_str!("../../sunspots/src/sunspots_monthly.csv");
        let mut values = vec![];
        for line in text.lines().filter(|line| !line.starts_with(['#', 'y'])) {
            let value = line
                .rsplit(',')
                .next()
                .and_then(|field| field.parse::<f64>().ok());
            values.push(
                value
                    .ok_or_else(|| format!("expected year, month and a number, found '{line}'"))?,
            );
        }
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|x| (x - mean).powi(2));
        let deviation = (squares.sum::<f64>() / count).sqrt();
        let scaled = values.iter().map(|x| ((x - mean) / deviation) as f32);
        Ok(Self(scaled.collect()))
    }

    fn windows(&self, setup: &Setup, random: &mut Random) -> Batch {
        let (time, batch) = (setup.time, setup.batch);
        let last = self.0.len() - time - 1;
        let mut months = Array3::zeros((time + 1, batch, 1));
        for mut window in months.axis_iter_mut(Axis(1)) {
            let first = random.whole(0, last);
            let values = self.0[first..].iter();
            window
                .iter_mut()
                .zip(values)
                .for_each(|(x, &value)| *x = value);
        }
        Batch {
            xs: months.slice(s![..time, .., ..]).to_owned(),
            targets: Targets::Numbers(months.slice(s![1.., .., ..]).to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(task: Task) -> (Setup, Batch) {
        let setup = Setup {
            task,
            ..Setup::draw(1, 0, false)
        };
        let batch = task.batch(&setup, &Series::sunspots().unwrap(), &mut Random::new(1, 2));
        assert_eq!(batch.xs.dim(), (setup.time, setup.batch, task.inputs()));
        (setup, batch)
    }

    #[test]
    fn the_sum_is_that_of_the_marked_numbers() {
        let (setup, batch) = drawn(Task::Adding);
        let Targets::Numbers(sums) = &batch.targets else {
            panic!()
        };
        for b in 0..setup.batch {
            let of = |k| batch.xs.slice(s![.., b, k]).to_owned();
            assert_eq!(of(1).sum(), 2.0);
            assert!(((of(0) * of(1)).sum() - sums[[0, b, 0]]).abs() < 1e-6);
        }
    }

    #[test]
    fn the_class_says_what_came_first() {
        let (setup, batch) = drawn(Task::TemporalOrder);
        let Targets::Classes(classes) = &batch.targets else {
            panic!()
        };
        for b in 0..setup.batch {
            let symbols =
                (0..setup.time).map(|t| (0..6).find(|&k| batch.xs[[t, b, k]] == 1.0).unwrap());
            let told: Vec<usize> = symbols.filter(|&symbol| symbol < 2).collect();
            assert_eq!((told.len(), classes[[0, b]]), (2, 2 * told[0] + told[1]));
        }
    }

    #[test]
    fn a_window_is_followed_by_the_month_after() {
        let (setup, batch) = drawn(Task::Sunspots);
        let Targets::Numbers(targets) = &batch.targets else {
            panic!()
        };
        assert_eq!(
            batch.xs.slice(s![1.., .., ..]),
            targets.slice(s![..setup.time - 1, .., ..])
        );
        assert_eq!(Series::sunspots().unwrap().0.len(), 3126);
    }
}
