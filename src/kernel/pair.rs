//! Two slices at once: a penalty's value from the one, its gradient added to the other.

use super::chunks::write_beside;
use super::lanes::{BLOCK, LANES, LEAF, Twofold, part};
use super::measure::Pair;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
use super::unit;
use super::unit::{Plain, Run, Unit};
use crate::number::Number;

/// For each pair, adds the derivative to `gs` and returns the sum of the terms. `at(w)` gives both.
/// Terms are added in the order in which the elements of a norm are.
pub(crate) fn pair<W: Number, G: Number>(
    ws: &[W],
    gs: &mut [G],
    at: impl Fn(f64) -> (f64, f64) + Sync,
) -> Pair {
    let mut sum = Pair::ZERO;
    let chunk = |(ws, gs): (&[W], &mut [G])| of_chunk(ws, gs, &at);
    write_beside(ws, gs, chunk, |chunk| sum.add(chunk));
    sum
}

fn of_chunk<W: Number, G: Number, F: Fn(f64) -> (f64, f64)>(
    ws: &[W],
    gs: &mut [G],
    at: &F,
) -> Pair {
    let what = Both { ws, gs, at };
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    if let Some(unit) = unit::v3() {
        return unit::on_v3(unit, what);
    }
    what.run(Plain)
}

struct Both<'a, W, G, F> {
    ws: &'a [W],
    gs: &'a mut [G],
    at: &'a F,
}

impl<W: Number, G: Number, F: Fn(f64) -> (f64, f64), U: Unit> Run<U> for Both<'_, W, G, F> {
    type Output = Pair;

    #[inline(always)]
    fn run(self, unit: U) -> Pair {
        of_chunk_on(unit, self.ws, self.gs, self.at)
    }
}

#[inline(always)]
fn of_chunk_on<W: Number, G: Number, U: Unit, F: Fn(f64) -> (f64, f64)>(
    unit: U,
    ws: &[W],
    gs: &mut [G],
    at: &F,
) -> Pair {
    let mut sum = Twofold::ZERO;
    let mut terms = Aligned([0.0; BLOCK]);
    let terms = &mut terms.0;
    for (ws, gs) in ws.chunks(BLOCK).zip(gs.chunks_mut(BLOCK)) {
        each(ws, gs, terms, at);
        terms[ws.len()..].fill(0.0);
        sum.add(unit, of_block(unit, terms));
    }
    sum.total(unit)
}

/// At the start of a cache line, so that no vector lies across two.
#[repr(align(64))]
struct Aligned([f64; BLOCK]);

// A function of its own: that its arguments are apart from one another is what lets the compiler make
// vectors of it, and it forgets that where it inlines.
#[cfg_attr(
    feature = "std",
    multiversion::multiversion(targets("x86_64+avx2+f16c", "aarch64+neon"))
)]
fn each<W: Number, G: Number, F: Fn(f64) -> (f64, f64)>(
    ws: &[W],
    gs: &mut [G],
    terms: &mut [f64; BLOCK],
    at: &F,
) {
    for ((term, w), g) in terms.iter_mut().zip(ws).zip(gs) {
        let (value, slope) = at(w.exact());
        *g = G::near(g.exact() + slope);
        *term = value;
    }
}

/// The rows of a leaf one after the other, the leaves as a tree.
#[inline(always)]
fn of_block<U: Unit>(unit: U, terms: &[f64; BLOCK]) -> U::Lanes {
    let mut leaves = [unit.load(&[0.0; LANES]); BLOCK / LEAF];
    for (i, sum) in leaves.iter_mut().enumerate() {
        let leaf: &[f64; LEAF] = part(terms, i);
        let mut halves = [unit.load(part(leaf, 0)), unit.load(part(leaf, 1))];
        for row in 2..LEAF / LANES {
            let half = &mut halves[row % 2];
            *half = unit.add(*half, unit.load(part(leaf, row)));
        }
        *sum = unit.add(halves[0], halves[1]);
    }
    unit.add(
        unit.add(leaves[0], leaves[1]),
        unit.add(leaves[2], leaves[3]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn bits_do_not_depend_on_the_processor() {
        let ws: Vec<f32> = (0..1000)
            .map(|i| ((i * 7919) % 1009) as f32 / 7.0 - 70.0)
            .collect();
        let at = |w: f64| (0.3 * w * w, 0.7 * w);
        for len in [0, 1, 7, 8, 63, 64, 255, 256, 257, 512, 1000] {
            let ws = &ws[..len];
            let (mut best_gs, mut plain_gs) = ([0.1_f32; 1000], [0.1_f32; 1000]);
            let best = of_chunk(ws, &mut best_gs[..len], &at);
            let plain = of_chunk_on(Plain, ws, &mut plain_gs[..len], &at);
            assert_eq!(
                (best.0.to_bits(), best.1.to_bits()),
                (plain.0.to_bits(), plain.1.to_bits())
            );
            assert_eq!(best_gs, plain_gs);
            let sum: f64 = ws.iter().map(|&w| at(f64::from(w)).0).sum();
            assert!((best.round() - sum).abs() <= 1e-12 * sum);
        }
    }
}
