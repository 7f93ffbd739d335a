//! After its first call a guard's step allocates nothing, and a pass of a cell nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;

use steadygrad::prelude::*;
use steadygrad::{Guard, Norm, OnNonFinite, Step, TensorMut, Verdict, clip, detect, tensor_set};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

/// Counts what each thread asks of the heap.
struct Counting;

fn count() {
    // A thread that is ending has no counter any more, and nobody looks at it.
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
}

/// Counts bytes that come or go.
fn weigh(bytes: i64) {
    let _ = BYTES.try_with(|all| {
        all.set(all.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(all.get())));
    });
}

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        weigh(layout.size() as i64);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        weigh(layout.size() as i64);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        weigh(size as i64 - layout.size() as i64);
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        weigh(-(layout.size() as i64));
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static HEAP: Counting = Counting;

fn allocations(f: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    f();
    ALLOCATIONS.get() - before
}

/// By how many bytes this thread's memory grew at most.
#[cfg(feature = "ndarray")]
fn peak(f: impl FnOnce()) -> i64 {
    let before = BYTES.get();
    PEAK.set(before);
    f();
    PEAK.get() - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1_u8]))), 1);
    assert_eq!(allocations(|| ()), 0);
}

/// A chain with everything in it.
fn everything() -> Guard {
    behind(Guard::new())
}

fn behind(first: Guard) -> Guard {
    first
        .detect(detect::NonFinite)
        .detect(detect::NormThreshold::new(0.5).unwrap())
        .detect(detect::NormThreshold::new(0.5).unwrap().per_tensor())
        .clip(clip::Value::new(0.75).unwrap())
        .clip(clip::TensorNorm::new(0.9).unwrap())
        .clip(
            clip::GlobalNorm::new(0.8)
                .unwrap()
                .norm(Norm::P(3.0))
                .unwrap(),
        )
        .clip(
            clip::GlobalNorm::new(0.7)
                .unwrap()
                .norm(Norm::P(4.0))
                .unwrap(),
        )
        .clip(clip::GlobalNorm::new(0.6).unwrap())
        .detect(detect::PersistentNorm::new(0.1, 1).unwrap())
        .detect(
            detect::WeightGrowth::new(1.5)
                .unwrap()
                .per_step(1e-9, 3)
                .unwrap(),
        )
        .detect(detect::Plateau::new(1.0, 1).unwrap().baseline(0.0).unwrap())
        .detect(detect::Spike::of_loss().window(2).unwrap())
        .detect(detect::Spike::of_norm().shift(2, 2).unwrap())
        .detect(detect::PersistentNorm::relative(1.5, 2).unwrap())
        .detect(detect::Vanishing::per_tensor().below(1e9).unwrap())
        .detect(detect::UpdateRatio::default())
        .detect(
            detect::any(detect::Vanishing::default(), detect::NonFinite)
                .for_steps(2)
                .unwrap(),
        )
        .detect(detect::all(detect::NonFinite, detect::Vanishing::per_tensor()).after(3))
        .detect(detect::Spike::of_norm().every(2).unwrap())
}

/// Steps once to warm up, then ten times more, with alarms, skips and what is not finite among them.
fn check<G: TensorSetMut + ?Sized>(what: &str, grads: &mut G, params: &impl TensorSet) {
    for policy in [
        OnNonFinite::Skip,
        OnNonFinite::ZeroTensor,
        OnNonFinite::ZeroAll,
        OnNonFinite::Propagate,
    ] {
        let mut guard = everything().on_non_finite(policy).max_skips(3);
        let set = |x: f64, grads: &mut G| {
            grads
                .visit_mut(&mut |_, tensor| {
                    let mut at = [0.0];
                    let len = tensor.len();
                    for i in 0..len.min(2) {
                        tensor.read(i, &mut at)?;
                        // A NaN cannot be subtracted away.
                        tensor.add(i, &[if at[0].is_finite() { x - at[0] } else { 0.0 }])?;
                    }
                    Ok(())
                })
                .unwrap();
        };
        set(3.0, grads);
        let step = |guard: &mut Guard, grads: &mut G, loss: f64| {
            let report = guard
                .step(Step::new(grads).params(params).loss(loss))
                .unwrap();
            (report.verdict(), report.alarms().len())
        };
        step(&mut guard, grads, 1.0);
        for i in 0..10 {
            set(2.0 + f64::from(i), grads);
            let loss = if i % 4 == 3 { f64::NAN } else { 2.0 };
            let mut found = (Verdict::Apply, 0);
            let made = allocations(|| found = step(&mut guard, grads, loss));
            assert_eq!(made, 0, "{what} under {policy:?}, step {i}: {found:?}");
            assert!(found.1 >= 2, "{what}: alarms are to fire, {found:?}");
        }
    }
    // Gradients that are not finite, for good.
    grads
        .visit_mut(&mut |_, tensor| {
            if tensor.is_empty() {
                Ok(())
            } else {
                tensor.add(0, &[f64::NAN])
            }
        })
        .unwrap();
    let mut guard = everything().max_skips(2);
    let _ = guard.step(&mut *grads).unwrap();
    let made = allocations(|| {
        for _ in 0..5 {
            let _ = guard.step(&mut *grads).unwrap();
        }
    });
    assert_eq!(made, 0, "{what}: skipping");
    assert_eq!(guard.report().verdict(), Verdict::Stop);
}

