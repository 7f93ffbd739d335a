//! The gradients of a `GradStore`.

use std::collections::HashSet;
use std::marker::PhantomData;
use std::ops::Range;

use candle_core::TensorId;
use candle_core::backprop::GradStore;
use steadygrad::{Reading, Result, TensorSet, TensorSetMut, Visitor, VisitorMut, Writing};

use crate::Vars;
use crate::shared::{Pair, Shared};
use crate::slot::Slot;
use crate::slots::Slots;

/// The gradients of some variables, as a set that steadygrad measures and edits.
///
/// Goes between `backward()` and `opt.step(&grads)`. A variable without a gradient keeps its place
/// with no elements, unless it is an integer; one that is listed under two names is counted and scaled once, under the first.
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
/// makes one, of counts. Sums are taken in `f64` where the device has it, else in
/// `f32` over rows of 8192 elements that the host adds up in `f64`; each row is scaled by its own
/// maximum, so nothing overflows. Such sums agree with the host's to 1e-13 (`f32`: 1e-6).
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
    slots: Slots,
    store: PhantomData<&'g mut GradStore>,
}

impl<'g> CandleGrads<'g> {
    /// The gradients that `store` holds for `vars`.
    ///
    /// What cannot be used (an integer tensor, a copy that the device refuses) gives its error when
    /// the set is measured or edited.
    #[must_use]
    pub fn new(store: &'g mut GradStore, vars: &(impl Vars + ?Sized)) -> Self {
        let (slots, pairs) = pairs(store, vars);
        Self::of(store, slots, pairs)
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
        let (mut slots, mut pairs) = pairs(store, vars);
        let named: HashSet<TensorId> = pairs.iter().map(|(_, pair)| pair.var).collect();
        let ids = store.get_ids().filter(|id| !named.contains(id));
        let mut others: Vec<TensorId> = ids.copied().collect();
        // An id shows its number, and candle counts upwards.
        others.sort_by_cached_key(|id| {
            let shown = format!("{id:?}");
            (shown.len(), shown)
        });
        for (index, id) in others.into_iter().enumerate() {
            if let Some(grad) = store.get_id(id) {
                let name = slots.name(&format!("unnamed.{index}"));
                pairs.push((name, Pair::of_unknown(id, grad)));
            }
        }
        Self::of(store, slots, pairs)
    }

    fn of(store: &'g mut GradStore, mut slots: Slots, pairs: Vec<Named>) -> Self {
        let mut shared = Shared::among(pairs.iter().map(|(_, pair)| pair));
        slots.reserve(pairs.len());
        for (name, pair) in pairs {
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
            slots.push(name, Slot::new(tensor));
        }
        Self {
            slots,
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
        self.slots.move_on_device();
        self
    }

    /// How often values were brought from a device to the host since the set was built.
    #[must_use]
    pub fn transfers(&self) -> usize {
        self.slots.transfers()
    }
}

/// Where the name stands among the names, and what it names.
type Named = (Range<usize>, Pair);

/// The variables with their gradients, before it is known which of them share memory.
fn pairs(store: &GradStore, vars: &(impl Vars + ?Sized)) -> (Slots, Vec<Named>) {
    let (mut slots, mut pairs) = (Slots::default(), vec![]);
    vars.each(&mut |name, var| {
        let grad = store.get(var);
        // An integer has no gradient; if somebody gave it one, that is an error when it is read.
        if var.dtype().is_float() || grad.is_some() {
            pairs.push((slots.name(name), Pair::new(var, grad)));
        }
    });
    (slots, pairs)
}

impl TensorSet for CandleGrads<'_> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.slots.visit(f)
    }

    fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
        self.slots.measure(reading)
    }
}

impl TensorSetMut for CandleGrads<'_> {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        self.slots.visit_mut(f)
    }

    fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
        self.slots.carry_out(writing)
    }
}
