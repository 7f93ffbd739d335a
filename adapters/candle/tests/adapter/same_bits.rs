//! The same numbers give the same decisions and, on the host, the same bits.

use proptest::prelude::*;
use steadygrad::{
    Edits, Factor, Guard, Measurement, Needs, Norm, OnNonFinite, TensorSetMut, Units, clip,
};
use steadygrad_candle::CandleGrads;

use crate::ROOM;
use crate::random::{Pair, Random};

fn guard(random: &mut Random, norm: f64) -> Guard {
    let share = |random: &mut Random| 2f64.powi(random.below(8) as i32 - 5);
    let policies = [
        OnNonFinite::Skip,
        OnNonFinite::ZeroTensor,
        OnNonFinite::ZeroAll,
        OnNonFinite::Propagate,
    ];
    let mut guard = Guard::new()
        .on_non_finite(policies[random.below(4)])
        .max_skips(1000);
    let bound = |random: &mut Random| (norm * share(random)).min(f64::MAX);
    for _ in 0..random.below(4) {
        guard = match random.below(4) {
            0 => guard.clip(clip::Value::new(bound(random)).unwrap()),
            1 => guard.clip(clip::TensorNorm::new(bound(random)).unwrap()),
            2 => {
                let norm = [Norm::L1, Norm::Max, Norm::P(3.0)][random.below(3)];
                guard.clip(
                    clip::GlobalNorm::new(bound(random))
                        .unwrap()
                        .norm(norm)
                        .unwrap(),
                )
            }
            _ => guard.clip(clip::GlobalNorm::new(bound(random)).unwrap()),
        };
    }
    guard
}

