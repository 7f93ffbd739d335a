//! The gradients of a `GradStore`.

use std::collections::HashSet;
use std::marker::PhantomData;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, TensorId};
use steadygrad::device;
use steadygrad::{Reading, Result, TensorSet, TensorSetMut, Visitor, VisitorMut, Writing};

use crate::Vars;
use crate::places::{Place, Places, on_device, place};
use crate::shared::{Pair, Shared};

/// The gradients of some variables, as a set that steadygrad measures and edits.
///
/// Goes between `backward()` and `opt.step(&grads)`. A variable without a gradient keeps its place
/// with no elements, unless it is an integer (if none has one though the store holds some, as with another model's
/// variables, every step and every clip is an error); one that is listed under two names is counted and
/// scaled once, under the first.
/// F32, F64, F16 and BF16 may be mixed.
///
/// # In place
///
/// An edit changes the storage of a gradient, so it also shows in every clone of that gradient that
/// was taken before (a candle tensor is a handle, and its clones share the storage). Keep
/// `grad.copy()?` where you need the old values. Three kinds of gradient are replaced in the store by
/// a contiguous copy as soon as the set is built, bit for bit the same, so that an edit can touch them
/// without touching anything else: those that are not contiguous or whose elements repeat
/// (`broadcast_as`, `expand`), those that share elements with the gradient of another variable, and
/// those that share them with a variable.
///
/// # On a device
///
/// Gradients on a GPU stay there: [`Measurement::of`](steadygrad::Measurement::of) and every guarded step make one transfer of a
/// few numbers for all tensors together (a second one if something is not finite, to count it and to
/// find the first, or after a clamp that bites, to measure what it left), and edits make none. A clip by value
/// makes one, of counts. Sums are taken in `f64` where the device has it, else in `f32`; how near they are, and
/// when a second transfer is needed, says [`Remote`](steadygrad::device::Remote).
///
/// # Examples
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use steadygrad::clip;
/// use steadygrad_candle::CandleGrads;
///
/// let w = Var::new(&[3f32, 4.0], &Device::Cpu)?;
/// let mut grads = (w.sqr()? * 0.5)?.sum_all()?.backward()?;
///
/// let vars = [("w", w.clone())];
/// let clipped = clip::global_norm(&mut CandleGrads::new(&mut grads, &vars), 1.0)?;
/// assert_eq!((clipped.before(), clipped.after()), (5.0, 1.0));
/// assert_eq!(grads.get(&w).unwrap().to_vec1::<f32>()?, [0.6, 0.8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CandleGrads<'g> {
    places: Places,
    store: PhantomData<&'g mut GradStore>,
}

impl<'g> CandleGrads<'g> {
    /// The gradients that `store` holds for `vars`.
    ///
    /// What cannot be used (an integer tensor, a copy that the device refuses) gives its error when
    /// the set is measured or edited.
    #[must_use]
    pub fn new(store: &'g mut GradStore, vars: &(impl Vars + ?Sized)) -> Self {
        let named = Named::among(store, vars);
        Self::of(store, named)
    }