#[test]
fn slices_lists_and_maps() {
    let mut one = vec![1.0_f32; 1000];
    check("a vector", &mut one, &vec![1.0_f32; 1000]);
    check("a slice", [1.0_f64; 5].as_mut_slice(), &[1.0; 5]);
    check(
        "a list",
        &mut vec![vec![1.0_f32; 300], vec![2.0; 7], vec![]],
        &vec![vec![1.0; 300], vec![1.0; 7], vec![]],
    );
    check(
        "missing ones",
        &mut [Some(vec![1.0_f64; 3]), None],
        &[[1.0; 3], [2.0; 3]],
    );
    let named = |x: f32| [("weight", vec![x; 300]), ("bias", vec![x; 3])];
    check("a named list", &mut named(1.0), &named(2.0));
    let map = || {
        BTreeMap::from([
            ("encoder.w".to_string(), vec![1.0_f32; 9]),
            ("decoder.w".to_string(), vec![2.0; 70_000]),
        ])
    };
    check("a map", &mut map(), &map());
    let (mut a, mut b) = (vec![1.0_f32; 10], [1.0_f64; 10]);
    let mut mixed: [(&str, &mut dyn TensorMut); 2] = [("a", &mut a), ("b", &mut b)];
    check(
        "mixed types",
        &mut mixed,
        &[("a", [1.0; 10]), ("b", [1.0; 10])],
    );
    let mut hundred: Vec<[f32; 3]> = vec![[1.0; 3]; 137];
    check("numbered names", &mut hundred, &vec![[1.0; 3]; 137]);
}

#[derive(Clone)]
struct Layer {
    w_in: Vec<f32>,
    w_rec: Vec<f64>,
    bias: [f32; 2],
}
tensor_set!(Layer { w_in, w_rec, bias });

#[derive(Clone)]
struct Model {
    layers: Vec<Layer>,
    head: Option<Vec<f32>>,
}
tensor_set!(Model { layers, head });

#[test]
fn structs_in_structs() {
    let layer = Layer {
        w_in: vec![1.0; 20],
        w_rec: vec![0.5; 30],
        bias: [0.1; 2],
    };
    let model = Model {
        layers: vec![layer.clone(), layer],
        head: None,
    };
    check("a model", &mut model.clone(), &model);
    let mut map = BTreeMap::from([("a name that takes its place".to_string(), model.clone())]);
    let params = map.clone();
    check("a model in a map", &mut map, &params);
}

#[cfg(feature = "ndarray")]
#[test]
fn arrays_of_up_to_four_axes() {
    use ndarray::{Array1, Array2, Array3, Array4, ArrayD, Axis, IxDyn, Slice};
    check("1 axis", &mut Array1::<f32>::ones(500), &[1.0; 500]);
    check(
        "2 axes",
        &mut Array2::<f64>::ones((30, 40)),
        &Array2::<f32>::ones((30, 40)),
    );
    check("3 axes", &mut Array3::<f32>::ones((3, 4, 50)), &[1.0; 600]);
    check(
        "4 axes",
        &mut Array4::<f32>::ones((2, 3, 4, 5)),
        &Array4::<f32>::ones((2, 3, 4, 5)),
    );
    check(
        "4 axes, dynamic",
        &mut ArrayD::<f32>::ones(IxDyn(&[2, 3, 4, 5])),
        &[1.0; 120],
    );
    let mut four = Array4::<f32>::ones((4, 6, 8, 10));
    for axis in 0..4 {
        four.invert_axis(Axis(axis));
    }
    check(
        "reversed",
        &mut four.view_mut().reversed_axes(),
        &[1.0; 1920],
    );
    // The check leaves NaN behind.
    four.fill(1.0);
    let mut strided = four.view_mut();
    for axis in 0..4 {
        strided.slice_axis_inplace(Axis(axis), Slice::new(0, None, 2));
    }
    check("strided", &mut strided, &[1.0; 120]);
    let mut some = strided.permuted_axes([2, 0, 3, 1]);
    some.invert_axis(Axis(1));
    some.fill(1.0);
    check("permuted", &mut some, &[1.0; 120]);
    let mut set = [
        ("plain", Array2::<f32>::ones((4, 4)).into_dyn()),
        ("cube", Array3::<f32>::ones((2, 2, 2)).into_dyn()),
    ];
    let params = set.clone();
    check("a named list", &mut set, &params);
}

