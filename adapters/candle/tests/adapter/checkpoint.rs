//! A run that is resumed from disk makes the decisions of one that was never interrupted.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use candle_nn::{Init, Optimizer, SGD, VarMap};
use steadygrad::detect::{PersistentNorm, WeightGrowth};
use steadygrad::{Guard, GuardState, Verdict, clip};
use steadygrad_candle::{Guarded, GuardedStep};

const STEPS: usize = 40;

/// A weight that every step makes longer, and what a process has of it.
struct Run {
    vars: VarMap,
    opt: Guarded<SGD>,
}

impl Run {
    fn new() -> Self {
        let vars = VarMap::new();
        for (name, value) in [("w", 1.0), ("still", 2.0)] {
            vars.get((3, 2), name, Init::Const(value), DType::F32, &Device::Cpu)
                .unwrap();
        }
        let guard = Guard::new()
            .detect(PersistentNorm::new(0.5, 7).unwrap())
            .clip(clip::GlobalNorm::new(1.0).unwrap())
            .detect_with(Verdict::Stop, WeightGrowth::new(3.0).unwrap());
        let opt = SGD::new(vars.all_vars(), 0.2)
            .unwrap()
            .guarded(guard, &vars);
        Self { vars, opt }
    }

    /// What was decided, up to the stop if there is one.
    fn steps(&mut self, steps: std::ops::Range<usize>) -> Vec<String> {
        let mut told = vec![];
        for step in steps {
            let w = self.vars.data().lock().unwrap()["w"].clone();
            let slope = Tensor::full(-1f32 - step as f32 % 3.0, (3, 2), &Device::Cpu).unwrap();
            let moved = self.opt.backward_step(&(w.as_tensor() * slope).unwrap());
            // Not the report's line, which tells of an event only when it begins: a run that goes on begins it anew.
            let report = self.opt.report();
            let alarms: Vec<String> = report.alarms().iter().map(ToString::to_string).collect();
            let (before, after) = (report.before(), report.after());
            told.push(format!("{} {before} {after} {alarms:?}", report.verdict()));
            if moved.is_err() {
                assert_eq!(self.opt.verdict(), Verdict::Stop);
                break;
            }
        }
        told
    }

    fn save(&mut self, folder: &Path) {
        self.vars.save(folder.join("weights.safetensors")).unwrap();
        let state = serde_json::to_string(&self.opt.guard_mut().state()).unwrap();
        std::fs::write(folder.join("guard.json"), state).unwrap();
    }

    fn load(folder: &Path) -> Self {
        let mut run = Self::new();
        run.vars.load(folder.join("weights.safetensors")).unwrap();
        let text = std::fs::read_to_string(folder.join("guard.json")).unwrap();
        let state: GuardState = serde_json::from_str(&text).unwrap();
        run.opt.guard_mut().restore(&state).unwrap();
        run
    }
}

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("candle/checkpoint");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn growing_weights_are_judged_by_their_first_value_across_a_restart() {
    let whole = Run::new().steps(0..STEPS);
    // From a norm of √6 to 3·√6, by 0.2 a step at most.
    let stop = whole.last().unwrap();
    assert!(
        whole.len() < STEPS && stop.contains("parameter w"),
        "{stop}"
    );
    assert!(whole.iter().any(|step| step.contains("persistent norm")));
    for restart in [1, 5, 8, whole.len() - 1] {
        let folder = folder();
        let mut run = Run::new();
        let mut told = run.steps(0..restart);
        run.save(&folder);
        drop(run);
        let mut run = Run::load(&folder);
        told.extend(run.steps(restart..STEPS));
        assert_eq!(told, whole, "restarted after {restart}");
    }
    // Without the guard's state the weights as they were saved are taken for the first ones.
    let folder = folder();
    let mut run = Run::new();
    run.steps(0..whole.len() - 1);
    run.save(&folder);
    let mut run = Run::new();
    run.vars.load(folder.join("weights.safetensors")).unwrap();
    let told = run.steps(whole.len() - 1..STEPS);
    assert!(told.iter().all(|step| !step.contains("stop")), "{told:?}");
}
