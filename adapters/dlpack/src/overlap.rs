//! Which tensors share an element: arithmetic with addresses, nothing is read.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::layout::Layout;

/// The elements of one tensor, of `size` bytes each, the first at `address`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region<'a> {
    pub(crate) address: usize,
    pub(crate) size: usize,
    pub(crate) layout: &'a Layout,
}

impl Region<'_> {
    /// The address behind the last element.
    fn end(&self) -> usize {
        self.address + self.layout.span() * self.size
    }
}

/// The runs of neighbouring elements of a region, from the lowest address to the highest.
struct Runs {
    start: usize,
    bytes: usize,
    /// Count, stride in bytes and index of each axis from run to run, the smallest stride first.
    axes: Vec<(usize, usize, usize)>,
}

impl Runs {
    fn new(region: &Region<'_>) -> Self {
        let mut run = 1;
        let mut axes = vec![];
        for (count, stride) in region.layout.axes() {
            if stride == run && axes.is_empty() {
                run *= count;
            } else {
                axes.push((count, stride * region.size, 0));
            }
        }
        Self {
            start: region.address,
            bytes: run * region.size,
            axes,
        }
    }

    /// Goes to the next run. Each axis steps over all that those of smaller strides reach, so addresses grow.
    fn advance(&mut self) -> bool {
        for (count, stride, index) in &mut self.axes {
            if *index + 1 < *count {
                *index += 1;
                self.start += *stride;
                return true;
            }
            self.start -= *index * *stride;
            *index = 0;
        }
        false
    }
}

/// The first two regions that are found to share a byte, by their places; the one that starts first comes first.
///
/// Regions may interleave, like the columns of a matrix. It takes as long as sorting the regions, and the runs of those
/// that others reach into.
pub(crate) fn first(regions: &[Region<'_>]) -> Option<(usize, usize)> {
    let mut runs: Vec<Option<Runs>> = regions
        .iter()
        .map(|region| (!region.layout.is_empty()).then(|| Runs::new(region)))
        .collect();
    let mut next: BinaryHeap<_> = (runs.iter().enumerate())
        .filter_map(|(place, runs)| Some(Reverse((runs.as_ref()?.start, place))))
        .collect();
    let (mut taken_until, mut taken_by) = (0, 0);
    while let Some(Reverse((start, place))) = next.pop() {
        if start < taken_until {
            return Some((taken_by, place));
        }
        taken_by = place;
        let end = regions[place].end();
        if next.peek().is_none_or(|Reverse((start, _))| end <= *start) {
            taken_until = end;
            continue;
        }
        let Some(runs) = &mut runs[place] else {
            continue;
        };
        taken_until = start + runs.bytes;
        if runs.advance() {
            next.push(Reverse((runs.start, place)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn layout(shape: &[i64], strides: &[i64], size: usize) -> Option<Layout> {
        Layout::new(shape, Some(strides), size).ok()
    }

    fn bytes(region: &Region<'_>) -> BTreeSet<usize> {
        let mut starts = vec![region.address];
        let axes = region.layout.dims().iter().zip(region.layout.strides());
        for (dim, stride) in axes {
            starts = starts
                .iter()
                .flat_map(|start| (0..*dim).map(move |i| start + i * stride * region.size))
                .collect();
        }
        starts
            .iter()
            .flat_map(|start| *start..*start + region.size)
            .collect()
    }

    #[test]
    fn it_is_found_exactly_where_bytes_are_shared() {
        let mut state = 7_u64;
        let mut below = |n: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            ((state >> 33) % n) as usize
        };
        let cases = 20_000;
        let (mut shared, mut between) = (0, 0);
        for _ in 0..cases {
            let mut layouts = vec![];
            for _ in 0..2 + below(3) {
                let size = [2, 4, 8][below(3)];
                let axes = below(4);
                let shape: Vec<i64> = (0..axes).map(|_| (below(9) + 2) as i64 / 3).collect();
                let strides: Vec<i64> = (0..axes).map(|_| below(9) as i64).collect();
                if let Some(layout) = layout(&shape, &strides, size) {
                    layouts.push((100 + size * below(12), size, layout));
                }
            }
            let regions: Vec<Region<'_>> = layouts
                .iter()
                .map(|(address, size, layout)| Region {
                    address: *address,
                    size: *size,
                    layout,
                })
                .collect();
            let meets = |a: usize, b: usize| !bytes(&regions[a]).is_disjoint(&bytes(&regions[b]));
            let any = (0..regions.len()).any(|a| (0..a).any(|b| meets(a, b)));
            match first(&regions) {
                Some((a, b)) => assert!(a != b && meets(a, b), "{regions:?}"),
                None => assert!(!any, "{regions:?}"),
            }
            let reaches = |a: usize, b: usize| {
                let (a, b) = (&regions[a], &regions[b]);
                a.address < b.end() && b.address < a.end()
            };
            let reaching = (0..regions.len()).any(|a| (0..a).any(|b| reaches(a, b)));
            shared += usize::from(any);
            between += usize::from(reaching && !any);
        }
        // Of each kind there are many: sharing, lying between each other, apart.
        for count in [shared, between, cases - shared - between] {
            assert!(count > cases / 20, "{shared} and {between} of {cases}");
        }
    }

    #[test]
    fn many_columns_of_one_matrix_share_nothing() {
        let column = layout(&[300], &[300], 4).unwrap();
        let at = |index: usize| Region {
            address: 4 * index,
            size: 4,
            layout: &column,
        };
        let mut columns: Vec<Region<'_>> = (0..300).rev().map(at).collect();
        assert_eq!(first(&columns), None);
        columns.push(at(17));
        assert_eq!(first(&columns), Some((282, 300)));
    }
}
