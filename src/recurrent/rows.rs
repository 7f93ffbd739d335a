//! The rows of a state, whatever tensors it is made of: each is `[batch, …]`, and a row belongs to one sequence.

use crate::slice::{SliceMut, SliceRef, each_slice};
use crate::tensor::{BLOCK, Tensor, TensorMut, TensorRef};
use crate::{Error, Result, TensorSet, TensorSetMut};

/// Tensors that are paired at a time: their places stand on the stack, so that nothing is asked of the heap.
const TOGETHER: usize = 16;

/// Calls `f` with each tensor of `y` and the one in its place in `x`, which has as many elements.
pub(super) fn each_pair<X, Y>(
    x: &X,
    y: &mut Y,
    f: &mut dyn FnMut(&TensorRef<'_>, &mut dyn TensorMut) -> Result<()>,
) -> Result<()>
where
    X: TensorSet + ?Sized,
    Y: TensorSetMut + ?Sized,
{
    let mut first = 0;
    loop {
        let mut partners: [Option<TensorRef<'_>>; TOGETHER] = [None; TOGETHER];
        let (mut in_x, mut in_y) = (0_usize, 0_usize);
        x.visit(&mut |_, tensor| {
            if let Some(place) = in_x.checked_sub(first)
                && let Some(partner) = partners.get_mut(place)
            {
                *partner = Some(tensor);
            }
            in_x += 1;
            Ok(())
        })?;
        y.visit_mut(&mut |_, tensor| {
            let place = in_y.checked_sub(first);
            let partner = place.and_then(|place| *partners.get(place)?);
            in_y += 1;
            partner.map_or(Ok(()), |partner| {
                if let (Some(expected), Some(found)) = (tensor.dims(), partner.dims())
                    && expected != found
                {
                    return Err(Error::Shape {
                        what: "tensor of the same set",
                        expected: expected.into(),
                        found: found.into(),
                    });
                }
                if partner.len() != tensor.len() {
                    return Err(Error::Count {
                        what: "elements of a tensor of the same set",
                        expected: tensor.len(),
                        found: partner.len(),
                    });
                }
                f(&partner, tensor)
            })
        })?;
        if in_x != in_y {
            return Err(Error::Count {
                what: "tensors of the same set",
                expected: in_y,
                found: in_x,
            });
        }
        first += TOGETHER;
        if first >= in_y {
            return Ok(());
        }
    }
}

/// `to ← from` in these rows of every tensor, bit for bit.
pub(super) fn copy_rows<S: TensorSetMut + ?Sized>(
    from: &S,
    to: &mut S,
    batch: usize,
    rows: &(impl Iterator<Item = usize> + Clone),
) -> Result<()> {
    each_pair(from, to, &mut |from, to| {
        let width = width(to, batch)?;
        for row in rows.clone() {
            copy(from, to, row * width, width)?;
        }
        Ok(())
    })
}

/// `to ← from`, bit for bit, if they are of the same shapes; nothing is asked of the heap.
pub(super) fn copy_all<S: TensorSetMut + ?Sized>(from: &S, to: &mut S) -> Result<()> {
    each_pair(from, to, &mut |from, to| {
        let len = to.len();
        copy(from, to, 0, len)
    })
}

/// `to ← to + from`, rounded once; nothing is asked of the heap.
pub(super) fn add_all<S: TensorSetMut + ?Sized>(from: &S, to: &mut S) -> Result<()> {
    each_pair(from, to, &mut |from, to| {
        match (from.as_slice_ref(), to.as_slice_mut_ref()) {
            (Some(SliceRef::F32(from)), Some(SliceMut::F32(to))) => add(from, to),
            (Some(SliceRef::F64(from)), Some(SliceMut::F64(to))) => add(from, to),
            _ => {
                let (len, mut block) = (to.len(), [0.0; BLOCK]);
                for start in (0..len).step_by(BLOCK) {
                    let block = &mut block[..BLOCK.min(len - start)];
                    from.read(start, block)?;
                    to.add(start, block)?;
                }
            }
        }
        Ok(())
    })
}

fn add<A: Copy + core::ops::AddAssign>(from: &[A], to: &mut [A]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += *from;
    }
}

/// Zeros in these rows of every tensor.
pub(super) fn zero_rows<S: TensorSetMut + ?Sized>(
    set: &mut S,
    batch: usize,
    rows: &(impl Iterator<Item = usize> + Clone),
) -> Result<()> {
    set.visit_mut(&mut |_, tensor| {
        let width = width(tensor, batch)?;
        for row in rows.clone() {
            let (start, end) = (row * width, (row + 1) * width);
            if let Some(slice) = tensor.as_slice_mut_ref() {
                each_slice!(slice, SliceMut, xs => xs[start..end].fill(zero()));
                continue;
            }
            for start in (start..end).step_by(BLOCK) {
                tensor.write(start, &[0.0; BLOCK][..BLOCK.min(end - start)])?;
            }
        }
        Ok(())
    })
}

fn zero<E: Default>() -> E {
    E::default()
}

/// How many elements belong to one sequence.
fn width(tensor: &(impl Tensor + ?Sized), batch: usize) -> Result<usize> {
    let rows = tensor.dims().map_or(tensor.len(), |dims| {
        dims.first().copied().unwrap_or_default()
    });
    let width = tensor.len().checked_div(batch).unwrap_or_default();
    if tensor.len() == width * batch && (rows == batch || tensor.dims().is_none()) {
        Ok(width)
    } else {
        Err(Error::Count {
            what: "rows of a part of the state, one for each sequence",
            expected: batch,
            found: rows,
        })
    }
}

fn copy(from: &TensorRef<'_>, to: &mut dyn TensorMut, start: usize, len: usize) -> Result<()> {
    let end = start + len;
    match (from.as_slice_ref(), to.as_slice_mut_ref()) {
        (Some(SliceRef::F32(from)), Some(SliceMut::F32(to))) => {
            to[start..end].copy_from_slice(&from[start..end]);
        }
        (Some(SliceRef::F64(from)), Some(SliceMut::F64(to))) => {
            to[start..end].copy_from_slice(&from[start..end]);
        }
        _ => {
            let mut block = [0.0; BLOCK];
            for start in (start..end).step_by(BLOCK) {
                let block = &mut block[..BLOCK.min(end - start)];
                from.read(start, block)?;
                to.write(start, block)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Element;
    use alloc::vec::Vec;
    use ndarray::{Array1, Array2, Array3, array};

    #[test]
    fn rows_are_those_of_every_tensor_in_any_layout() {
        let ones = |_| Array2::<f64>::ones((2, 3)).reversed_axes();
        let mut state: Vec<Array2<f64>> = (0..40).map(ones).collect();
        let from = (0..40).map(|k| Array2::from_elem((3, 2), f64::from(k)));
        copy_rows(
            &from.collect::<Vec<_>>(),
            &mut state,
            3,
            &[0, 2].into_iter(),
        )
        .unwrap();
        assert_eq!(state[33], array![[33.0, 33.0], [1.0, 1.0], [33.0, 33.0]]);
        zero_rows(&mut state, 3, &[1].into_iter()).unwrap();
        assert_eq!(state[33], array![[33.0, 33.0], [0.0, 0.0], [33.0, 33.0]]);
        assert_eq!(state[0].sum(), 0.0);
    }

    #[test]
    fn a_part_without_a_row_for_each_sequence_is_refused() {
        let error = zero_rows(&mut Array3::<f32>::zeros((4, 3, 1)), 3, &[0].into_iter());
        assert_eq!(
            error.unwrap_err().to_string(),
            "rows of a part of the state, one for each sequence: expected 3, found 4"
        );
        assert_eq!(zero_rows(&mut Array1::<f32>::zeros(3), 3, &(0..3)), Ok(()));
    }

    fn sums<A: Element>() {
        let number = |x: f64| A::narrow(x);
        let from = Array2::from_elem((2, 3), number(0.1));
        let mut to = Array2::from_elem((2, 3), number(0.7));
        add_all(&from, &mut to).unwrap();
        let expected = number(number(0.1).widen() + number(0.7).widen());
        assert!(to.iter().all(|x| *x == expected));
        copy_all(&from, &mut to).unwrap();
        assert_eq!(to, from);
    }

    #[test]
    fn sums_are_rounded_once() {
        sums::<f32>();
        sums::<f64>();
        #[cfg(feature = "half")]
        sums::<half::f16>();
    }

    #[test]
    fn sets_of_other_tensors_are_refused() {
        let mut to = vec![vec![1.0, 2.0]];
        assert!(copy_all(&vec![vec![1.0]], &mut to).is_err());
        assert!(copy_all(&vec![vec![1.0, 2.0]; 2], &mut to).is_err());
        assert_eq!(to, [[1.0, 2.0]]);
    }
}
