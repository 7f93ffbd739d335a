//! Two slices at once: a penalty's value from the one, its gradient added to the other.

use super::chunks::write_beside;
use super::measure::{BLOCK, LANES, Pair, Twofold};
use super::unit::Plain;
use crate::element::Element;

/// For each pair, adds the derivative to `gs` and returns the sum of the terms. `at(w)` gives both.
/// A block of terms is folded as a tree, and the lane sums added without error, like those of a norm.
pub(crate) fn pair<W: Element, G: Element>(
    ws: &[W],
    gs: &mut [G],
    at: impl Fn(f64) -> (f64, f64) + Sync,
) -> Pair {
    let mut sum = Pair::ZERO;
    let chunk = |(ws, gs): (&[W], &mut [G])| of_chunk(ws, gs, &at);
    write_beside(ws, gs, chunk, |chunk| sum.add(chunk));
    sum
}

#[cfg_attr(
    feature = "std",
    multiversion::multiversion(targets(
        "x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+f16c",
        "x86_64+avx2+f16c",
        "aarch64+neon"
    ))
)]
fn of_chunk<W: Element, G: Element, F: Fn(f64) -> (f64, f64)>(
    ws: &[W],
    gs: &mut [G],
    at: &F,
) -> Pair {
    let mut sum = Twofold::ZERO;
    let mut terms = [0.0; BLOCK];
    for (ws, gs) in ws.chunks(BLOCK).zip(gs.chunks_mut(BLOCK)) {
        for ((term, w), g) in terms.iter_mut().zip(ws).zip(gs) {
            let (value, slope) = at(w.widen());
            *g = G::narrow(g.widen() + slope);
            *term = value;
        }
        terms[ws.len()..].fill(0.0);
        sum.add(Plain, fold(&mut terms));
    }
    sum.total(Plain)
}

/// The sums of the halves, again and again, down to eight lanes.
#[inline(always)]
fn fold(terms: &mut [f64; BLOCK]) -> [f64; LANES] {
    let mut width = BLOCK;
    while width > LANES {
        width /= 2;
        let (low, high) = terms.split_at_mut(width);
        for (a, b) in low.iter_mut().zip(high) {
            *a += *b;
        }
    }
    core::array::from_fn(|j| terms[j])
}
