//! The two things a tensor does: it tells its [`Stats`] in one read and carries out an [`Edit`] in one
//! write.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::edit::{Clamp, Edit};
use crate::needs::{Look, Needs};
use crate::number::Number;
use crate::slice::{SliceMut, SliceRef, each_slice};
use crate::stats::{Power, SQUARES};
use crate::units::one_unit;
use crate::{Error, Result, Stats, Total, kernel};

/// What to measure beside the usual.
///
/// # Examples
///
/// ```
/// use steadygrad::{Ask, Norm, Tensor};
///
/// let mut ask = Ask { p: Some(3.0), ..Ask::default() };
/// let stats = [3.0, 4.0, 5.0].stats(&mut ask)?;
/// assert!((stats.norm(Norm::P(3.0)).to_f64() - 6.0).abs() < 1e-14);   // 27 + 64 + 125 = 216
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Ask<'a> {
    /// Measure the values as this edit would leave them; nothing is written.
    pub after: Edit<'a>,
    /// Sum the powers `|x|^p` too, for [`Norm::P`](crate::Norm::P). Squares are always summed, so `Some(2.0)`
    /// asks for less than the usual: Σ|x| is left out, which in cache saves a third of the time.
    pub p: Option<f64>,
    /// Find the smallest and the largest element too, not only the largest magnitude.
    pub range: bool,
    /// Append the [`Stats`] of each unit along an axis. A tensor of at most one axis is one unit.
    pub units: Option<(usize, &'a mut Vec<Stats>)>,
}

impl Ask<'_> {
    #[inline]
    pub(crate) fn look(&self) -> Look {
        Look::of(self.p, self.range)
    }

    /// The `p` whose powers must be summed: none for 2, whose powers always are.
    ///
    /// ```
    /// use steadygrad::Ask;
    /// assert_eq!(Ask { p: Some(3.0), ..Ask::default() }.power(), Some(3.0));
    /// assert_eq!(Ask { p: Some(2.0), ..Ask::default() }.power(), None);
    /// ```
    #[must_use]
    pub fn power(&self) -> Option<f64> {
        self.p.filter(|&p| p != SQUARES)
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
    /// assert_eq!(w.stats(&mut Ask { after: edits.get(0), ..Ask::default() })?.l2(), 10.0);   // if it were so
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
/// use steadygrad::{Edits, Factor, TensorMut};
///
/// let mut edits = Edits::for_count(1);
/// edits.scale_all(Factor::new(0.5)?);
/// let mut w = [2.0_f32, 4.0];
/// w.edit(&edits.get(0))?;
/// assert_eq!(w, [1.0, 2.0]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub trait TensorMut: Tensor {
    /// Carries out `edit`.
    ///
    /// ```
    /// use steadygrad::{Edits, TensorMut};
    /// let mut edits = Edits::for_count(1);
    /// edits.clamp(0, -1.0, 1.0);
    /// let mut w = [0.5_f32, -7.0, f32::NAN];
    /// w.edit(&edits.get(0))?;
    /// assert_eq!(w[..2], [0.5, -1.0]);
    /// assert!(w[2].is_nan());   // by comparison, so NaN stays
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Axis`] or [`Error::Count`] if the edit scales units that the tensor does not have, and
    /// whatever the storage behind the tensor gives.
    fn edit(&mut self, edit: &Edit<'_>) -> Result<()>;

    /// Carries out `edit` and says what it leaves, in one pass if the tensor can; with `p`, also Σ|x|^p.
    ///
    /// ```
    /// use steadygrad::{Edits, Norm, TensorMut};
    /// let mut edits = Edits::for_count(1);
    /// edits.clamp(0, -2.0, 2.0);
    /// let mut w = [2.0_f32, -9.0];
    /// let left = w.edit_and_measure(&edits.get(0), Some(3.0))?;
    /// assert_eq!((w, left.l1()), ([2.0, -2.0], 4.0));
    /// assert!((left.norm(Norm::P(3.0)).to_f64() - 16_f64.cbrt()).abs() < 1e-14);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`TensorMut::edit`] and [`Tensor::stats`].
    fn edit_and_measure(&mut self, edit: &Edit<'_>, p: Option<f64>) -> Result<Stats> {
        edit_then_look(self, edit, p)
    }

    /// Clamps the elements into `[min, max]` and adds to `totals` what they were and what they are, their
    /// squares and maximum at least, in one pass if the tensor can. A tensor without an element outside is
    /// not written.
    ///
    /// ```
    /// use steadygrad::{TensorMut, Total};
    /// let mut totals = [Total::default(), Total::default()];
    /// let mut grads = [3.0_f32, -4.0];
    /// grads.clamp_and_measure(-3.0, 3.0, &mut totals)?;
    /// assert_eq!(grads, [3.0, -3.0]);
    /// assert_eq!(totals.map(|total| total.stats().max_abs()), [4.0, 3.0]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`TensorMut::edit`] and [`Tensor::stats`].
    fn clamp_and_measure(&mut self, min: f64, max: f64, totals: &mut [Total; 2]) -> Result<()> {
        look_then_clamp(self, min, max, totals)
    }

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
    fn add(&mut self, start: usize, values: &[f64]) -> Result<()>;
}

