//! ndarray arrays and views as tensors: every dimension, every memory order, nothing copied.
//!
//! Contiguous memory, in whatever order of axes and even reversed, is read and written as one slice in
//! memory order. Anything else is walked in row-major order by its longest contiguous runs.

use ndarray::{ArrayBase, ArrayViewD, ArrayViewMutD, Axis, Data, DataMut, Dimension, Slice};

use crate::edit::Edit;
use crate::kernel::{self, At};
use crate::needs::Look;
use crate::number::Number;
use crate::set::{TensorSet, TensorSetMut, Visitor, VisitorMut};
use crate::slice::{SliceMut, SliceRef};
use crate::tell::Tell;
use crate::tensor::{Ask, Tensor, TensorMut, TensorRef, edit_and_tell, edit_slice, range};
use crate::units::units;
use crate::{Result, Stats};

/// Elements gathered together from a line that is not contiguous.
const GATHER: usize = 256;

/// Whether `edit` treats the indices along `axis` differently and `at` does not fix one of them.
fn splits(edit: &Edit<'_>, axis: usize, at: Option<&At<'_>>) -> bool {
    edit.unit_axes().any(|a| a == axis) && !At::fixes(at, axis)
}

/// The part of an array that is being walked, and where it stands in the whole.
#[derive(Clone, Copy)]
struct Walk<'e> {
    edit: &'e Edit<'e>,
    at: Option<&'e At<'e>>,
    /// The number of axes of the whole array, the first `depth` of which are already gone.
    axes: usize,
    depth: usize,
}

impl<'e> Walk<'e> {
    fn new(edit: &'e Edit<'e>, axes: usize, at: Option<&'e At<'e>>) -> Self {
        Self {
            edit,
            at,
            axes,
            depth: 0,
        }
    }

    /// Whether all that is left is treated alike.
    fn is_uniform(&self) -> bool {
        (self.depth..self.axes).all(|axis| !splits(self.edit, axis, self.at))
    }