/// Puts NaN and infinities into some sets, alike in both.
fn spoil(pair: &mut Pair, random: &mut Random) {
    if random.below(4) > 0 {
        return;
    }
    for _ in 0..=random.below(3) {
        let tensor = random.below(pair.core.len() as u64);
        let len = pair.core[tensor].1.len();
        if len == 0 {
            continue;
        }
        let place = random.below(len as u64);
        let value = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][random.below(3)];
        pair.core[tensor].1.add(place, &[value]).unwrap();
        let mut grads = CandleGrads::new(&mut pair.store, &pair.vars);
        let mut index = 0;
        grads
            .visit_mut(&mut |_, grad| {
                index += 1;
                if index == tensor + 1 {
                    grad.add(place, &[value])
                } else {
                    Ok(())
                }
            })
            .unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1200))]

    /// Mixed types, ranks, layouts and magnitudes, random chains of rules, several steps of one guard.
    #[test]
    fn the_host_gives_the_bits_of_slices(seed: u64, exponent in -1060..1010_i32) {
        let random = &mut Random(seed);
        let exponent = if random.below(2) == 0 { exponent } else { exponent % 12 };
        let mut pair = Pair::random(random, exponent);
        prop_assert_eq!(pair.candle_bits(), pair.core_bits());
        spoil(&mut pair, random);
        let norm = Measurement::of(&pair.core).unwrap().total().l2();
        let norm = if norm.is_finite() { norm } else { 1.0 };
        let mut ours = guard(&mut Random(seed), norm);
        let mut theirs = guard(&mut Random(seed), norm);
        for _ in 0..2 {
            let report = ours.step(&mut CandleGrads::new(&mut pair.store, &pair.vars)).unwrap();
            let expected = theirs.step(&mut pair.core).unwrap();
            prop_assert_eq!(report.to_string(), expected.to_string());
            prop_assert_eq!(report.measurement().tensors(), expected.measurement().tensors());
            prop_assert_eq!(report.measurement().total(), expected.measurement().total());
            let after = |report: &steadygrad::Report| -> Vec<_> { report.tensors().map(|t| t.after).collect() };
            prop_assert_eq!(after(&report), after(&expected));
            prop_assert_eq!(report.verdict(), expected.verdict());
            prop_assert_eq!(pair.candle_bits(), pair.core_bits());
        }
        let bound = norm / 8.0;
        let clipped = clip::value(&mut CandleGrads::new(&mut pair.store, &pair.vars), bound).unwrap();
        let expected = clip::value(&mut pair.core, bound).unwrap();
        prop_assert_eq!(format!("{clipped:?}"), format!("{expected:?}"));
        prop_assert_eq!(pair.candle_bits(), pair.core_bits());
    }

    /// The same on the device path, where sums may differ by what is stated and no more.
    #[test]
    fn a_device_decides_like_slices(seed: u64, exponent in -1000..1000_i32) {
        let random = &mut Random(seed);
        let exponent = if random.below(2) == 0 { exponent } else { exponent % 12 };
        let mut pair = Pair::random(random, exponent);
        spoil(&mut pair, random);
        let needs = Needs::norms().of_magnitudes().of_power(3.0);
        let expected = Measurement::with_needs(&pair.core, &needs).unwrap();
        let set = CandleGrads::new(&mut pair.store, &pair.vars).on_device();
        let seen = Measurement::with_needs(&set, &needs).unwrap();
        // One more for what is not finite, and one for what is far out in the range.
        let is_ordinary = exponent.abs() <= 12 && expected.tensors().iter().all(|stats| stats.l2() != 0.0 || stats.is_empty());
        let most = 1 + usize::from(!expected.total().is_finite() || !is_ordinary) + usize::from(!is_ordinary);
        prop_assert!(set.transfers() <= most, "{} > {most}", set.transfers());
        for (stats, expected) in seen.tensors().iter().zip(expected.tensors()) {
            prop_assert_eq!(
                (stats.len(), stats.nan(), stats.pos_inf(), stats.neg_inf(), stats.first_non_finite()),
                (expected.len(), expected.nan(), expected.pos_inf(), expected.neg_inf(), expected.first_non_finite())
            );
            for norm in [Norm::L1, Norm::L2, Norm::Max, Norm::P(3.0)] {
                let (x, y) = (stats.norm(norm), expected.norm(norm));
                if y.is_finite() && y.to_f64() != 0.0 {
                    let ratio = (x / y).to_f64();
                    prop_assert!((ratio - 1.0).abs() <= ROOM, "{norm:?}: {x} and {y}");
                } else {
                    prop_assert_eq!(x.to_f64().to_bits() << 1, y.to_f64().to_bits() << 1);
                }
            }
        }
        // Clipped well away from a tie, the decisions are the same and the elements nearly.
        let max = expected.total().l2() * 0.3;
        if max.is_finite() && max > 0.0 {
            let guard = || Guard::new().clip(clip::GlobalNorm::new(max).unwrap());
            let mut set = CandleGrads::new(&mut pair.store, &pair.vars).on_device();
            let (mut ours, mut theirs) = (guard(), guard());
            let report = ours.step(&mut set).unwrap();
            let expected = theirs.step(&mut pair.core).unwrap();
            prop_assert_eq!(report.verdict(), expected.verdict());
            prop_assert_eq!(report.is_clipped(), expected.is_clipped());
            prop_assert!(set.transfers() <= most);
            for ((ours, theirs), (_, var)) in pair.candle_bits().iter().zip(pair.core_bits()).zip(&pair.vars) {
                let ulp = 2f64.powi(match var.dtype() {
                    candle_core::DType::F32 => -23,
                    candle_core::DType::F64 => -46,
                    candle_core::DType::F16 => -10,
                    _ => -7,
                });
                let least = match var.dtype() {
                    candle_core::DType::F32 => 2f64.powi(-149),
                    candle_core::DType::F64 => 5e-324,
                    candle_core::DType::F16 => 2f64.powi(-24),
                    _ => 2f64.powi(-133),
                };
                for (x, y) in ours.iter().zip(theirs) {
                    let (x, y) = (f64::from_bits(*x), f64::from_bits(y));
                    prop_assert!((x - y).abs() <= y.abs() * (2.0 * ulp + ROOM) + least, "{x} and {y}");
                }
            }
        }
    }

    /// Units and edits by units, on both paths, against ndarray's arrays in the core.
    #[test]
    fn units_are_those_of_arrays(seed: u64) {
        use ndarray::ArrayD;
        let random = &mut Random(seed);
        let dims: Vec<usize> = (0..2 + random.below(3)).map(|_| 1 + random.below(7)).collect();
        let count = dims.iter().product();
        let values = random.values::<f64>(count, 3);
        let array = ArrayD::from_shape_vec(dims.clone(), values.clone()).unwrap();
        let axis = random.below(dims.len() as u64);
        let other = random.below(dims.len() as u64);
        let factors = |axis: usize| (0..dims[axis]).map(|i| Factor::new(0.5 + i as f64).unwrap()).collect::<Vec<_>>();
        let needs = Needs::norms().of_units(Units::Axis(axis));
        let expected = Measurement::with_needs(&array, &needs).unwrap();
        for on_device in [false, true] {
            let mut pair = Pair::new();
            pair.push(crate::random::laid_out(&values, &dims, crate::random::Layout::Transposed));
            let set = |pair: &mut Pair| Measurement::with_needs(&{
                let set = CandleGrads::new(&mut pair.store, &pair.vars);
                if on_device { set.on_device() } else { set }
            }, &needs).unwrap();
            let seen = set(&mut pair);
            prop_assert_eq!(seen.units(0).len(), dims[axis]);
            for (unit, expected) in seen.units(0).iter().zip(expected.units(0)) {
                prop_assert!((unit.l2() / expected.l2() - 1.0).abs() < 1e-14);
                prop_assert_eq!(unit.len(), expected.len());
            }
            let mut edits = Edits::for_count(1);
            edits.scale_units(0, axis, &factors(axis));
            edits.clamp(0, -6.0, 6.0);
            edits.scale_units(0, other, &factors(other));
            edits.scale(0, Factor::new(0.25).unwrap());
            let mut edited = array.clone();
            edits.apply(&mut edited).unwrap();
            let mut grads = CandleGrads::new(&mut pair.store, &pair.vars);
            if on_device {
                grads = grads.on_device();
            }
            edits.apply(&mut grads).unwrap();
            prop_assert_eq!(grads.transfers(), 0);
            let bits: Vec<u64> = edited.iter().map(|x| x.to_bits()).collect();
            prop_assert_eq!(&pair.candle_bits()[0], &bits);
        }
    }
}
