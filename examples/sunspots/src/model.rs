//! A recurrent cell with a linear read-out: its loss, its gradients, its predictions.

use std::ops::{ControlFlow, Range};

use ndarray::{Array2, Array3, Axis};
use steadygrad::recurrent::loss::{Counted, squared_error};
use steadygrad::recurrent::{Layer, Profile, ReadOut, ReadOutGrads, Trace};
use steadygrad::{Edits, Measurement, Result, TensorSetMut, tensor_set};

use crate::data::{Random, Series, WINDOW};

/// Predicts the next month at each step: `x_t + w·h_t`.
///
/// What it learns is the change from this month to the next. On the validation months this did better than
/// learning the value: an output of tanh units saturates in cycles higher than any it was trained on. It needs
/// no bias, for a change is as often up as down.
pub(crate) struct Net<C> {
    cell: C,
    read_out: ReadOut<f64>,
}

/// The gradients of a [`Net`], under the names of its parameters.
pub(crate) struct NetGrads<G> {
    cell: G,
    read_out: ReadOutGrads<f64>,
}

/// How an error flows back through one part of a state.
pub(crate) struct Flow {
    pub(crate) part: String,
    /// Whether every way through the other part was cut.
    pub(crate) is_alone: bool,
    /// The norm of the gradient at each step.
    pub(crate) norms: Vec<f64>,
}

tensor_set!(impl[C: TensorSetMut] Net<C> { cell, read_out });
tensor_set!(impl[G: TensorSetMut] NetGrads<G> { cell, read_out });

impl<C: Layer<Elem = f64>> Net<C> {
    pub(crate) fn new(cell: C, hidden: usize, random: &mut Random) -> Result<Self> {
        let read_out = ReadOut::builder(hidden, 1).without_bias();
        Ok(Self {
            cell,
            read_out: read_out.build(&mut || random.uniform())?,
        })
    }

    /// The mean squared error over all steps of a batch of windows, and its gradients.
    pub(crate) fn loss(
        &self,
        xs: &Array3<f64>,
        targets: &Array3<f64>,
    ) -> Result<(f64, NetGrads<C::Grads>)> {
        let pass = self.pass(xs)?;
        let predictions = self.predictions(xs, &pass)?;
        let (loss, d_predictions) = squared_error(predictions.view(), targets.view())?;
        let top = self
            .read_out
            .backward(pass.outputs(), d_predictions.view())?;
        let cell = self.cell.backward(&pass, top.d_inputs.view())?.grads;
        let read_out = top.grads;
        Ok((loss, NetGrads { cell, read_out }))
    }

    /// How the error of the last prediction of each window flows back: for each part of the state
    /// (h, and c of an LSTM) the norms of the gradient `∂L/∂h_t` from the first step to the last. For c also
    /// what they are if nothing flows through h, and so through the gates, at any step but the last.
    pub(crate) fn gradient_flow(
        &self,
        xs: &Array3<f64>,
        targets: &Array3<f64>,
    ) -> Result<Vec<Flow>> {
        let time = xs.len_of(Axis(0));
        let last = time - 1;
        let (pass, d_outputs) = self.last_error(xs, targets)?;
        let mut flows: Vec<Flow> = Vec::new();
        for is_alone in [false, true] {
            let first = flows.len();
            self.cell
                .backward_with(&pass, d_outputs.view(), &mut |at, mut d_state| {
                    let seen = Measurement::of(&d_state)?;
                    // Alone, h is silent and what is left to watch comes after it.
                    let watched = usize::from(is_alone)..seen.len();
                    for (flow, part) in (first..).zip(watched) {
                        if flows.len() == flow {
                            flows.push(Flow {
                                part: seen.name(part).into(),
                                is_alone,
                                norms: vec![0.0; time],
                            });
                        }
                        flows[flow].norms[at.time] = seen.tensor(part).l2();
                    }
                    if is_alone && at.time < last {
                        let mut cut = Edits::for_count(seen.len());
                        cut.zero(0);
                        cut.apply(&mut d_state)?;
                    }
                    Ok(ControlFlow::Continue(()))
                })?;
        }
        Ok(flows)
    }

    /// How the same error flows back through h: what is left of it at each step.
    pub(crate) fn profile(&self, xs: &Array3<f64>, targets: &Array3<f64>) -> Result<Profile> {
        let (pass, d_outputs) = self.last_error(xs, targets)?;
        let mut profile = Profile::of("h");
        self.cell
            .backward_with(&pass, d_outputs.view(), &mut profile.hook(&self.cell))?;
        Ok(profile)
    }

    /// A pass, and the gradients of the error of its last prediction alone.
    fn last_error(
        &self,
        xs: &Array3<f64>,
        targets: &Array3<f64>,
    ) -> Result<(C::Pass, Array3<f64>)> {
        let (time, batch, _) = xs.dim();
        let pass = self.pass(xs)?;
        let predictions = self.predictions(xs, &pass)?;
        let is_last = |(t, _)| f64::from(u8::from(t + 1 == time));
        let counts = Array2::from_shape_fn((time, batch), is_last);
        let counted = Counted::new(predictions.view()).weights(counts.view())?;
        let (_, d_predictions) = squared_error(counted, targets.view())?;
        let top = self
            .read_out
            .backward(pass.outputs(), d_predictions.view())?;
        Ok((pass, top.d_inputs))
    }

    /// Predicts each of these months from all before it: one pass along the series, which warms up on
    /// the months of a window.
    pub(crate) fn predict(&self, series: &Series, months: Range<usize>) -> Result<Vec<f64>> {
        let first = months.start - WINDOW;
        let shape = (months.end - first, 1, 1);
        let xs = Array3::from_shape_fn(shape, |(t, _, _)| series.scaled(first + t - 1));
        let predictions = self.predictions(&xs, &self.pass(&xs)?)?;
        let predicted = predictions.iter().map(|&y| series.unscale(y));
        Ok(predicted.skip(WINDOW).collect())
    }

    fn pass(&self, xs: &Array3<f64>) -> Result<C::Pass> {
        let batch = xs.len_of(Axis(1));
        self.cell.forward(xs.view(), &self.cell.zero_state(batch))
    }

    /// What the states say of the month after each step: `[time, batch, 1]`.
    fn predictions(&self, xs: &Array3<f64>, pass: &C::Pass) -> Result<Array3<f64>> {
        Ok(self.read_out.forward(pass.outputs())? + xs)
    }
}
