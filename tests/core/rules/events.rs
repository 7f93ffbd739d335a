//! Alarms that go on are one event, and an event has an end.

use steadygrad::detect::{
    Alarm, Alarms, Detector, NonFinite, NormThreshold, PersistentNorm, Plateau, Relation, Severity,
    Spike, Subject,
};
use steadygrad::{Guard, OnNonFinite, Step, StepView, Verdict, Verdicts};

fn told(report: &steadygrad::Report) -> (Vec<(u64, bool)>, Vec<u64>) {
    let alarms = report.alarms().iter();
    let ended = report.ended().iter();
    (
        alarms
            .map(|alarm| (alarm.since(), alarm.is_new()))
            .collect(),
        ended.map(Alarm::since).collect(),
    )
}

#[test]
fn an_event_begins_goes_on_and_ends() {
    let mut guard = Guard::new()
        .detect(NormThreshold::new(1.0).unwrap())
        .detect(NormThreshold::new(5.0).unwrap());
    let mut all = vec![];
    for norm in [2.0, 9.0, 9.0, 2.0, 0.5, 0.5, 2.0] {
        all.push(told(&guard.step(&mut [norm]).unwrap()));
    }
    assert_eq!(
        all,
        [
            (vec![(1, true)], vec![]),
            (vec![(1, false), (2, true)], vec![]),
            (vec![(1, false), (2, false)], vec![]),
            (vec![(1, false)], vec![2]),
            (vec![], vec![1]),
            (vec![], vec![]),
            (vec![(7, true)], vec![]),
        ]
    );
}

/// Fires for every tensor above 1, but says so of one of them.
#[derive(Debug)]
struct First;

impl Detector for First {
    fn name(&self) -> &'static str {
        "first"
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        let mut tensors = step.grads.tensors().iter();
        if let Some(index) = tensors.position(|stats| stats.l2() > 1.0) {
            let alarm = step.alarm("first", Subject::Gradient(index));
            alarms.raise(alarm.below("distance", 0.5, 1.0).severity(Severity::Grave));
        }
    }
}

#[test]
fn of_another_tensor_it_is_another_event() {
    let mut guard = Guard::new().detect(First);
    let step = |guard: &mut Guard, a: f64, b: f64| told(&guard.step(&mut [[a], [b]]).unwrap());
    assert_eq!(step(&mut guard, 2.0, 0.0), (vec![(1, true)], vec![]));
    assert_eq!(step(&mut guard, 0.0, 2.0), (vec![(2, true)], vec![1]));
    assert_eq!(step(&mut guard, 0.0, 3.0), (vec![(2, false)], vec![]));
    let mut grads = [[0.0], [3.0]];
    let report = guard.step(&mut grads).unwrap();
    let alarm = &report.alarms()[0];
    assert_eq!(alarm.how_severe(), Severity::Grave);
    assert_eq!(
        (alarm.relation(), alarm.value(), alarm.bound()),
        (Some(Relation::Below), 0.5, 1.0)
    );
}

#[test]
fn a_step_in_error_ends_no_event() {
    let mut guard = Guard::new()
        .detect(PersistentNorm::new(1.0, 1).unwrap())
        .require_gradients();
    assert_eq!(
        told(&guard.step(&mut [2.0]).unwrap()),
        (vec![(1, true)], vec![])
    );
    assert!(guard.step(&mut [0.0_f64; 0]).is_err());
    assert_eq!(
        told(&guard.step(&mut [2.0]).unwrap()),
        (vec![(1, false)], vec![])
    );
}

#[test]
fn each_tensor_has_an_event_of_its_own() {
    let mut guard = Guard::new()
        .detect(NormThreshold::new(1.0).unwrap().per_tensor())
        .detect(NormThreshold::new(4.0).unwrap().per_tensor());
    // Of each alarm the bound, the tensor and since when; of each event that ended the same.
    let mut told = |norms: [f64; 4]| {
        let mut grads = norms.map(|norm| [norm]);
        let report = guard.step(&mut grads).unwrap();
        let say = |alarm: &Alarm| {
            assert_eq!(alarm.is_new(), alarm.since() == alarm.step());
            let tensor: usize = alarm.tensor().unwrap().parse().unwrap();
            (alarm.bound() as u32, tensor, alarm.since())
        };
        [report.alarms(), report.ended()].map(|all| all.iter().map(say).collect::<Vec<_>>())
    };
    assert_eq!(
        told([2.0, 0.0, 2.0, 5.0]),
        [vec![(1, 0, 1), (1, 2, 1), (1, 3, 1), (4, 3, 1)], vec![]]
    );
    // In other places of the list, and back from the last to the first of it.
    assert_eq!(
        told([0.0, 2.0, 9.0, 2.0]),
        [
            vec![(1, 1, 2), (1, 2, 1), (1, 3, 1), (4, 2, 2)],
            vec![(1, 0, 1), (4, 3, 1)]
        ]
    );
    assert_eq!(
        told([9.0, 2.0, 9.0, 0.0]),
        [
            vec![(1, 0, 3), (1, 1, 2), (1, 2, 1), (4, 0, 3), (4, 2, 2)],
            vec![(1, 3, 1)]
        ]
    );
    let ended = vec![(1, 0, 3), (1, 1, 2), (1, 2, 1), (4, 0, 3), (4, 2, 2)];
    assert_eq!(told([0.0; 4]), [vec![], ended]);
    assert_eq!(told([0.0; 4]), [vec![], vec![]]);
}

