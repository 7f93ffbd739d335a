//! What travels from a device to the host, and how often. The path is candle's own operations alone, so
//! host tensors can stand in for those of a device.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use steadygrad::{
    Ask, Clamped, Edits, Factor, Guard, Measurement, Needs, TensorSet, TensorSetMut, Units, clip,
};
use steadygrad_candle::{CandleGrads, CandleParams};

use crate::ROOM;
use crate::random::{DTYPES, Random};

/// Eight variables of all types with gradients, one of them large enough for several chunks.
fn many() -> (GradStore, Vec<(String, Var)>) {
    let random = &mut Random(7);
    let mut store = GradStore::default();
    let mut vars = vec![];
    for (index, len) in [3, 100, 8192, 8193, 20_000, 1, 4_300_000, 16_384]
        .into_iter()
        .enumerate()
    {
        let dtype = DTYPES[index % 4];
        let values = Tensor::from_vec(random.values::<f64>(len, 0), len, &Device::Cpu).unwrap();
        let var = Var::zeros(len, dtype, &Device::Cpu).unwrap();
        store.insert(&var, values.to_dtype(dtype).unwrap());
        vars.push((format!("t{index}"), var));
    }
    (store, vars)
}

#[test]
fn bounds_that_are_not_alike_are_told_apart() {
    for (min, max, values, outside) in [
        (0.0, 1.0, vec![0.5_f32, 1.0], false),
        (0.0, 1.0, vec![-1e-30, 0.5], true),
        (
            f64::NEG_INFINITY,
            1.0,
            vec![f32::NEG_INFINITY, f32::NAN, 0.5],
            false,
        ),
        (-1.0, f64::INFINITY, vec![-1.5, f32::INFINITY], true),
    ] {
        let var = Var::zeros(values.len(), DType::F32, &Device::Cpu).unwrap();
        let mut store = GradStore::default();
        store.insert(&var, Tensor::new(values.as_slice(), &Device::Cpu).unwrap());
        let vars = [("w", var)];
        let mut set = CandleGrads::new(&mut store, &vars).on_device();
        let clip = clip::Value::between(min, max).unwrap();
        let said = clip.apply(&mut set).unwrap().is_clipped();
        assert_eq!(said, outside, "{values:?} in [{min}, {max}]");
    }
}

#[test]
fn one_transfer_measures_all_and_a_second_finds_what_is_not_finite() {
    let (mut store, vars) = many();
    let host = Measurement::of(&CandleGrads::new(&mut store, &vars)).unwrap();
    let mut set = CandleGrads::new(&mut store, &vars).on_device();
    let seen = Measurement::of(&set).unwrap();
    assert_eq!(set.transfers(), 1);
    for (stats, expected) in seen.tensors().iter().zip(host.tensors()) {
        assert!((stats.l2() / expected.l2() - 1.0).abs() <= ROOM);
        assert_eq!(stats.max_abs(), expected.max_abs());
    }
    let mut edits = Edits::for_count(vars.len());
    edits.scale_all(Factor::new(0.5).unwrap());
    edits.apply(&mut set).unwrap();
    assert_eq!(set.transfers(), 1);

    // Past the first chunk of the large tensor, and in the short rest of another.
    for (tensor, place) in [(6, 4_299_999), (4, 17_000)] {
        let mut index = 0;
        set.visit_mut(&mut |_, grad| {
            index += 1;
            if index == tensor + 1 {
                grad.add(place, &[f64::NEG_INFINITY])
            } else {
                Ok(())
            }
        })
        .unwrap();
    }
    let before = set.transfers();
    let seen = Measurement::of(&set).unwrap();
    assert_eq!(set.transfers() - before, 2);
    assert_eq!(seen.first_non_finite(), Some(4));
    assert_eq!(
        (seen.tensor(4).neg_inf(), seen.tensor(4).first_non_finite()),
        (1, Some(17_000))
    );
    assert_eq!(
        (seen.tensor(6).inf(), seen.tensor(6).first_non_finite()),
        (1, Some(4_299_999))
    );
    assert_eq!(seen.total().nan(), 0);
}

#[test]
fn a_guarded_step_makes_one_transfer() {
    let (mut store, vars) = many();
    let norm = Measurement::of(&CandleGrads::new(&mut store, &vars))
        .unwrap()
        .total()
        .l2();
    let mut guard = Guard::new().clip(clip::GlobalNorm::new(norm / 4.0).unwrap());
    let mut set = CandleGrads::new(&mut store, &vars).on_device();
    let report = guard.step(&mut set).unwrap();
    assert!((report.before() / norm - 1.0).abs() <= ROOM);
    assert_eq!(set.transfers(), 1);
    let after = Measurement::of(&CandleGrads::new(&mut store, &vars)).unwrap();
    assert!((after.total().l2() / (norm / 4.0) - 1.0).abs() <= ROOM);
}

