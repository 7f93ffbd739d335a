//! A copy of a set, bit for bit.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::Memory;
use crate::names::Names;
use crate::number::Number;
use crate::slice::{SliceMut, SliceRef, each_slice};
use crate::tensor::{Tensor, TensorMut, TensorRef};
use crate::{Error, Result, TensorSetMut};

/// Elements of a foreign tensor that travel together. A device is asked once for each lot.
const LOT: usize = 1 << 18;

/// A copy of a set of tensors, whatever they live in: what [`Keep::after`](super::Keep::after) keeps.
///
/// Each tensor is held in the narrowest of `f32` and `f64` that holds all its values exactly, so that what comes back
/// is what there was, bit for bit: zeros of both signs, subnormals and infinities of `f16`, `bf16`, `f32` and `f64`.
/// What is NaN is not taken. A tensor in host memory is copied, one on a device travels in lots of 2^18 elements. A
/// second copy of the same set uses the memory of the first.
///
/// # Examples
///
/// ```
/// use steadygrad::keep::{Memory, Tensors};
///
/// let mut params = [("w", vec![1.5_f32, -0.0]), ("b", vec![1e-45])];
/// let mut kept = Tensors::default();
/// kept.take(&params)?;
/// params = [("w", vec![f32::NAN, 7.0]), ("b", vec![f32::INFINITY])];
/// kept.give(&mut params)?;
/// assert_eq!(params, [("w", vec![1.5, -0.0]), ("b", vec![1e-45])]);
///
/// let error = kept.give(&mut [("w", vec![0.0_f32; 3]), ("b", vec![0.0])]).unwrap_err();
/// assert_eq!(error.to_string(), "state: expected w to have 2 elements, found 3");
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Tensors {
    names: Names,
    held: Vec<Held>,
    /// Of those that lend no slice.
    lot: Lot,
}

/// Numbers on their way, which are nobody's.
#[derive(Clone, Default)]
struct Lot(Vec<f64>);

impl PartialEq for Lot {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// The values of one tensor, in one of two forms.
#[derive(Clone, Default, PartialEq)]
struct Held {
    is_wide: bool,
    narrow: Vec<f32>,
    wide: Vec<f64>,
}

impl Held {
    fn len(&self) -> usize {
        self.narrow.len() + self.wide.len()
    }

    /// Begins anew in this form.
    fn begin(&mut self, is_wide: bool) {
        if self.is_wide != is_wide {
            *self = Self::default();
            self.is_wide = is_wide;
        }
        self.narrow.clear();
        self.wide.clear();
    }

    /// Takes all elements of a slice.
    fn take_slice(&mut self, from: SliceRef<'_>) -> NotFinite {
        self.begin(matches!(from, SliceRef::F64(_)));
        match from {
            SliceRef::F32(xs) => self.narrow.extend_from_slice(xs),
            SliceRef::F64(xs) => self.wide.extend_from_slice(xs),
            #[cfg(feature = "half")]
            SliceRef::F16(xs) => self.narrow.extend(xs.iter().map(|x| x.to_f32())),
            #[cfg(feature = "half")]
            SliceRef::BF16(xs) => self.narrow.extend(xs.iter().map(|x| x.to_f32())),
        }
        each_slice!(from, SliceRef, xs => NotFinite::among(xs))
    }

    /// Takes all elements of a tensor that lends none. One that once needed an `f64` goes on in that form.
    fn take_tensor(&mut self, from: &TensorRef<'_>, lot: &mut Vec<f64>) -> Result<NotFinite> {
        let (len, mut found) = (from.len(), NotFinite::NONE);
        self.begin(self.is_wide);
        for start in (0..len).step_by(LOT) {
            lot.resize(LOT.min(len - start), 0.0);
            from.read(start, lot)?;
            found.add(start, NotFinite::among(lot));
            // What is NaN is no number that could be inexact, and is not kept.
            let is_exact = |x: &f64| f64::from(*x as f32) == *x || x.is_nan();
            if !self.is_wide && !lot.iter().all(is_exact) {
                self.wide.reserve_exact(len);
                self.wide.extend(self.narrow.iter().map(|x| f64::from(*x)));
                (self.narrow, self.is_wide) = (Vec::new(), true);
            }
            if self.is_wide {
                self.wide.reserve_exact(len - self.wide.len());
                self.wide.extend_from_slice(lot);
            } else {
                self.narrow.reserve_exact(len - self.narrow.len());
                self.narrow.extend(lot.iter().map(|x| *x as f32));
            }
        }
        Ok(found)
    }