    /// Goes one axis down, to its `index`-th place.
    fn down<R>(&self, index: usize, go: impl FnOnce(Walk<'_>) -> R) -> R {
        let here = At::unit(self.depth, index, self.at);
        let at = if splits(self.edit, self.depth, self.at) {
            Some(&here)
        } else {
            self.at
        };
        go(Walk {
            at,
            depth: self.depth + 1,
            edit: self.edit,
            axes: self.axes,
        })
    }

    /// Hands the elements, as the edit would leave them, to `to` in row-major order.
    fn read<A: Number>(&self, view: &ArrayViewD<'_, A>, to: &mut dyn FnMut(&[A])) {
        if self.is_uniform() {
            if let Some(run) = view.as_slice() {
                return kernel::preview(run, self.edit, self.at, to);
            }
            if view.ndim() == 1 {
                let mut elements = view.iter();
                let mut line = [A::default(); GATHER];
                loop {
                    let count = line
                        .iter_mut()
                        .zip(elements.by_ref())
                        .map(|(to, &x)| *to = x)
                        .count();
                    if count == 0 {
                        return;
                    }
                    kernel::preview(&line[..count], self.edit, self.at, to);
                }
            }
        }
        if view.ndim() == 0 {
            return view
                .iter()
                .for_each(|x| kernel::preview(&[*x], self.edit, self.at, to));
        }
        for (index, part) in view.outer_iter().enumerate() {
            self.down(index, |walk| walk.read(&part, to));
        }
    }

    /// Carries out the edit.
    fn write<A: Number>(&self, mut view: ArrayViewMutD<'_, A>) {
        if self.is_uniform() {
            if let Some(run) = view.as_slice_memory_order_mut() {
                return kernel::apply(run, self.edit, self.at);
            }
            if view.ndim() == 1 {
                for mut part in view.axis_chunks_iter_mut(Axis(0), GATHER) {
                    let mut line = [A::default(); GATHER];
                    let line = &mut line[..part.len()];
                    line.iter_mut()
                        .zip(part.iter())
                        .for_each(|(to, x)| *to = *x);
                    kernel::apply(line, self.edit, self.at);
                    part.iter_mut().zip(line).for_each(|(to, x)| *to = *x);
                }
                return;
            }
        }
        if view.ndim() == 0 {
            return view
                .iter_mut()
                .for_each(|x| kernel::apply(core::slice::from_mut(x), self.edit, self.at));
        }
        for (index, part) in view.outer_iter_mut().enumerate() {
            self.down(index, |walk| walk.write(part));
        }
    }
}

/// What one read says of `view`, which stands at `at` in an array of as many axes.
fn measure<A: Number>(
    view: &ArrayViewD<'_, A>,
    after: &Edit<'_>,
    look: Look,
    at: Option<&At<'_>>,
) -> Stats {
    let walk = Walk::new(after, view.ndim(), at);
    let Some(run) = view.as_slice_memory_order().filter(|_| walk.is_uniform()) else {
        return kernel::stats(&|to: &mut dyn FnMut(&[A])| walk.read(view, to), look);
    };
    let mut stats = if after.is_keep() {
        kernel::stats_of_slice(run, look)
    } else {
        kernel::stats(
            &|to: &mut dyn FnMut(&[A])| kernel::preview(run, after, at, to),
            look,
        )
    };
    if !stats.is_finite() && view.as_slice().is_none() {
        // Memory order found it; people count in row-major order.
        let mut index = 0;
        stats.first_non_finite = None;
        walk.read(view, &mut |xs| {
            for x in xs {
                if !x.exact().is_finite() {
                    stats.first_non_finite.get_or_insert(index);
                }
                index += 1;
            }
        });
    }
    stats
}

/// Copies elements from the `skip`-th on, in row-major order, and returns how many.
fn read<A: Number>(view: &ArrayViewD<'_, A>, skip: usize, out: &mut [f64]) -> usize {
    let copy = |xs: &mut dyn Iterator<Item = &A>, out: &mut [f64]| {
        out.iter_mut()
            .zip(xs)
            .map(|(to, x)| *to = x.exact())
            .count()
    };
    if let Some(run) = view.as_slice() {
        return copy(&mut run.iter().skip(skip), out);
    }
    if view.ndim() <= 1 {
        // Sliced, since an iterator would walk over all it skips, once for every block that is read.
        let rest = if skip == 0 {
            view.view()
        } else {
            view.slice_axis(Axis(0), Slice::from(skip..))
        };
        return copy(&mut rest.iter(), out);
    }
    let part_len = view.len() / view.len_of(Axis(0)).max(1);
    let (first, mut skip, mut done) = (skip / part_len, skip % part_len, 0);
    for index in first..view.len_of(Axis(0)) {
        if done == out.len() {
            break;
        }
        done += read(&view.index_axis(Axis(0), index), skip, &mut out[done..]);
        skip = 0;
    }
    done
}

/// Changes elements from the `skip`-th on, in row-major order, each with a value, and returns how many.
fn change<A: Number>(
    mut view: ArrayViewMutD<'_, A>,
    skip: usize,
    values: &[f64],
    f: &impl Fn(&mut A, f64),
) -> usize {
    let each = |xs: &mut dyn Iterator<Item = &mut A>| {
        xs.zip(values).map(|(x, value)| f(x, *value)).count()
    };
    if let Some(run) = view.as_slice_mut() {
        return each(&mut run.iter_mut().skip(skip));
    }
    if view.ndim() <= 1 {
        if skip > 0 {
            view.slice_axis_inplace(Axis(0), Slice::from(skip..));
        }
        return each(&mut view.iter_mut());
    }
    let part_len = view.len() / view.len_of(Axis(0)).max(1);
    let (first, mut skip, mut done) = (skip / part_len, skip % part_len, 0);
    for index in first..view.len_of(Axis(0)) {
        if done == values.len() {
            break;
        }
        let part = view.index_axis_mut(Axis(0), index);
        done += change(part, skip, &values[done..], f);
        skip = 0;
    }
    done
}

impl<A: Number, S: Data<Elem = A>, D: Dimension> Tensor for ArrayBase<S, D> {
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        let (shape, view) = (self.shape(), self.view().into_dyn());
        ask.after.check_units(|axis| units(shape, axis))?;
        let stats = measure(&view, &ask.after, ask.look(), None);
        let look = ask.look();
        if let Some((axis, each)) = &mut ask.units {
            let axis = *axis;
            units(shape, axis)?;
            let parts = view.axis_chunks_iter(Axis(axis), 1).enumerate();
            each.extend(
                parts.map(|(i, part)| {
                    measure(&part, &ask.after, look, Some(&At::unit(axis, i, None)))
                }),
            );
        }
        Ok(stats)
    }

    fn len(&self) -> usize {
        ArrayBase::len(self)
    }

    fn dims(&self) -> Option<&[usize]> {
        Some(self.shape())
    }

