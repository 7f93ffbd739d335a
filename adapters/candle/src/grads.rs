//! The gradients of a `GradStore`.

use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;

use candle_core::Tensor;
use candle_core::backprop::GradStore;
use candle_core::layout::LayoutRelation;
use steadygrad::{Edits, Error, Measurement, Result, TensorSet, TensorSetMut, Visitor, VisitorMut};

use crate::Vars;
use crate::slot::{Slot, Slots};

/// The gradients of some variables, as a set that steadygrad measures and edits.
///
/// Goes between `backward()` and `opt.step(&grads)`. A variable without a gradient keeps its place
/// with no elements; one that is listed under two names is counted and scaled once, under the first.
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
/// Gradients on a GPU stay there: [`Measurement::of`] and every guarded step make one transfer of a
/// few numbers for all tensors together (a second one if something is not finite, to count it and to
/// find the first), and edits make none. Sums are taken in `f64` where the device has it, else in
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
        let mut seen = HashSet::new();
        let mut places = Places::default();
        vars.each(&mut |_name, var| places.add(var));
        let mut slots = Slots::default();
        vars.each(&mut |name, var| {
            if !seen.insert(var.id()) {
                return;
            }
            let tensor = match store.get(var) {
                Some(grad) if places.take(grad) => Ok(Some(grad.detach())),
                Some(grad) => grad.detach().force_contiguous().map(|copy| {
                    store.insert(var, copy.clone());
                    Some(copy)
                }),
                None => Ok(None),
            };
            slots
                .list
                .push(Slot::new(name, tensor.map_err(crate::storage)));
        });
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

impl TensorSet for CandleGrads<'_> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.slots.visit(f)
    }

    fn measure(&self, after: &Edits, into: &mut Measurement) -> Result<()> {
        self.slots.measure(after, into)
    }
}

impl TensorSetMut for CandleGrads<'_> {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        let mut slots = self.slots.list.iter_mut();
        slots.try_for_each(|slot| {
            let name = std::mem::take(&mut slot.name);
            let result = f(&name, slot);
            slot.name = name;
            result
        })
    }

    fn apply_and_measure(
        &mut self,
        edits: &Edits,
        before: &Measurement,
        into: &mut Measurement,
    ) -> Result<()> {
        if !self.slots.is_on_host() {
            self.apply(edits)?;
            return self.slots.measure(&Edits::default(), into);
        }
        let (mut index, expected) = (0, edits.len());
        self.visit_mut(&mut |name, tensor| {
            let edit = edits.get(index);
            let stats = if edit.is_keep() {
                *before.tensor(index)
            } else if name == before.name(index) {
                tensor.edit_and_measure(&edit, into.needs().p)?
            } else {
                return Err(Error::Name {
                    index,
                    expected: before.name(index).to_owned(),
                    found: name.to_owned(),
                });
            };
            into.push(name, stats);
            index += 1;
            Ok(())
        })?;
        if index == expected {
            Ok(())
        } else {
            Err(Error::Count {
                what: "tensors of the set",
                expected,
                found: index,
            })
        }
    }
}

/// The tensors that are taken, by their storage.
#[derive(Default)]
struct Places(HashMap<usize, Vec<Tensor>>);

impl Places {
    /// Where the storage itself lies tells it from every other that is alive, on any device.
    fn key(tensor: &Tensor) -> usize {
        let (storage, _) = tensor.storage_and_layout();
        std::ptr::from_ref(&*storage).addr()
    }

    fn add(&mut self, tensor: &Tensor) {
        self.0
            .entry(Self::key(tensor))
            .or_default()
            .push(tensor.clone());
    }

    /// Takes the place of `tensor` if it is contiguous and free.
    fn take(&mut self, tensor: &Tensor) -> bool {
        let taken = self.0.entry(Self::key(tensor)).or_default();
        let is_apart = |other: &Tensor| {
            matches!(
                other.layout().relation(tensor.layout()),
                LayoutRelation::Disjoint
            )
        };
        let is_free = tensor.is_contiguous() && taken.iter().all(is_apart);
        if is_free {
            taken.push(tensor.clone());
        }
        is_free
    }
}