    /// Puts all elements back into a tensor of as many.
    fn give(&self, to: &mut dyn TensorMut, lot: &mut Vec<f64>) -> Result<()> {
        if let Some(slice) = to.as_slice_mut_ref() {
            match (slice, self.is_wide) {
                (SliceMut::F32(ys), false) => ys.copy_from_slice(&self.narrow),
                (SliceMut::F64(ys), true) => ys.copy_from_slice(&self.wide),
                (ys, false) => each_slice!(ys, SliceMut, ys => narrow_to(&self.narrow, ys)),
                (ys, true) => each_slice!(ys, SliceMut, ys => narrow_to(&self.wide, ys)),
            }
            return Ok(());
        }
        for start in (0..self.len()).step_by(LOT) {
            let end = self.len().min(start + LOT);
            if self.is_wide {
                to.write(start, &self.wide[start..end])?;
            } else {
                lot.clear();
                lot.extend(self.narrow[start..end].iter().map(|x| f64::from(*x)));
                to.write(start, lot)?;
            }
        }
        Ok(())
    }
}

fn narrow_to<X: Number, Y: Number>(xs: &[X], ys: &mut [Y]) {
    for (x, y) in xs.iter().zip(ys) {
        *y = Y::near(x.exact());
    }
}

/// How much of a tensor is not finite.
#[derive(Clone, Copy)]
struct NotFinite {
    nan: u64,
    inf: u64,
    /// Where the first NaN stands.
    index: usize,
}

impl NotFinite {
    const NONE: Self = Self {
        nan: 0,
        inf: 0,
        index: 0,
    };

    fn among<E: Number>(xs: &[E]) -> Self {
        // Nearly always all are, which one pass without branches tells.
        if xs.iter().fold(true, |all, x| all & x.exact().is_finite()) {
            return Self::NONE;
        }
        let count = |f: fn(f64) -> bool| xs.iter().filter(|x| f(x.exact())).count() as u64;
        Self {
            nan: count(f64::is_nan),
            inf: count(f64::is_infinite),
            index: xs.iter().position(|x| x.exact().is_nan()).unwrap_or(0),
        }
    }

    /// And what was found from the `start`-th element on.
    fn add(&mut self, start: usize, other: Self) {
        if self.nan == 0 && other.nan > 0 {
            self.index = start + other.index;
        }
        self.nan += other.nan;
        self.inf += other.inf;
    }
}

impl Tensors {
    /// How many tensors there are.
    ///
    /// ```
    /// use steadygrad::keep::{Memory, Tensors};
    /// let mut kept = Tensors::default();
    /// kept.take(&[("w", [1.0, 2.0]), ("b", [3.0, 4.0])])?;
    /// assert_eq!((kept.len(), kept.elements()), (2, 4));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// How many elements they have together.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.held.iter().map(Held::len).sum()
    }