    fn as_slice_ref(&self) -> Option<SliceRef<'_>> {
        self.as_slice().map(A::slice_ref)
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        let range = range(start, out.len(), Tensor::len(self))?;
        if !range.is_empty() {
            read(&self.view().into_dyn(), start, out);
        }
        Ok(())
    }
}

impl<A: Number, S: DataMut<Elem = A>, D: Dimension> TensorMut for ArrayBase<S, D> {
    fn edit(&mut self, edit: &Edit<'_>, tell: Tell<'_>) -> Result<()> {
        let shape = self.shape();
        edit.check_units(|axis| units(shape, axis))?;
        if !edit.scales_units() {
            // Only in row-major order is the index of what is not finite the right one.
            let run = if tell.after.is_none() {
                self.as_slice_memory_order_mut()
            } else {
                self.as_slice_mut()
            };
            if let Some(run) = run {
                edit_slice(run, edit, tell);
                return Ok(());
            }
        }
        edit_and_tell::<A, _>(self, edit, tell, |array| {
            Walk::new(edit, array.ndim(), None).write(array.view_mut().into_dyn());
            Ok(())
        })
    }

    fn write(&mut self, start: usize, values: &[f64]) -> Result<()> {
        let range = range(start, values.len(), Tensor::len(self))?;
        if !range.is_empty() {
            let put = |x: &mut A, value: f64| *x = A::near(value);
            change(self.view_mut().into_dyn(), start, values, &put);
        }
        Ok(())
    }

    fn as_slice_mut_ref(&mut self) -> Option<SliceMut<'_>> {
        self.as_slice_mut().map(A::slice_mut)
    }

    fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
        let range = range(start, values.len(), Tensor::len(self))?;
        if !range.is_empty() {
            let add = |x: &mut A, value: f64| *x = A::near(x.exact() + value);
            change(self.view_mut().into_dyn(), start, values, &add);
        }
        Ok(())
    }
}

impl<A: Number, S: Data<Elem = A>, D: Dimension> TensorSet for ArrayBase<S, D> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        f("", TensorRef::Other(self))
    }
}

