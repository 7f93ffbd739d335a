//! The fixed chunks of a tensor, on one thread or, with the feature `rayon`, on several. What chunks
//! come to is added in their order, so the number of threads shows in no bit.

/// Elements whose sums are taken together; the chunks of a tensor are then added in order. The unit
/// of work for threads, and part of the summation tree, so it is fixed.
pub(super) const CHUNK: usize = 1 << 16;

/// Fewer elements stay on the caller's thread.
#[cfg(feature = "rayon")]
const SEVERAL: usize = if cfg!(test) { 2 * CHUNK } else { 1 << 20 };

/// Chunks whose results wait together to be added in order.
#[cfg(feature = "rayon")]
const WAITING: usize = 256;

#[cfg(feature = "rayon")]
use rayon::prelude::*;

/// Whether so many elements are worth handing to the threads, of which there may be one alone.
#[cfg(feature = "rayon")]
pub(crate) fn share(elements: usize) -> bool {
    elements >= SEVERAL && rayon::current_num_threads() > 1
}

/// Has `of` turn each thing into its place in `to`. Together they have so many `elements`.
pub(super) fn side_by_side<T: Sync, S: Send>(
    things: &[T],
    elements: usize,
    to: &mut [S],
    of: impl Fn(&T, &mut S) + Sync,
) {
    #[cfg(feature = "rayon")]
    if things.len() > 1 && share(elements) {
        let pairs = things.par_iter().zip(to);
        return pairs.for_each(|(thing, to)| of(thing, to));
    }
    #[cfg(not(feature = "rayon"))]
    let _ = elements;
    for (thing, to) in things.iter().zip(to) {
        of(thing, to);
    }
}

/// Has `of` change each thing; together they have so many `elements`.
#[cfg(feature = "rayon")]
pub(crate) fn change_side_by_side<T: Send>(
    things: &mut [T],
    elements: usize,
    of: impl Fn(&mut T) + Sync,
) {
    if things.len() > 1 && share(elements) {
        return things.par_iter_mut().for_each(&of);
    }
    things.iter_mut().for_each(of);
}

/// Has `f` change every part.
pub(super) fn change<T: Send>(xs: &mut [T], f: impl Fn(&mut [T]) + Sync) {
    #[cfg(feature = "rayon")]
    if share(xs.len()) {
        return xs.par_chunks_mut(CHUNK).for_each(&f);
    }
    f(xs);
}

/// Gives what each chunk comes to, in order, to `add`.
pub(super) fn read<T: Sync, S: Copy + Send>(
    xs: &[T],
    of: impl Fn(&[T]) -> S + Sync,
    add: impl FnMut(S),
) {
    #[cfg(feature = "rayon")]
    if share(xs.len()) {
        let groups = xs.chunks(WAITING * CHUNK);
        return in_order(groups.map(|group| group.par_chunks(CHUNK)), of, add);
    }
    xs.chunks(CHUNK).map(of).for_each(add);
}

/// The same for chunks that are changed.
pub(super) fn write<T: Send, S: Copy + Send>(
    xs: &mut [T],
    of: impl Fn(&mut [T]) -> S + Sync,
    mut add: impl FnMut(S),
) {
    if xs.len() <= CHUNK {
        return add(of(xs));
    }
    #[cfg(feature = "rayon")]
    if share(xs.len()) {
        let groups = xs.chunks_mut(WAITING * CHUNK);
        return in_order(groups.map(|group| group.par_chunks_mut(CHUNK)), of, add);
    }
    xs.chunks_mut(CHUNK).map(of).for_each(add);
}

/// The same for pairs of chunks, the second of which are changed.
pub(super) fn write_beside<W: Sync, G: Send, S: Copy + Send>(
    ws: &[W],
    gs: &mut [G],
    of: impl Fn((&[W], &mut [G])) -> S + Sync,
    add: impl FnMut(S),
) {
    #[cfg(feature = "rayon")]
    if share(ws.len()) {
        let groups = ws
            .chunks(WAITING * CHUNK)
            .zip(gs.chunks_mut(WAITING * CHUNK));
        let pairs = groups.map(|(ws, gs)| ws.par_chunks(CHUNK).zip(gs.par_chunks_mut(CHUNK)));
        return in_order(pairs, of, add);
    }
    ws.chunks(CHUNK)
        .zip(gs.chunks_mut(CHUNK))
        .map(of)
        .for_each(add);
}

// Its results want space on the stack, which a call that stays on one thread need not make.
#[cfg(feature = "rayon")]
#[inline(never)]
fn in_order<I: IndexedParallelIterator, S: Copy + Send>(
    groups: impl Iterator<Item = I>,
    of: impl Fn(I::Item) -> S + Sync,
    mut add: impl FnMut(S),
) {
    for group in groups {
        let mut found = [None; WAITING];
        group
            .zip(found.par_iter_mut())
            .for_each(|(chunk, to)| *to = Some(of(chunk)));
        found.into_iter().flatten().for_each(&mut add);
    }
}
