//! With vectors, of which the rest of a small slice is one more.

use super::{Hard, Parts, Run, Scale, Stay, Then, Way, along_lines, of_block};
use crate::kernel::unit::Singles;
use pulp::bytemuck::cast_slice_mut;
use pulp::x86::{V3, V4};

impl Run<V4> for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, unit: V4) {
        on(unit, self);
    }
}

impl Run<V3> for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, unit: V3) {
        on(unit, self);
    }
}

#[inline(always)]
fn on<S: Singles>(simd: S, what: Scale<'_>) {
    match (what.way, what.bounds) {
        (Way::Once(_), _) => what.on(Hard),
        (Way::Parts(parts), None) => by_parts(simd, what.xs, &parts, Stay),
        (Way::Parts(parts), Some(bounds)) => by_parts(simd, what.xs, &parts, bounds),
    }
}

#[inline(always)]
fn by_parts<S: Singles>(simd: S, xs: &mut [f32], parts: &Parts, and: impl Then) {
    for xs in along_lines(xs) {
        let (rows, rest) = S::as_mut_simd_f32s(xs);
        let (groups, rows) = rows.as_chunks_mut::<4>();
        for group in groups {
            of_rows(simd, group, parts, and);
        }
        of_rows(simd, rows, parts, and);
        if !rest.is_empty() {
            let mut row = [simd.padded(rest, 1.0)];
            of_rows(simd, &mut row, parts, and);
            simd.partial_store_f32s(rest, row[0]);
        }
    }
}

#[inline(always)]
fn of_rows<S: Singles>(simd: S, rows: &mut [S::f32s], parts: &Parts, and: impl Then) {
    let (hi, lo) = (simd.splat_f32s(parts.hi), simd.splat_f32s(parts.lo));
    let (large, none) = (simd.splat_u32s(parts.large), simd.splat_u32s(0));
    let mut small = simd.equal_u32s(none, large);
    for x in &*rows {
        let exponent = simd.and_u32s(simd.transmute_u32s_f32s(*x), large);
        small = simd.or_m32s(small, simd.equal_u32s(exponent, none));
    }
    if simd.any(small) {
        return of_block(Hard, cast_slice_mut(rows), parts, and);
    }
    for x in rows {
        let product = simd.mul_add_f32s(*x, hi, simd.mul_f32s(*x, lo));
        *x = and.then_all(simd, product);
    }
}