    /// Whether this is tensor `index`: by name, number of elements and, where both tell it, shape.
    fn is(&self, index: usize, name: &str, tensor: &dyn Tensor) -> Result<()> {
        let Some(expected) = self.names.get(index) else {
            return Err(Error::Count {
                what: "tensors of what is kept",
                expected: self.len(),
                found: index + 1,
            });
        };
        if expected != name {
            return Err(Error::Name {
                index,
                expected: expected.into(),
                found: name.into(),
            });
        }
        let name = if name.is_empty() { "the tensor" } else { name };
        let differs = |expected: String, found: String| {
            Err(Error::State {
                expected: format!("{name} to have {expected}"),
                found,
            })
        };
        let (len, found) = (self.held[index].len(), tensor.len());
        if len != found {
            return differs(format!("{len} elements"), format!("{found}"));
        }
        match (self.names.dims(index), tensor.dims()) {
            (Some(expected), Some(found)) if expected != found => {
                differs(format!("shape {expected:?}"), format!("{found:?}"))
            }
            _ => Ok(()),
        }
    }
}

impl<S: TensorSetMut + ?Sized> Memory<S> for Tensors {
    /// # Errors
    ///
    /// [`Error::NonFinite`] if something is NaN, and what the tensors give; what is held then is nothing whole.
    fn take(&mut self, from: &S) -> Result<()> {
        let Self { names, held, lot } = self;
        let (mut index, mut spoilt) = (0, None);
        from.visit(&mut |name, tensor| {
            let dims = tensor.dims();
            if !names.is(index, name.as_bytes(), dims) {
                *names = names.first(index.min(names.len()));
                names.push(name, dims);
                held.truncate(index);
            }
            if held.len() == index {
                held.push(Held::default());
            }
            let held = &mut held[index];
            let found = match tensor.lent_slice() {
                Some(slice) => held.take_slice(slice),
                None => held.take_tensor(&tensor, &mut lot.0)?,
            };
            index += 1;
            if found.nan > 0 && spoilt.is_none() {
                spoilt = Some(Error::NonFinite {
                    what: name.into(),
                    nan: found.nan,
                    inf: found.inf,
                    index: found.index as u64,
                });
            }
            Ok(())
        })?;
        if index < names.len() {
            *names = names.first(index);
        }
        held.truncate(index);
        spoilt.map_or(Ok(()), Err)
    }

    fn fits(&self, set: &S) -> Result<()> {
        let mut index = 0;
        set.visit(&mut |name, tensor| {
            self.is(index, name, &tensor)?;
            index += 1;
            Ok(())
        })?;
        if index < self.len() {
            return Err(Error::Count {
                what: "tensors of what is kept",
                expected: self.len(),
                found: index,
            });
        }
        Ok(())
    }

    /// # Errors
    ///
    /// [`Error::Name`], [`Error::Count`] or [`Error::State`] if it is a set of other tensors; nothing is changed then.
    /// And what the tensors give: then those before the one that failed are what was kept, and those behind it are
    /// not.
    fn give(&mut self, to: &mut S) -> Result<()> {
        Memory::<S>::fits(self, to)?;
        let Self { held, lot, .. } = self;
        let mut next = held.iter();
        to.visit_mut(&mut |_, tensor| match next.next() {
            Some(held) if held.len() == tensor.len() => held.give(tensor, &mut lot.0),
            // A set that shows other tensors to be read than to be changed.
            _ => Err(Error::Storage(String::from(
                "expected the tensors that the set shows for reading",
            ))),
        })
    }
}

