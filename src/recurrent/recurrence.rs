//! What the cells share: weights in the order of their products, parts of a batch on several threads, and the sums at the
//! end of the way back.

use core::ops::Range;

use ndarray::{
    Array1, Array2, Array3, ArrayRef, ArrayRef2, ArrayRef3, ArrayView3, Axis, Dimension, Slice,
};

use super::Real;
use super::lengths::Lengths;
use crate::kernel::gates::add;
use crate::kernel::product::{Begin, Panels, Rows, multiply, multiply_one, multiply_transposed};

/// Rows, of time and batch, whose gradients are summed together: what they take stays in a cache.
const ROWS: usize = 1024;

/// Sequences in a part of a batch, at the least: fewer do not fill the registers.
const FEWEST: usize = 4;

/// Bytes of weights that a near cache holds beside all else.
const NEAR: usize = 1 << 18;

/// Elements that are worth another thread to copy.
#[cfg(feature = "rayon")]
const SEVERAL: usize = 1 << 15;

/// Steps of a batch whose gradients are summed together.
pub(super) fn segments(time: usize, batch: usize) -> impl DoubleEndedIterator<Item = Range<usize>> {
    let steps = (ROWS / batch.max(1)).max(1);
    (0..time.div_ceil(steps)).map(move |k| k * steps..time.min((k + 1) * steps))
}

/// The input and the recurrent weights of a cell, packed for products from one side.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Weights<A> {
    pub(super) input: Panels<A>,
    pub(super) recurrent: Panels<A>,
}

impl<A> Default for Weights<A> {
    fn default() -> Self {
        Self {
            input: Panels::default(),
            recurrent: Panels::default(),
        }
    }
}

impl<A: Real> Weights<A> {
    /// Packs both for products x·W, the last so many rows of the recurrent ones before the others.
    pub(super) fn pack(&mut self, w_in: &Array2<A>, w_rec: &Array2<A>, last: usize) {
        let (input, recurrent) = (&mut self.input, &mut self.recurrent);
        both(
            w_in.len(),
            || pack(w_in, 0, input),
            || pack(w_rec, last, recurrent),
        );
    }

    /// The same for products x·Wᵀ.
    pub(super) fn pack_transposed(&mut self, w_in: &Array2<A>, w_rec: &Array2<A>, last: usize) {
        let (input, recurrent) = (&mut self.input, &mut self.recurrent);
        both(
            w_in.len(),
            || pack_transposed(w_in, 0, input),
            || pack_transposed(w_rec, last, recurrent),
        );
    }
}

/// Two things, side by side if there are threads and so many elements are worth it.
fn both(elements: usize, a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
    #[cfg(feature = "rayon")]
    if elements >= SEVERAL && rayon::current_num_threads() > 1 {
        rayon::join(a, b);
        return;
    }
    #[cfg(not(feature = "rayon"))]
    let _ = elements;
    a();
    b();
}

/// Packs W, the last so many rows before the others.
fn pack<A: Real>(w: &ArrayRef2<A>, last: usize, panels: &mut Panels<A>) {
    let (rows, columns) = w.dim();
    if let (Some(turned), 0) = (w.t().as_slice(), last) {
        panels.pack_transposed(turned, [rows, columns], 0);
        return;
    }
    let w = w.as_standard_layout();
    let (others, these) = slice(&w).split_at((rows - last) * columns);
    panels.make_room([rows, columns]);
    panels.fill(these, 0..last, columns);
    panels.fill(others, last..rows, columns);
}

/// Packs Wᵀ, the last so many rows of W before the others.
fn pack_transposed<A: Real>(w: &ArrayRef2<A>, last: usize, panels: &mut Panels<A>) {
    let (rows, columns) = w.dim();
    if let (Some(turned), 0) = (w.t().as_slice(), last) {
        panels.pack(turned, [columns, rows], rows);
        return;
    }
    let w = w.as_standard_layout();
    panels.pack_transposed(slice(&w), [columns, rows], rows - last);
}

/// The product that each step takes of so many sequences; rows of y lie `stride` apart. A batch of one has its own, which
/// is no matter of where the row comes from: so a batch may be cut into parts.
pub(super) fn step<A: Real>(
    batch: usize,
    x: Rows<'_, A>,
    m: &Panels<A>,
    begin: Begin<'_, A>,
    y: &mut [A],
    stride: usize,
) {
    if batch == 1 && !y.is_empty() {
        multiply_one(x, m, begin, &mut y[..m.columns()]);
    } else {
        multiply(x, m, begin, y, stride);
    }
}

/// The input projections x·Wᵀ + b of all steps of some sequences, where their states or gates will be.
///
/// Of a few sequences all steps at once, or rows would be too few for the registers, and so with weights that no near
/// cache holds. Otherwise step by step: what is written is still near when the step wants it.
#[derive(Clone, Copy)]
pub(super) struct Projection<'a, A> {
    xs: ArrayView3<'a, A>,
    weights: &'a Panels<A>,
    bias: &'a [A],
    /// Columns of what it is written to, of which it leaves the first ones to others.
    columns: usize,
    is_at_once: bool,
}

