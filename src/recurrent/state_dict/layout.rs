//! Which tensors each layer has in PyTorch.

use alloc::vec::Vec;

use super::part::{Load, Save};
use crate::recurrent::{
    Bidirectional, Checkpointed, Dropout, Gru, Layer, Lstm, LstmVariant, ReadOut, Real, Rnn,
    Stacked, Unrolled,
};
use crate::set::Two;
use crate::{Error, Result};

/// A layer whose weights [`StateDict`](super::StateDict) reads and writes under PyTorch's names.
///
/// ```text
/// Rnn, Lstm, Gru, ReadOut       nn.RNN, nn.LSTM, nn.GRU, nn.Linear
/// an Lstm with a projection     nn.LSTM(…, proj_size)
/// Stacked                       num_layers: weight_ih_l0, weight_ih_l1, …
/// Bidirectional                 bidirectional=True: weight_ih_l0 and weight_ih_l0_reverse, …
/// Dropout, Checkpointed         what they hold
/// ```
///
/// PyTorch's deep bidirectional nets run both directions of a layer before the next: `Stacked(vec![Bidirectional, …])`.
///
/// The trait is sealed.
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
cell!(Gru, bias_rec);

/// An LSTM with options of which PyTorch has none but the projection; clips have no weights.
impl<A: Real> Layout for Unrolled<LstmVariant<A>> {
    fn load(&mut self, from: &mut Load<'_>) -> Result<()> {
        has_pytorchs_weights(&self.cell)?;
        from.tensor("weight_ih", &mut self.cell.w_in)?;
        from.tensor("weight_hh", &mut self.cell.w_rec)?;
        if let Some(w_proj) = &mut self.cell.w_proj {
            from.tensor("weight_hr", w_proj)?;
        }
        from.biases(&mut self.cell.bias, None)
    }

    fn save(&self, to: &mut Save<'_>) -> Result<()> {
        has_pytorchs_weights(&self.cell)?;
        to.tensor("weight_ih", &self.cell.w_in);
        to.tensor("weight_hh", &self.cell.w_rec);
        if let Some(w_proj) = &self.cell.w_proj {
            to.tensor("weight_hr", w_proj);
        }
        to.biases(&self.cell.bias, None);
        Ok(())
    }
}

fn has_pytorchs_weights<A: Real>(cell: &LstmVariant<A>) -> Result<()> {
    if cell.norm.is_none() && !cell.options().coupled {
        return Ok(());
    }
    Err(Error::Weights {
        what: "layer".into(),
        expected: "one that PyTorch has".into(),
        found: "an LSTM with coupled gates or layer normalisation".into(),
    })
}

/// Layers from the lowest up, by number.
impl<L: Layout + Layer> Layout for Stacked<Vec<L>> {
    fn load(&mut self, from: &mut Load<'_>) -> Result<()> {
        let mut below = 0;
        for layer in &mut self.0 {
            layer.load(&mut from.layer(below))?;
            below += layer.layers();
        }
        Ok(())
    }

    fn save(&self, to: &mut Save<'_>) -> Result<()> {
        let mut below = 0;
        for layer in &self.0 {
            layer.save(&mut to.layer(below))?;
            below += layer.layers();
        }
        Ok(())
    }
}

impl<A: Layout + Layer, B: Layout> Layout for Stacked<Two<A, B>> {
    fn load(&mut self, from: &mut Load<'_>) -> Result<()> {
        let Two(lower, upper) = &mut self.0;
        lower.load(from)?;
        upper.load(&mut from.layer(lower.layers()))
    }

    fn save(&self, to: &mut Save<'_>) -> Result<()> {
        let Two(lower, upper) = &self.0;
        lower.save(to)?;
        upper.save(&mut to.layer(lower.layers()))
    }
}

impl<L: Layout> Layout for Bidirectional<L> {
    fn load(&mut self, from: &mut Load<'_>) -> Result<()> {
        self.forwards.load(from)?;
        self.reverse.load(&mut from.reverse())
    }

    fn save(&self, to: &mut Save<'_>) -> Result<()> {
        self.forwards.save(to)?;
        self.reverse.save(&mut to.reverse())
    }
}

impl<L: Layout + Layer> Layout for Dropout<L> {
    fn load(&mut self, from: &mut Load<'_>) -> Result<()> {
        self.layer.load(from)
    }

    fn save(&self, to: &mut Save<'_>) -> Result<()> {
        self.layer.save(to)
    }
}

impl<L: Layout> Layout for Checkpointed<L> {
    fn load(&mut self, from: &mut Load<'_>) -> Result<()> {
        self.layer.load(from)
    }

    fn save(&self, to: &mut Save<'_>) -> Result<()> {
        self.layer.save(to)
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
