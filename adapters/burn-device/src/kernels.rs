//! What runs on the device.
//!
//! Squares are summed up in three parts, after Blue: the elements whose squares stay in the range, those that are too
//! small for it and those that are too big, the latter two times a power of two. Which part an element belongs to, and
//! whether a sum is finite, is read off its bits: shading languages let compilers assume that there is no NaN and no
//! infinity, and let devices take subnormal numbers for 0.
//!
//! J. L. Blue, "A Portable Fortran Program to Find the Euclidean Norm of a Vector", ACM TOMS 4 (1978).

#![allow(
    clippy::used_underscore_binding,
    reason = "the macro takes types from arguments that nothing else uses"
)]

use cubecl::prelude::*;
use cubecl::std::tensor::layout::linear::{LinearView, LinearViewMut};

/// Units of a cube: as many as WebGPU asks of every device.
pub(crate) const UNITS: usize = 256;
const LEVELS: u32 = UNITS.ilog2();
/// Elements that a unit adds up one after the other.
const PER_UNIT: usize = 64;
/// Elements of a slot.
pub(crate) const CHUNK: usize = UNITS * PER_UNIT;
/// Sums of a slot.
pub(crate) const PARTS: usize = 3;

const fn pow2(exponent: i32) -> f32 {
    f32::from_bits(((exponent + 127) as u32) << 23)
}

const MAGNITUDE: u32 = 0x7fff_ffff;
const INFINITE: u32 = 0x7f80_0000;
const ONE: u32 = 0x3f80_0000;
const LEAST_NORMAL: u32 = 1 << 23;
/// Below this an element is small: 2⁻⁴².
const MEDIUM: u32 = (127 - 42) << 23;
/// From this on it is big: 2⁴².
const BIG: u32 = (127 + 42) << 23;
/// Times this, small elements are in [2⁻⁶¹, 2⁴⁶), and 2³⁵ squares of them in the range.
const UP: f32 = pow2(88);
const OUT_OF_UP: f32 = pow2(-88);
/// The bits of a subnormal number, as a number, times this are it times `UP`.
const UP_FROM_BITS: f32 = pow2(88 - 149);
/// Times this, big elements are in [2⁻⁴², 2⁴⁴).
const DOWN: f32 = pow2(-84);
const OUT_OF_DOWN: f32 = pow2(84);

/// Adds the three sums of all units up; the first unit has them.
#[cube]
fn add_up(shared: &mut Shared<[f32]>) {
    let unit = UNIT_POS as usize;
    sync_cube();
    #[unroll]
    for level in 0..LEVELS {
        let half = comptime!(UNITS >> (level + 1));
        if unit < half {
            #[unroll]
            for part in 0..PARTS {
                let here = part * UNITS + unit;
                shared[here] += shared[here + half];
            }
        }
        sync_cube();
    }
}

/// The sums of squares of each `CHUNK` elements, from slot `start` on.
#[cube(launch, address_type = "dynamic")]
pub(crate) fn squares<F: Float>(
    x: LinearView<'_, F>,
    sums: &mut Tensor<f32>,
    start: u32,
    slots: u32,
    #[define(F)] _dtype: ElemType,
) {
    let unit = UNIT_POS as usize;
    let slot = CUBE_POS;
    let mut small = 0.0f32;
    let mut medium = 0.0f32;
    let mut big = 0.0f32;
    for step in 0..PER_UNIT {
        let at = slot * CHUNK + step * UNITS + unit;
        if x.is_in_bounds(at) {
            let value = f32::cast_from(x.read(at));
            let bits = u32::reinterpret(value) & MAGNITUDE;
            if bits >= BIG {
                let share = value * DOWN;
                big += share * share;
            } else if bits >= MEDIUM {
                medium += value * value;
            } else if bits >= LEAST_NORMAL {
                let share = value * UP;
                small += share * share;
            } else {
                let share = f32::cast_from(bits) * UP_FROM_BITS;
                small += share * share;
            }
        }
    }
    let mut shared = Shared::<[f32]>::new_slice(PARTS * UNITS);
    shared[unit] = small;
    shared[UNITS + unit] = medium;
    shared[2 * UNITS + unit] = big;
    add_up(&mut shared);
    if unit == 0 && slot < slots as usize {
        #[unroll]
        for part in 0..PARTS {
            sums[(start as usize + slot) * PARTS + part] = shared[part * UNITS];
        }
    }
}

/// Norm and factor of what all slots have; one cube.
#[cube(launch)]
pub(crate) fn norm_and_factor(
    sums: &Tensor<f32>,
    norm: &mut Tensor<f32>,
    factor: &mut Tensor<f32>,
    slots: u32,
    max: f32,
) {
    let unit = UNIT_POS as usize;
    let mut small = 0.0f32;
    let mut medium = 0.0f32;
    let mut big = 0.0f32;
    let mut slot = unit;
    while slot < slots as usize {
        small += sums[slot * PARTS];
        medium += sums[slot * PARTS + 1];
        big += sums[slot * PARTS + 2];
        slot += UNITS;
    }
    let mut shared = Shared::<[f32]>::new_slice(PARTS * UNITS);
    shared[unit] = small;
    shared[UNITS + unit] = medium;
    shared[2 * UNITS + unit] = big;
    add_up(&mut shared);
    if unit == 0 {
        let small = shared[0];
        let medium = shared[UNITS];
        let big = shared[2 * UNITS];
        let mut found = small.sqrt() * OUT_OF_UP;
        // What falls out of the range here is below 2⁻⁴² of the sum. By roots, since compilers make one constant of
        // two, and 2⁻¹⁶⁸ is none.
        if u32::reinterpret(big) > 0 {
            let share = medium.sqrt() * DOWN;
            found = (big + share * share).sqrt() * OUT_OF_DOWN;
        } else if u32::reinterpret(medium) > 0 {
            let share = small.sqrt() * OUT_OF_UP;
            found = (medium + share * share).sqrt();
        }
        // Of numbers without sign the greater one has the greater bits.
        let bits = u32::reinterpret(found);
        let mut by = 1.0f32;
        if bits > u32::reinterpret(max) && bits < INFINITE {
            by = max / found;
        }
        norm[0] = found;
        factor[0] = by;
    }
}

/// Every element times the factor.
#[cube(launch, address_type = "dynamic")]
pub(crate) fn scale<F: Float>(
    x: LinearView<'_, F>,
    mut out: LinearViewMut<'_, F>,
    norm: &Tensor<f32>,
    factor: &Tensor<f32>,
    max: f32,
    #[comptime] in_place: bool,
    #[define(F)] _dtype: ElemType,
) {
    let by = factor[0];
    let bits = u32::reinterpret(by);
    if x.is_in_bounds(ABSOLUTE_POS) {
        let value = x.read(ABSOLUTE_POS);
        if bits == ONE {
            if comptime!(!in_place) {
                out.write(ABSOLUTE_POS, value);
            }
        } else if bits >= LEAST_NORMAL {
            out.write(ABSOLUTE_POS, F::cast_from(f32::cast_from(value) * by));
        } else {
            // A factor that has left the range, where the products need not have.
            let share = f32::cast_from(value) / norm[0];
            out.write(ABSOLUTE_POS, F::cast_from(share * max));
        }
    }
}