impl<A: Number, S: DataMut<Elem = A>, D: Dimension> TensorSetMut for ArrayBase<S, D> {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        f("", self)
    }

    fn lent(&mut self) -> Option<SliceMut<'_>> {
        self.as_slice_memory_order_mut().map(A::slice_mut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::{Edits, Factor, Measurement, Op};
    use alloc::vec;
    use alloc::vec::Vec;
    use ndarray::{Array, Array2, Array3, Array4, IxDyn, Slice, arr0};

    fn counting(shape: (usize, usize)) -> Array2<f64> {
        Array::from_iter((0..shape.0 * shape.1).map(|x| x as f64))
            .into_shape_with_order(shape)
            .unwrap()
    }

    /// Every second column, backwards, of a transposed array: no memory order fits.
    fn strided(array: &mut Array2<f64>) -> ndarray::ArrayViewMut2<'_, f64> {
        let mut view = array.view_mut().reversed_axes();
        view.slice_axis_inplace(Axis(1), Slice::new(0, None, -2));
        view
    }

    #[test]
    fn a_view_is_what_its_copy_is() {
        let mut array = counting((40, 33));
        array[[7, 5]] = f64::NAN;
        let view = strided(&mut array);
        let copy: Vec<f64> = view.iter().copied().collect();
        let (seen, expected) = (
            Measurement::of(&view).unwrap(),
            Measurement::of(&copy).unwrap(),
        );
        assert_eq!(seen.total(), expected.total());
        assert_eq!(
            seen.tensor(0).first_non_finite(),
            expected.tensor(0).first_non_finite()
        );
        let mut out = vec![0.0; 100];
        for start in [0, 1, 19, 20, 333, copy.len() - 100] {
            view.read(start, &mut out).unwrap();
            let expected = &copy[start..start + 100];
            assert!(
                out.iter()
                    .zip(expected)
                    .all(|(a, b)| a.to_bits() == b.to_bits()),
                "from {start}"
            );
        }
        assert!(view.read(copy.len() - 99, &mut out).is_err());
    }

    #[test]
    fn the_first_non_finite_is_the_row_major_one() {
        // In memory order of a column-major array [1, 0] comes before [0, 1].
        let mut array = Array2::<f32>::zeros((2, 2)).reversed_axes();
        array[[0, 1]] = f32::NAN;
        array[[1, 0]] = f32::INFINITY;
        assert!(array.as_slice().is_none() && array.as_slice_memory_order().is_some());
        let stats = array.stats(&mut Ask::default()).unwrap();
        assert_eq!(
            (stats.first_non_finite(), stats.nan(), stats.inf()),
            (Some(1), 1, 1)
        );
    }

    #[test]
    fn edits_reach_every_element_of_a_view_and_no_other() {
        let mut array = counting((9, 8));
        let mut expected = array.clone();
        strided(&mut expected).mapv_inplace(|x| (x * 0.5).min(20.0));
        let mut edits = Edits::for_count(1);
        edits.scale_all(Factor::new(0.5).unwrap());
        edits.clamp(0, -20.0, 20.0);
        strided(&mut array)
            .edit(&edits.get(0), Tell::nothing())
            .unwrap();
        assert_eq!(array, expected);
        strided(&mut array).add(3, &[1.0, 2.0]).unwrap();
        for (x, value) in strided(&mut expected).iter_mut().skip(3).zip([1.0, 2.0]) {
            *x += value;
        }
        assert_eq!(array, expected);
    }

    #[test]
    fn units_are_the_indices_of_an_axis() {
        let array = Array3::from_shape_fn((2, 3, 4), |(i, j, k)| (i * 100 + j * 10 + k) as f32);
        for axis in 0..3 {
            let mut each = vec![];
            array
                .stats(&mut Ask::default().units(axis, &mut each))
                .unwrap();
            let expected: Vec<Stats> = array
                .axis_iter(Axis(axis))
                .map(|part| part.stats(&mut Ask::default()).unwrap())
                .collect();
            assert_eq!(each, expected, "axis {axis}");

            let factors: Vec<f64> = (0..each.len()).map(|i| 1.0 + i as f64).collect();
            let exactly: Vec<Factor> = factors.iter().map(|&x| Factor::new(x).unwrap()).collect();
            let mut edits = Edits::for_count(1);
            edits.scale_units(0, axis, &exactly);
            edits.clamp(0, -150.0, 150.0);
            let mut edited = array.clone();
            edited.edit(&edits.get(0), Tell::nothing()).unwrap();
            let mut by_hand = array.clone();
            for (mut part, factor) in by_hand.axis_iter_mut(Axis(axis)).zip(&factors) {
                part.mapv_inplace(|x| (x * *factor as f32).min(150.0));
            }
            assert_eq!(edited, by_hand, "axis {axis}");

            // As if edited, whole and unit by unit.
            let mut each = vec![];
            let mut ask = Ask::default().after(edits.get(0)).units(axis, &mut each);
            assert_eq!(
                array.stats(&mut ask).unwrap(),
                edited.stats(&mut Ask::default()).unwrap()
            );
            let mut after = vec![];
            edited
                .stats(&mut Ask::default().units(axis, &mut after))
                .unwrap();
            assert_eq!(each, after);
        }
        let mut each = vec![];
        let mut ask = Ask::default().units(3, &mut each);
        assert_eq!(array.stats(&mut ask), Err(Error::Axis { axes: 3, axis: 3 }));
        let mut edits = Edits::for_count(1);
        edits.scale_units(0, 1, &[Factor::ONE]);
        assert!(matches!(
            edits.get(0).ops().next(),
            Some(Op::ScaleUnits {
                axis: 1,
                factors: [Factor::ONE]
            })
        ));
        assert!(matches!(
            array.clone().edit(&edits.get(0), Tell::nothing()),
            Err(Error::Count {
                expected: 3,
                found: 1,
                ..
            })
        ));
    }

    #[test]
    fn all_dimensions_and_none() {
        assert_eq!(arr0(3.0_f64).stats(&mut Ask::default()).unwrap().l2(), 3.0);
        let four = Array4::<f32>::ones((2, 2, 2, 2));
        assert_eq!(four.stats(&mut Ask::default()).unwrap().l1(), 16.0);
        let many = Array::<f64, _>::ones(IxDyn(&[2, 1, 3, 1, 2, 2]));
        assert_eq!(many.stats(&mut Ask::default()).unwrap().l1(), 24.0);
        let empty = Array2::<f32>::zeros((0, 5));
        assert_eq!(empty.stats(&mut Ask::default()).unwrap().len(), 0);
        assert!(empty.read(0, &mut []).is_ok());
        assert!(empty.read(0, &mut [0.0]).is_err());
    }
}
