//! State by place and name: saved at any step and restored, no later decision is another.

use proptest::prelude::*;
use steadygrad::clip::{Clipper, GlobalNorm, TensorNorm, Value};
use steadygrad::detect::{NonFinite, NormThreshold, PersistentNorm, Plateau, WeightGrowth};
use steadygrad::{
    Error, Guard, GuardState, Outcome, Pen, Report, Result, State, Step, StepView, Verdict,
};

/// A rule of one's own: to the largest norm that was taken so far.
#[derive(Debug, Default)]
struct Largest {
    seen: Vec<f64>,
    noted: f64,
}

impl Clipper for Largest {
    fn name(&self) -> &'static str {
        "largest"
    }

    fn plan(&mut self, step: &StepView<'_>, pen: &mut Pen<'_>) {
        self.noted = step.grads.total().l2();
        if self.seen.len() > 2 && !self.seen.iter().any(|&seen| seen >= self.noted) {
            pen.zero_all();
        }
    }

    fn settle(&mut self, outcome: &Outcome<'_>) {
        if outcome.is_taken() && self.noted.is_finite() {
            self.seen.push(self.noted);
        }
    }

    fn save(&self, state: &mut State) {
        state.put("seen", &self.seen[..]);
    }

    fn load(&mut self, state: &State) -> Result<()> {
        self.seen = state.get("seen")?;
        Ok(())
    }
}

/// Every rule there is, some for a group.
fn guard() -> Guard {
    Guard::new()
        .detect(NonFinite)
        .detect_with(
            Verdict::Rollback,
            NormThreshold::new(50.0).unwrap().per_tensor(),
        )
        .detect_with(Verdict::Rollback, PersistentNorm::new(2.0, 3).unwrap())
        .clip(Value::new(20.0).unwrap())
        .clip(Largest::default())
        .clip(Largest::default().on("w"))
        .clip(TensorNorm::new(9.0).unwrap())
        .clip(GlobalNorm::new(8.0).unwrap())
        .detect(WeightGrowth::new(3.0).unwrap().per_step(0.5, 3).unwrap())
        .detect_with(Verdict::Skip, WeightGrowth::new(5.0).unwrap().on("b"))
        .detect(Plateau::new(0.1, 4).unwrap().baseline(3.0).unwrap())
        .max_skips(3)
        .max_rollbacks(2)
}

/// The gradients and the parameters of `w` and `b`, and the loss.
type Numbers = ([f64; 2], [f64; 2], f64);

fn go(guard: &mut Guard, ([gw, gb], [w, b], loss): Numbers) -> (String, [u64; 2]) {
    let mut grads = [("w", [gw]), ("b", [gb])];
    let params = [("w", [w]), ("b", [b])];
    let step = Step::new(&mut grads).params(&params).loss(loss);
    let line = match guard.step(step) {
        Ok(report) => decided(&report),
        Err(error) => error.to_string(),
    };
    (line, grads.map(|(_, [x])| x.to_bits()))
}

/// What was decided and found. Since when is no part of it: a guard that was restored begins its events anew.
fn decided(report: &Report) -> String {
    let alarms: Vec<String> = report.alarms().iter().map(ToString::to_string).collect();
    let bounds: Vec<u64> = report
        .alarms()
        .iter()
        .map(|alarm| alarm.bound().to_bits())
        .collect();
    let counts = (report.verdict(), report.skips(), report.rollbacks());
    let norms = [report.before(), report.after()].map(f64::to_bits);
    format!(
        "{counts:?} {norms:?} {alarms:?} {bounds:?} {:?}",
        report.abstained()
    )
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        20 => -10.0..10.0_f64,
        2 => -1e3..1e3_f64,
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(1e308),
        1 => Just(-0.0),
    ]
}

