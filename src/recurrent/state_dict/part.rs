//! One layer's part of a model: what is read into it, and what is written of it.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use ndarray::{Array1, ArrayRef, Dimension};

use super::{StateDict, Tensor, tensor_error};
use crate::Result;
use crate::recurrent::Real;
use crate::recurrent::gates::joined;

/// Where in a model a layer stands, which is what its tensors' names say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'p> {
    prefix: &'p str,
    layer: usize,
    reverse: bool,
}

impl<'p> Place<'p> {
    pub(super) fn at(prefix: &'p str) -> Self {
        Self {
            prefix,
            layer: 0,
            reverse: false,
        }
    }

    /// `weight_ih` as it is called here: `encoder.weight_ih_l1_reverse`.
    fn of_layer(&self, name: &str) -> String {
        let Self { prefix, layer, .. } = self;
        let suffix = if self.reverse { "_reverse" } else { "" };
        format!("{prefix}{name}_l{layer}{suffix}")
    }

    fn plain(&self, name: &str) -> String {
        let Self { prefix, .. } = self;
        format!("{prefix}{name}")
    }
}

/// A file from which a layer takes its tensors.
#[derive(Debug)]
pub struct Load<'l> {
    pub(super) dict: &'l StateDict<'l>,
    pub(super) place: Place<'l>,
    pub(super) taken: &'l mut BTreeSet<String>,
    /// Whether nothing is written yet, so that an error leaves the layer as it was.
    pub(super) is_rehearsal: bool,
}

impl Load<'_> {
    /// The same file, so many layers further up.
    pub(super) fn layer(&mut self, up: usize) -> Load<'_> {
        let mut load = self.again();
        load.place.layer += up;
        load
    }

    /// The same file, for the layer that runs from the end.
    pub(super) fn reverse(&mut self) -> Load<'_> {
        let mut load = self.again();
        load.place.reverse = true;
        load
    }

    fn again(&mut self) -> Load<'_> {
        Load {
            dict: self.dict,
            place: self.place,
            taken: self.taken,
            is_rehearsal: self.is_rehearsal,
        }
    }

    /// `weight_ih` or `weight_hh` of this layer.
    pub(super) fn tensor<A: Real, D: Dimension>(
        &mut self,
        name: &str,
        into: &mut ArrayRef<A, D>,
    ) -> Result<()> {
        self.take(self.place.of_layer(name), into, !self.is_rehearsal)
    }

    /// A tensor of a module without layers.
    pub(super) fn plain<A: Real, D: Dimension>(
        &mut self,
        name: &str,
        into: &mut ArrayRef<A, D>,
    ) -> Result<()> {
        self.take(self.place.plain(name), into, !self.is_rehearsal)
    }

    /// `bias_ih` + `bias_hh` of this layer; but the last rows of `bias_hh`, as many as `apart` has, go there and are
    /// not added: a GRU's n.
    pub(super) fn biases<A: Real>(
        &mut self,
        bias: &mut Array1<A>,
        apart: Option<&mut Array1<A>>,
    ) -> Result<()> {
        let (mut b_in, mut b_rec) = (bias.clone(), bias.clone());
        self.take(self.place.of_layer("bias_ih"), &mut b_in, true)?;
        self.take(self.place.of_layer("bias_hh"), &mut b_rec, true)?;
        let shared = bias.len() - apart.as_ref().map_or(0, |apart| apart.len());
        for (row, (b_in, &b_rec)) in b_in.iter_mut().zip(&b_rec).enumerate() {
            if row < shared {
                let sum = joined(*b_in, b_rec);
                if sum.is_infinite() && b_in.is_finite() && b_rec.is_finite() {
                    let expected = format!("sums with \"bias_ih\" that an {} holds", A::NAME);
                    let found = format!("{:e} + {:e}", b_in.widen(), b_rec.widen());
                    return Err(tensor_error(
                        &self.place.of_layer("bias_hh"),
                        expected,
                        found,
                    ));
                }
                *b_in = sum;
            }
        }
        if !self.is_rehearsal {
            bias.assign(&b_in);
            if let Some(apart) = apart {
                apart
                    .iter_mut()
                    .zip(b_rec.iter().skip(shared))
                    .for_each(|(to, &b)| *to = b);
            }
        }
        Ok(())
    }

    fn take<A: Real, D: Dimension>(
        &mut self,
        name: String,
        into: &mut ArrayRef<A, D>,
        is_written: bool,
    ) -> Result<()> {
        let tensor = self
            .dict
            .get(&name, format!("one of shape {:?}", into.shape()))?;
        if tensor.shape != into.shape() {
            let expected = format!("shape {:?}", into.shape());
            return Err(tensor_error(&name, expected, format!("{:?}", tensor.shape)));
        }
        let mut places = into.iter_mut();
        tensor.read(&name, |x| {
            if let Some(place) = places.next().filter(|_| is_written) {
                *place = x;
            }
        })?;
        self.taken.insert(name);
        Ok(())
    }
}

/// The tensors that a layer writes.
#[derive(Debug)]
pub struct Save<'s> {
    pub(super) place: Place<'s>,
    pub(super) tensors: &'s mut Vec<(String, Tensor<'static>)>,
}

impl Save<'_> {
    /// The same file, so many layers further up.
    pub(super) fn layer(&mut self, up: usize) -> Save<'_> {
        let mut save = self.again();
        save.place.layer += up;
        save
    }

    /// The same file, for the layer that runs from the end.
    pub(super) fn reverse(&mut self) -> Save<'_> {
        let mut save = self.again();
        save.place.reverse = true;
        save
    }

    fn again(&mut self) -> Save<'_> {
        Save {
            place: self.place,
            tensors: self.tensors,
        }
    }

    /// `weight_ih` or `weight_hh` of this layer.
    pub(super) fn tensor<A: Real, D: Dimension>(&mut self, name: &str, tensor: &ArrayRef<A, D>) {
        self.give(self.place.of_layer(name), tensor);
    }

    /// A tensor of a module without layers.
    pub(super) fn plain<A: Real, D: Dimension>(&mut self, name: &str, tensor: &ArrayRef<A, D>) {
        self.give(self.place.plain(name), tensor);
    }

    /// The bias as `bias_ih`, and as `bias_hh` zeros and what is kept apart.
    pub(super) fn biases<A: Real>(&mut self, bias: &Array1<A>, apart: Option<&Array1<A>>) {
        let mut b_rec = Array1::zeros(bias.len());
        if let Some(apart) = apart {
            let last = b_rec.iter_mut().rev().zip(apart.iter().rev());
            last.for_each(|(to, &b)| *to = b);
        }
        self.tensor("bias_ih", bias);
        self.tensor("bias_hh", &b_rec);
    }

    fn give<A: Real, D: Dimension>(&mut self, name: String, tensor: &ArrayRef<A, D>) {
        self.tensors
            .push((name, Tensor::of(tensor.shape(), tensor.iter())));
    }
}
