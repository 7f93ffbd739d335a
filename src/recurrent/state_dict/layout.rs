//! Which tensors each layer has in PyTorch.

use alloc::vec::Vec;

use super::part::{Load, Save};
use crate::Result;
use crate::recurrent::{Layer, Lstm, ReadOut, Real, Rnn};

/// A layer whose weights [`StateDict`](super::StateDict) reads and writes under PyTorch's names.
///
/// The trait is sealed: it is implemented for the layers that PyTorch has too, and for a `Vec` of cells, which are
/// layers by number.
///
/// # Examples
///
/// ```
/// use steadygrad::recurrent::{Pytorch, Rnn, StateDict};
///
/// fn file_of<L: Pytorch>(layer: &L) -> steadygrad::Result<Vec<u8>> {
///     let mut dict = StateDict::default();
///     dict.insert("", layer)?;
///     dict.to_safetensors()
/// }
///
/// let rnn = Rnn::<f32>::builder(2, 3).build(&mut || 0.75)?;
/// assert!(file_of(&rnn)?.len() > 4 * (6 + 9 + 3 + 3));
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub trait Pytorch: Layout {}

impl<L: Layout> Pytorch for L {}

/// What a layer takes from a file, and gives to it: one line for each tensor.
pub trait Layout {
    /// Takes every tensor; called twice, and nothing is changed the first time.
    #[doc(hidden)]
    fn load(&mut self, from: &mut Load<'_>) -> Result<()>;

    /// Gives every tensor.
    #[doc(hidden)]
    fn save(&self, to: &mut Save<'_>) -> Result<()>;
}

/// A cell whose recurrent bias, or that of its last gate, is kept apart, or is not.
macro_rules! cell {
    ($cell:ident $(, $apart:ident)?) => {
        impl<A: Real> Layout for $cell<A> {
            fn load(&mut self, from: &mut Load<'_>) -> Result<()> {
                from.tensor("weight_ih", &mut self.w_in)?;
                from.tensor("weight_hh", &mut self.w_rec)?;
                from.biases(&mut self.bias, None$(.or(Some(&mut self.$apart)))?)
            }

            fn save(&self, to: &mut Save<'_>) -> Result<()> {
                to.tensor("weight_ih", &self.w_in);
                to.tensor("weight_hh", &self.w_rec);
                to.biases(&self.bias, None$(.or(Some(&self.$apart)))?);
                Ok(())
            }
        }
    };
}

cell!(Rnn);
cell!(Lstm);

/// Layers from the lowest up: `nn.LSTM(…, num_layers)`.
impl<L: Layout + Layer> Layout for Vec<L> {
    fn load(&mut self, from: &mut Load<'_>) -> Result<()> {
        let mut below = 0;
        for layer in self {
            layer.load(&mut from.layer(below))?;
            below += layer.layers();
        }
        Ok(())
    }

    fn save(&self, to: &mut Save<'_>) -> Result<()> {
        let mut below = 0;
        for layer in self {
            layer.save(&mut to.layer(below))?;
            below += layer.layers();
        }
        Ok(())
    }
}

impl<A: Real> Layout for ReadOut<A> {
    fn load(&mut self, from: &mut Load<'_>) -> Result<()> {
        from.plain("weight", &mut self.w)?;
        // Of no bias there is no tensor: nn.Linear(…, bias=False).
        if self.bias.is_empty() {
            return Ok(());
        }
        from.plain("bias", &mut self.bias)
    }

    fn save(&self, to: &mut Save<'_>) -> Result<()> {
        to.plain("weight", &self.w);
        if !self.bias.is_empty() {
            to.plain("bias", &self.bias);
        }
        Ok(())
    }
}
