//! steadygrad's cells, whose passes use the memory of the last ones again.

use ndarray::Array3;
use steadygrad::recurrent::{Backward, Checkpointed, Gru, Layer, Lstm, Rnn, Upstream};
use steadygrad::{Measurement, SliceMut};

use super::case::{Case, Cell, Shape};
use super::child::{Made, Trainer};
use crate::tell::Told;

/// A layer and what it is run on.
struct Ours<L: Layer<Elem = f32>> {
    layer: L,
    xs: Array3<f32>,
    d_outputs: Array3<f32>,
    state: L::State,
    pass: Option<L::Pass>,
    back: Option<Backward<L>>,
}

/// The cell of a case, made into the layer that is measured.
macro_rules! of_each_cell {
    ($case:ident, |$cell:ident| $layer:expr) => {{
        let Shape { inputs, hidden, .. } = $case.shape;
        let uniform = &mut uniform();
        match $case.cell {
            Cell::Rnn => {
                let $cell = Rnn::builder(inputs, hidden).build(uniform)?;
                ours($layer, $case)
            }
            Cell::Lstm => {
                let $cell = Lstm::builder(inputs, hidden).build(uniform)?;
                ours($layer, $case)
            }
            Cell::Gru => {
                let $cell = Gru::builder(inputs, hidden).build(uniform)?;
                ours($layer, $case)
            }
        }
    }};
}

/// The plain cell.
pub(crate) fn plain(case: &Case) -> Made {
    of_each_cell!(case, |cell| cell)
}

/// The cell that keeps every √time-th state and computes the others again.
pub(crate) fn checkpointed(case: &Case) -> Made {
    let every = case.shape.time.isqrt();
    of_each_cell!(case, |cell| Checkpointed::new(cell).every(every)?)
}

/// Draws that only have to be valid: all weights are overwritten.
fn uniform() -> impl FnMut() -> f64 {
    let mut state = 1_u64;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn ours<L: Layer<Elem = f32>>(mut layer: L, case: &Case) -> Made {
    let Shape {
        time,
        batch,
        inputs,
        hidden,
    } = case.shape;
    let weights = case.weights();
    layer.visit_mut(&mut |name, tensor| {
        if let (Some(given), Some(SliceMut::F32(w))) =
            (weights.get(name), tensor.as_slice_mut_ref())
        {
            w.copy_from_slice(given);
        }
        Ok(())
    })?;
    Ok(Some(Box::new(Ours {
        state: layer.zero_state(batch),
        layer,
        xs: Array3::from_shape_vec((time, batch, inputs), case.xs())?,
        d_outputs: Array3::from_shape_vec((time, batch, hidden), case.d_outputs())?,
        pass: None,
        back: None,
    })))
}

impl<L: Layer<Elem = f32>> Trainer for Ours<L> {
    fn train(&mut self) -> Told {
        let Self {
            layer,
            xs,
            d_outputs,
            state,
            pass,
            back,
        } = self;
        layer.forward_into(xs.view(), state, pass)?;
        let pass = pass.as_ref().ok_or("a pass that is none")?;
        layer.backward_into(pass, Upstream::outputs(d_outputs.view()), None, back)?;
        Ok(())
    }

    fn norms(&self) -> Result<Vec<(String, f64)>, Box<dyn std::error::Error>> {
        let back = self.back.as_ref().ok_or("no gradients yet")?;
        let grads = Measurement::of(&back.grads)?;
        let inputs = Measurement::of(&back.d_inputs)?;
        let state = Measurement::of(&back.d_state0)?;
        let under = |prefix: &str, found: &Measurement| -> Vec<(String, f64)> {
            (0..found.len())
                .map(|i| {
                    let name = format!("{prefix}{}", found.name(i));
                    (name, found.tensor(i).l2())
                })
                .collect()
        };
        Ok([
            under("", &grads),
            under("inputs", &inputs),
            under("initial_", &state),
        ]
        .concat())
    }
}
