//! How much of a gradient arrives at each step.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::{At, Layer};
use crate::{Edits, Measurement, Needs, Result, TensorSet};

/// The gradient-flow profile: ‖∂`L/∂s_t`‖ at each step, for each layer and direction.
///
/// It fills itself through the hook of a backward pass and asks for memory in its first only, a row of numbers for each
/// layer and direction.
///
/// # Examples
///
/// ```
/// use ndarray::{Array3, array};
/// use steadygrad::recurrent::{Activation, Layer, Profile, Rnn};
///
/// let rnn = Rnn::new(array![[1.0]], array![[2.0]], array![0.0], Activation::Identity)?;
/// let pass = rnn.forward(Array3::ones((4, 1, 1)).view(), &rnn.zero_state(1))?;
/// let mut d_outputs = Array3::zeros((4, 1, 1));
/// d_outputs[[3, 0, 0]] = 1.0;   // the loss looks at the last step only
///
/// let mut profile = Profile::new();
/// rnn.backward_with(&pass, d_outputs.view(), &mut profile.hook(&rnn))?;
/// assert_eq!(profile.norms(0, false), [8.0, 4.0, 2.0, 1.0]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// The part of a state that is measured; all of it if none is named.
    part: Option<String>,
    lanes: Vec<Lane>,
    measured: Measurement,
    needs: Needs,
    as_it_is: Edits,
}

/// A layer in one direction.
#[derive(Clone, Debug)]
struct Lane {
    layer: usize,
    reverse: bool,
    norms: Vec<f64>,
}

