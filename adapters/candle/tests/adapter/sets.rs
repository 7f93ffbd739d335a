//! Which tensors belong to a set, under which names, and what an edit touches.

use std::collections::{BTreeMap, HashMap};

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Init, VarMap};
use steadygrad::{
    Edits, Error, Factor, Guard, Measurement, Needs, Step, TensorSet, TensorSetMut, Units, clip,
};
use steadygrad_candle::{CandleGrads, CandleParams, Vars};

fn var(values: &[f32]) -> Var {
    Var::from_slice(values, values.len(), &Device::Cpu).unwrap()
}

fn grads(pairs: &[(&Var, &[f32])]) -> GradStore {
    let mut store = GradStore::default();
    for (var, values) in pairs {
        store.insert(
            var,
            Tensor::from_slice(values, var.shape(), &Device::Cpu).unwrap(),
        );
    }
    store
}

fn names(vars: &(impl Vars + ?Sized)) -> Vec<String> {
    let seen = Measurement::of(&CandleParams::new(vars)).unwrap();
    (0..seen.len()).map(|i| seen.name(i).to_owned()).collect()
}

fn values(store: &GradStore, var: &Var) -> Vec<f32> {
    store
        .get(var)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

#[test]
fn every_list_of_variables_has_a_fixed_order() {
    let map = VarMap::new();
    for name in ["z", "lstm.b", "a.w", "lstm.a"] {
        map.get(2, name, Init::Const(1.0), DType::F32, &Device::Cpu)
            .unwrap();
    }
    assert_eq!(names(&map), ["a.w", "lstm.a", "lstm.b", "z"]);
    let [x, y] = [var(&[1.0]), var(&[2.0])];
    assert_eq!(names(&[("y", y.clone()), ("x", x.clone())]), ["y", "x"]);
    assert_eq!(names(&vec![("y".to_string(), y.clone())]), ["y"]);
    assert_eq!(names([x.clone(), y.clone()].as_slice()), ["0", "1"]);
    let hashed = HashMap::from([("y".to_string(), y.clone()), ("x".to_string(), x.clone())]);
    assert_eq!(names(&hashed), ["x", "y"]);
    assert_eq!(names(&BTreeMap::from([("y", y), ("x", x)])), ["x", "y"]);
}

#[test]
fn names_in_a_name_follow_it() {
    let [policy, value] = [(); 2].map(|()| VarMap::new());
    for (map, layers) in [(&policy, ["out.w", "in.w"]), (&value, ["in.w", "in.b"])] {
        for name in layers {
            map.get(2, name, Init::Const(1.0), DType::F32, &Device::Cpu)
                .unwrap();
        }
    }
    let both = [("policy", &policy), ("value", &value)];
    let all = ["policy.in.w", "policy.out.w", "value.in.b", "value.in.w"];
    assert_eq!(names(&both), all);
    assert_eq!(names(&both.to_vec()), all);
    assert_eq!(names(&BTreeMap::from(both)), all);
    assert_eq!(
        names(&HashMap::from(
            both.map(|(name, map)| (name.to_owned(), map))
        )),
        all
    );
    assert_eq!(names(&both.filtered("policy.")), all[..2]);
    let weights = both.filtered(|name: &str| name.ends_with('w'));
    assert_eq!(names(&weights), [all[0], all[1], all[3]]);
    assert_eq!(weights.list().len(), 3);
    // Names of one's own, and none.
    let w = var(&[1.0]);
    assert_eq!(names(&("actor", &w)), ["actor"]);
    assert_eq!(names(&("", both)), all);
    assert_eq!(names(&w), [""]);
    assert_eq!(
        names(&("outer", [("inner", [w.clone()])])),
        ["outer.inner.0"]
    );
    let lists: [(&str, &dyn Vars); 2] = [("map", &value), ("list", &[w])];
    assert_eq!(names(&lists), ["map.in.b", "map.in.w", "list.0"]);
}

/// A `VarMap` that is filled as the layers are made, and counts its steps.
#[test]
fn parameters_follow_the_list_and_leave_integers_out() {
    let map = VarMap::new();
    for on_device in [false, true] {
        let made = |name, value, dtype| {
            map.get((), name, Init::Const(value), dtype, &Device::Cpu)
                .unwrap()
        };
        let mut params = CandleParams::new(&map);
        if on_device {
            params = params.on_device();
        }
        let norm = || Measurement::of(&params).unwrap().total().l2();
        assert_eq!(norm(), 0.0);
        made("b", 3.0, DType::F32);
        made("steps", 7.0, DType::I64);
        assert_eq!(norm(), 3.0);
        made("a", 4.0, DType::F16);
        assert_eq!(norm(), 5.0);
        assert_eq!(names(&map), ["a", "b"]);
        // One that takes the place of another under its name.
        let other = Var::new(12f32, &Device::Cpu).unwrap();
        map.data().lock().unwrap().insert("b".into(), other);
        assert_eq!(norm(), 160f64.sqrt());
        assert_eq!(params.transfers() > 0, on_device);
        // Both sets leave out the same, or a guard would not take them together.
        let mut store = GradStore::default();
        let mut set = CandleGrads::new(&mut store, &map);
        let mut guard = Guard::new();
        let report = guard.step(Step::new(&mut set).params(&params));
        assert_eq!(report.unwrap().params().unwrap().len(), 2);
        map.data().lock().unwrap().clear();
        assert_eq!(norm(), 0.0);
    }
}

#[test]
fn a_bare_store_is_a_set_in_a_fixed_order() {
    let (w, b) = (var(&[3.0]), var(&[4.0]));
    let (x, y) = (
        Tensor::new(&[12f32], &Device::Cpu).unwrap(),
        Tensor::new(&[84f32], &Device::Cpu).unwrap(),
    );
    for _ in 0..20 {
        let sum = (w.mul(&x).unwrap() + b.mul(&y).unwrap()).unwrap();
        let mut store = sum.backward().unwrap();
        let seen = Measurement::of(&CandleGrads::all(&mut store, &[("b", &b)])).unwrap();
        let all: Vec<_> = (0..4)
            .map(|i| (seen.name(i), seen.tensor(i).l2()))
            .collect();
        let expected = [
            ("b", 84.0),
            ("unnamed.0", 12.0),
            ("unnamed.1", 3.0),
            ("unnamed.2", 4.0),
        ];
        assert_eq!(all, expected);
        let none: &[Var] = &[];
        let clipped = clip::global_norm(&mut CandleGrads::all(&mut store, none), 1.0).unwrap();
        assert!((clipped.before() - (84f64 * 84.0 + 144.0 + 25.0).sqrt()).abs() < 1e-9);
        assert_eq!(values(&store, &w), [(12.0 / clipped.before()) as f32]);
    }
}

#[test]
fn a_shared_variable_counts_and_is_scaled_once() {
    let (embedding, other) = (var(&[0.0]), var(&[0.0]));
    let mut store = grads(&[(&embedding, &[3.0]), (&other, &[4.0])]);
    let vars = [
        ("embedding", embedding.clone()),
        ("head", embedding.clone()),
        ("other", other.clone()),
    ];
    let clipped = clip::global_norm(&mut CandleGrads::new(&mut store, &vars), 1.0).unwrap();
    assert_eq!(clipped.before(), 5.0);
    assert_eq!(
        (values(&store, &embedding), values(&store, &other)),
        (vec![0.6], vec![0.8])
    );
    assert_eq!(names(&vars), ["embedding", "other"]);
}

#[test]
fn a_missing_gradient_keeps_its_place() {
    let (a, b, c) = (var(&[1.0]), var(&[1.0, 1.0]), var(&[1.0]));
    let mut store = grads(&[(&a, &[3.0]), (&c, &[4.0])]);
    let vars = [("a", a), ("b", b), ("c", c)];
    for on_device in [false, true] {
        let mut set = CandleGrads::new(&mut store, &vars);
        if on_device {
            set = set.on_device();
        }
        let seen = Measurement::of(&set).unwrap();
        assert_eq!(
            (seen.len(), seen.name(1), seen.tensor(1).len()),
            (3, "b", 0)
        );
        assert_eq!(seen.total().l2(), 5.0);
        clip::global_norm(&mut set, 10.0).unwrap();
    }
}

#[test]
fn an_edit_shows_in_clones_but_not_in_copies() {
    let w = var(&[0.0, 0.0]);
    let mut store = grads(&[(&w, &[3.0, 4.0])]);
    let clone = store.get(&w).unwrap().clone();
    let copy = clone.copy().unwrap();
    clip::global_norm(
        &mut CandleGrads::new(&mut store, std::slice::from_ref(&w)),
        1.0,
    )
    .unwrap();
    assert_eq!(clone.to_vec1::<f32>().unwrap(), [0.6, 0.8]);
    assert_eq!(copy.to_vec1::<f32>().unwrap(), [3.0, 4.0]);
    clip::global_norm(&mut CandleGrads::new(&mut store, &[w]).on_device(), 0.5).unwrap();
    assert_eq!(clone.to_vec1::<f32>().unwrap(), [0.3, 0.4]);
}

#[test]
fn repeated_elements_are_copied_and_each_edited_once() {
    let w = Var::zeros((2, 2), DType::F32, &Device::Cpu).unwrap();
    let base = Tensor::new(&[3f32, 4.0], &Device::Cpu).unwrap();
    for on_device in [false, true] {
        let mut store = GradStore::default();
        store.insert(&w, base.broadcast_as((2, 2)).unwrap());
        let vars = [("w", w.clone())];
        let mut set = CandleGrads::new(&mut store, &vars);
        if on_device {
            set = set.on_device();
        }
        let clipped = clip::global_norm(&mut set, 1.0).unwrap();
        assert_eq!(clipped.before(), 50f64.sqrt());
        let (x, y) = ((3.0 / 50f64.sqrt()) as f32, (4.0 / 50f64.sqrt()) as f32);
        assert_eq!(values(&store, &w), [x, y, x, y]);
        assert_eq!(base.to_vec1::<f32>().unwrap(), [3.0, 4.0]);
    }
}

#[test]
fn gradients_that_share_memory_are_parted() {
    for on_device in [false, true] {
        // One tensor as the gradient of two variables, and a variable as the gradient of another.
        let (a, b, c, d) = (
            var(&[0.0; 2]),
            var(&[0.0; 2]),
            var(&[0.0; 2]),
            var(&[1.0, 1.0]),
        );
        let shared = Tensor::new(&[2f32, 4.0], &Device::Cpu).unwrap();
        let mut store = GradStore::default();
        store.insert(&a, shared.clone());
        store.insert(&b, shared.clone());
        store.insert(&c, d.as_detached_tensor());
        store.insert(&d, d.as_tensor().clone());
        let vars = [
            ("a", a.clone()),
            ("b", b.clone()),
            ("c", c.clone()),
            ("d", d.clone()),
        ];
        let mut set = CandleGrads::new(&mut store, &vars);
        if on_device {
            set = set.on_device();
        }
        let mut edits = Edits::for_count(4);
        edits.scale_all(Factor::new(0.5).unwrap());
        edits.apply(&mut set).unwrap();
        assert_eq!(
            (values(&store, &a), values(&store, &b)),
            (vec![1.0, 2.0], vec![1.0, 2.0])
        );
        assert_eq!(
            (values(&store, &c), values(&store, &d)),
            (vec![0.5; 2], vec![0.5; 2])
        );
        assert_eq!(d.to_vec1::<f32>().unwrap(), [1.0, 1.0]);
    }
}

#[test]
fn halves_of_one_tensor_are_edited_in_place() {
    let (a, b) = (var(&[0.0; 2]), var(&[0.0; 2]));
    let both = Tensor::new(&[1f32, 2.0, 3.0, 4.0], &Device::Cpu).unwrap();
    let mut store = GradStore::default();
    store.insert(&a, both.narrow(0, 0, 2).unwrap());
    store.insert(&b, both.narrow(0, 2, 2).unwrap());
    for on_device in [false, true] {
        let vars = [("a", a.clone()), ("b", b.clone())];
        let mut set = CandleGrads::new(&mut store, &vars);
        if on_device {
            set = set.on_device();
        }
        let mut edits = Edits::for_count(2);
        edits.scale(1, Factor::new(2.0).unwrap());
        edits.apply(&mut set).unwrap();
    }
    assert_eq!(both.to_vec1::<f32>().unwrap(), [1.0, 2.0, 12.0, 16.0]);
}

#[test]
fn only_what_overlaps_in_one_storage_is_copied() {
    let buffer = Tensor::arange(0f32, 10.0, &Device::Cpu).unwrap();
    // In any order; none of the first four overlap, each of the last three some of them.
    let runs = [(4, 2), (0, 2), (2, 0), (2, 2), (1, 1), (3, 2), (0, 10)];
    let vars: Vec<Var> = runs.iter().map(|_| var(&[0.0])).collect();
    let mut store = GradStore::default();
    for (var, (start, len)) in vars.iter().zip(runs) {
        store.insert(var, buffer.narrow(0, start, len).unwrap());
    }
    let mut edits = Edits::for_count(runs.len());
    edits.zero_all();
    edits
        .apply(&mut CandleGrads::new(&mut store, &vars))
        .unwrap();
    let expected: Vec<f32> = (0..10)
        .map(|i| if i < 6 { 0.0 } else { i as f32 })
        .collect();
    assert_eq!(buffer.to_vec1::<f32>().unwrap(), expected);
    for (var, (_, len)) in vars.iter().zip(runs) {
        assert_eq!(values(&store, var), vec![0.0; len]);
    }
}

#[test]
fn tensors_are_read_and_added_to() {
    for on_device in [false, true] {
        let w = var(&[0.0; 3]);
        let mut store = grads(&[(&w, &[1.0, 2.0, 3.0])]);
        let vars = [("w", w.clone())];
        let mut set = CandleGrads::new(&mut store, &vars);
        if on_device {
            set = set.on_device();
        }
        set.visit_mut(&mut |_, tensor| {
            tensor.add(1, &[10.0, 20.0])?;
            let mut out = [0.0; 2];
            tensor.read(0, &mut out)?;
            assert_eq!(out, [1.0, 12.0]);
            let too_many = |found| Error::Count {
                what: "elements",
                expected: 4,
                found,
            };
            assert_eq!(tensor.read(2, &mut out), Err(too_many(3)));
            assert_eq!(tensor.add(2, &out), Err(too_many(3)));
            assert_eq!(tensor.write(2, &out), Err(too_many(3)));
            tensor.write(2, &[-0.25])
        })
        .unwrap();
        assert_eq!(set.transfers(), usize::from(on_device));
        assert_eq!(values(&store, &w), [1.0, 12.0, -0.25]);
    }
}

#[test]
fn the_cores_penalties_work_on_both_sets() {
    use steadygrad::penalty::{L2, Penalty};
    let w = Var::new(&[[3f32, 4.0]], &Device::Cpu).unwrap();
    let bias = var(&[7.0]);
    let mut store = grads(&[(&w, &[1.0, 1.0]), (&bias, &[1.0])]);
    let vars = [("w", w.clone()), ("bias", bias.clone())];
    let value = L2::new(0.5)
        .unwrap()
        .apply(
            &CandleParams::new(&vars),
            &mut CandleGrads::new(&mut store, &vars),
        )
        .unwrap();
    assert_eq!(value, 6.25);
    assert_eq!(
        (values(&store, &w), values(&store, &bias)),
        (vec![2.5, 3.0], vec![1.0])
    );
}

#[test]
fn what_cannot_be_used_is_an_error() {
    for on_device in [false, true] {
        let w = Var::zeros(2, DType::U32, &Device::Cpu).unwrap();
        let mut store = GradStore::default();
        store.insert(&w, Tensor::zeros(2, DType::U32, &Device::Cpu).unwrap());
        let vars = [w];
        let mut set = CandleGrads::new(&mut store, &vars);
        if on_device {
            set = set.on_device();
        }
        let error = clip::global_norm(&mut set, 1.0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "tensor storage: expected F32, F64, F16 or BF16, found U32"
        );
    }
    let w = var(&[0.0, 0.0]);
    let mut store = grads(&[(&w, &[1.0, 1.0])]);
    let vars = [w];
    let mut edits = Edits::for_count(2);
    edits.scale_all(Factor::ONE);
    assert!(matches!(
        edits.apply(&mut CandleGrads::new(&mut store, &vars)),
        Err(Error::Count {
            expected: 2,
            found: 1,
            ..
        })
    ));
    let mut edits = Edits::for_count(1);
    edits.scale_units(0, 0, &[Factor::ONE; 3]);
    for on_device in [false, true] {
        let mut set = CandleGrads::new(&mut store, &vars);
        if on_device {
            set = set.on_device();
        }
        assert!(matches!(
            edits.apply(&mut set),
            Err(Error::Count {
                expected: 2,
                found: 3,
                ..
            })
        ));
        // A line is one unit whatever the axis; an axis that a matrix does not have is refused.
        let needs = Needs::norms().of_units(Units::Axis(2));
        let seen = Measurement::with_needs(&set, &needs).unwrap();
        assert_eq!((seen.units(0), seen.unit_axis(0)), (seen.tensors(), None));
        let m = Var::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
        let mut store = GradStore::default();
        store.insert(&m, Tensor::ones((2, 3), DType::F32, &Device::Cpu).unwrap());
        let mut set = CandleGrads::new(&mut store, &[m]);
        if on_device {
            set = set.on_device();
        }
        assert_eq!(
            Measurement::with_needs(&set, &needs).unwrap_err(),
            Error::Axis { axes: 2, axis: 2 }
        );
    }
}

#[test]
fn sets_travel_between_threads() {
    fn check<T: Send + Sync + std::fmt::Debug>() {}
    check::<CandleGrads<'_>>();
    check::<CandleParams<VarMap>>();
}

#[test]
fn a_real_backward_pass_of_every_type_is_guarded() {
    for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16] {
        let map = VarMap::new();
        let builder = candle_nn::VarBuilder::from_varmap(&map, dtype, &Device::Cpu);
        let first = candle_nn::linear(5, 7, builder.pp("first")).unwrap();
        let second = candle_nn::linear(7, 1, builder.pp("second")).unwrap();
        let x = Tensor::ones((3, 5), dtype, &Device::Cpu).unwrap();
        let hidden = candle_nn::Module::forward(&first, &x)
            .unwrap()
            .tanh()
            .unwrap();
        let loss = (candle_nn::Module::forward(&second, &hidden).unwrap() + 30.0).unwrap();
        let mut store = loss.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0).unwrap());
        let report = guard.step(&mut CandleGrads::new(&mut store, &map)).unwrap();
        assert!(report.before() > 100.0 && report.is_clipped());
        let after = Measurement::of(&CandleGrads::new(&mut store, &map)).unwrap();
        assert!(
            (after.total().l2() - 1.0).abs() < 4e-3,
            "{dtype:?}: {}",
            after.total().l2()
        );
        let mut all = 0;
        CandleGrads::new(&mut store, &map)
            .visit(&mut |_, _| {
                all += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(all, 4);
    }
}