#[test]
fn a_value_clip_makes_one_transfer_and_a_step_one_more_if_it_bites() {
    let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() <= ROOM, "{a} and {b}");
    for (share, transfers) in [(1.0, 1), (0.5, 2)] {
        let (mut store, vars) = many();
        let mut set = CandleGrads::new(&mut store, &vars);
        let bound = share * Measurement::of(&set).unwrap().total().max_abs();
        let expected = clip::value(&mut set, bound).unwrap();
        let left = Measurement::of(&set).unwrap().total().l2();

        let (mut store, vars) = many();
        let mut set = CandleGrads::new(&mut store, &vars).on_device();
        let clipped = clip::value(&mut set, bound).unwrap();
        // Counts travel, and no tensor.
        assert_eq!(set.transfers(), 1);
        assert_eq!(clipped, expected);
        near(Measurement::of(&set).unwrap().total().l2(), left);

        let (mut store, vars) = many();
        let mut set = CandleGrads::new(&mut store, &vars).on_device();
        let mut guard = Guard::new().clip(clip::Value::new(bound).unwrap());
        let report = guard.step(&mut set).unwrap();
        assert_eq!(set.transfers(), transfers);
        near(report.after(), left);
    }
}

#[test]
fn a_clamp_is_counted_where_the_tensors_are() {
    let inf = f32::INFINITY;
    for (min, max, values) in [
        (
            -1.0,
            1.0,
            vec![0.5_f32, 1.0, -1.0, 1.5, f32::NAN, inf, -inf, -2.0],
        ),
        // On a bound as the type has it, though above or below it as it was given.
        (0.1, 0.7, vec![0.1_f32, 0.099_999_994, 0.7, 0.0]),
        (f64::NEG_INFINITY, 0.0, vec![-inf, 1.0, f32::NAN]),
        (-1.0, 1.0, vec![]),
    ] {
        let rule = clip::Value::between(min, max).unwrap();
        let (mut expected, var) = (
            values.clone(),
            Var::zeros(values.len(), DType::F32, &Device::Cpu).unwrap(),
        );
        let mut store = GradStore::default();
        store.insert(
            &var,
            Tensor::from_slice(&values, values.len(), &Device::Cpu).unwrap(),
        );
        let vars = [("w", var.clone())];
        let mut set = CandleGrads::new(&mut store, &vars).on_device();
        let clamped: Clamped = rule.apply(&mut set).unwrap();
        assert_eq!(clamped, rule.apply(&mut expected).unwrap(), "{values:?}");
        assert_eq!(set.transfers(), usize::from(!values.is_empty()));
        let left = store.get(&var).unwrap().to_vec1::<f32>().unwrap();
        let bits = |xs: &[f32]| xs.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&left), bits(&expected));
    }
}

#[test]
fn a_rule_after_a_clamp_that_bites_costs_one_transfer_more() {
    let chain = |norm: f64| {
        Guard::new()
            .clip(clip::Value::new(0.25).unwrap())
            .clip(clip::GlobalNorm::new(norm).unwrap())
    };
    let (mut store, vars) = many();
    let (mut expected_store, expected_vars) = many();
    let mut set = CandleGrads::new(&mut store, &vars).on_device();
    let (mut ours, mut theirs) = (chain(2.0), chain(2.0));
    let report = ours.step(&mut set).unwrap();
    let expected = theirs
        .step(&mut CandleGrads::new(&mut expected_store, &expected_vars))
        .unwrap();
    assert!(
        (report.after() / expected.after() - 1.0).abs() <= ROOM,
        "{report} {expected}"
    );
    // One look before, one as clamped, one at what the write left.
    assert!(set.transfers() <= 3, "{}", set.transfers());
}

