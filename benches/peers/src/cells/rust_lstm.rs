//! The crate rust-lstm: in f64, from a state of zeros, whose gradient it does not tell. Its GRU multiplies by the reset
//! gate before the product, another cell with as many operations, so that only the time can be compared. It has no RNN.

use ndarray15::Array2;
use rust_lstm::layers::gru_cell::GRUCellGradients;
use rust_lstm::layers::lstm_cell::LSTMCellGradients;
use rust_lstm::{GRUNetwork, LSTMNetwork};

use super::case::{Case, Cell, Shape};
use super::child::{Trainer, norm};
use crate::tell::Told;

/// One matrix of `[features, batch]` for each step.
type Sequence = Vec<Array2<f64>>;

fn sequence(values: &[f32], [time, batch, features]: [usize; 3]) -> Sequence {
    (0..time)
        .map(|t| {
            Array2::from_shape_fn((features, batch), |(i, b)| {
                f64::from(values[(t * batch + b) * features + i])
            })
        })
        .collect()
}

/// `[rows, columns]`
fn matrix(values: &[f32], columns: usize) -> Array2<f64> {
    Array2::from_shape_fn((values.len() / columns, columns), |(row, column)| {
        f64::from(values[row * columns + column])
    })
}

pub(crate) fn make(case: &Case) -> Option<Box<dyn Trainer>> {
    let Shape {
        time,
        batch,
        inputs,
        hidden,
    } = case.shape;
    let xs = sequence(&case.xs(), [time, batch, inputs]);
    let d_outputs = sequence(&case.d_outputs(), [time, batch, hidden]);
    match case.cell {
        Cell::Rnn => None,
        Cell::Lstm => {
            let mut net = LSTMNetwork::new(inputs, hidden, 1);
            let weights = case.weights();
            for cell in net.get_cells_mut() {
                cell.w_ih = matrix(&weights.w_in, inputs);
                cell.w_hh = matrix(&weights.w_rec, hidden);
                cell.b_ih = matrix(&weights.bias, 1);
            }
            Some(Box::new(Lstm {
                net,
                xs,
                d_outputs,
                found: None,
            }))
        }
        Cell::Gru => Some(Box::new(Gru {
            net: GRUNetwork::new(inputs, hidden, 1),
            xs,
            d_outputs,
            found: None,
        })),
    }
}

struct Lstm {
    net: LSTMNetwork,
    xs: Sequence,
    d_outputs: Sequence,
    found: Option<(Vec<LSTMCellGradients>, Sequence)>,
}

impl Trainer for Lstm {
    fn train(&mut self) -> Told {
        self.found = None;
        let (_, caches) = self.net.forward_sequence_with_cache(&self.xs);
        self.found = Some(self.net.backward_sequence(&self.d_outputs, &caches));
        Ok(())
    }

    fn norms(&self) -> Result<Vec<(String, f64)>, Box<dyn std::error::Error>> {
        let (grads, d_inputs) = self.found.as_ref().ok_or("no gradients yet")?;
        let grads = grads.first().ok_or("no layer")?;
        let of = |matrix: &Array2<f64>| norm(matrix.iter().copied());
        let norms = [
            ("w_in", of(&grads.w_ih)),
            ("w_rec", of(&grads.w_hh)),
            ("bias", of(&grads.b_ih)),
            ("inputs", norm(d_inputs.iter().flatten().copied())),
        ];
        Ok(norms.map(|(name, norm)| (name.to_owned(), norm)).to_vec())
    }
}

struct Gru {
    net: GRUNetwork,
    xs: Sequence,
    d_outputs: Sequence,
    found: Option<(Vec<GRUCellGradients>, Sequence)>,
}

impl Trainer for Gru {
    fn train(&mut self) -> Told {
        self.found = None;
        let (_, caches) = self.net.forward_sequence_with_cache(&self.xs);
        self.found = Some(self.net.backward_sequence(&self.d_outputs, &caches));
        Ok(())
    }

    fn norms(&self) -> Result<Vec<(String, f64)>, Box<dyn std::error::Error>> {
        Ok(Vec::new())
    }
}