/// How much there is, not what.
impl fmt::Debug for Tensors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tensors")
            .field("tensors", &self.len())
            .field("elements", &self.elements())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::boxed::Box;
    use alloc::string::ToString;
    use alloc::vec;

    /// Lends nothing, as a tensor on a device does, and counts how often it is asked.
    #[derive(Debug)]
    struct Far {
        values: Vec<f64>,
        reads: core::cell::Cell<usize>,
        fails_from: usize,
    }

    impl Far {
        fn new(values: Vec<f64>) -> Self {
            Self {
                values,
                reads: core::cell::Cell::new(0),
                fails_from: usize::MAX,
            }
        }
    }

    impl Tensor for Far {
        fn stats(&self, ask: &mut crate::Ask<'_>) -> Result<crate::Stats> {
            self.values.stats(ask)
        }

        fn len(&self) -> usize {
            self.values.len()
        }

        fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
            self.reads.set(self.reads.get() + 1);
            self.values.read(start, out)
        }
    }

    impl TensorMut for Far {
        fn edit(&mut self, edit: &crate::Edit<'_>, tell: crate::Tell<'_>) -> Result<()> {
            self.values.edit(edit, tell)
        }

        fn write(&mut self, start: usize, values: &[f64]) -> Result<()> {
            if start >= self.fails_from {
                return Err(Error::Storage("the device is gone".into()));
            }
            self.values.write(start, values)
        }
    }

    #[test]
    fn what_lends_no_slice_travels_in_lots_and_widens_where_it_must() {
        let len = 2 * LOT + 3;
        let mut exact: Vec<f64> = (0..len).map(|i| f64::from(i as f32 * 0.1)).collect();
        (exact[0], exact[1]) = (-0.0, f64::from(f32::from_bits(1)));
        let mut far: [(&str, Box<dyn TensorMut>); 1] = [("w", Box::new(Far::new(exact.clone())))];
        let mut kept = Tensors::default();
        kept.take(&far).unwrap();
        assert!(!kept.held[0].is_wide);
        // The last lot alone needs the wider form.
        exact[len - 1] = 0.1;
        far[0].1.write(0, &exact).unwrap();
        kept.take(&far).unwrap();
        assert!(kept.held[0].is_wide && kept.held[0].narrow.is_empty());
        far[0].1.write(0, &vec![f64::NAN; len]).unwrap();
        kept.give(&mut far).unwrap();
        let mut back = vec![0.0; len];
        far[0].1.read(0, &mut back).unwrap();
        assert!(
            back.iter()
                .zip(&exact)
                .all(|(a, b)| a.to_bits() == b.to_bits())
        );
        let far = Far::new(exact);
        let set: &dyn Tensor = &far;
        let mut lot = vec![];
        Held::default()
            .take_tensor(&TensorRef::Other(set), &mut lot)
            .unwrap();
        assert_eq!(far.reads.get(), 3);
    }

    #[test]
    fn a_write_that_fails_half_way_is_an_error_and_says_nothing_else() {
        let mut first = vec![1.0_f64];
        let mut far = Far::new(vec![2.0; LOT + 1]);
        let mut kept = Tensors::default();
        {
            let set: [(&str, &mut dyn TensorMut); 2] = [("a", &mut first), ("b", &mut far)];
            kept.take(&set).unwrap();
        }
        first[0] = 9.0;
        far.values.fill(9.0);
        far.fails_from = LOT;
        let mut set: [(&str, &mut dyn TensorMut); 2] = [("a", &mut first), ("b", &mut far)];
        let error = kept.give(&mut set).unwrap_err();
        assert_eq!(error.to_string(), "tensor storage: the device is gone");
        assert_eq!((first[0], far.values[0], far.values[LOT]), (1.0, 2.0, 9.0));
        // Once it works again, the rest comes back too.
        far.fails_from = usize::MAX;
        let mut set: [(&str, &mut dyn TensorMut); 2] = [("a", &mut first), ("b", &mut far)];
        kept.give(&mut set).unwrap();
        assert_eq!(far.values[LOT], 2.0);
    }

    #[test]
    fn nan_is_named_and_infinities_are_kept() {
        let mut kept = Tensors::default();
        let error = kept
            .take(&[
                ("w", vec![1.0_f32; 3]),
                ("b", vec![f32::INFINITY, f32::NAN, f32::NAN]),
            ])
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "b: expected finite numbers, found 2 NaN and 1 infinite, the first at index 1"
        );
        let mut set = [("b", [f32::NEG_INFINITY, f32::MAX])];
        kept.take(&set).unwrap();
        set[0].1 = [0.0; 2];
        kept.give(&mut set).unwrap();
        assert_eq!(set[0].1, [f32::NEG_INFINITY, f32::MAX]);
        assert_eq!((kept.len(), kept.elements()), (1, 2));
    }
}
