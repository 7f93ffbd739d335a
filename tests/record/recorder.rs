//! The recorder: which rows are kept.

use proptest::prelude::*;
use steadygrad::record::{Log, Phase, Recorder, Row};
use steadygrad::{Guard, OnNonFinite, Step, Verdict, clip, detect};

/// A run in which some steps are out of bounds, and every row there was.
fn run(recorder: &mut Recorder, losses: &[f64]) -> Vec<Row> {
    let mut guard = Guard::new()
        .max_skips(u32::MAX)
        .detect(detect::NormThreshold::new(100.0).unwrap())
        .clip(clip::GlobalNorm::new(50.0).unwrap());
    let mut rows = vec![];
    for &loss in losses {
        let (mut grads, params) = ([("w", [loss, 0.0]), ("b", [1.0, 0.0])], [3.0, 4.0]);
        let params = [("w", params), ("b", [0.0, 0.0])];
        let step = Step::new(&mut grads).params(&params).loss(loss.abs());
        let report = guard.step(step).unwrap();
        recorder.record(&report);
        rows.push(Row::of(&report));
    }
    rows
}

fn is_event(row: &Row) -> bool {
    row.verdict != Verdict::Apply || row.alarms.iter().any(|alarm| alarm.phase != Phase::GoesOn)
}

/// Equal, NaN to NaN too.
fn same(a: &Row, b: &Row) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