/// [`TensorMut::edit_and_measure`] in two passes. A function of its own, since whoever overrides a method
/// cannot go back to its default: a call of it from there, also through `dyn`, is a call of the override.
pub(crate) fn edit_then_look<T>(tensor: &mut T, edit: &Edit<'_>, p: Option<f64>) -> Result<Stats>
where
    T: TensorMut + ?Sized,
{
    tensor.edit(edit)?;
    tensor.stats(&mut Ask {
        p,
        ..Ask::default()
    })
}

/// [`TensorMut::clamp_and_measure`] in as many passes as it takes.
pub(crate) fn look_then_clamp<T>(
    tensor: &mut T,
    min: f64,
    max: f64,
    totals: &mut [Total; 2],
) -> Result<()>
where
    T: TensorMut + ?Sized,
{
    let (clamp, p) = (Clamp::new(min, max), Needs::LEAST.p);
    let before = tensor.stats(&mut Ask {
        p,
        range: clamp.look().range,
        ..Ask::default()
    })?;
    let after = if before.lies_within(min, max) {
        before
    } else {
        tensor.edit_and_measure(&clamp.edit(), p)?
    };
    totals[0].add(&before);
    totals[1].add(&after);
    Ok(())
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
        ask.after.check_units(one_unit)?;
        let stats = if ask.after.is_keep() {
            kernel::stats_of_slice(self, ask.look())
        } else {
            kernel::stats(
                &|to: &mut dyn FnMut(&[E])| kernel::preview(self, &ask.after, None, to),
                ask.look(),
            )
        };
        if let Some((axis, units)) = &mut ask.units {
            one_unit(*axis)?;
            units.push(stats);
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
    fn edit(&mut self, edit: &Edit<'_>) -> Result<()> {
        edit.check_units(one_unit)?;
        kernel::apply(self, edit, None);
        Ok(())
    }

    fn edit_and_measure(&mut self, edit: &Edit<'_>, p: Option<f64>) -> Result<Stats> {
        edit.check_units(one_unit)?;
        Ok(kernel::edit_and_stats(self, edit, None, Look::of(p, false)))
    }

    fn clamp_and_measure(&mut self, min: f64, max: f64, totals: &mut [Total; 2]) -> Result<()> {
        kernel::clamp_and_stats(self, min, max, |stats| {
            totals
                .iter_mut()
                .zip(&stats)
                .for_each(|(total, stats)| total.add(stats));
        });
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
            fn edit(&mut self, edit: &Edit<'_>) -> Result<()> {
                let $self = self;
                $to.edit(edit)
            }

            fn edit_and_measure(&mut self, edit: &Edit<'_>, p: Option<f64>) -> Result<Stats> {
                let $self = self;
                $to.edit_and_measure(edit, p)
            }

            fn clamp_and_measure(
                &mut self,
                min: f64,
                max: f64,
                totals: &mut [Total; 2],
            ) -> Result<()> {
                let $self = self;
                $to.clamp_and_measure(min, max, totals)
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
                    .power()
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
    fn edit(&mut self, edit: &Edit<'_>) -> Result<()> {
        self.as_mut().map_or(Ok(()), |tensor| tensor.edit(edit))
    }

    fn edit_and_measure(&mut self, edit: &Edit<'_>, p: Option<f64>) -> Result<Stats> {
        match self {
            Some(tensor) => tensor.edit_and_measure(edit, p),
            None => self.stats(&mut Ask {
                p,
                ..Ask::default()
            }),
        }
    }

    fn clamp_and_measure(&mut self, min: f64, max: f64, totals: &mut [Total; 2]) -> Result<()> {
        self.as_mut()
            .map_or(Ok(()), |tensor| tensor.clamp_and_measure(min, max, totals))
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
