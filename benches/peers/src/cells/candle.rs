//! candle-nn's LSTM and GRU; an RNN, which it does not have, by the same operations. The gradients of the outputs can
//! only be given as those of a sum: one product and one sum more.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, IndexOp, Result, Tensor, Var};
use candle_nn::rnn::{GRUState, LSTMState};
use candle_nn::{GRU, GRUConfig, LSTM, LSTMConfig, RNN, VarBuilder, VarMap};

use super::case::{Case, Cell, Shape};
use super::child::{Made, Trainer, norm};
use crate::tell::Told;

enum Net {
    Rnn {
        w_in: Tensor,
        w_rec: Tensor,
        bias: Tensor,
    },
    Lstm(LSTM),
    Gru(GRU),
}

impl Net {
    /// The outputs of all steps: `[batch, time, hidden]`.
    fn forward(&self, xs: &Tensor, state: &[Var]) -> Result<Tensor> {
        let h = state[0].as_tensor().clone();
        match self {
            Self::Rnn { w_in, w_rec, bias } => {
                let mut h = h;
                let mut outputs = Vec::new();
                for t in 0..xs.dim(1)? {
                    let x = xs.i((.., t, ..))?.contiguous()?;
                    let sum = (x.matmul(&w_in.t()?)? + h.matmul(&w_rec.t()?)?)?;
                    h = sum.broadcast_add(bias)?.tanh()?;
                    outputs.push(h.clone());
                }
                Tensor::stack(&outputs, 1)
            }
            Self::Lstm(lstm) => {
                let state = LSTMState::new(h, state[1].as_tensor().clone());
                lstm.states_to_tensor(&lstm.seq_init(xs, &state)?)
            }
            // Side by side, where those of the LSTM are stacked.
            Self::Gru(gru) => gru.states_to_tensor(&gru.seq_init(xs, &GRUState { h })?),
        }
    }
}

struct Candle {
    net: Net,
    vars: Vec<(&'static str, Var)>,
    xs: Var,
    d_outputs: Tensor,
    state: Vec<Var>,
    grads: Option<GradStore>,
}

pub(crate) fn make(case: &Case) -> Made {
    Ok(Some(Box::new(candle(case)?)))
}

fn candle(case: &Case) -> Result<Candle> {
    let device = &Device::Cpu;
    let Shape {
        time,
        batch,
        inputs,
        hidden,
    } = case.shape;
    let rows = case.cell.gates() * hidden;
    let given = case.weights();
    let w_in = Tensor::from_vec(given.w_in, (rows, inputs), device)?;
    let w_rec = Tensor::from_vec(given.w_rec, (rows, hidden), device)?;
    let bias = Tensor::from_vec(given.bias, rows, device)?;
    let mut map = VarMap::new();
    let builder = VarBuilder::from_varmap(&map, DType::F32, device);
    let net = match case.cell {
        Cell::Rnn => Net::Rnn {
            w_in: builder.get((rows, inputs), "weight_ih_l0")?,
            w_rec: builder.get((rows, hidden), "weight_hh_l0")?,
            bias: builder.get(rows, "bias_ih_l0")?,
        },
        Cell::Lstm => Net::Lstm(LSTM::new(inputs, hidden, LSTMConfig::default(), builder)?),
        Cell::Gru => Net::Gru(GRU::new(inputs, hidden, GRUConfig::default(), builder)?),
    };
    map.set_one("weight_ih_l0", w_in)?;
    map.set_one("weight_hh_l0", w_rec)?;
    map.set_one("bias_ih_l0", bias)?;
    if case.cell == Cell::Gru {
        // Of the recurrent biases only that of the new gate is more than a summand of the other.
        let mut values = vec![0.0; rows - hidden];
        values.extend_from_slice(&given.bias_rec);
        map.set_one("bias_hh_l0", Tensor::from_vec(values, rows, device)?)?;
    }
    let vars = {
        let named = map.data().lock().expect("variables that no one else holds");
        let all = [
            ("w_in", "weight_ih_l0"),
            ("w_rec", "weight_hh_l0"),
            ("bias", "bias_ih_l0"),
            ("bias_rec", "bias_hh_l0"),
        ];
        all.into_iter()
            .filter_map(|(ours, theirs)| Some((ours, named.get(theirs)?.clone())))
            .collect()
    };
    let batch_first = |values: Vec<f32>, features: usize| {
        Tensor::from_vec(values, (time, batch, features), device)?
            .transpose(0, 1)?
            .contiguous()
    };
    let states = if case.cell == Cell::Lstm { 2 } else { 1 };
    Ok(Candle {
        net,
        vars,
        xs: Var::from_tensor(&batch_first(case.xs(), inputs)?)?,
        d_outputs: batch_first(case.d_outputs(), hidden)?,
        state: (0..states)
            .map(|_| Var::zeros((batch, hidden), DType::F32, device))
            .collect::<Result<_>>()?,
        grads: None,
    })
}

impl Trainer for Candle {
    fn train(&mut self) -> Told {
        // Those of the last pass would need memory beside the new ones.
        self.grads = None;
        let outputs = self.net.forward(&self.xs, &self.state)?;
        let outputs = outputs.reshape(self.d_outputs.shape())?;
        let loss = (outputs * &self.d_outputs)?.sum_all()?;
        self.grads = Some(loss.backward()?);
        Ok(())
    }

    fn norms(&self) -> std::result::Result<Vec<(String, f64)>, Box<dyn std::error::Error>> {
        let grads = self.grads.as_ref().ok_or("no gradients yet")?;
        let states = ["initial_h", "initial_c"].into_iter().zip(&self.state);
        let vars = self.vars.iter().map(|(name, var)| (*name, var));
        let mut norms = Vec::new();
        for (name, var) in vars.chain([("inputs", &self.xs)]).chain(states) {
            let Some(grad) = grads.get(var) else {
                continue;
            };
            let mut values = grad.flatten_all()?.to_vec1::<f32>()?;
            if name == "bias_rec" {
                match self.net {
                    Net::Gru(_) => values.drain(..values.len() / 3 * 2),
                    _ => continue,
                };
            }
            norms.push((name.to_owned(), norm(values.into_iter().map(f64::from))));
        }
        Ok(norms)
    }
}