impl<'a, A: Real> Projection<'a, A> {
    #[expect(clippy::needless_pass_by_value, reason = "a view is kept as it is")]
    pub(super) fn new(
        xs: ArrayView3<'a, A>,
        weights: &'a Panels<A>,
        bias: &'a [A],
        columns: usize,
    ) -> Self {
        let bytes = xs.dim().2 * bias.len() * size_of::<A>();
        Self {
            xs,
            weights,
            bias,
            columns,
            is_at_once: xs.dim().1 < FEWEST || bytes > NEAR,
        }
    }

    /// That of the first so many sequences, and that of the others.
    #[cfg_attr(not(feature = "rayon"), allow(dead_code, reason = "one thread"))]
    pub(super) fn split(self, first: usize) -> (Self, Self) {
        let (xs, others) = self.xs.split_at(Axis(1), first);
        (Self { xs, ..self }, Self { xs: others, ..self })
    }

    /// Before the first step, for the whole batch.
    pub(super) fn begin(&self, to: &mut ArrayRef3<A>) {
        if self.is_at_once {
            self.project(slice(&self.xs), slice_mut(to));
        }
    }

    /// Before step t.
    pub(super) fn step(&self, t: usize, to: &mut [A]) {
        if !self.is_at_once {
            self.project(slice(&self.xs.index_axis(Axis(0), t)), to);
        }
    }

    fn project(&self, xs: &[A], to: &mut [A]) {
        let Some(to) = to.get_mut(self.columns - self.bias.len()..) else {
            return;
        };
        let xs = Rows::new(xs, self.xs.dim().2);
        multiply(xs, self.weights, Begin::Row(self.bias), to, self.columns);
    }
}

/// Some sequences of a batch, on their way through a cell: what each thread takes.
#[cfg_attr(not(feature = "rayon"), allow(dead_code, reason = "one thread"))]
pub(super) trait Part: Sized + Send {
    /// How many sequences.
    fn sequences(&self) -> usize;

    /// The first so many of them, and the others.
    fn split(self, first: usize) -> (Self, Self);
}

/// Does `of` to all sequences, on as many threads as there are and as are worth it. No sequence knows of another, so it
/// does not matter how they are shared out.
pub(super) fn over_threads<P: Part>(part: P, of: &(impl Fn(P) + Sync)) {
    #[cfg(feature = "rayon")]
    {
        let threads = rayon::current_num_threads().min(part.sequences() / FEWEST);
        share(part, threads, of);
    }
    #[cfg(not(feature = "rayon"))]
    of(part);
}

#[cfg(feature = "rayon")]
fn share<P: Part>(part: P, threads: usize, of: &(impl Fn(P) + Sync)) {
    if threads < 2 {
        return of(part);
    }
    let left = threads / 2;
    let first = part.sequences() * left / threads;
    let (upper, lower) = part.split(first);
    rayon::join(
        || share(upper, left, of),
        || share(lower, threads - left, of),
    );
}

/// Where gradients of a part of the state come in on the way back.
#[derive(Clone, Copy)]
pub(super) struct Arriving<'a, A> {
    pub(super) lengths: &'a Lengths,
    pub(super) outputs: Option<ArrayView3<'a, A>>,
    /// The first sequence that is meant.
    pub(super) first: usize,
}

impl<A: Real> Arriving<'_, A> {
    /// Of the sequences behind the first so many of these.
    #[cfg_attr(not(feature = "rayon"), allow(dead_code, reason = "one thread"))]
    pub(super) fn after(self, first: usize) -> Self {
        Self {
            first: self.first + first,
            ..self
        }
    }

    /// What came in for the final state of those whose last step is t.
    pub(super) fn enter(&self, t: usize, given: Option<&Array2<A>>, d: &mut ArrayRef2<A>) {
        for b in self.lengths.ending(t + 1) {
            if let Some(row) = b.checked_sub(self.first)
                && row < d.nrows()
            {
                match given {
                    Some(given) => d.row_mut(row).assign(&given.row(b)),
                    None => d.row_mut(row).fill(A::zero()),
                }
            }
        }
    }

    /// Zeros in the rows of those that ended before step t, of whatever: their states may be no numbers.
    pub(super) fn zero_ended(&self, t: usize, rows: &mut ArrayRef2<A>) {
        self.lengths.zero_ended_of(self.first, t, rows);
    }

    /// What came in for the output of step t.
    pub(super) fn add(&self, t: usize, d: &mut ArrayRef2<A>) {
        let Some(outputs) = &self.outputs else {
            return;
        };
        let output = outputs.index_axis(Axis(0), t);
        let sequences = Slice::from(self.first..self.first + d.nrows());
        let output = output.slice_axis(Axis(0), sequences);
        if self.lengths.are_padded() {
            for (b, (mut d, output)) in d.rows_mut().into_iter().zip(output.rows()).enumerate() {
                if self.lengths.is_running(self.first + b, t) {
                    d += &output;
                }
            }
        } else {
            match (d.as_slice_mut(), output.as_slice()) {
                (Some(d), Some(output)) => add(output, d),
                _ => d.zip_mut_with(&output, |d, output| *d += *output),
            }
        }
    }
}