/// Says something of the tensors in the order that it is given, one more than once.
#[derive(Debug)]
struct Says(Vec<Vec<usize>>);

impl Detector for Says {
    fn name(&self) -> &'static str {
        "says"
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        for index in self.0.remove(0) {
            alarms.raise(step.alarm("says", Subject::Gradient(index)));
        }
    }
}

#[test]
fn in_whatever_order_and_however_often_it_is_said() {
    let said = [vec![0, 1, 2], vec![2, 1, 0], vec![1, 1, 3], vec![1], vec![]];
    let mut guard = Guard::new().detect(Says(said.to_vec()));
    let mut all = vec![];
    for _ in said {
        all.push(told(&guard.step(&mut [[0.0]; 4]).unwrap()));
    }
    assert_eq!(
        all,
        [
            (vec![(1, true); 3], vec![]),
            (vec![(1, false); 3], vec![]),
            (vec![(1, false), (1, false), (3, true)], vec![1, 1]),
            // The same, said once less, has not ended.
            (vec![(1, false)], vec![3]),
            (vec![], vec![1]),
        ]
    );
}

#[test]
fn a_line_tells_of_an_event_when_it_begins_and_when_it_ends() {
    let mut guard = Guard::new()
        .detect(NormThreshold::new(1.0).unwrap().per_tensor())
        .detect_with(Verdict::Skip, NormThreshold::new(8.0).unwrap());
    let mut line = |a: f64, b: f64| {
        let mut grads = [("a", [a]), ("b", [b])];
        let line = guard.step(&mut grads).unwrap().to_string();
        let (_, told) = line.split_once("; ").unwrap();
        told.to_owned()
    };
    assert_eq!(
        line(2.0, 0.0),
        "apply; the norm of gradient a is 2.000, above 1.000 (norm threshold)"
    );
    assert_eq!(line(3.0, 0.0), "apply");
    assert_eq!(
        line(4.0, 2.0),
        "apply; the norm of gradient b is 2.000, above 1.000 (norm threshold)"
    );
    assert_eq!(
        line(9.0, 0.0),
        "skip (1 in a row); the norm of the gradients is 9.000, above 8.000 (norm threshold); \
         over after 1 step: the norm of gradient b above 1.000 (norm threshold)"
    );
    // What goes on and decides is the reason of the verdict; what only goes on was told.
    assert_eq!(
        line(9.0, 0.0),
        "skip (2 in a row); norm threshold since step 4"
    );
    assert_eq!(
        line(0.0, 0.0),
        "apply; over after 5 steps: the norm of gradient a above 1.000 (norm threshold); \
         over after 2 steps: the norm of the gradients above 8.000 (norm threshold)"
    );
    assert_eq!(line(0.0, 0.0), "apply");
    // One reason is told once, of however many tensors.
    let each = NormThreshold::new(1.0).unwrap().per_tensor();
    let mut guard = Guard::new().detect_with(Verdict::Skip, each);
    let lines = [2.0, 2.0].map(|norm| guard.step(&mut [[norm]; 9]).unwrap().to_string());
    assert_eq!(
        lines[1],
        "step 2: norm 6.000; skip (2 in a row); norm threshold since step 1"
    );
    // The end of a training is told in full.
    let mut guard = Guard::new()
        .detect_with(Verdict::Rollback, NormThreshold::new(1.0).unwrap())
        .max_rollbacks(1);
    let lines = [2.0, 3.0].map(|norm| guard.step(&mut [norm]).unwrap().to_string());
    assert_eq!(
        lines[1],
        "step 2: norm 3.000; stop; the norm of the gradients is 3.000, above 1.000 (norm threshold) since step 1"
    );
    // A place in another set is another tensor.
    let mut guard = Guard::new().detect(NormThreshold::new(1.0).unwrap().per_tensor());
    assert!(!guard.step(&mut [("a", [2.0])]).unwrap().alarms().is_empty());
    let report = guard.step(&mut [("b", [2.0])]).unwrap();
    assert_eq!(told(&report), (vec![(2, true)], vec![1]));
}

/// Says at each step what the loop tells it to: nothing, something wrong, or that it did not look.
#[derive(Debug)]
struct Told;

impl Detector for Told {
    fn name(&self) -> &'static str {
        "told"
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        match step.signal("say") {
            Some(0.0) => (),
            Some(_) => alarms.raise(step.alarm("told", Subject::Parameters)),
            None => alarms.abstain("nobody told"),
        }
    }
}

