//! A recorder asks for its memory at the first record.

use steadygrad::record::Recorder;
use steadygrad::{Guard, Step, clip, detect};

use crate::allocations;

/// How often the heap is asked for memory while so many steps are recorded, after so many others.
fn counted(detectors: usize, warm: u64, steps: u64) -> u64 {
    let mut guard = Guard::new().max_skips(u32::MAX);
    for bound in 0..detectors {
        let bound = 100.0 + bound as f64;
        guard = guard.detect(detect::NormThreshold::new(bound).unwrap());
    }
    let mut guard = guard.clip(clip::GlobalNorm::new(50.0).unwrap());
    let mut recorder = Recorder::new().whole_run(16).last(5).events(8);
    let (params, mut made, mut events) = ([("w", [1.0]), ("b", [2.0])], 0, 0);
    for step in 0..warm + steps {
        let x = match step % 11 {
            3 | 4 => 200.0 + step as f64,
            7 => f64::NAN,
            _ => 1.0 + (step % 3) as f64,
        };
        let mut grads = [("w", [x]), ("b", [0.5])];
        let all = Step::new(&mut grads)
            .params(&params)
            .updates(&params)
            .loss(1.0);
        let report = guard.step(all).unwrap();
        let asked = allocations(|| recorder.record(&report));
        if step >= warm {
            made += asked;
            events += u64::from(!report.alarms().is_empty());
        }
    }
    assert!(events > steps / 8 && recorder.rows().len() > 20);
    made
}

#[test]
fn a_recorder_is_warm_after_one_step() {
    assert_eq!(counted(1, 1, 2000), 0);
}

#[test]
fn with_many_alarms_once_it_has_seen_as_many() {
    assert_eq!(counted(20, 200, 2000), 0);
}