fn loss() -> impl Strategy<Value = f64> {
    prop_oneof![
        20 => 0.0..60.0,
        1 => Just(300.0),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_run_of_any_length_is_kept_in_bounded_memory(
        losses in prop::collection::vec(loss(), 1..700),
        whole in 0..40_usize,
        last in 0..30_usize,
        events in 0..50_usize,
    ) {
        let mut recorder = Recorder::new().whole_run(whole).last(last).events(events);
        let all = run(&mut recorder, &losses);
        let Log { names, rows, .. } = recorder.log();
        prop_assert_eq!(names, ["w", "b"]);
        let (whole, last) = (whole.max(1), last.max(1));
        prop_assert!(rows.len() <= whole + last + events + 2);

        // In order, without doubles, each as it was; but a fault that goes on is known as such.
        prop_assert!(rows.is_sorted_by(|a, b| a.step < b.step));
        for row in &rows {
            let was = &all[row.step as usize - 1];
            prop_assert_eq!(row.grad_norm.to_bits(), was.grad_norm.to_bits());
            prop_assert_eq!(&row.tensors.len(), &2);
            if was.verdict == Verdict::Apply && !row.alarms.iter().any(|a| a.detector == "non-finite") {
                prop_assert!(same(row, was), "{row:?} {was:?}");
            }
        }
        let kept = |step: usize| rows.binary_search_by_key(&(step as u64), |row| row.step).is_ok();

        // The first, the last ones, and every 2^j-th for one j, of which there are at least half as many as there may be.
        prop_assert!(kept(1));
        prop_assert!((all.len().saturating_sub(last) + 1..=all.len()).all(kept));
        let stride = (0..16).map(|j| 1 << j).find(|stride| all.len().div_ceil(*stride) <= whole).unwrap();
        prop_assert!((1..=all.len()).step_by(stride).all(kept), "{stride}");

        // Events: all of them, or as many as there may be and a count.
        let mut before = None;
        let event_steps: Vec<usize> = all.iter().filter(|row| {
            let row: &Row = row;
            let fault = row.alarms.iter().find(|a| a.detector == "non-finite").map(|a| a.what.clone());
            let ends = before.is_some() && before != fault;
            before = fault;
            is_event(row) || ends
        }).map(|row| row.step as usize).collect();
        let lost = event_steps.len().saturating_sub(events);
        prop_assert_eq!(recorder.left_out(), lost as u64);
        let first = events.div_ceil(2).min(event_steps.len());
        let late = event_steps.len().saturating_sub(events - events.div_ceil(2)).max(first);
        prop_assert!(event_steps[..first].iter().chain(&event_steps[late..]).all(|&step| kept(step)));
        if lost == 0 {
            prop_assert!(event_steps.iter().all(|&step| kept(step)));
        }

        // The hardest clip of all, and the largest norm.
        let hardest = all.iter().filter(|row| row.factor < 1.0).min_by(|a, b| a.factor.total_cmp(&b.factor));
        prop_assert!(hardest.is_none_or(|row| kept(row.step as usize)));
        let largest = all.iter().filter(|row| !row.grad_norm.is_nan()).max_by(|a, b| {
            a.grad_norm.total_cmp(&b.grad_norm).then(b.step.cmp(&a.step))
        });
        prop_assert!(largest.is_none_or(|row| kept(row.step as usize)));
    }
}

#[test]
fn what_is_not_finite_is_one_event_though_no_detector_tells_it() {
    let (mut guard, mut recorder) = (Guard::new(), Recorder::new());
    for x in [1.0, f64::NAN, f64::NAN, f64::INFINITY, 1.0, 1.0] {
        let origin = || Some("layer 3".to_string());
        let step = |grads| {
            guard
                .step(Step::new(grads).explained_by(&origin))
                .map(|r| r.clone())
        };
        recorder.record(&{ step }(&mut [("w", [x])]).unwrap());
    }
    let told = |row: &Row| {
        row.alarms
            .iter()
            .map(|a| (a.phase, a.since))
            .collect::<Vec<_>>()
    };
    let rows = recorder.rows();
    let told: Vec<_> = rows.iter().map(told).collect();
    let expected = [
        vec![],
        vec![(Phase::Began, 2)],
        vec![(Phase::GoesOn, 2)],
        vec![(Phase::GoesOn, 2)],
        vec![(Phase::Ended, 2)],
        vec![],
    ];
    assert_eq!(told, expected);
    assert_eq!(
        rows[1].alarms[0].said,
        "gradient w has 1 NaN and 0 infinite elements, the first at index 0 (non-finite), made by layer 3",
    );
    assert_eq!(rows[1].alarms[0].what, "gradient w");
}

#[test]
fn a_detector_that_tells_it_is_not_doubled() {
    let mut guard = Guard::new()
        .detect(detect::NonFinite)
        .on_non_finite(OnNonFinite::Propagate);
    let mut recorder = Recorder::new();
    for x in [f64::NAN, f64::NAN, 1.0] {
        recorder.record(guard.step(&mut [x]).unwrap().report());
    }
    let phases = |row: &Row| row.alarms.iter().map(|a| a.phase).collect::<Vec<_>>();
    let phases: Vec<_> = recorder.rows().iter().map(phases).collect();
    assert_eq!(phases, [[Phase::Began], [Phase::GoesOn], [Phase::Ended]]);
}

#[test]
fn another_set_has_no_columns_and_missing_gradients_leave_their_parameters_out() {
    let (mut guard, mut recorder) = (Guard::new(), Recorder::new());
    let params = [("a", vec![[3.0], [4.0]]), ("b", vec![[5.0]])];
    let mut grads = [("a", None::<Vec<[f64; 1]>>), ("b", Some(vec![[2.0]]))];
    let step = Step::new(&mut grads).params(&params).updates(&params);
    recorder.record(guard.step(step).unwrap().report());
    recorder.record(
        guard
            .step(&mut [("c", [1.0]), ("b", [1.0])])
            .unwrap()
            .report(),
    );
    let Log { names, rows, .. } = recorder.log();
    assert_eq!(names, ["a", "b.0"]);
    let tensor = |i: usize| (rows[0].tensors[i].grad_norm, rows[0].tensors[i].weight_norm);
    assert_eq!((tensor(0), tensor(1)), ((0.0, None), (2.0, Some(5.0))));
    assert_eq!(rows[0].tensors[1].update_ratio, Some(1.0));
    assert_eq!(
        (rows[1].tensors.len(), rows[1].grad_norm),
        (0, 2_f64.sqrt())
    );
    assert_eq!(
        (rows[0].weight_norm, rows[0].update_norm),
        (Some(50_f64.sqrt()), Some(50_f64.sqrt()))
    );
}

#[test]
fn a_parameter_without_elements_has_no_norm() {
    let params = [("w", vec![3.0, 4.0]), ("bias", vec![])];
    let mut grads = params.clone();
    let step = Step::new(&mut grads).params(&params).updates(&params);
    let row = Row::of(Guard::new().step(step).unwrap().report());
    let told = |i: usize| (row.tensors[i].weight_norm, row.tensors[i].update_ratio);
    assert_eq!([told(0), told(1)], [(Some(5.0), Some(1.0)), (None, None)]);
}

#[test]
fn a_ratio_is_right_where_no_f64_holds_the_norms() {
    let mut guard = Guard::new();
    let (params, updates) = ([f64::MAX, f64::MAX], [f64::MAX / 4.0, f64::MAX / 4.0]);
    let report = guard.step(Step::new(&mut [1.0, 1.0]).params(&params).updates(&updates));
    let tensor = Row::of(&report.unwrap()).tensors[0];
    assert_eq!(
        (tensor.weight_norm, tensor.update_ratio),
        (Some(f64::INFINITY), Some(0.25))
    );
}

#[test]
fn a_guard_that_goes_back_is_recorded_in_the_order_of_time() {
    let (mut guard, mut recorder) = (Guard::new(), Recorder::new().whole_run(2).last(5));
    for _ in 0..6 {
        recorder.record(guard.step(&mut [1.0]).unwrap().report());
    }
    guard.reset().unwrap();
    for _ in 0..3 {
        recorder.record(guard.step(&mut [1.0]).unwrap().report());
    }
    let steps: Vec<u64> = recorder.rows().iter().map(|row| row.step).collect();
    assert_eq!(steps, [1, 5, 6, 1, 2, 3]);
}

#[test]
fn weights_of_zero_have_a_ratio_only_once_they_are_updated() {
    let mut guard = Guard::new();
    let mut ratio = |update: f64| {
        let (params, updates) = ([0.0], [update]);
        let report = guard.step(Step::new(&mut [1.0]).params(&params).updates(&updates));
        Row::of(&report.unwrap()).tensors[0].update_ratio
    };
    assert_eq!((ratio(0.0), ratio(-0.1)), (None, Some(f64::INFINITY)));
}