fn numbers() -> impl Strategy<Value = Numbers> {
    let pair = || [number(), number()];
    (pair(), pair(), number())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn restored_it_decides_the_same(
        before in prop::collection::vec(numbers(), 0..20),
        after in prop::collection::vec(numbers(), 1..20),
    ) {
        let mut first = guard();
        before.iter().for_each(|&step| drop(go(&mut first, step)));
        let saved = first.state();
        let mut second = guard();
        // Whatever it went through before.
        after.iter().for_each(|&step| drop(go(&mut second, step)));
        second.restore(&saved).unwrap();
        prop_assert_eq!(second.state(), saved);
        for &step in &after {
            prop_assert_eq!(go(&mut first, step), go(&mut second, step));
        }
        prop_assert_eq!(first.state(), second.state());
        // And reset, it is as new.
        first.reset().unwrap();
        let mut new = guard();
        for &step in &after {
            prop_assert_eq!(go(&mut first, step), go(&mut new, step));
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_whole() {
    let mut full = guard();
    for step in 0..5 {
        go(&mut full, ([f64::from(step), 1.0], [1.0, 1.0], 1.0));
    }
    let saved = full.state();
    let mut other = Guard::new().clip(GlobalNorm::new(1.0).unwrap());
    let error = other.restore(&saved).unwrap_err();
    assert_eq!(error.to_string(), "state: expected 1 rules, found 11");

    let turned = |a: Guard| {
        a.detect(PersistentNorm::new(1.0, 2).unwrap())
            .detect(Plateau::new(0.0, 2).unwrap())
    };
    let mut one = turned(Guard::new());
    let mut other = Guard::new()
        .detect(PersistentNorm::new(1.0, 2).unwrap())
        .detect(PersistentNorm::new(1.0, 2).unwrap());
    let error = one.restore(&other.state()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "state: expected rule 1 to be \"plateau\", found \"persistent norm\""
    );

    // The first rule would take its own, the second does not: neither is changed.
    for norm in [2.0, 0.5] {
        go(&mut one, ([norm, 0.0], [1.0, 1.0], norm));
    }
    let before = one.state();
    let mut broken = before.clone();
    broken.rules[0].1 = {
        let mut state = State::default();
        state.put("row", 7_u64);
        state
    };
    broken.rules[1].1 = State::default();
    let error = one.restore(&broken).unwrap_err();
    assert!(
        matches!(&error, Error::State { expected, .. } if expected == "best"),
        "{error}"
    );
    assert_eq!(one.state(), before);

    let mut newer = before.clone();
    newer.format += 1;
    let error = one.restore(&newer).unwrap_err();
    assert_eq!(error.to_string(), "state: expected format 1, found 2");
}

/// A rule that was fed once may be left without; restored, it still may.
#[test]
fn whether_a_rule_was_ever_fed_is_remembered() {
    let make = || Guard::new().detect_with(Verdict::Stop, Plateau::new(0.0, 3).unwrap());
    let mut first = make();
    assert!(first.step(Step::new(&mut [1.0]).loss(0.5)).is_ok());
    let mut second = make();
    second.restore(&first.state()).unwrap();
    for guard in [&mut first, &mut second] {
        let report = guard.step(&mut [1.0]).unwrap();
        assert_eq!(report.abstained(), [("plateau", "no loss was given")]);
        guard.reset().unwrap();
        assert!(guard.step(&mut [1.0]).is_err());
    }
    let mut saved = make().state();
    saved.fed.clear();
    assert!(matches!(first.restore(&saved), Err(Error::State { .. })));
}

#[test]
fn a_window_that_is_too_long_is_refused() {
    let make = |window| {
        let detector = WeightGrowth::new(9.0).unwrap();
        Guard::new().detect(detector.per_step(1.0, window).unwrap())
    };
    let mut long = make(4);
    for step in 0..6 {
        go(&mut long, ([0.0, 0.0], [f64::from(step), 1.0], 1.0));
    }
    let saved: GuardState = long.state();
    assert!(make(4).restore(&saved).is_ok());
    assert!(matches!(make(3).restore(&saved), Err(Error::State { .. })));
}

#[cfg(feature = "serde")]
#[test]
fn it_survives_json_bit_for_bit() {
    let mut full = guard();
    let steps = [
        ([1.0, 2.0], [f64::MAX, 1.0], f64::NEG_INFINITY),
        ([-0.0, f64::NAN], [f64::MAX, -0.0], f64::NAN),
        ([3.0, 2.0], [5e-324, 1.0], -0.0),
    ];
    for step in steps {
        go(&mut full, step);
    }
    let saved = full.state();
    let text = serde_json::to_string(&saved).unwrap();
    let read: GuardState = serde_json::from_str(&text).unwrap();
    assert_eq!(read, saved);
    let mut again = guard();
    again.restore(&read).unwrap();
    for step in steps {
        assert_eq!(go(&mut again, step), go(&mut full, step));
    }
}
