//! A recurrent cell with a linear read-out: its loss, its gradients, its predictions.

use std::ops::{ControlFlow, Range};

use ndarray::{Array1, Array2, Array3, ArrayView2, Axis};
use steadygrad::recurrent::{Init, Layer, Trace};
use steadygrad::{Edits, Measurement, Result, TensorSetMut, tensor_set};

use crate::data::{Random, Series, WINDOW};

/// Predicts the next month at each step: `x_t + w_out·h_t`.
///
/// What it learns is the change from this month to the next. On the validation months this did better than
/// learning the value: an output of tanh units saturates in cycles higher than any it was trained on. It needs
/// no bias, for a change is as often up as down.
pub(crate) struct Net<C> {
    cell: C,
    w_out: Array1<f64>,
}

/// The gradients of a [`Net`], under the names of its parameters.
pub(crate) struct NetGrads<G> {
    cell: G,
    w_out: Array1<f64>,
}

/// How an error flows back through one part of a state.
pub(crate) struct Flow {
    pub(crate) part: String,
    /// Whether every way through the other part was cut.
    pub(crate) is_alone: bool,
    /// The norm of the gradient at each step.
    pub(crate) norms: Vec<f64>,
}

tensor_set!(impl[C: TensorSetMut] Net<C> { cell, w_out });
tensor_set!(impl[G: TensorSetMut] NetGrads<G> { cell, w_out });

impl<C: Layer<Elem = f64>> Net<C> {
    pub(crate) fn new(cell: C, hidden: usize, random: &mut Random) -> Result<Self> {
        let w_out = Init::Uniform.matrix(hidden, 1, &mut || random.uniform())?;
        Ok(Self {
            cell,
            w_out: w_out.remove_axis(Axis(1)),
        })
    }

    /// The mean squared error over all steps of a batch of windows, and its gradients.
    pub(crate) fn loss(
        &self,
        xs: &Array3<f64>,
        targets: &Array2<f64>,
    ) -> Result<(f64, NetGrads<C::Grads>)> {
        let (time, batch, _) = xs.dim();
        let pass = self.cell.forward(xs.view(), &self.cell.zero_state(batch))?;
        let outputs = pass.outputs();
        let count = (time * batch) as f64;

        let mut sum = 0.0;
        let mut w_out = Array1::zeros(self.w_out.len());
        let mut d_outputs = Array3::zeros(outputs.raw_dim());
        for (t, h) in outputs.outer_iter().enumerate() {
            let errors = self.predictions(xs, t, &h) - targets.index_axis(Axis(0), t);
            sum += errors.dot(&errors);
            let d_predictions = errors * (2.0 / count);
            w_out += &h.t().dot(&d_predictions);
            self.d_outputs_at(t, &d_predictions, &mut d_outputs);
        }
        let cell = self.cell.backward(&pass, d_outputs.view())?.grads;
        Ok((sum / count, NetGrads { cell, w_out }))
    }

    /// How the error of the last prediction of each window flows back: for each part of the state
    /// (h, and c of an LSTM) the norms of the gradient `∂L/∂h_t` from the first step to the last. For c also
    /// what they are if nothing flows through h, and so through the gates, at any step but the last.
    pub(crate) fn gradient_flow(
        &self,
        xs: &Array3<f64>,
        targets: &Array2<f64>,
    ) -> Result<Vec<Flow>> {
        let (time, batch, _) = xs.dim();
        let last = time - 1;
        let pass = self.cell.forward(xs.view(), &self.cell.zero_state(batch))?;
        let outputs = pass.outputs();
        let h = outputs.index_axis(Axis(0), last);
        let errors = self.predictions(xs, last, &h) - targets.index_axis(Axis(0), last);
        let mut d_outputs = Array3::zeros(outputs.raw_dim());
        self.d_outputs_at(last, &(errors * (2.0 / batch as f64)), &mut d_outputs);

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

    /// Predicts each of these months from all before it: one pass along the series, which warms up on
    /// the months of a window.
    pub(crate) fn predict(&self, series: &Series, months: Range<usize>) -> Result<Vec<f64>> {
        let first = months.start - WINDOW;
        let shape = (months.end - first, 1, 1);
        let xs = Array3::from_shape_fn(shape, |(t, _, _)| series.scaled(first + t - 1));
        let pass = self.cell.forward(xs.view(), &self.cell.zero_state(1))?;
        let outputs = pass.outputs();
        let all = outputs.outer_iter().enumerate();
        let predicted = all.map(|(t, h)| series.unscale(self.predictions(&xs, t, &h)[0]));
        Ok(predicted.skip(WINDOW).collect())
    }

    /// What the states of step `t` say of the month after: one number for each window.
    fn predictions(&self, xs: &Array3<f64>, t: usize, h: &ArrayView2<'_, f64>) -> Array1<f64> {
        let now = xs.index_axis(Axis(0), t);
        h.dot(&self.w_out) + now.index_axis(Axis(1), 0)
    }

    /// Writes the gradients of the states of step `t`, given those of the predictions.
    fn d_outputs_at(&self, t: usize, d_predictions: &Array1<f64>, d_outputs: &mut Array3<f64>) {
        let (column, row) = (
            d_predictions.view().insert_axis(Axis(1)),
            self.w_out.view().insert_axis(Axis(0)),
        );
        d_outputs
            .index_axis_mut(Axis(0), t)
            .assign(&column.dot(&row));
    }
}
