//! Alarms that go on are one event, and an event has an end.

use steadygrad::detect::{
    Alarm, Alarms, Detector, NormThreshold, PersistentNorm, Relation, Severity, Subject,
};
use steadygrad::{Guard, StepView};

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
