//! A recurrent cell with a read-out.

use ndarray::{Array3, s};
use steadygrad::recurrent::{Gru, Init, Layer, Lstm, ReadOut, ReadOutGrads, Rnn, Trace};
use steadygrad::{Result, TensorSetMut, set, tensor_set};

use crate::random::Random;
use crate::setup::{Cell, Setup};
use crate::tasks::Batch;

/// A net of any cell: its loss, its gradients, its parameters.
pub(crate) trait Net: Send {
    /// The loss of a batch, and its gradients.
    fn loss(&self, setup: &Setup, batch: &Batch) -> Result<(f64, Box<dyn TensorSetMut>)>;

    fn params(&mut self) -> &mut dyn TensorSetMut;
}

struct Of<C> {
    cell: C,
    read_out: ReadOut<f32>,
}

struct Grads<G> {
    cell: G,
    read_out: ReadOutGrads<f32>,
}

tensor_set!(impl[C: TensorSetMut] Of<C> { cell, read_out });
tensor_set!(impl[G: TensorSetMut] Grads<G> { cell, read_out });

/// The net of a setup, as it is before any training.
pub(crate) fn build(setup: &Setup) -> Result<Box<dyn Net>> {
    let mut random = Random::new(setup.seed, 0);
    let uniform = &mut || random.uniform();
    let (inputs, hidden) = (setup.task.inputs(), setup.hidden);
    let radius = setup.radius;
    let w_rec = Init::Scaled { radius };
    let read_out = ReadOut::builder(hidden, setup.task.outputs()).build(uniform)?;
    Ok(match setup.cell {
        Cell::Rnn(activation) => {
            let cell = Rnn::builder(inputs, hidden)
                .activation(activation)
                .w_rec(w_rec);
            boxed(cell.build(uniform)?, read_out)
        }
        Cell::Lstm => boxed(
            Lstm::builder(inputs, hidden).w_rec(w_rec).build(uniform)?,
            read_out,
        ),
        Cell::Gru => boxed(
            Gru::builder(inputs, hidden).w_rec(w_rec).build(uniform)?,
            read_out,
        ),
    })
}

fn boxed<C: Layer<Elem = f32> + Send>(cell: C, read_out: ReadOut<f32>) -> Box<dyn Net> {
    Box::new(Of { cell, read_out })
}

impl<C: Layer<Elem = f32> + Send> Net for Of<C> {
    fn loss(&self, setup: &Setup, batch: &Batch) -> Result<(f64, Box<dyn TensorSetMut>)> {
        let (time, size, _) = batch.xs.dim();
        let from = setup.task.counts_from(time);
        let pass = self
            .cell
            .forward(batch.xs.view(), &self.cell.zero_state(size))?;
        let states = pass.outputs();
        let counted = states.slice(s![from.., .., ..]);
        let (loss, d_outputs) = batch.loss(&self.read_out.forward(counted)?)?;
        let top = self.read_out.backward(counted, d_outputs.view())?;
        let mut d_states = Array3::zeros(states.dim());
        d_states.slice_mut(s![from.., .., ..]).assign(&top.d_inputs);
        let cell = self.cell.backward(&pass, d_states.view())?.grads;
        let mut grads = Grads {
            cell,
            read_out: top.grads,
        };
        let scale = setup.scale(setup.task.terms(setup));
        set::scale(&mut grads, scale)?;
        Ok((scale * loss, Box::new(grads)))
    }

    fn params(&mut self) -> &mut dyn TensorSetMut {
        self
    }
}
