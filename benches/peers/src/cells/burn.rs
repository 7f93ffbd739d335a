//! burn's own modules. Their outputs' gradients can only be given as those of a sum: one product and one sum more.

use burn::module::Param;
use burn::nn::{
    GateController, Gru, GruConfig, Lstm, LstmConfig, LstmState, Rnn, RnnConfig, RnnState,
};
use burn::tensor::{Device, Gradients, Tensor, TensorData};

use super::case::{Case, Cell, Shape, Weights};
use super::child::{Trainer, norm};
use crate::tell::Told;

enum Net {
    Rnn(Box<Rnn>),
    Lstm(Box<Lstm>),
    Gru(Box<Gru>),
}

impl Net {
    /// The gates in the order in which their weights are stacked.
    fn gates(&self) -> Vec<&GateController> {
        match self {
            Self::Rnn(rnn) => vec![&rnn.gate],
            Self::Lstm(lstm) => [
                Some(&lstm.input_gate),
                lstm.forget_gate.as_ref(),
                Some(&lstm.cell_gate),
                Some(&lstm.output_gate),
            ]
            .into_iter()
            .flatten()
            .collect(),
            Self::Gru(gru) => vec![&gru.reset_gate, &gru.update_gate, &gru.new_gate],
        }
    }

    fn gates_mut(&mut self) -> Vec<&mut GateController> {
        match self {
            Self::Rnn(rnn) => vec![&mut rnn.gate],
            Self::Lstm(lstm) => [
                Some(&mut lstm.input_gate),
                lstm.forget_gate.as_mut(),
                Some(&mut lstm.cell_gate),
                Some(&mut lstm.output_gate),
            ]
            .into_iter()
            .flatten()
            .collect(),
            Self::Gru(gru) => vec![&mut gru.reset_gate, &mut gru.update_gate, &mut gru.new_gate],
        }
    }
}

struct Burn {
    net: Net,
    /// `[batch, time, inputs]`
    xs: Tensor<3>,
    /// `[batch, time, hidden]`
    d_outputs: Tensor<3>,
    /// h, and of an LSTM c.
    state: Vec<Tensor<2>>,
    grads: Option<Gradients>,
}

/// The batch first, as the modules want it.
fn sequence(values: &[f32], [time, batch, features]: [usize; 3], device: &Device) -> Tensor<3> {
    let mut turned = Vec::with_capacity(values.len());
    for b in 0..batch {
        for t in 0..time {
            turned.extend_from_slice(&values[(t * batch + b) * features..][..features]);
        }
    }
    Tensor::from_data(TensorData::new(turned, [batch, time, features]), device)
}

/// Of `[hidden, columns]`, the transpose: burn's weights stand on the right.
fn transposed(rows: &[f32], columns: usize, device: &Device) -> Param<Tensor<2>> {
    let hidden = rows.len() / columns;
    let values: Vec<f32> = (0..rows.len())
        .map(|i| rows[i % hidden * columns + i / hidden])
        .collect();
    let values = TensorData::new(values, [columns, hidden]);
    Param::from_tensor(Tensor::from_data(values, device))
}

fn vector(values: Vec<f32>, device: &Device) -> Param<Tensor<1>> {
    let len = values.len();
    Param::from_tensor(Tensor::from_data(TensorData::new(values, [len]), device))
}

pub(crate) fn make(case: &Case) -> Box<dyn Trainer> {
    let device = Device::default().autodiff();
    let Shape {
        time,
        batch,
        inputs,
        hidden,
    } = case.shape;
    let mut net = match case.cell {
        Cell::Rnn => Net::Rnn(Box::new(RnnConfig::new(inputs, hidden, true).init(&device))),
        Cell::Lstm => Net::Lstm(Box::new(
            LstmConfig::new(inputs, hidden, true).init(&device),
        )),
        Cell::Gru => Net::Gru(Box::new(GruConfig::new(inputs, hidden, true).init(&device))),
    };
    let Weights {
        w_in,
        w_rec,
        bias,
        bias_rec,
    } = case.weights();
    let mut gates = net.gates_mut();
    let last = gates.len() - 1;
    for (gate, controller) in gates.iter_mut().enumerate() {
        let of = |values: &[f32], columns: usize| {
            values[gate * hidden * columns..][..hidden * columns].to_vec()
        };
        let rec = if gate == last && !bias_rec.is_empty() {
            bias_rec.clone()
        } else {
            vec![0.0; hidden]
        };
        controller.input_transform.weight = transposed(&of(&w_in, inputs), inputs, &device);
        controller.input_transform.bias = Some(vector(of(&bias, 1), &device));
        controller.hidden_transform.weight = transposed(&of(&w_rec, hidden), hidden, &device);
        controller.hidden_transform.bias = Some(vector(rec, &device));
    }
    let states = if case.cell == Cell::Lstm { 2 } else { 1 };
    Box::new(Burn {
        net,
        xs: sequence(&case.xs(), [time, batch, inputs], &device).require_grad(),
        d_outputs: sequence(&case.d_outputs(), [time, batch, hidden], &device),
        state: (0..states)
            .map(|_| Tensor::zeros([batch, hidden], &device).require_grad())
            .collect(),
        grads: None,
    })
}

fn squares<const D: usize>(tensor: &Tensor<D>, grads: &Gradients) -> f64 {
    tensor.grad(grads).map_or(f64::NAN, |grad| {
        norm(grad.into_data().iter::<f64>()).powi(2)
    })
}

impl Trainer for Burn {
    fn train(&mut self) -> Told {
        // Those of the last pass would need memory beside the new ones.
        self.grads = None;
        let xs = self.xs.clone();
        let h = self.state[0].clone();
        let outputs = match &self.net {
            Net::Rnn(rnn) => rnn.forward(xs, Some(RnnState::new(h))).0,
            Net::Lstm(lstm) => {
                let state = LstmState::new(self.state[1].clone(), h);
                lstm.forward(xs, Some(state)).0
            }
            Net::Gru(gru) => gru.forward(xs, Some(h)),
        };
        let loss = (outputs * self.d_outputs.clone()).sum();
        self.grads = Some(loss.backward());
        Ok(())
    }

    fn norms(&self) -> Result<Vec<(String, f64)>, Box<dyn std::error::Error>> {
        let grads = self.grads.as_ref().ok_or("no gradients yet")?;
        let gates = self.net.gates();
        let over = |of: &dyn Fn(&GateController) -> f64| {
            gates.iter().map(|gate| of(gate)).sum::<f64>().sqrt()
        };
        let bias_squares = |bias: &Option<Param<Tensor<1>>>| {
            let bias = bias.as_ref();
            bias.map_or(f64::NAN, |bias| squares(&bias.val(), grads))
        };
        let mut norms = vec![
            (
                "w_in",
                over(&|gate| squares(&gate.input_transform.weight.val(), grads)),
            ),
            (
                "w_rec",
                over(&|gate| squares(&gate.hidden_transform.weight.val(), grads)),
            ),
            (
                "bias",
                over(&|gate| bias_squares(&gate.input_transform.bias)),
            ),
            ("inputs", squares(&self.xs, grads).sqrt()),
        ];
        if let Net::Gru(gru) = &self.net {
            let bias = &gru.new_gate.hidden_transform.bias;
            norms.push(("bias_rec", bias_squares(bias).sqrt()));
        }
        for (name, state) in ["initial_h", "initial_c"].into_iter().zip(&self.state) {
            norms.push((name, squares(state, grads).sqrt()));
        }
        Ok(norms
            .into_iter()
            .map(|(name, norm)| (name.to_owned(), norm))
            .collect())
    }
}
