//! The two things a tensor does: it tells its [`Stats`] in one read and carries out an [`Edit`] in one
//! write.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::slice::{from_mut, from_ref};

use crate::edit::Edit;
use crate::kernel::{self, At};
use crate::needs::Look;
use crate::number::Number;
use crate::slice::{SliceMut, SliceRef, each_slice};
use crate::stats::Power;
use crate::tell::{Clamped, Tell};
use crate::units::units;
use crate::{Error, Result, Stats};

/// What to measure of one tensor.
///
/// The default asks for the counts, the norms L1 and L2 and the largest magnitude.
///
/// # Examples
///
/// ```
/// use steadygrad::{Ask, Norm, Tensor};
///
/// let stats = [3.0, 4.0, 5.0].stats(&mut Ask::default().power(3.0))?;
/// assert_eq!(stats.l1(), 12.0);
/// assert!((stats.norm(Norm::P(3.0)).to_f64() - 6.0).abs() < 1e-14);   // 27 + 64 + 125 = 216
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Ask<'a> {
    /// Measure the values as this edit would leave them; nothing is written.
    pub after: Edit<'a>,
    /// Σ|x|.
    pub magnitudes: bool,
    /// Σ|x|^p for this p, for [`Norm::P`](crate::Norm::P).
    pub power: Option<f64>,
    /// The smallest and the largest element, not only the largest magnitude.
    pub range: bool,
    /// Append the [`Stats`] of each unit along an axis that the tensor has. A flat tensor has one, along which each
    /// element is a unit.
    pub units: Option<(usize, &'a mut Vec<Stats>)>,
}

impl Default for Ask<'_> {
    fn default() -> Self {
        Self {
            magnitudes: true,
            ..Self::least()
        }
    }
}

impl<'a> Ask<'a> {
    /// The counts, the L2 norm and the largest magnitude, which every read gives. In cache this takes a third less
    /// time than Σ|x| beside them.
    ///
    /// ```
    /// use steadygrad::{Ask, Tensor};
    /// let stats = [3.0, -4.0].stats(&mut Ask::least())?;
    /// assert_eq!((stats.l2(), stats.max_abs()), (5.0, 4.0));
    /// assert!(stats.l1().is_nan());   // nobody asked
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn least() -> Self {
        Self {
            after: Edit::KEEP,
            magnitudes: false,
            power: None,
            range: false,
            units: None,
        }
    }

    /// As this edit would leave the values.
    ///
    /// ```
    /// use steadygrad::{Ask, Edits, Factor, Tensor};
    /// let mut edits = Edits::for_count(1);
    /// edits.scale(0, Factor::new(2.0)?);
    /// assert_eq!(vec![3.0_f32, 4.0].stats(&mut Ask::default().after(edits.get(0)))?.l2(), 10.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn after(self, edit: Edit<'a>) -> Self {
        Self {
            after: edit,
            ..self
        }
    }

    /// And Σ|x|^p.
    #[must_use]
    pub fn power(self, p: f64) -> Self {
        Self {
            power: Some(p),
            ..self
        }
    }

    /// And the smallest and the largest element.
    ///
    /// ```
    /// use steadygrad::{Ask, Tensor};
    /// assert_eq!([3.0, -4.0].stats(&mut Ask::default().range())?.range(), (-4.0, 3.0));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn range(self) -> Self {
        Self {
            range: true,
            ..self
        }
    }

    /// And each unit along `axis`.
    ///
    /// ```
    /// # #[cfg(feature = "ndarray")] {
    /// use steadygrad::{Ask, Tensor};
    /// let mut rows = vec![];
    /// ndarray::array![[3.0, 4.0], [0.0, 2.0]].stats(&mut Ask::default().units(0, &mut rows))?;
    /// assert_eq!((rows[0].l2(), rows[1].l2()), (5.0, 2.0));
    /// # }
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn units(self, axis: usize, to: &'a mut Vec<Stats>) -> Self {
        Self {
            units: Some((axis, to)),
            ..self
        }
    }

    #[inline]
    pub(crate) fn look(&self) -> Look {
        Look {
            l1: self.magnitudes,
            power: self.power,
            range: self.range,
        }
    }
}

