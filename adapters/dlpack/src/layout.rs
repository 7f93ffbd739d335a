//! Where the elements of a tensor lie: lengths of axes, and the steps between elements along each.

/// How many elements lie along each axis, and how far apart, in elements.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layout {
    dims: Vec<usize>,
    strides: Vec<usize>,
    /// From the first element to behind the last, in elements.
    span: usize,
}

impl Layout {
    /// As DLPack tells it, of elements of `size` bytes; without strides, row by row.
    ///
    /// No two places are the same element, and no way along the axes is longer than memory can be.
    pub(crate) fn new(shape: &[i64], strides: Option<&[i64]>, size: usize) -> Result<Self, String> {
        let too_large = || {
            format!(
                "expected a shape and strides that fit into memory, found {shape:?} with {}",
                strides.map_or("none".into(), |strides| format!("{strides:?}"))
            )
        };
        let most = isize::MAX.unsigned_abs() / size;
        let dims = shape.iter().map(|&dim| usize::try_from(dim));
        let dims: Vec<usize> = dims.collect::<Result<_, _>>().map_err(|_| too_large())?;
        // ndarray asks this of tensors without elements, too.
        let mut lengths = dims.iter().filter(|dim| **dim > 0);
        let product = lengths.try_fold(1_usize, |product, dim| product.checked_mul(*dim));
        if product.is_none_or(|product| product > most) {
            return Err(too_large());
        }
        let mut layout = Self {
            strides: vec![0; dims.len()],
            span: 0,
            dims,
        };
        if layout.dims.contains(&0) {
            return Ok(layout);
        }
        let (mut row_by_row, mut span) = (1, Some(1_usize));
        for axis in (0..layout.dims.len()).rev() {
            let dim = layout.dims[axis];
            // Along an axis of one place nobody walks, so its stride may be anything.
            let stride = match strides {
                Some(strides) if dim > 1 => usize::try_from(strides[axis])
                    .map_err(|_| format!("expected strides ≥ 0, found {strides:?}"))?,
                _ => row_by_row,
            };
            layout.strides[axis] = stride;
            row_by_row *= dim;
            let way = (dim - 1).checked_mul(stride);
            span = span.zip(way).and_then(|(span, way)| span.checked_add(way));
        }
        layout.span = span.filter(|span| *span <= most).ok_or_else(too_large)?;
        if !layout.has_each_once() {
            return Err(format!(
                "expected each element once, found shape {:?} with strides {:?}",
                layout.dims, layout.strides
            ));
        }
        Ok(layout)
    }

    pub(crate) fn dims(&self) -> &[usize] {
        &self.dims
    }

    pub(crate) fn strides(&self) -> &[usize] {
        &self.strides
    }

    pub(crate) fn len(&self) -> usize {
        self.dims.iter().product()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.span == 0
    }

    pub(crate) fn span(&self) -> usize {
        self.span
    }

    /// The length and stride of each axis that leads anywhere, the smallest stride first.
    pub(crate) fn axes(&self) -> Vec<(usize, usize)> {
        let axes = self.dims.iter().copied().zip(self.strides.iter().copied());
        let mut axes: Vec<_> = axes.filter(|(dim, _)| *dim > 1).collect();
        axes.sort_unstable_by_key(|(_, stride)| *stride);
        axes
    }

    /// Whether each axis steps over all that the axes of smaller strides reach. Some layouts that have each element
    /// once do not, such as a shape of [3, 2] with strides [2, 3]; nobody makes them.
    fn has_each_once(&self) -> bool {
        let mut reach = 1;
        self.axes().into_iter().all(|(dim, stride)| {
            let steps_over = stride >= reach;
            reach += (dim - 1) * stride;
            steps_over
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Every offset that indices lead to.
    pub(crate) fn offsets(dims: &[usize], strides: &[usize]) -> Vec<usize> {
        let mut all = vec![0];
        for (dim, stride) in dims.iter().zip(strides) {
            all = all
                .iter()
                .flat_map(|offset| (0..*dim).map(move |i| offset + i * stride))
                .collect();
        }
        all
    }

    #[test]
    fn small_layouts_are_taken_if_and_only_if_they_have_each_element_once() {
        for code in 0..5_usize.pow(6) {
            let digit = |place: u32| (code / 5_usize.pow(place) % 5) as i64;
            let (shape, strides) = (
                [digit(0), digit(1), digit(2)],
                [digit(3), digit(4), digit(5)],
            );
            let layout = Layout::new(&shape, Some(&strides), 4);
            let dims = shape.map(|dim| dim as usize);
            let all = offsets(&dims, &strides.map(|stride| stride as usize));
            let distinct: BTreeSet<usize> = all.iter().copied().collect();
            match layout {
                Ok(layout) => {
                    assert_eq!(layout.len(), all.len());
                    assert_eq!(distinct.len(), all.len(), "{shape:?} {strides:?}");
                    assert_eq!(layout.span(), all.iter().max().map_or(0, |last| last + 1));
                    assert_eq!(offsets(layout.dims(), layout.strides()), all);
                }
                // Strides up to 4: those that interleave without meeting are the known few.
                Err(_) => assert!(
                    distinct.len() < all.len() || interleaves(&dims, &strides),
                    "{shape:?} {strides:?}"
                ),
            }
        }
    }

    /// Whether some axis steps into the reach of another, which is not decided any further.
    fn interleaves(dims: &[usize; 3], strides: &[i64; 3]) -> bool {
        let axes = (0..3).filter(|&axis| dims[axis] > 1).collect::<Vec<_>>();
        axes.iter().any(|&a| {
            let below = axes.iter().filter(|&&b| b != a && strides[b] <= strides[a]);
            let reach: i64 = below.map(|&b| (dims[b] as i64 - 1) * strides[b]).sum();
            reach >= strides[a]
        })
    }

    #[test]
    fn without_strides_elements_lie_row_by_row() {
        let layout = Layout::new(&[2, 3, 4], None, 8).unwrap();
        assert_eq!((layout.strides(), layout.span()), (&[12, 4, 1][..], 24));
        assert_eq!(Layout::new(&[], None, 8).unwrap().len(), 1);
    }

    #[test]
    fn what_no_memory_holds_is_refused() {
        let most = i64::try_from(isize::MAX / 8).unwrap();
        assert!(Layout::new(&[most], None, 8).is_ok());
        assert!(Layout::new(&[most + 1], None, 8).is_err());
        assert!(Layout::new(&[i64::MAX, i64::MAX], None, 2).is_err());
        assert!(Layout::new(&[i64::MAX, i64::MAX, 0], None, 2).is_err());
        assert!(Layout::new(&[2, 2], Some(&[most, 1]), 8).is_err());
        assert!(Layout::new(&[2, 2], Some(&[i64::MAX, i64::MAX]), 8).is_err());
        assert!(Layout::new(&[-1], None, 8).is_err());
    }

    #[test]
    fn strides_below_0_are_refused_where_they_lead_anywhere() {
        let error = Layout::new(&[2, 1], Some(&[-1, 1]), 4).unwrap_err();
        assert_eq!(error, "expected strides ≥ 0, found [-1, 1]");
        let layout = Layout::new(&[1, 2], Some(&[-7, 1]), 4).unwrap();
        assert_eq!(layout, Layout::new(&[1, 2], None, 4).unwrap());
        assert!(Layout::new(&[2, 0], Some(&[-1, -1]), 4).unwrap().is_empty());
    }
}
