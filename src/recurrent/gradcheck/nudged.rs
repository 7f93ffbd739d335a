//! A pass of which one number is moved a little.

use alloc::string::String;
use alloc::vec::Vec;

use ndarray::{Array3, Zip};

use crate::recurrent::layer::nothing;
use crate::recurrent::{Layer, Sequence, Trace};
use crate::tensor::{Tensor, TensorMut};
use crate::{Error, Result, TensorSet, TensorSetMut};

/// The cube root of the unit in the last place, where rounding (u/ε) and curvature (ε²) err alike: near 1e-10.
const STEP: f64 = 6e-6;

/// What is nudged.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Layer,
    Inputs,
    State,
}

/// A copy of everything that a pass takes, one number of which is moved a little to either side.
pub(super) struct Nudged<L: Layer<Elem = f64>> {
    pub(super) layer: L,
    pub(super) xs: Array3<f64>,
    pub(super) lengths: Vec<usize>,
    pub(super) s0: L::State,
    pub(super) d_outputs: Array3<f64>,
    pub(super) d_final: Vec<f64>,
    pub(super) ahead: Option<L::Pass>,
    pub(super) behind: Option<L::Pass>,
}

impl<L: Layer<Elem = f64>> Nudged<L> {
    pub(super) fn side(&mut self, side: Side) -> &mut dyn TensorSetMut {
        match side {
            Side::Layer => &mut self.layer,
            Side::Inputs => &mut self.xs,
            Side::State => &mut self.s0,
        }
    }

    /// The slope of the loss along element k of a tensor.
    pub(super) fn slope(&mut self, side: Side, tensor: usize, k: usize) -> Result<f64> {
        let kept = at(self.side(side), tensor, k, None)?;
        let step = STEP * kept.abs().max(1.0);
        let (above, below) = (kept + step, kept - step);

        at(self.side(side), tensor, k, Some(above))?;
        let xs = Sequence::new(self.xs.view()).lengths(&self.lengths)?;
        self.layer.forward_into(xs, &self.s0, &mut self.ahead)?;
        at(self.side(side), tensor, k, Some(below))?;
        let xs = Sequence::new(self.xs.view()).lengths(&self.lengths)?;
        self.layer.forward_into(xs, &self.s0, &mut self.behind)?;
        at(self.side(side), tensor, k, Some(kept))?;

        let (Some(ahead), Some(behind)) = (&self.ahead, &self.behind) else {
            return Err(nothing("passes that a layer made"));
        };
        // Differences before sums: those of what does not change are zero, and add no rounding.
        let mut apart = 0.0;
        Zip::from(&ahead.outputs())
            .and(&behind.outputs())
            .and(&self.d_outputs)
            .for_each(|above, below, d| apart += d * (above - below));
        let (ahead, behind) = (ahead.final_state(), behind.final_state());
        let ends = numbers(&ahead)?.into_iter().zip(numbers(&behind)?);
        for ((above, below), d) in ends.zip(&self.d_final) {
            apart += d * (above - below);
        }
        Ok(apart / (above - below))
    }
}

/// A tensor that was read.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) dims: Vec<usize>,
    pub(super) values: Vec<f64>,
}

pub(super) fn tensors(set: &(impl TensorSet + ?Sized)) -> Result<Vec<Found>> {
    let mut tensors = Vec::new();
    set.visit(&mut |name, tensor| {
        let mut values = alloc::vec![0.0; tensor.len()];
        tensor.read(0, &mut values)?;
        let dims = tensor
            .dims()
            .map_or_else(|| Vec::from([tensor.len()]), Vec::from);
        tensors.push(Found {
            name: name.into(),
            dims,
            values,
        });
        Ok(())
    })?;
    Ok(tensors)
}

pub(super) fn numbers(set: &(impl TensorSet + ?Sized)) -> Result<Vec<f64>> {
    let tensors = tensors(set)?.into_iter();
    Ok(tensors.flat_map(|tensor| tensor.values).collect())
}

/// Refuses gradients that are not those of `of`.
pub(super) fn pair(found: &[Found], of: &[Found]) -> Result<()> {
    if found.len() != of.len() {
        return Err(Error::Count {
            what: "gradient tensors",
            expected: of.len(),
            found: found.len(),
        });
    }
    for (index, (found, of)) in found.iter().zip(of).enumerate() {
        if found.name != of.name {
            return Err(Error::Name {
                index,
                expected: of.name.clone(),
                found: found.name.clone(),
            });
        }
        if found.values.len() != of.values.len() {
            return Err(Error::Count {
                what: "elements of a gradient",
                expected: of.values.len(),
                found: found.values.len(),
            });
        }
    }
    Ok(())
}

/// Element k of a tensor of a set, which is first written if there is something to write.
fn at(set: &mut dyn TensorSetMut, tensor: usize, k: usize, write: Option<f64>) -> Result<f64> {
    let (mut next, mut value) = (0, [0.0]);
    set.visit_mut(&mut |_, found: &mut dyn TensorMut| {
        if next == tensor {
            if let Some(write) = write {
                found.write(k, &[write])?;
            }
            found.read(k, &mut value)?;
        }
        next += 1;
        Ok(())
    })?;
    Ok(value[0])
}