#[test]
fn statistics_as_if_edited_write_nothing() {
    let values: Vec<f32> = (0..20_000).map(|i| (i % 100) as f32 - 50.0).collect();
    let var = Var::zeros((100, 200), DType::F32, &Device::Cpu).unwrap();
    let mut store = GradStore::default();
    store.insert(
        &var,
        Tensor::from_vec(values.clone(), (100, 200), &Device::Cpu).unwrap(),
    );
    let vars = [("w", var.clone())];
    let factor = |i| Factor::new(f64::from(i)).unwrap();
    let factors: Vec<Factor> = (0..200).map(factor).collect();
    let mut edits = Edits::for_count(1);
    edits.scale_units(0, 1, &factors);
    edits.clamp(0, -1000.0, 500.0);
    let ask = |on_device: bool, store: &mut GradStore| {
        let mut set = CandleGrads::new(store, &vars);
        if on_device {
            set = set.on_device();
        }
        let (mut units, mut stats) = (vec![], None);
        set.visit(&mut |_, tensor| {
            use steadygrad::Tensor as _;
            let mut ask = Ask::default()
                .after(edits.get(0))
                .power(1.5)
                .units(0, &mut units);
            stats = Some(tensor.stats(&mut ask)?);
            Ok(())
        })
        .unwrap();
        (stats.unwrap(), units)
    };
    let (host, host_units) = ask(false, &mut store);
    let (seen, units) = ask(true, &mut store);
    let near = |a: steadygrad::Wide, b: steadygrad::Wide| ((a / b).to_f64() - 1.0).abs() <= ROOM;
    for norm in [
        steadygrad::Norm::L1,
        steadygrad::Norm::L2,
        steadygrad::Norm::P(1.5),
    ] {
        assert!(near(seen.norm(norm), host.norm(norm)));
        for (a, b) in units.iter().zip(&host_units) {
            assert!(near(a.norm(norm), b.norm(norm)));
        }
    }
    assert_eq!((units.len(), host_units.len()), (100, 100));
    let after: Vec<f32> = store
        .get(&var)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap();
    assert_eq!(after, values);
}

#[test]
fn units_of_large_and_empty_tensors() {
    let (a, b) = (
        Var::zeros((3, 5_000, 300), DType::F32, &Device::Cpu).unwrap(),
        Var::zeros((4, 0), DType::F32, &Device::Cpu).unwrap(),
    );
    let mut store = GradStore::default();
    store.insert(
        &a,
        Tensor::ones((3, 5_000, 300), DType::F32, &Device::Cpu).unwrap(),
    );
    store.insert(&b, Tensor::ones((4, 0), DType::F32, &Device::Cpu).unwrap());
    let vars = [("a", a), ("b", b)];
    for axis in [0, 1] {
        let units = Needs::norms().of_units(Units::Axis(axis));
        let needs = units.of_magnitudes().of_power(3.0);
        let host = Measurement::with_needs(&CandleGrads::new(&mut store, &vars), &needs).unwrap();
        let set = CandleGrads::new(&mut store, &vars).on_device();
        let seen = Measurement::with_needs(&set, &needs).unwrap();
        assert_eq!(set.transfers(), 1);
        assert_eq!(seen.units(0), host.units(0));
        assert_eq!(seen.units(1), host.units(1));
        assert_eq!(seen.total().l1(), 4_500_000.0);
    }
}

#[test]
fn parameters_of_a_device_travel_once() {
    let (_, vars) = many();
    let params = CandleParams::new(&vars).on_device();
    assert_eq!(Measurement::of(&params).unwrap().total().l2(), 0.0);
    assert_eq!(params.transfers(), 1);
}

#[test]
fn extreme_factors_reach_the_end_of_the_range() {
    let w = Var::zeros(2, DType::F64, &Device::Cpu).unwrap();
    let vars = [("w", w.clone())];
    for (values, max) in [([f64::MAX, f64::MAX], 1e-300), ([1e-310, 1e-310], 1e300)] {
        let mut store = GradStore::default();
        store.insert(&w, Tensor::new(&values, &Device::Cpu).unwrap());
        let mut edits = Edits::for_count(1);
        edits.scale_all(Factor::ratio(max.into(), values[0].into()));
        let mut set = CandleGrads::new(&mut store, &vars).on_device();
        edits.apply(&mut set).unwrap();
        for x in store.get(&w).unwrap().to_vec1::<f64>().unwrap() {
            assert!((x / max - 1.0).abs() < 1e-13, "{x}");
        }
    }
}

/// The room that rows in `f32` need is not given to elements that are wider, nor to a largest magnitude.
#[test]
fn what_is_f64_is_summed_in_f64_and_a_largest_magnitude_is_exact() {
    let values: Vec<f64> = (1..=70_001).map(|i| f64::from(i).sin() / 3.0).collect();
    let w = Var::from_slice(&values, values.len(), &Device::Cpu).unwrap();
    let mut store = GradStore::default();
    store.insert(&w, w.copy().unwrap());
    let vars = [("w", w)];
    let host = Measurement::of(&CandleGrads::new(&mut store, &vars)).unwrap();
    let seen = Measurement::of(&CandleGrads::new(&mut store, &vars).on_device()).unwrap();
    let (host, seen) = (host.total(), seen.total());
    for (found, right) in [(seen.l2(), host.l2()), (seen.l1(), host.l1())] {
        assert!((found / right - 1.0).abs() <= 1e-13, "{found} and {right}");
    }
    assert_eq!(seen.max_abs(), host.max_abs());
}