impl Profile {
    /// Of whole states: of an LSTM, ‖(∂L/∂h, ∂L/∂c)‖.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::Profile;
    ///
    /// assert!(Profile::new().norms(0, false).is_empty());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self {
            needs: Needs::norms(),
            measured: Measurement::nameless(),
            ..Self::default()
        }
    }

    /// Of one part of each state, by its name.
    ///
    /// # Examples
    ///
    /// An LSTM whose forget gates are open keeps what arrives at the cell, and not what arrives at the output:
    ///
    /// ```
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Layer, Lstm, LstmState, Profile, Upstream};
    ///
    /// let mut lstm = Lstm::<f64>::builder(1, 1).build(&mut || 0.5)?;
    /// lstm.w_rec.fill(0.0);
    /// lstm.bias[1] = 100.0;
    /// let pass = lstm.forward(Array3::ones((50, 1, 1)).view(), &lstm.zero_state(1))?;
    /// let d_final = LstmState { h: array![[1.0]], c: array![[1.0]] };
    /// let (mut h, mut c) = (Profile::of("h"), Profile::of("c"));
    /// let d = Upstream::default().final_state(&d_final);
    /// lstm.backward_with(&pass, d, &mut h.hook(&lstm))?;
    /// lstm.backward_with(&pass, d, &mut c.hook(&lstm))?;
    /// assert_eq!((h.norms(0, false)[49], h.norms(0, false)[0]), (1.0, 0.0));
    /// assert!(c.norms(0, false)[0] >= 1.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn of(part: impl Into<String>) -> Self {
        Self {
            part: Some(part.into()),
            ..Self::new()
        }
    }

    /// The hook of a backward pass of `layer`, which begins the profile anew.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::Array3;
    /// use steadygrad::recurrent::{Bidirectional, Layer, Lstm, Profile, Stacked};
    ///
    /// let uniform = &mut || 0.75;
    /// let mut two = |inputs| -> steadygrad::Result<_> {
    ///     let lstm = Lstm::<f32>::builder(inputs, 5).build(uniform)?;
    ///     Ok(Bidirectional::new(lstm.clone(), lstm))
    /// };
    /// let net = Stacked(vec![two(2)?, two(10)?]);
    /// let pass = net.forward(Array3::ones((9, 3, 2)).view(), &net.zero_state(3))?;
    /// let mut profile = Profile::new();
    /// net.backward_with(&pass, pass.outputs(), &mut profile.hook(&net))?;
    /// for (layer, reverse) in [(0, false), (0, true), (1, false), (1, true)] {
    ///     assert!(profile.norms(layer, reverse).iter().all(|&norm| norm > 0.0));
    /// }
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn hook<'p, L: Layer>(
        &'p mut self,
        layer: &L,
    ) -> impl for<'t> FnMut(At, L::At<'t>) -> Result<ControlFlow<()>> + use<'p, L> {
        let _ = layer;
        self.clear();
        |at: At, d_state: L::At<'_>| {
            self.record(at, &d_state)?;
            Ok(ControlFlow::Continue(()))
        }
    }

    /// Takes down what a hook was shown: for hooks that do more than that.
    ///
    /// # Examples
    ///
    /// Clipped at every step, and the profile of what was there before:
    ///
    /// ```
    /// use core::ops::ControlFlow;
    /// use ndarray::{Array3, array};
    /// use steadygrad::recurrent::{Activation, Layer, Profile, Rnn};
    /// use steadygrad::clip;
    ///
    /// let rnn = Rnn::new(array![[1.0]], array![[2.0]], array![0.0], Activation::Identity)?;
    /// let pass = rnn.forward(Array3::ones((4, 1, 1)).view(), &rnn.zero_state(1))?;
    /// let mut d_outputs = Array3::zeros((4, 1, 1));
    /// d_outputs[[3, 0, 0]] = 1.0;
    /// let mut profile = Profile::new();
    /// rnn.backward_with(&pass, d_outputs.view(), &mut |at, d_state| {
    ///     profile.record(at, d_state)?;
    ///     clip::global_norm(d_state, 3.0)?;
    ///     Ok(ControlFlow::Continue(()))
    /// })?;
    /// assert_eq!(profile.norms(0, false), [6.0, 4.0, 2.0, 1.0]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the tensors give.
    pub fn record<S: TensorSet + ?Sized>(&mut self, at: At, d_state: &S) -> Result<()> {
        let Self {
            part,
            measured,
            needs,
            as_it_is,
            ..
        } = self;
        match part {
            None => measured.fill(needs, as_it_is, |reading| d_state.measure(reading))?,
            Some(part) => measured.fill(needs, as_it_is, |reading| {
                d_state.visit(&mut |name, tensor| {
                    if name == part {
                        reading.tensor(name, tensor)
                    } else {
                        Ok(())
                    }
                })
            })?,
        }
        let norm = measured.total().l2();
        let lane = self.lane(at);
        if lane.norms.len() <= at.time {
            lane.norms.resize(at.time + 1, 0.0);
        }
        lane.norms[at.time] = norm;
        Ok(())
    }

    /// The norms at steps 0, 1, … of a layer, counted from the inputs, in one of its directions. Steps that a pass did not
    /// come to, since a hook broke, have 0; a layer that was not seen has none.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::{At, Profile};
    ///
    /// let mut profile = Profile::new();
    /// profile.record(At::time(2), &[3.0, 4.0])?;
    /// assert_eq!(profile.norms(0, false), [0.0, 0.0, 5.0]);
    /// assert!(profile.norms(0, true).is_empty());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn norms(&self, layer: usize, reverse: bool) -> &[f64] {
        let lane = self.lanes.iter().find(|lane| lane.is(layer, reverse));
        lane.map_or(&[], |lane| &lane.norms)
    }

    /// What arrives of what was sent: the norm at the step to which a gradient flows last, over that at the step from
    /// which it comes. `None` where nothing was sent or recorded.
    ///
    /// ```text
    /// ‖∂L/∂s_0‖ / ‖∂L/∂s_{T−1}‖      in a layer that runs in reverse the other way about
    /// ```
    ///
    /// If the loss looks at the last step only, this is the share of its gradient that reaches the first one: below 1 it
    /// vanishes, above 1 it explodes. A loss that looks at every step adds to it on the way.
    /// [`Vanishing::of_signal`](crate::detect::Vanishing::of_signal) watches it.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::{At, Profile};
    ///
    /// let mut profile = Profile::new();
    /// for (time, norm) in [(2, 4.0), (1, 2.0), (0, 1.0)] {
    ///     profile.record(At::time(time), &[norm])?;
    /// }
    /// assert_eq!(profile.arrived(0, false), Some(0.25));
    /// assert_eq!(profile.arrived(1, false), None);
    ///
    /// let mut at = At::time(0);   // in reverse the gradient comes from here
    /// at.reverse = true;
    /// profile.record(at, &[8.0])?;
    /// at.time = 1;
    /// profile.record(at, &[2.0])?;
    /// assert_eq!(profile.arrived(0, true), Some(0.25));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn arrived(&self, layer: usize, reverse: bool) -> Option<f64> {
        let norms = self.norms(layer, reverse);
        let (first, last) = (*norms.first()?, *norms.last()?);
        let [sent, arrived] = if reverse {
            [first, last]
        } else {
            [last, first]
        };
        (sent != 0.0).then(|| arrived / sent)
    }

    /// The part of a state that is measured, if it is not all of it.
    #[cfg(feature = "plot")]
    pub(crate) fn part(&self) -> Option<&str> {
        self.part.as_deref()
    }

    /// How many layers were seen, those below the topmost among them.
    #[cfg(feature = "plot")]
    pub(crate) fn layers(&self) -> usize {
        let seen = self.lanes.iter().filter(|lane| !lane.norms.is_empty());
        seen.map(|lane| lane.layer + 1).max().unwrap_or(0)
    }

    /// Forgets what was recorded, and keeps the memory.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::recurrent::{At, Profile};
    ///
    /// let mut profile = Profile::new();
    /// profile.record(At::time(2), &[3.0, 4.0])?;
    /// profile.clear();
    /// assert!(profile.norms(0, false).is_empty());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn clear(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.norms.clear());
    }

    fn lane(&mut self, at: At) -> &mut Lane {
        let is = |lane: &Lane| lane.is(at.layer, at.reverse);
        let found = self.lanes.iter().position(is);
        let index = found.unwrap_or_else(|| {
            self.lanes.push(Lane {
                layer: at.layer,
                reverse: at.reverse,
                norms: Vec::new(),
            });
            self.lanes.len() - 1
        });
        &mut self.lanes[index]
    }
}

impl Lane {
    fn is(&self, layer: usize, reverse: bool) -> bool {
        self.layer == layer && self.reverse == reverse
    }
}