/// Something that can be measured: it owns or borrows numbers and tells its [`Stats`] in one read.
///
/// Slices, `Vec`, arrays, `Option` (a missing gradient has no elements) and ndarray arrays and views
/// are tensors. A tensor of your own needs [`Tensor::stats`], [`Tensor::len`] and [`Tensor::read`];
/// if it can lend a slice, they are a line each.
///
/// # Examples
///
/// ```
/// use steadygrad::{Ask, Result, Stats, Tensor};
///
/// #[derive(Debug)]
/// struct Shared(std::sync::Arc<Vec<f32>>);
///
/// impl Tensor for Shared {
///     fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> { self.0.stats(ask) }
///     fn len(&self) -> usize { self.0.len() }
///     fn read(&self, start: usize, out: &mut [f64]) -> Result<()> { self.0.read(start, out) }
/// }
///
/// let w = Shared(std::sync::Arc::new(vec![3.0, 4.0]));
/// assert_eq!(w.stats(&mut Ask::default())?.l2(), 5.0);
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub trait Tensor {
    /// Reads the elements once and says what they come to.
    ///
    /// ```
    /// use steadygrad::{Ask, Edits, Factor, Tensor};
    /// let mut edits = Edits::for_count(1);
    /// edits.scale(0, Factor::new(2.0)?);
    /// let w = vec![3.0_f32, 4.0];
    /// assert_eq!(w.stats(&mut Ask::default())?.l2(), 5.0);
    /// assert_eq!(w.stats(&mut Ask::default().after(edits.get(0)))?.l2(), 10.0);   // if it were so
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Axis`] if units are asked for along an axis that the tensor does not have,
    /// [`Error::Count`] if the edit in `ask.after` has not one factor for each unit, and whatever the
    /// storage behind the tensor gives.
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats>;

    /// The number of elements.
    ///
    /// ```
    /// use steadygrad::Tensor;
    /// assert_eq!(Some(vec![1.0_f32, 2.0]).len(), 2);
    /// assert_eq!(None::<Vec<f32>>.len(), 0);   // a missing gradient
    /// ```
    fn len(&self) -> usize;

    /// Whether there is no element.
    ///
    /// ```
    /// use steadygrad::Tensor;
    /// assert!(None::<Vec<f32>>.is_empty());
    /// assert!(!Some(vec![0.0_f32]).is_empty());
    /// ```
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The length of each axis; none of a flat tensor, which only knows its number of elements and fits any
    /// dims that come to it.
    ///
    /// ```
    /// use steadygrad::Tensor;
    /// assert_eq!(vec![1.0_f32, 2.0].dims(), None);
    /// # #[cfg(feature = "ndarray")]
    /// assert_eq!(Some(ndarray::Array2::<f32>::zeros((2, 3))).dims(), Some(&[2, 3][..]));
    /// ```
    fn dims(&self) -> Option<&[usize]> {
        None
    }

    /// The elements in row-major order, if they stand so in host memory.
    ///
    /// ```
    /// use steadygrad::{SliceRef, Tensor};
    /// let w: &dyn Tensor = &vec![1.0_f64, 2.0];
    /// assert_eq!(w.as_slice_ref(), Some(SliceRef::F64(&[1.0, 2.0])));
    /// assert_eq!(None::<Vec<f64>>.as_slice_ref(), None);
    /// ```
    fn as_slice_ref(&self) -> Option<SliceRef<'_>> {
        None
    }

    /// Copies elements to `out` in row-major order, from the `start`-th on.
    ///
    /// ```
    /// use steadygrad::Tensor;
    /// let w = vec![1.0_f32, 2.0, 3.0];
    /// let mut out = [0.0; 2];
    /// w.read(1, &mut out)?;
    /// assert_eq!(out, [2.0, 3.0]);
    /// assert_eq!(w.read(2, &mut out).unwrap_err().to_string(), "elements: expected 4, found 3");
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Count`] if there are fewer, and whatever the storage behind the tensor gives.
    fn read(&self, start: usize, out: &mut [f64]) -> Result<()>;
}

/// A tensor that can be edited in place, in one write.
///
/// # Examples
///
/// ```
/// use steadygrad::{Edits, Factor, Tell, TensorMut};
///
/// let mut edits = Edits::for_count(1);
/// edits.scale_all(Factor::new(0.5)?);
/// let mut w = [2.0_f32, 4.0];
/// w.edit(&edits.get(0), Tell::nothing())?;
/// assert_eq!(w, [1.0, 2.0]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub trait TensorMut: Tensor {
    /// Carries out `edit`, and tells of it what is asked for, in one pass if the tensor can. A clamp that changes
    /// nothing need not be written.
    ///
    /// ```
    /// use steadygrad::{Edits, Norm, Stats, Tell, TensorMut};
    /// let mut edits = Edits::for_count(1);
    /// edits.clamp(0, -1.0, 1.0);
    /// let (mut w, mut left) = ([0.5_f32, -7.0], Stats::EMPTY);
    /// w.edit(&edits.get(0), Tell::after(&mut left))?;
    /// assert_eq!((w, left.l2()), ([0.5, -1.0], 1.25_f64.sqrt()));
    /// let mut w = [f32::NAN];
    /// w.edit(&edits.get(0), Tell::nothing())?;
    /// assert!(w[0].is_nan());   // by comparison, so NaN stays
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Axis`] or [`Error::Count`] if the edit scales units that the tensor does not have, and
    /// whatever the storage behind the tensor gives.
    fn edit(&mut self, edit: &Edit<'_>, tell: Tell<'_>) -> Result<()>;

    /// Puts `values` in place of the elements in row-major order, from the `start`-th on, each rounded once. What
    /// [`Tensor::read`] gave comes back bit for bit.
    ///
    /// ```
    /// use steadygrad::TensorMut;
    /// let mut w = vec![1.0_f32, 2.0, 3.0];
    /// w.write(1, &[-0.0, 0.25])?;
    /// assert_eq!(w, [1.0, -0.0, 0.25]);
    /// assert!(w.write(2, &[0.5, 0.25]).is_err());   // one too many
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Count`] if there are fewer elements, and whatever the storage behind the tensor gives.
    fn write(&mut self, start: usize, values: &[f64]) -> Result<()>;

    /// The elements in row-major order, if they stand so in host memory.
    ///
    /// ```
    /// use steadygrad::{SliceMut, TensorMut};
    /// let mut w = [1.0_f32, 2.0];
    /// let Some(SliceMut::F32(xs)) = w.as_slice_mut_ref() else { unreachable!() };
    /// xs.reverse();
    /// assert_eq!(w, [2.0, 1.0]);
    /// ```
    fn as_slice_mut_ref(&mut self) -> Option<SliceMut<'_>> {
        None
    }

    /// Adds `values` to the elements in row-major order, from the `start`-th on; in `f64`, rounded once.
    ///
    /// ```
    /// use steadygrad::TensorMut;
    /// let mut w = vec![1.0_f32, 2.0, 3.0];
    /// w.add(1, &[0.5, 0.25])?;
    /// assert_eq!(w, [1.0, 2.5, 3.25]);
    /// assert!(w.add(2, &[0.5, 0.25]).is_err());   // one too many
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Count`] if there are fewer elements, and whatever the storage behind the tensor gives.
    fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
        read_add_write(self, start, values)
    }
}

/// Elements worked on together where memory is not contiguous or types are foreign.
pub(crate) const BLOCK: usize = 1024;

/// [`TensorMut::add`] for any tensor. A function of its own, since whoever overrides a method cannot go back to its
/// default: a call of it from there, also through `dyn`, is a call of the override.
fn read_add_write<T>(tensor: &mut T, start: usize, values: &[f64]) -> Result<()>
where
    T: TensorMut + ?Sized,
{
    // Also when nothing is added.
    range(start, values.len(), tensor.len())?;
    let mut block = [0.0; BLOCK];
    for (i, values) in values.chunks(BLOCK).enumerate() {
        let (start, block) = (start + i * BLOCK, &mut block[..values.len()]);
        tensor.read(start, block)?;
        for (sum, value) in block.iter_mut().zip(values) {
            *sum += value;
        }
        tensor.write(start, block)?;
    }
    Ok(())
}

/// [`TensorMut::edit`] in as many passes as it takes: looks, edits by `edit` unless it changes nothing, looks.
pub(crate) fn edit_and_tell<T>(
    tensor: &mut T,
    edit: &Edit<'_>,
    tell: Tell<'_>,
    carry_out: impl FnOnce(&mut T) -> Result<()>,
) -> Result<()>
where
    T: TensorMut + ?Sized,
{
    let mut changes = !edit.is_keep();
    if let Some(counts) = tell.clamped {
        let found = count(tensor, edit)?;
        counts.add(found);
        changes = found.is_clipped();
    }
    if changes {
        carry_out(tensor)?;
    }
    if let Some(after) = tell.after {
        *after = tensor.stats(&mut Ask {
            magnitudes: tell.magnitudes,
            power: tell.power,
            ..Ask::least()
        })?;
    }
    Ok(())
}

/// What a clamp will do, block by block.
fn count<T: Tensor + ?Sized>(tensor: &T, edit: &Edit<'_>) -> Result<Clamped> {
    let mut counts = Clamped::default();
    let Some((min, max)) = edit.clamp() else {
        return Ok(counts);
    };
    let mut block = [0.0; BLOCK];
    for start in (0..tensor.len()).step_by(BLOCK) {
        let block = &mut block[..BLOCK.min(tensor.len() - start)];
        tensor.read(start, block)?;
        counts.add(kernel::count_outside(block, min, max));
    }
    Ok(counts)
}

/// The part of `xs` that starts at `start` and is `len` long.
pub(crate) fn range(start: usize, len: usize, available: usize) -> Result<core::ops::Range<usize>> {
    match start.checked_add(len) {
        Some(end) if end <= available => Ok(start..end),
        _ => Err(Error::Count {
            what: "elements",
            expected: start.saturating_add(len),
            found: available,
        }),
    }
}

impl<E: Number> Tensor for [E] {
    #[inline]
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        let dims = [<[E]>::len(self)];
        ask.after.check_units(|axis| units(&dims, axis))?;
        let look = ask.look();
        let stats = match ask.after {
            after if after.is_keep() => kernel::stats_of_slice(self, look),
            after if after.scales_units() => {
                let each = |to: &mut dyn FnMut(&[E])| {
                    for (i, x) in self.iter().enumerate() {
                        let at = At::unit(0, i, None);
                        kernel::preview(from_ref(x), &after, Some(&at), to);
                    }
                };
                kernel::stats(&each, look)
            }
            after => {
                let all = |to: &mut dyn FnMut(&[E])| kernel::preview(self, &after, None, to);
                kernel::stats(&all, look)
            }
        };
        if let Some((axis, each)) = &mut ask.units {
            units(&dims, *axis)?;
            each.extend(self.iter().enumerate().map(|(i, x)| {
                let at = At::unit(0, i, None);
                let one = |to: &mut dyn FnMut(&[E])| {
                    kernel::preview(from_ref(x), &ask.after, Some(&at), to);
                };
                kernel::stats(&one, look)
            }));
        }
        Ok(stats)
    }

    fn len(&self) -> usize {
        <[E]>::len(self)
    }

    fn as_slice_ref(&self) -> Option<SliceRef<'_>> {
        Some(E::slice_ref(self))
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        let xs = &self[range(start, out.len(), <[E]>::len(self))?];
        for (to, x) in out.iter_mut().zip(xs) {
            *to = x.exact();
        }
        Ok(())
    }
}

impl<E: Number> TensorMut for [E] {
    fn edit(&mut self, edit: &Edit<'_>, tell: Tell<'_>) -> Result<()> {
        let dims = [<[E]>::len(self)];
        edit.check_units(|axis| units(&dims, axis))?;
        if edit.scales_units() {
            return edit_and_tell(self, edit, tell, |xs| {
                for (i, x) in xs.iter_mut().enumerate() {
                    kernel::apply(from_mut(x), edit, Some(&At::unit(0, i, None)));
                }
                Ok(())
            });
        }
        edit_slice(self, edit, tell);
        Ok(())
    }

    fn write(&mut self, start: usize, values: &[f64]) -> Result<()> {
        let range = range(start, values.len(), <[E]>::len(self))?;
        for (x, value) in self[range].iter_mut().zip(values) {
            *x = E::near(*value);
        }
        Ok(())
    }

    fn as_slice_mut_ref(&mut self) -> Option<SliceMut<'_>> {
        Some(E::slice_mut(self))
    }

    fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
        let range = range(start, values.len(), <[E]>::len(self))?;
        for (x, value) in self[range].iter_mut().zip(values) {
            *x = E::near(x.exact() + value);
        }
        Ok(())
    }
}

/// An edit that treats all elements alike.
pub(crate) fn edit_slice<E: Number>(xs: &mut [E], edit: &Edit<'_>, tell: Tell<'_>) {
    let look = Look {
        l1: tell.magnitudes,
        power: tell.power,
        range: false,
    };
    match (edit.clamp(), tell.clamped, tell.after) {
        (Some((min, max)), Some(counts), after) => {
            counts.add(kernel::clamp_and_count(xs, min, max));
            if let Some(after) = after {
                *after = kernel::stats_of_slice(xs, look);
            }
        }
        (_, _, Some(after)) => *after = kernel::edit_and_stats(xs, edit, None, look),
        (_, _, None) => kernel::apply(xs, edit, None),
    }
}

/// Passes everything on to another tensor.
macro_rules! forward_tensor {
    ([$($g:tt)*] $t:ty, $self:ident => $to:expr) => {
        impl<$($g)*> Tensor for $t {
            #[inline]
            fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
                let $self = self;
                $to.stats(ask)
            }

            fn len(&self) -> usize {
                let $self = self;
                Tensor::len($to)
            }

            fn dims(&self) -> Option<&[usize]> {
                let $self = self;
                $to.dims()
            }

            fn as_slice_ref(&self) -> Option<SliceRef<'_>> {
                let $self = self;
                $to.as_slice_ref()
            }

            fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
                let $self = self;
                $to.read(start, out)
            }
        }
    };
}

macro_rules! forward_tensor_mut {
    ([$($g:tt)*] $t:ty, $self:ident => $to:expr) => {
        impl<$($g)*> TensorMut for $t {
            fn edit(&mut self, edit: &Edit<'_>, tell: Tell<'_>) -> Result<()> {
                let $self = self;
                $to.edit(edit, tell)
            }

            fn write(&mut self, start: usize, values: &[f64]) -> Result<()> {
                let $self = self;
                $to.write(start, values)
            }

            fn as_slice_mut_ref(&mut self) -> Option<SliceMut<'_>> {
                let $self = self;
                $to.as_slice_mut_ref()
            }

            fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
                let $self = self;
                $to.add(start, values)
            }
        }
    };
}

forward_tensor!([E: Number] Vec<E>, v => v.as_slice());
forward_tensor_mut!([E: Number] Vec<E>, v => v.as_mut_slice());
forward_tensor!([E: Number, const N: usize] [E; N], v => v.as_slice());
forward_tensor_mut!([E: Number, const N: usize] [E; N], v => v.as_mut_slice());
forward_tensor!([T: Tensor + ?Sized] &T, v => &**v);
forward_tensor!([T: Tensor + ?Sized] &mut T, v => &**v);
forward_tensor_mut!([T: TensorMut + ?Sized] &mut T, v => &mut **v);
forward_tensor!([T: Tensor + ?Sized] Box<T>, v => &**v);
forward_tensor_mut!([T: TensorMut + ?Sized] Box<T>, v => &mut **v);

/// A missing gradient: no elements, norm 0, nothing to edit.
impl<T: Tensor> Tensor for Option<T> {
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        match self {
            Some(tensor) => tensor.stats(ask),
            None => Ok(Stats {
                power: ask
                    .power
                    .map_or(Power::NONE, |p| Power::of(p, crate::Wide::ZERO)),
                ..Stats::EMPTY
            }),
        }
    }

    fn len(&self) -> usize {
        self.as_ref().map_or(0, Tensor::len)
    }

    fn dims(&self) -> Option<&[usize]> {
        self.as_ref().and_then(Tensor::dims)
    }

    fn as_slice_ref(&self) -> Option<SliceRef<'_>> {
        self.as_ref().and_then(Tensor::as_slice_ref)
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        match self {
            Some(tensor) => tensor.read(start, out),
            None => range(start, out.len(), 0).map(|_| ()),
        }
    }
}

impl<T: TensorMut> TensorMut for Option<T> {
    fn edit(&mut self, edit: &Edit<'_>, tell: Tell<'_>) -> Result<()> {
        match self {
            Some(tensor) => tensor.edit(edit, tell),
            None => edit_and_tell(self, edit, tell, |_| Ok(())),
        }
    }

    fn write(&mut self, start: usize, values: &[f64]) -> Result<()> {
        match self {
            Some(tensor) => tensor.write(start, values),
            None => range(start, values.len(), 0).map(|_| ()),
        }
    }

    fn as_slice_mut_ref(&mut self) -> Option<SliceMut<'_>> {
        self.as_mut().and_then(TensorMut::as_slice_mut_ref)
    }

    fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
        match self {
            Some(tensor) => tensor.add(start, values),
            None => range(start, values.len(), 0).map(|_| ()),
        }
    }
}

/// A slice is a tensor like any other.
impl Tensor for SliceRef<'_> {
    #[inline]
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        each_slice!(self, SliceRef, xs => xs.stats(ask))
    }

    fn len(&self) -> usize {
        each_slice!(self, SliceRef, xs => xs.len())
    }

    fn as_slice_ref(&self) -> Option<SliceRef<'_>> {
        Some(*self)
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        each_slice!(self, SliceRef, xs => xs.read(start, out))
    }
}

/// A tensor on loan from a [`TensorSet`]: a slice, or anything else that is a [`Tensor`].
///
/// # Examples
///
/// ```
/// use steadygrad::{Tensor, TensorRef, TensorSet};
///
/// let grads = vec![vec![1.0_f32, 2.0], vec![3.0]];
/// let mut all: Vec<TensorRef<'_>> = vec![];
/// grads.visit(&mut |_name, tensor| Ok(all.push(tensor)))?;
/// assert_eq!(all[1].len(), 1);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy)]
pub enum TensorRef<'a> {
    /// A slice, which has no size of its own and so cannot stand behind `dyn`.
    Slice(SliceRef<'a>),
    /// Anything else.
    Other(&'a dyn Tensor),
}

impl core::fmt::Debug for TensorRef<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TensorRef")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl<'a> TensorRef<'a> {
    /// The elements, for as long as the tensor is on loan.
    #[inline]
    pub(crate) fn lent_slice(self) -> Option<SliceRef<'a>> {
        match self {
            Self::Slice(slice) => Some(slice),
            Self::Other(tensor) => tensor.as_slice_ref(),
        }
    }

    fn inner(&self) -> &(dyn Tensor + 'a) {
        match self {
            Self::Slice(slice) => slice,
            Self::Other(tensor) => *tensor,
        }
    }
}

impl Tensor for TensorRef<'_> {
    #[inline]
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        match self {
            Self::Slice(slice) => slice.stats(ask),
            Self::Other(tensor) => tensor.stats(ask),
        }
    }

    fn len(&self) -> usize {
        self.inner().len()
    }

    fn dims(&self) -> Option<&[usize]> {
        match self {
            Self::Slice(_) => None,
            Self::Other(tensor) => tensor.dims(),
        }
    }

    fn as_slice_ref(&self) -> Option<SliceRef<'_>> {
        self.inner().as_slice_ref()
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        self.inner().read(start, out)
    }
}
