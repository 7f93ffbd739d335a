//! Memory as a tensor: slices, as such and lent as what they hold.

use core::slice::{from_mut, from_ref};

use super::{Ask, Tensor, TensorMut, edit_and_tell, range};
use crate::edit::Edit;
use crate::kernel::{self, At};
use crate::needs::Look;
use crate::number::Number;
use crate::slice::{SliceMut, SliceRef, each_slice};
use crate::tell::Tell;
use crate::units::units;
use crate::{Result, Stats};

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
    #[inline]
    fn edit(&mut self, edit: &Edit<'_>, tell: Tell<'_>) -> Result<()> {
        if edit.scales_units() {
            let dims = [<[E]>::len(self)];
            edit.check_units(|axis| units(&dims, axis))?;
            return edit_and_tell::<E, _>(self, edit, tell, |xs| {
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
#[inline]
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