#[test]
fn a_step_that_was_not_judged_ends_nothing_and_goes_on_with_nothing() {
    let mut guard = Guard::new().detect(Told);
    let mut lines = vec![];
    for say in [Some(1.0), None, None, Some(1.0), None, Some(0.0), Some(1.0)] {
        let mut grads = [0.0];
        let step = Step::new(&mut grads);
        let step = match say {
            Some(say) => step.signal("say", say),
            None => step,
        };
        let report = guard.step(step).unwrap();
        lines.push((told(&report), report.to_string()));
    }
    let events: Vec<_> = lines.iter().map(|(told, _)| told.clone()).collect();
    assert_eq!(
        events,
        [
            (vec![(1, true)], vec![]),
            (vec![], vec![]),
            (vec![], vec![]),
            (vec![(1, false)], vec![]),
            (vec![], vec![]),
            (vec![], vec![1]),
            (vec![(7, true)], vec![]),
        ]
    );
    assert_eq!(
        lines[5].1,
        "step 6: norm 0; apply; over after 4 steps: something wrong with the parameters (told)"
    );
    // Nor does one that lacks what the rule goes by, or on which there is nothing to go by.
    let mut guard = Guard::new()
        .detect(Spike::of_loss())
        .detect(Spike::of_norm())
        .on_non_finite(OnNonFinite::Propagate);
    for _ in 0..12 {
        assert!(
            guard
                .step(Step::new(&mut [1.0]).loss(1.0))
                .unwrap()
                .alarms()
                .is_empty()
        );
    }
    let both = vec![(13, true), (13, true)];
    let report = guard.step(Step::new(&mut [9.0]).loss(9.0)).unwrap();
    assert_eq!(told(&report), (both, vec![]));
    assert_eq!(
        told(&guard.step(&mut [f64::NAN]).unwrap()),
        (vec![], vec![])
    );
    let report = guard.step(Step::new(&mut [9.0]).loss(f64::NAN)).unwrap();
    assert_eq!(told(&report), (vec![(13, false)], vec![]));
    let report = guard.step(Step::new(&mut [1.0]).loss(1.0)).unwrap();
    assert_eq!(told(&report), (vec![], vec![13, 13]));
}

#[test]
fn what_is_said_once_has_no_end() {
    let mut guard = Guard::new()
        .detect(Plateau::new(0.0, 2).unwrap())
        .detect(NonFinite)
        .on_non_finite(OnNonFinite::Propagate);
    let mut all = vec![];
    for loss in [1.0, 1.0, 1.0, f64::NAN, 1.0, 1.0, 0.5] {
        all.push(told(&guard.step(Step::new(&mut [0.0]).loss(loss)).unwrap()));
    }
    assert_eq!(
        all,
        [
            (vec![], vec![]),
            (vec![], vec![]),
            (vec![(3, true)], vec![]),
            (vec![(4, true)], vec![]),
            (vec![], vec![4]),
            (vec![(6, true)], vec![]),
            (vec![], vec![]),
        ]
    );
    assert!(
        guard.report().to_string().ends_with("apply"),
        "{}",
        guard.report()
    );
}

/// Raises one alarm of each severity.
#[derive(Debug)]
struct All;

impl Detector for All {
    fn name(&self) -> &'static str {
        "all"
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        for (severity, signal) in [
            (Severity::Note, "note"),
            (Severity::Warning, "warning"),
            (Severity::Grave, "grave"),
        ] {
            if step.signal(signal).is_some() {
                alarms.raise(step.alarm("all", Subject::Loss).severity(severity));
            }
        }
    }
}

#[test]
fn the_verdict_is_by_the_gravest_alarm_that_decides() {
    use Verdict::{Apply, Rollback, Skip, Stop};

    let decide = |verdicts: Verdicts, signals: &[&'static str]| {
        let mut grads = [0.0];
        let step = Step::new(&mut grads);
        let step = signals
            .iter()
            .fold(step, |step, name| step.signal(name, 1.0));
        let mut guard = Guard::new().detect_with(verdicts, All);
        let report = guard.step(step).unwrap();
        let each: Vec<_> = report.alarms().iter().map(Alarm::verdict).collect();
        (report.verdict(), each)
    };
    let by = Verdicts::default().warning(Skip).grave(Rollback);
    assert_eq!(decide(by, &["note"]), (Apply, vec![Apply]));
    assert_eq!(decide(by, &["note", "warning"]), (Skip, vec![Apply, Skip]));
    assert_eq!(
        decide(by, &["warning", "grave"]),
        (Rollback, vec![Skip, Rollback])
    );
    // What is said first is not what counts, nor what is gravest.
    let upside_down = by.note(Stop);
    assert_eq!(
        decide(upside_down, &["note", "grave"]),
        (Stop, vec![Stop, Rollback])
    );
    assert_eq!(decide(Skip.into(), &["note"]), (Skip, vec![Skip]));
    assert_eq!(
        decide(Verdicts::default(), &["grave"]),
        (Apply, vec![Apply])
    );
    assert_eq!(Verdicts::from(Stop).to_string(), "stop");
    assert_eq!(
        by.to_string(),
        "note: apply, warning: skip, grave: roll back"
    );
}