/// dL/dz of the steps of a segment that the way back came to, `[steps·batch, columns]`.
pub(super) struct Found<'a, A> {
    d_z: &'a [A],
    columns: usize,
    rows: usize,
    /// Rows of the sequence before these.
    before: usize,
    /// Whether these are the first that are summed.
    is_first: bool,
}

/// Columns of dL/dz, and the first of the rows of the weights that they belong to.
pub(super) type Block = (Range<usize>, usize);

impl<'a, A: Real> Found<'a, A> {
    /// Of `d_z`, that of a whole segment, the steps from `start` on.
    pub(super) fn new(
        d_z: &'a [A],
        columns: usize,
        (time, batch, _): (usize, usize, usize),
        segment: &Range<usize>,
        start: usize,
    ) -> Self {
        let skipped = (start - segment.start) * batch * columns;
        Self {
            d_z: &d_z[skipped..][..(segment.end - start) * batch * columns],
            columns,
            rows: (segment.end - start) * batch,
            before: start * batch,
            is_first: segment.end == time,
        }
    }

    /// W ← W + Σ dzᵀ·x of two matrices, where x is what stands in the rows of the whole sequence, block by block.
    pub(super) fn weights(
        &self,
        xs: [&Array3<A>; 2],
        lengths: &Lengths,
        beside: &mut [Panels<A>; 2],
        blocks: [&[Block]; 2],
        d_w: [&mut Array2<A>; 2],
    ) {
        let rows = self.rows;
        let [x, h] = xs.map(|xs| {
            let features = xs.dim().2;
            &slice(xs)[self.before * features..][..rows * features]
        });
        let [of_x, of_h] = &mut *beside;
        let features = xs.map(|xs| xs.dim().2);
        both(
            h.len(),
            || of_x.pack(x, [rows, features[0]], features[0]),
            || of_h.pack(h, [rows, features[1]], features[1]),
        );
        // States of padding may be no numbers, and 0·NaN would be one more.
        let batch = xs[1].dim().1;
        if lengths.are_padded() {
            for row in 0..rows {
                let (t, b) = ((self.before + row) / batch, (self.before + row) % batch);
                if !lengths.is_running(b, t) {
                    beside[1].clear(row);
                }
            }
        }
        for (k, d_w) in d_w.into_iter().enumerate() {
            let d_w = slice_mut(d_w);
            for (from, to) in blocks[k] {
                let d_w = &mut d_w[to * features[k]..][..from.len() * features[k]];
                let d_z = self.d_z.get(from.start..).unwrap_or_default();
                multiply_transposed(d_z, self.columns, &beside[k], self.begin(), d_w);
            }
        }
    }

    fn begin(&self) -> Begin<'_, A> {
        if self.is_first {
            Begin::Zero
        } else {
            Begin::Kept
        }
    }

    /// b ← b + Σ dz.
    pub(super) fn add_bias(&self, blocks: &[Block], d_bias: &mut Array1<A>) {
        let Some(d_bias) = d_bias.as_slice_mut() else {
            return;
        };
        for d_z in self.d_z.chunks_exact(self.columns.max(1)) {
            for (from, to) in blocks {
                add(&d_z[from.clone()], &mut d_bias[*to..]);
            }
        }
    }

    /// dL/dx = dz·W, in the rows of the whole sequence; dz begins in column `from`.
    pub(super) fn inputs(&self, from: usize, weights: &Panels<A>, d_inputs: &mut Array3<A>) {
        let (features, rows) = (d_inputs.dim().2, self.rows);
        if let (Some(d_z), Some(d_inputs)) = (self.d_z.get(from..), d_inputs.as_slice_mut()) {
            let d_inputs = &mut d_inputs[self.before * features..][..rows * features];
            let d_z = Rows::new(d_z, self.columns);
            multiply(d_z, weights, Begin::Zero, d_inputs, features);
        }
    }
}

/// Contiguous rows as they lie: those of a step, for some of the sequences.
pub(super) fn slice<A, D: Dimension>(rows: &ArrayRef<A, D>) -> &[A] {
    debug_assert!(rows.is_standard_layout());
    rows.as_slice().unwrap_or_default()
}

/// The same, to write into.
pub(super) fn slice_mut<A, D: Dimension>(rows: &mut ArrayRef<A, D>) -> &mut [A] {
    debug_assert!(rows.is_standard_layout());
    rows.as_slice_mut().unwrap_or_default()
}
