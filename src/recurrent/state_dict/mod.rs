//! Weights under PyTorch's names, in the files that PyTorch's users write.

mod layout;
mod numbers;
mod part;
#[cfg(test)]
mod tests;

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use ndarray::{ArrayD, IxDyn};
use safetensors::{SafeTensors, View, serialize};

use self::part::{Load, Place, Save};
use super::Real;
use crate::{Error, Result};

pub use self::layout::Pytorch;

/// Tensors under names, as PyTorch's `state_dict` has them, read from and written to safetensors files.
///
/// A layer's weights have the names of the PyTorch module that computes the same, behind a prefix that says where
/// in a model the module stands:
///
/// ```text
/// Rnn, Lstm   weight_ih_l0  weight_hh_l0  bias_ih_l0  bias_hh_l0      nn.RNN, nn.LSTM
/// ReadOut     weight  bias                                           nn.Linear
/// ```
///
/// The layers of a [`Stacked`](super::Stacked) have the numbers l0, l1, …, and the reverse of a
/// [`Bidirectional`](super::Bidirectional) ends in `_reverse`; [`Pytorch`] has all of them.
///
/// The cells' two biases are summed; written are the sum and zeros. Numbers may come as `F64`, `F32`, `F16` or `BF16`,
/// and are rounded once to what the layer computes with; they are written as what it computes with, so that
/// a round trip gives every number back bit for bit.
///
/// Files are the caller's: this reads bytes and makes bytes. A file is not trusted. Whatever it says, the answer is an
/// error or a value, and no memory is asked for by its word; a layer is loaded whole or not at all.
///
/// # Examples
///
/// ```
/// use steadygrad::recurrent::{Lstm, ReadOut, StateDict};
///
/// // Python: safetensors.torch.save_file(model.state_dict(), "model.safetensors")
/// let mut lstm = Lstm::<f32>::builder(2, 3).build(&mut || 0.75)?;
/// let mut head = ReadOut::<f32>::builder(3, 1).build(&mut || 0.25)?;
/// let mut dict = StateDict::default();
/// dict.insert("encoder.", &lstm)?;
/// dict.insert("head.", &head)?;
/// let bytes = dict.to_safetensors()?; // std::fs::write("model.safetensors", &bytes)
///
/// let dict = StateDict::from_safetensors(&bytes)?; // &std::fs::read("model.safetensors")
/// dict.load("encoder.", &mut lstm)?;
/// dict.load("head.", &mut head)?;
///
/// let error = dict.load("decoder.", &mut lstm).unwrap_err();
/// assert!(error.to_string().starts_with(
///     "weights: tensor \"decoder.weight_ih_l0\": expected one of shape [12, 2], found none among \"encoder.bias_hh_l0\", "
/// ));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct StateDict<'a> {
    tensors: BTreeMap<String, Tensor<'a>>,
}

/// One tensor: its numbers as they stand in a file.
#[derive(Clone, Debug, PartialEq)]
struct Tensor<'a> {
    dtype: safetensors::Dtype,
    shape: Vec<usize>,
    data: Cow<'a, [u8]>,
}

