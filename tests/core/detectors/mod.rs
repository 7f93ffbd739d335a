//! Every detector goes through the same: calm and strange steps, jumps and shifts, saved and restored at every step.

mod composed;
mod new;
mod old;

use steadygrad::detect::Detector;
use steadygrad::{Guard, OnNonFinite, Step};

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

/// One step as it is given to a guard: of the tensors `w_in` and `w_rec`.
#[derive(Clone, Copy, Debug)]
struct Moment {
    norms: [f64; 2],
    loss: Option<f64>,
    weights: [f64; 2],
    updates: Option<[f64; 2]>,
    flow: Option<f64>,
}

/// On which no detector has anything to say.
const CALM: Moment = Moment {
    norms: [1.0, 0.0],
    loss: Some(1.0),
    weights: [1.0, 1.0],
    updates: Some([1e-3, 1e-3]),
    flow: Some(1.0),
};

/// A step of which nothing is finite.
fn strange(bad: f64) -> Moment {
    Moment {
        norms: [bad; 2],
        loss: Some(bad),
        weights: [bad; 2],
        updates: Some([bad; 2]),
        flow: Some(bad),
    }
}

fn losses(losses: &[f64]) -> Vec<Moment> {
    let with = |&loss: &f64| Moment {
        loss: Some(loss),
        ..CALM
    };
    losses.iter().map(with).collect()
}

/// Of `w_in`; `w_rec` has a gradient of zero.
fn norms(norms: &[f64]) -> Vec<Moment> {
    let with = |&norm: &f64| Moment {
        norms: [norm, 0.0],
        ..CALM
    };
    norms.iter().map(with).collect()
}

fn each(norms: &[[f64; 2]]) -> Vec<Moment> {
    let with = |&norms: &[f64; 2]| Moment { norms, ..CALM };
    norms.iter().map(with).collect()
}

fn weights(weights: &[[f64; 2]]) -> Vec<Moment> {
    let with = |&weights: &[f64; 2]| Moment { weights, ..CALM };
    weights.iter().map(with).collect()
}

fn updates(updates: &[[f64; 2]]) -> Vec<Moment> {
    let with = |&updates: &[f64; 2]| Moment {
        updates: Some(updates),
        ..CALM
    };
    updates.iter().map(with).collect()
}

fn flows(flows: &[f64]) -> Vec<Moment> {
    let with = |&flow: &f64| Moment {
        flow: Some(flow),
        ..CALM
    };
    flows.iter().map(with).collect()
}

/// So many times the same.
fn of(x: f64, n: usize) -> Vec<f64> {
    vec![x; n]
}

/// What a guard said of one step, with every bit of the bounds.
type Said = Vec<(String, u64, u64)>;

fn go(guard: &mut Guard, moment: Moment) -> Said {
    let named = |[a, b]: [f64; 2]| [("w_in", [a]), ("w_rec", [b])];
    let (mut grads, params) = (named(moment.norms), named(moment.weights));
    let updates = moment.updates.map(named);
    let mut step = Step::new(&mut grads).params(&params);
    if let Some(loss) = moment.loss {
        step = step.loss(loss);
    }
    if let Some(updates) = &updates {
        step = step.updates(updates);
    }
    if let Some(flow) = moment.flow {
        step = step.signal("flow", flow);
    }
    let report = guard.step(step).unwrap();
    let alarms = report.alarms().iter();
    let say = alarms.map(|alarm| {
        let bits = [alarm.value(), alarm.bound()].map(f64::to_bits);
        (alarm.to_string(), bits[0], bits[1])
    });
    say.collect()
}

fn run(guard: &mut Guard, series: &[Moment]) -> Vec<Said> {
    series.iter().map(|&moment| go(guard, moment)).collect()
}

fn fired(said: &[Said]) -> Vec<usize> {
    let steps = said.iter().zip(1..).filter(|(said, _)| !said.is_empty());
    steps.map(|(_, step)| step).collect()
}

/// A detector and what it is put through.
struct Ritual<'r> {
    make: &'r dyn Fn() -> Box<dyn Detector>,
    /// Whether strange steps in between change nothing but the numbers of the steps.
    counts_only_judged_steps: bool,
}

fn ritual(make: &dyn Fn() -> Box<dyn Detector>) -> Ritual<'_> {
    Ritual {
        make,
        counts_only_judged_steps: true,
    }
}

impl Ritual<'_> {
    fn guard(&self) -> Guard {
        Guard::new()
            .detect((self.make)())
            .on_non_finite(OnNonFinite::Propagate)
    }

    /// Says on which steps it fires, whatever lies between them and wherever the guard is saved and restored.
    #[track_caller]
    fn fires(&self, what: &str, series: &[Moment], expected: &[usize]) {
        let mut guard = self.guard();
        let said = run(&mut guard, series);
        assert_eq!(fired(&said), expected, "{what}");

        guard.reset().unwrap();
        assert_eq!(run(&mut guard, series), said, "{what}: reset");

        for cut in 0..series.len() {
            let mut first = self.guard();
            run(&mut first, &series[..cut]);
            let mut second = self.guard();
            // Whatever it went through before.
            run(&mut second, &series[cut..]);
            second.restore(&first.state()).unwrap();
            let rest = run(&mut second, &series[cut..]);
            assert_eq!(rest, said[cut..], "{what}: restored after {cut}");
        }

        if self.counts_only_judged_steps {
            let doubled: Vec<usize> = expected.iter().map(|step| 2 * step).collect();
            for bad in [NAN, INF, -INF] {
                let pairs = series.iter().flat_map(|&moment| [strange(bad), moment]);
                let spoilt: Vec<Moment> = pairs.collect();
                let said = run(&mut self.guard(), &spoilt);
                assert_eq!(fired(&said), doubled, "{what}: {bad} in between");
            }
        }
    }

    /// The sentences of the last step.
    fn says(&self, series: &[Moment]) -> Vec<String> {
        let said = run(&mut self.guard(), series);
        let last = said.into_iter().next_back().unwrap_or_default();
        last.into_iter().map(|(sentence, ..)| sentence).collect()
    }
}