#[test]
fn a_calm_first_step_makes_the_room_for_a_storm() {
    // Nothing to clip at first; then everything bites, and what a clamp leaves is looked at.
    let set = |x: f32| [("w", vec![x; 300]), ("b", vec![-x; 3]), ("c", vec![])];
    for policy in [
        OnNonFinite::Skip,
        OnNonFinite::ZeroTensor,
        OnNonFinite::Propagate,
    ] {
        let mut guard = everything().on_non_finite(policy);
        let (mut calm, params) = (set(1e-4), set(1.0));
        let _ = guard
            .step(Step::new(&mut calm).params(&params).loss(1.0))
            .unwrap();
        let (mut storm, mut bad) = (set(1e4), set(1e4));
        bad[1].1[1] = f32::NAN;
        let mut clipped = false;
        let made = allocations(|| {
            clipped = guard
                .step(Step::new(&mut storm).params(&params).loss(1.0))
                .unwrap()
                .is_clipped();
            let _ = guard
                .step(Step::new(&mut bad).params(&params).loss(1.0))
                .unwrap();
        });
        assert!(clipped);
        assert_eq!(made, 0, "{policy:?}");
    }
}

#[test]
fn what_is_kept_uses_the_memory_of_the_first_copies() {
    use steadygrad::{Action, Recovery, keep::Keep};
    let mut params = [("w", vec![1.0_f32; 3000]), ("b", vec![2.0; 7])];
    let (mut moments, mut steps) = (vec![0.1_f64; 3007], 0.0_f64);
    let far_off = detect::NormThreshold::new(1e5).unwrap();
    let mut guard = behind(Guard::new().detect_with(Verdict::Rollback, far_off));
    let mut recovery = Recovery::new(Keep::after(4).unwrap()).cut(0.9, 2).unwrap();
    let (mut kept, mut back, mut without) = (0, 0, 0);
    for step in 0..60 {
        let scale = if step % 13 == 12 { 1e5 } else { 1.0 };
        let mut grads = [("w", vec![scale; 3000]), ("b", vec![scale; 7])];
        let stepped = guard
            .step(Step::new(&mut grads).params(&params).loss(1.0))
            .unwrap();
        let mut set: [(&str, &mut dyn TensorSetMut); 3] = [
            ("params", &mut params),
            ("moments", &mut moments),
            ("steps", &mut steps),
        ];
        let (before, mut action) = (recovery.keep().step(), Action::Apply);
        let made = allocations(|| action = recovery.act(stepped, &mut set).unwrap());
        let rules_are_taken = recovery.keep().step() != before || made > 0;
        match action {
            _ if step < 20 => (),
            // The rules write down what they remember: a few small lists, whatever the size of the model.
            Action::Apply if rules_are_taken => {
                kept += 1;
                assert!(made < 160, "step {step}: {made}");
            }
            Action::Apply => without += 1,
            Action::RolledBack => back += 1,
            Action::Skip | Action::Stop => panic!("{recovery}"),
        }
        assert!(made < 320, "step {step}: {made}");
    }
    assert!(
        kept <= 14 && without >= 20 && back >= 2,
        "{kept}, {without}, {back}"
    );
}

#[test]
fn every_tensor_may_speak_at_once() {
    let set = |x: f32| vec![[x; 3]; 137];
    let growth = || {
        let growth = detect::WeightGrowth::new(1.5).unwrap();
        growth.per_step(1e-3, 1).unwrap()
    };
    let each = || detect::NormThreshold::new(1.0).unwrap().per_tensor();
    let mut guard = Guard::new()
        .detect(growth())
        .detect(each())
        .detect(growth().on(|name: &str| name.ends_with('7')))
        .detect(each().on("1"));
    // Calm until all of them speak, of two things, and then are silent.
    let steps = [(0.5, 1.0), (0.5, 1.0), (2.0, 3.0), (2.0, 9.0), (0.5, 1.0)];
    for (i, (x, w)) in steps.into_iter().enumerate() {
        let (mut grads, params) = (set(x), set(w));
        let mut told = (0, 0);
        let made = allocations(|| {
            let report = guard.step(Step::new(&mut grads).params(&params)).unwrap();
            told = (report.alarms().len(), report.ended().len());
        });
        assert!(i == 0 || made == 0, "step {i}: {made}, {told:?}");
        let all = 2 * 137 + 137 + 2 * 13 + 48;
        let expected = [(0, 0), (0, 0), (all, 0), (all, 0), (0, all)];
        assert_eq!(told, expected[i], "step {i}");
    }
}

