//! Two slices at once: a penalty's value from the one, its gradient added to the other.

use super::measure::{BLOCK, Pair, ROW, Twofold};
use crate::element::Element;

/// For each pair, adds the derivative to `gs` and returns the sum of the terms. `at(w)` gives both.
/// The sum has the tree of the norms: rows of lanes, blocks, errors kept.
#[cfg_attr(
    feature = "std",
    multiversion::multiversion(targets(
        "x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+f16c",
        "x86_64+avx2+f16c",
        "aarch64+neon"
    ))
)]
pub(crate) fn pair<W: Element, G: Element, F: Fn(f64) -> (f64, f64)>(
    ws: &[W],
    gs: &mut [G],
    at: F,
) -> Pair {
    let mut sum = Twofold::ZERO;
    let (mut blocks, mut places) = (ws.chunks_exact(BLOCK), gs.chunks_exact_mut(BLOCK));
    for (w, g) in blocks.by_ref().zip(places.by_ref()) {
        let mut row = [0.0; ROW];
        for j in 0..ROW {
            let mut terms = [0.0; 4];
            for (i, term) in terms.iter_mut().enumerate() {
                let k = i * ROW + j;
                let (value, slope) = at(w[k].widen());
                g[k] = G::narrow(g[k].widen() + slope);
                *term = value;
            }
            row[j] = (terms[0] + terms[1]) + (terms[2] + terms[3]);
        }
        sum.add(row);
    }
    let mut row = [0.0; ROW];
    for (j, (w, g)) in blocks
        .remainder()
        .iter()
        .zip(places.into_remainder())
        .enumerate()
    {
        let (value, slope) = at(w.widen());
        *g = G::narrow(g.widen() + slope);
        row[j % ROW] += value;
    }
    sum.add(row);
    sum.total()
}