    /// Every gradient of the store: those of `vars` under their names, then all others as `unnamed.0`,
    /// `unnamed.1`, …, in the order in which what they belong to was made.
    ///
    /// Of what else `store` holds gradients nobody can tell: candle leaves in it those of constants, such as a
    /// batch, beside those of variables. A norm over all of them is none of a model.
    ///
    /// ```
    /// use candle_core::{Device, Tensor, Var};
    /// use steadygrad::Measurement;
    /// use steadygrad_candle::CandleGrads;
    ///
    /// let w = Var::new(&[3f32, 4.0], &Device::Cpu)?;
    /// let x = Tensor::new(&[1f32, 0.0], &Device::Cpu)?;
    /// let mut grads = (&x * w.as_tensor())?.sum_all()?.backward()?;
    /// let all = Measurement::of(&CandleGrads::all(&mut grads, &[("w", &w)]))?;
    /// assert_eq!((all.name(0), all.name(1)), ("w", "unnamed.0"));
    /// assert_eq!((all.tensor(0).l2(), all.tensor(1).l2()), (1.0, 5.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn all(store: &'g mut GradStore, vars: &(impl Vars + ?Sized)) -> Self {
        let mut named = Named::among(store, vars);
        let known: HashSet<TensorId> = named.pairs.iter().map(|(_, pair)| pair.var).collect();
        let ids = store.get_ids().filter(|id| !known.contains(id));
        let mut others: Vec<TensorId> = ids.copied().collect();
        // An id shows its number, and candle counts upwards.
        others.sort_by_cached_key(|id| {
            let shown = format!("{id:?}");
            (shown.len(), shown)
        });
        for (index, id) in others.into_iter().enumerate() {
            if let Some(grad) = store.get_id(id) {
                named.push(&format!("unnamed.{index}"), Pair::of_unknown(id, grad));
            }
        }
        Self::of(store, named)
    }

    fn of(store: &'g mut GradStore, Named { names, pairs }: Named) -> Self {
        let mut shared = Shared::among(pairs.iter().map(|(_, pair)| pair));
        let mut places = Places::with_capacity(pairs.len());
        let mut start = 0;
        for (end, pair) in pairs {
            let name = &names[start..end];
            start = end;
            if !shared.is_new(&pair) {
                continue;
            }
            let tensor = match pair.grad {
                Some(grad) if !shared.take(&grad) => grad.tensor.force_contiguous().map(|copy| {
                    store.insert_id(pair.var, copy.clone());
                    Some(copy)
                }),
                grad => Ok(grad.map(|grad| grad.tensor)),
            };
            places.push(name, place(tensor));
        }
        // A store holds gradients of constants and of what came in between, too; only if there is none of a variable are
        // they those of others.
        if places
            .iter()
            .all(|(_, place)| matches!(place, Place::Missing))
        {
            places.unmatched(store.get_ids().count());
        }
        Self {
            places,
            store: PhantomData,
        }
    }

    /// Lets candle's own operations do all the work, as on a device, also for tensors of the host.
    ///
    /// The figures are then those of the device path: sums may differ from the host's in the last
    /// bits. This is how the device path is tested without a device.
    ///
    /// ```
    /// use candle_core::{Device, Var};
    /// use steadygrad::Measurement;
    /// use steadygrad_candle::CandleGrads;
    ///
    /// let w = Var::new(&[3f32, 4.0], &Device::Cpu)?;
    /// let mut grads = (w.sqr()? * 0.5)?.sum_all()?.backward()?;
    /// let set = CandleGrads::new(&mut grads, &[w]).on_device();
    /// assert_eq!(Measurement::of(&set)?.total().l2(), 5.0);
    /// assert_eq!(set.transfers(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn on_device(mut self) -> Self {
        self.places = self.places.map(on_device);
        self
    }

    /// Scales all gradients by `min(1, max/‖g‖₂)` without waiting for the device; for loops that may not stop for a guard.
    ///
    /// By candle's own operations everywhere, as [`steadygrad::device::global_norm`] says: what is not finite stays as it
    /// is, and shows in the norm. `None` if there is no gradient with elements.
    ///
    /// ```
    /// use candle_core::{Device, Var};
    /// use steadygrad_candle::CandleGrads;
    ///
    /// let w = Var::new(&[3f32, 4.0], &Device::Cpu)?;
    /// let mut grads = (w.sqr()? * 0.5)?.sum_all()?.backward()?;
    /// let deferred = CandleGrads::new(&mut grads, &w).global_norm_deferred(1.0)?.unwrap();
    /// assert_eq!(grads.get(&w).unwrap().to_vec1::<f32>()?, [0.6, 0.8]);
    /// // Some steps later, to be logged:
    /// assert_eq!(deferred.norm.to_vec1::<f64>()?, [5.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`steadygrad::device::global_norm`].
    pub fn global_norm_deferred(self, max: f64) -> Result<Option<Deferred>> {
        let mut places = self.places.map(on_device);
        let deferred = device::global_norm(&mut places, max)?;
        Ok(deferred.map(|deferred| Deferred {
            norm: deferred.norm().clone(),
            factor: deferred.factor().clone(),
        }))
    }

    /// How often values were brought from a device to the host since the set was built.
    #[must_use]
    pub fn transfers(&self) -> usize {
        self.places.transfers()
    }
}

/// What [`CandleGrads::global_norm_deferred`] came to, one number each, still on the device.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Deferred {
    /// The norm before.
    pub norm: Tensor,
    /// What every element was multiplied by.
    pub factor: Tensor,
}

/// Variables with their gradients, before it is known which of them share memory.
#[derive(Default)]
struct Named {
    /// The names of all, end to end.
    names: String,
    /// Each with where its name ends.
    pairs: Vec<(usize, Pair)>,
}

impl Named {
    fn among(store: &GradStore, vars: &(impl Vars + ?Sized)) -> Self {
        let mut named = Self::default();
        vars.each(&mut |name, var| {
            let grad = store.get(var);
            // An integer has no gradient; if somebody gave it one, that is an error when it is read.
            if var.dtype().is_float() || grad.is_some() {
                named.push(name, Pair::new(var, grad));
            }
        });
        named
    }

    fn push(&mut self, name: &str, pair: Pair) {
        self.names.push_str(name);
        self.pairs.push((self.names.len(), pair));
    }
}

impl TensorSet for CandleGrads<'_> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.places.visit(f)
    }

    fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
        self.places.measure(reading)
    }
}

impl TensorSetMut for CandleGrads<'_> {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        self.places.visit_mut(f)
    }

    fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
        self.places.carry_out(writing)
    }
}