/// Detectors in detectors make the room for all that those inside may say.
#[test]
fn every_tensor_may_speak_at_once_through_others() {
    let set = |x: f32| vec![[x; 3]; 137];
    let each = || detect::NormThreshold::new(1.0).unwrap().per_tensor();
    let small = || {
        let small = detect::Vanishing::per_tensor().below(4.0).unwrap();
        small.steps(1).unwrap()
    };
    let ratio = || detect::UpdateRatio::default().on(|_: &str| true);
    let mut guard = Guard::new()
        .detect(each().for_steps(2).unwrap())
        .detect(detect::any(each(), detect::any(small(), ratio())))
        .detect(detect::all(small(), ratio()).for_steps(1).unwrap())
        .detect(each().after(3))
        .detect(each().every(3).unwrap());
    // Calm, and then all of them speak; the updates too.
    let steps = [
        (0.5, 1e-3),
        (0.5, 1e-3),
        (2.0, 1e-3),
        (2.0, 0.5),
        (2.0, 0.5),
        (9.0, 1e-3),
    ];
    for (i, (x, update)) in steps.into_iter().enumerate() {
        let (mut grads, params, updates) = (set(x), set(1.0), set(update));
        let mut told = (0, 0);
        let made = allocations(|| {
            let step = Step::new(&mut grads).params(&params).updates(&updates);
            let report = guard.step(step).unwrap();
            told = (report.alarms().len(), report.ended().len());
        });
        // What looks at every third step sees the tensors for the first time at the third.
        assert!(i == 0 || i == 2 || made == 0, "step {i}: {made}, {told:?}");
        // In units of 137: of for_steps, any, all, after and every.
        let expected = [(1, 0), (1, 0), (3, 0), (7, 0), (7, 0), (4, 4)];
        let found = (told.0 / 137, told.1 / 137);
        assert_eq!(found, expected[i], "step {i}");
        assert_eq!((told.0 % 137, told.1 % 137), (0, 0));
    }
}

#[test]
fn a_plan_allocates_nothing_either() {
    let grads = vec![vec![3.0_f32; 100], vec![4.0]];
    let mut guard = everything();
    let _ = guard.plan(&grads).unwrap();
    let mut factor = None;
    let made = allocations(|| factor = guard.plan(&grads).unwrap().factor(1));
    assert_eq!((made, factor), (0, None));
}

#[test]
fn rules_for_some_tensors_allocate_when_they_first_see_them() {
    let of = |group: &'static str| clip::GlobalNorm::new(0.5).unwrap().on(group);
    let inner = of("w").on(|name: &str| name.ends_with('b'));
    let growth = detect::WeightGrowth::new(2.0).unwrap();
    let mut guard = Guard::new()
        .clip(of("w"))
        .clip(of("nobody's"))
        .clip(clip::Value::new(0.25).unwrap().on("v"))
        .clip(inner.reaching("v"))
        .detect(growth.on("w"));
    let set = |x: f32| [("w.a", vec![x; 300]), ("w.b", vec![-x; 3]), ("v", vec![x])];
    let (params, mut clipped) = (set(1.0), 0);
    for (step, x) in [1e-4, 2.0, 1e-4, 3.0, 1e4].into_iter().enumerate() {
        let mut grads = set(x);
        let made = allocations(|| {
            let report = guard.step(Step::new(&mut grads).params(&params)).unwrap();
            clipped += u32::from(report.is_clipped());
        });
        assert!(step == 0 || made == 0, "step {step}: {made}");
    }
    assert_eq!(clipped, 3);
}

#[test]
fn tensors_that_start_strange_cost_nothing_later() {
    // The first norm of a weight is not finite; its window must not be made on the second step.
    let mut guard = everything();
    let _ = guard
        .step(Step::new(&mut [1.0]).params(&[f64::NAN]).loss(f64::NAN))
        .unwrap();
    let made = allocations(|| {
        for _ in 0..5 {
            let _ = guard
                .step(Step::new(&mut [1.0]).params(&[2.0]).loss(1.0))
                .unwrap();
        }
    });
    assert_eq!(made, 0);
}

#[cfg(feature = "ndarray")]
#[path = "allocation/cells.rs"]
mod cells;

#[cfg(feature = "ndarray")]
#[path = "allocation/wrappers.rs"]
mod wrappers;

#[path = "allocation/record.rs"]
mod record;

#[cfg(feature = "std")]
#[path = "allocation/ranks.rs"]
mod ranks;