impl<'a> StateDict<'a> {
    /// The tensors of a safetensors file, whose bytes stay where they are.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::StateDict;
    ///
    /// let header = br#"{"fc.bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    /// let mut file = (header.len() as u64).to_le_bytes().to_vec();
    /// file.extend(header);
    /// file.extend([1.0_f32, 2.0].map(f32::to_le_bytes).as_flattened());
    /// assert_eq!(StateDict::from_safetensors(&file)?.shape("fc.bias"), Some(&[2][..]));
    ///
    /// let error = StateDict::from_safetensors(&file[..40]).unwrap_err();
    /// assert_eq!(error.to_string(), "weights: file: expected safetensors, found invalid header length");
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Weights`] if the bytes are not a safetensors file, whole and without gaps.
    pub fn from_safetensors(bytes: &'a [u8]) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes).map_err(|error| not_a_file(&error))?;
        let tensors = file.iter().map(|(name, tensor)| {
            let tensor = Tensor {
                dtype: tensor.dtype(),
                shape: Vec::from(tensor.shape()),
                data: Cow::Borrowed(tensor.data()),
            };
            (name.to_string(), tensor)
        });
        Ok(Self {
            tensors: tensors.collect(),
        })
    }

    /// A safetensors file of all tensors.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::{Rnn, StateDict};
    ///
    /// let mut dict = StateDict::default();
    /// dict.insert("", &Rnn::<f64>::builder(2, 3).build(&mut || 0.75)?)?;
    /// let bytes = dict.to_safetensors()?;
    /// assert_eq!(StateDict::from_safetensors(&bytes)?, dict);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Weights`] if there are so many tensors that no file has room for their names.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        serialize(&self.tensors, None).map_err(|error| not_a_file(&error))
    }

    /// Adds a layer's weights, each name behind the prefix.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::{Lstm, StateDict};
    ///
    /// let lstm = Lstm::<f64>::builder(2, 3).build(&mut || 0.75)?;
    /// let mut dict = StateDict::default();
    /// dict.insert("encoder.", &lstm)?;
    /// assert_eq!(dict.shape("encoder.weight_hh_l0"), Some(&[12, 3][..]));
    /// assert!(dict.insert("encoder.", &lstm).is_err());   // it is there already
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Weights`] if a name is taken; then nothing is added.
    pub fn insert<L: Pytorch>(&mut self, prefix: &str, layer: &L) -> Result<()> {
        let mut new = Vec::new();
        layer.save(&mut Save {
            place: Place::at(prefix),
            tensors: &mut new,
        })?;
        let mut names = BTreeSet::new();
        for (name, _) in &new {
            if self.tensors.contains_key(name) || !names.insert(name) {
                return Err(tensor_error(
                    name,
                    "a name of its own",
                    "another of that name",
                ));
            }
        }
        self.tensors.extend(new);
        Ok(())
    }

    /// Loads a layer that has the sizes of the saved one.
    ///
    /// Every tensor behind the prefix must belong to the layer: one that is left over says that the file's is another
    /// kind, or has more layers. After an error the layer is as it was.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::{ReadOut, StateDict};
    ///
    /// let saved = ReadOut::new(array![[1.0, 2.0]], array![3.0])?;
    /// let mut dict = StateDict::default();
    /// dict.insert("fc.", &saved)?;
    /// let mut loaded = ReadOut::<f32>::builder(2, 1).build(&mut || 0.5)?;
    /// dict.load("fc.", &mut loaded)?;
    /// assert_eq!(loaded.w, array![[1.0, 2.0]]);
    ///
    /// let mut larger = ReadOut::<f32>::builder(4, 1).build(&mut || 0.5)?;
    /// let error = dict.load("fc.", &mut larger).unwrap_err();
    /// assert_eq!(error.to_string(), "weights: tensor \"fc.weight\": expected shape [1, 4], found [1, 2]");
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Weights`] if a tensor is missing, left over, or of another shape, if its numbers are not floating-point
    /// ones, or if one of them is too large for the layer's; it names the tensor.
    pub fn load<L: Pytorch>(&self, prefix: &str, layer: &mut L) -> Result<()> {
        let mut taken = BTreeSet::new();
        for is_rehearsal in [true, false] {
            layer.load(&mut Load {
                dict: self,
                place: Place::at(prefix),
                taken: &mut taken,
                is_rehearsal,
            })?;
            let behind = self.tensors.range(String::from(prefix)..);
            let mut behind = behind.take_while(|(name, _)| name.starts_with(prefix));
            if let Some((name, tensor)) = behind.find(|(name, _)| !taken.contains(*name)) {
                let found = format!("one of shape {:?}", tensor.shape);
                return Err(tensor_error(
                    name,
                    "none of that name in such a layer",
                    found,
                ));
            }
        }
        Ok(())
    }

    /// The names of all tensors, sorted.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::{Lstm, StateDict};
    ///
    /// let mut dict = StateDict::default();
    /// dict.insert("", &Lstm::<f64>::builder(2, 3).build(&mut || 0.75)?)?;
    /// assert!(dict.names().eq(["bias_hh_l0", "bias_ih_l0", "weight_hh_l0", "weight_ih_l0"]));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor, if there is one of that name: what tells a model's sizes.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::{Lstm, StateDict};
    ///
    /// let mut dict = StateDict::default();
    /// dict.insert("", &Lstm::<f64>::builder(2, 3).build(&mut || 0.75)?)?;
    /// let Some(&[rows, inputs]) = dict.shape("weight_ih_l0") else { panic!("not an LSTM") };
    /// let lstm = Lstm::<f32>::builder(inputs, rows / 4).build(&mut || 0.5)?;
    /// assert_eq!((lstm.inputs(), lstm.hidden()), (2, 3));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| &tensor.shape[..])
    }

    /// A single tensor, for a module that this crate does not have.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::array;
    /// use steadygrad::recurrent::{ReadOut, StateDict};
    ///
    /// let mut dict = StateDict::default();
    /// dict.insert("fc.", &ReadOut::new(array![[1.0, 2.0]], array![3.0])?)?;
    /// assert_eq!(dict.tensor::<f32>("fc.weight")?, array![[1.0, 2.0]].into_dyn());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Weights`] if there is none of that name, if its numbers are not floating-point ones, or if one of them is
    /// too large for `A`.
    pub fn tensor<A: Real>(&self, name: &str) -> Result<ArrayD<A>> {
        let tensor = self.get(name, "a tensor")?;
        let mut numbers = Vec::with_capacity(tensor.len());
        tensor.read(name, |x| numbers.push(x))?;
        ArrayD::from_shape_vec(IxDyn(&tensor.shape), numbers)
            .map_err(|_| tensor_error(name, "a shape of arrays", format!("{:?}", tensor.shape)))
    }

    fn get(&self, name: &str, expected: impl Into<String>) -> Result<&Tensor<'a>> {
        self.tensors.get(name).ok_or_else(|| {
            const SOME: usize = 8;
            let some = self.tensors.keys().take(SOME);
            let some: Vec<String> = some.map(|name| format!("{name:?}")).collect();
            let found = match self.tensors.len() {
                0 => String::from("none at all"),
                all if all <= SOME => format!("none among {}", some.join(", ")),
                all => format!("none among {} and {} more", some.join(", "), all - SOME),
            };
            tensor_error(name, expected, found)
        })
    }
}

impl View for &Tensor<'_> {
    fn dtype(&self) -> safetensors::Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

impl fmt::Debug for StateDict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tensors = self.tensors.iter();
        let told = tensors.map(|(name, tensor)| (name, (tensor.dtype, &tensor.shape)));
        f.debug_map().entries(told).finish()
    }
}

fn not_a_file(error: &safetensors::SafeTensorError) -> Error {
    Error::Weights {
        what: String::from("file"),
        expected: String::from("safetensors"),
        found: error.to_string(),
    }
}

fn tensor_error(name: &str, expected: impl Into<String>, found: impl Into<String>) -> Error {
    Error::Weights {
        what: format!("tensor {name:?}"),
        expected: expected.into(),
        found: found.into(),
    }
}
