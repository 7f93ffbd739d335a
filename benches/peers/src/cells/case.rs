//! A cell, and the size of what it is run on.

use crate::sets::{Role, filled};

/// The cells that peers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// tanh(W·x + U·h + b).
    Rnn,
    Lstm,
    /// With the reset gate after the product.
    Gru,
}

/// In the order of the table.
pub(crate) const CELLS: [Cell; 3] = [Cell::Rnn, Cell::Lstm, Cell::Gru];

impl Cell {
    /// The name on the command line and in the protocol.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rnn => "rnn",
            Self::Lstm => "lstm",
            Self::Gru => "gru",
        }
    }

    /// The name in the table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Rnn => "RNN",
            Self::Lstm => "LSTM",
            Self::Gru => "GRU",
        }
    }

    /// How many rows of weights a hidden unit has.
    pub(crate) fn gates(self) -> usize {
        match self {
            Self::Rnn => 1,
            Self::Lstm => 4,
            Self::Gru => 3,
        }
    }
}

/// How long, how many, how wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) time: usize,
    pub(crate) batch: usize,
    pub(crate) inputs: usize,
    pub(crate) hidden: usize,
}

/// A mid-sized layer, a language model's, one of a paper's toy problems, a long sequence.
pub(crate) fn shapes() -> [Shape; 4] {
    [
        (100, 32, 64, 128),
        (35, 20, 650, 650),
        (200, 1, 2, 50),
        (1000, 16, 32, 256),
    ]
    .map(|(time, batch, inputs, hidden)| Shape {
        time,
        batch,
        inputs,
        hidden,
    })
}

impl Shape {
    /// The name on the command line.
    pub(crate) fn name(&self) -> String {
        format!("T{}", self.time)
    }

    /// The name in the table.
    pub(crate) fn title(&self) -> String {
        let Self {
            time,
            batch,
            inputs,
            hidden,
        } = self;
        format!("{time}, {batch}, {inputs}, {hidden}")
    }

    /// Whether it is the one whose memory is measured.
    pub(crate) fn is_longest(&self) -> bool {
        shapes().iter().all(|shape| shape.time <= self.time)
    }
}

/// One cell on one shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) cell: Cell,
    pub(crate) shape: Shape,
}

impl Case {
    /// `lstm 100 32 64 128`: what a peer is told.
    pub(crate) fn as_text(&self) -> String {
        let shape = self.shape.title().replace(", ", " ");
        format!("{} {shape}", self.cell.name())
    }

    /// The other direction of [`Case::as_text`].
    pub(crate) fn from_words(words: &[&str]) -> Option<Self> {
        let (name, numbers) = words.split_first()?;
        let cell = CELLS.into_iter().find(|cell| cell.name() == *name)?;
        let numbers: Vec<usize> = numbers
            .iter()
            .map(|word| word.parse().ok())
            .collect::<Option<_>>()?;
        let [time, batch, inputs, hidden] = numbers.try_into().ok()?;
        let shape = Shape {
            time,
            batch,
            inputs,
            hidden,
        };
        Some(Self { cell, shape })
    }

    /// The operations of the products of a forward and a backward pass. Backwards there are twice as many: for the
    /// gradients of the weights, and for those of inputs and states.
    pub(crate) fn flops(&self) -> f64 {
        let Shape {
            time,
            batch,
            inputs,
            hidden,
        } = self.shape;
        let rows = self.cell.gates() * hidden;
        (3 * 2 * time * batch * rows * (inputs + hidden)) as f64
    }

    /// The inputs: `[time, batch, inputs]`.
    pub(crate) fn xs(&self) -> Vec<f32> {
        let Shape {
            time,
            batch,
            inputs,
            ..
        } = self.shape;
        filled(time * batch * inputs, Role::Gradient, 0)
    }

    /// The gradients of the outputs: `[time, batch, hidden]`.
    pub(crate) fn d_outputs(&self) -> Vec<f32> {
        let Shape {
            time,
            batch,
            hidden,
            ..
        } = self.shape;
        filled(time * batch * hidden, Role::Gradient, 1)
    }

    /// The parameters, uniform in ±1/√hidden as PyTorch draws them.
    pub(crate) fn weights(&self) -> Weights {
        let Shape { inputs, hidden, .. } = self.shape;
        let rows = self.cell.gates() * hidden;
        let scale = 1.0 / (hidden as f32).sqrt();
        let uniform = |len: usize, index: usize| {
            let mut values = filled(len, Role::Weight, index);
            values.iter_mut().for_each(|w| *w *= scale);
            values
        };
        Weights {
            w_in: uniform(rows * inputs, 0),
            w_rec: uniform(rows * hidden, 1),
            bias: uniform(rows, 2),
            bias_rec: uniform(if self.cell == Cell::Gru { hidden } else { 0 }, 3),
        }
    }
}

/// The parameters of a cell, the gates' rows one below the other: i, f, g, o of an LSTM, r, z, n of a GRU.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    /// `[rows, inputs]`
    pub(crate) w_in: Vec<f32>,
    /// `[rows, hidden]`
    pub(crate) w_rec: Vec<f32>,
    /// `[rows]`
    pub(crate) bias: Vec<f32>,
    /// Of a GRU, `[hidden]`: what the reset gate multiplies as well.
    pub(crate) bias_rec: Vec<f32>,
}

impl Weights {
    /// Those of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&[f32]> {
        match name {
            "w_in" => Some(&self.w_in),
            "w_rec" => Some(&self.w_rec),
            "bias" => Some(&self.bias),
            "bias_rec" => Some(&self.bias_rec),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_survives_the_protocol() {
        for shape in shapes() {
            for cell in CELLS {
                let case = Case { cell, shape };
                let text = case.as_text();
                let words: Vec<_> = text.split(' ').collect();
                assert_eq!(Case::from_words(&words), Some(case));
            }
        }
        assert_eq!(Case::from_words(&["lstm", "1", "2", "3"]), None);
    }

    #[test]
    fn a_product_is_counted_three_times() {
        let shape = shapes()[3];
        let flops = CELLS.map(|cell| Case { cell, shape }.flops() / 1e9);
        // T1000 B16 I32 H256: 16,000 rows of states times 288 × 256, twice for multiplication and addition.
        assert_eq!(flops, [7.077_888, 28.311_552, 21.233_664]);
    }
}
