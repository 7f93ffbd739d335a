//! What passes everything on to another tensor: lists, references, boxes and what may be missing.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Ask, Tensor, TensorMut, edit_and_tell, range};
use crate::edit::Edit;
use crate::kernel;
use crate::number::Number;
use crate::slice::{SliceMut, SliceRef};
use crate::tell::Tell;
use crate::{Result, Stats};

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
            // As of a slice without elements: what nobody asked for is not known here either.
            None => Ok(kernel::stats_of_slice::<f64>(&[], ask.look())),
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
            None => edit_and_tell::<f64, _>(self, edit, tell, |_| Ok(())),
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
