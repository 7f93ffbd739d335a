//! What `tracing` and `metrics` are told.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, SharedString, Unit,
};
use steadygrad::detect::{Alarms, Detector, NormThreshold, Severity, Subject};
use steadygrad::{Guard, Report, Step, StepView, Verdict, clip, record};
use tracing::field::{Field, Visit};
use tracing::span;

/// Says that a loss above 9 is grave.
#[derive(Debug)]
struct Lost;

impl Detector for Lost {
    fn name(&self) -> &'static str {
        "lost"
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        if let Some(loss) = step.loss.filter(|&loss| loss > 9.0) {
            let alarm = step.alarm(self.name(), Subject::Loss);
            alarms.raise(alarm.above("value", loss, 9.0).severity(Severity::Grave));
        }
    }
}

/// A run of five steps: quiet, clipped with an alarm, the same again with a lost loss, NaN, quiet.
fn run(mut look: impl FnMut(&Report)) {
    let mut guard = Guard::new()
        .detect(NormThreshold::new(2.0).unwrap())
        .detect_with(Verdict::Stop, Lost)
        .clip(clip::GlobalNorm::new(1.0).unwrap());
    for (x, loss) in [
        (0.5, 1.0),
        (4.0, 2.0),
        (8.0, 10.0),
        (f64::NAN, 3.0),
        (0.25, 0.5),
    ] {
        let mut grads = [x];
        let report = guard.step(Step::new(&mut grads).params(&[3.0]).loss(loss));
        look(&report.unwrap());
    }
}

/// One line for each event.
#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl tracing::Subscriber for &'static Lines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        let data = event.metadata();
        assert_eq!(data.target(), "steadygrad");
        self.0
            .lock()
            .unwrap()
            .push(format!("{}{}", data.level(), fields.0));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn tracing_is_told_of_steps_events_and_verdicts() {
    let lines: &'static Lines = Box::leak(Box::default());
    tracing::subscriber::with_default(lines, || run(record::trace));
    let lines = lines.0.lock().unwrap();
    let norm = |x: &str, loss: &str, after: &str, factor: &str| {
        format!("loss={loss} grad_norm={x} clipped_norm={after} factor={factor} weight_norm=3.0")
    };
    let expected = [
        format!("DEBUG step=1 {}", norm("0.5", "1.0", "0.5", "1.0")),
        format!("DEBUG step=2 {}", norm("4.0", "2.0", "1.0", "0.25")),
        "WARN message=the norm of the gradients is 4.000, above 2.000 (norm threshold) step=2 \
         detector=\"norm threshold\" value=4.0 bound=2.0"
            .into(),
        format!("DEBUG step=3 {}", norm("8.0", "10.0", "8.0", "1.0")),
        "ERROR message=the value of the loss is 10.00, above 9.000 (lost) step=3 detector=\"lost\" \
         value=10.0 bound=9.0"
            .into(),
        "ERROR message=step 3: norm 8.000, loss 10.00; stop; the value of the loss is 10.00, above 9.000 (lost) \
         step=3 verdict=stop"
            .into(),
        format!("DEBUG step=4 {}", norm("NaN", "3.0", "NaN", "1.0")),
        "INFO message=ended: the value of the loss is 10.00, above 9.000 (lost) step=4 detector=\"lost\" since=3".into(),
        "WARN message=step 4: norm NaN, loss 3.000; skip (1 in a row); the gradient has 1 NaN and 0 infinite \
         elements, the first at index 0 (non-finite); over after 1 step: the value of the loss above 9.000 (lost) \
         step=4 verdict=skip"
            .into(),
        format!("DEBUG step=5 {}", norm("0.25", "0.5", "0.25", "1.0")),
        // Of step 4 there was no norm to judge.
        "INFO message=ended: the norm of the gradients is 8.000, above 2.000 (norm threshold) step=5 \
         detector=\"norm threshold\" since=2"
            .into(),
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(&expected) {
        assert!(line.starts_with(expected), "{line}\n{expected}");
    }
}

/// What every number is, by its name and labels.
#[derive(Default)]
struct Told(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

struct Number(Arc<AtomicU64>);

impl Told {
    fn number(&self, key: &Key) -> Arc<Number> {
        let labels = key
            .labels()
            .map(|label| format!(" {}={}", label.key(), label.value()));
        let name = key.name().to_string() + &labels.collect::<String>();
        let number = Arc::clone(self.0.lock().unwrap().entry(name).or_default());
        Arc::new(Number(number))
    }
}

impl CounterFn for Number {
    fn increment(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    fn absolute(&self, _: u64) {
        panic!("a counter is set");
    }
}

impl GaugeFn for Number {
    fn increment(&self, _: f64) {
        panic!("a gauge is counted up");
    }

    fn decrement(&self, _: f64) {
        panic!("a gauge is counted down");
    }

    fn set(&self, x: f64) {
        self.0.store(x.to_bits(), Ordering::Relaxed);
    }
}

impl metrics::Recorder for Told {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.number(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.number(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("there are no histograms");
    }
}

#[test]
fn metrics_are_told_numbers_and_counts() {
    let told = Told::default();
    let mut grad_norms = vec![];
    metrics::with_local_recorder(&told, || {
        run(|report| {
            record::gauges(report);
            let norm = told.0.lock().unwrap()["steadygrad_grad_norm"].load(Ordering::Relaxed);
            grad_norms.push(f64::from_bits(norm).to_string());
        });
    });
    assert_eq!(grad_norms, ["0.5", "4", "8", "NaN", "0.25"]);
    let told = told.0.lock().unwrap();
    let told: Vec<(&str, u64)> = told
        .iter()
        .map(|(name, x)| (name.as_str(), x.load(Ordering::Relaxed)))
        .collect();
    let expected = [
        ("steadygrad_alarms detector=lost severity=grave", 1),
        (
            "steadygrad_alarms detector=norm threshold severity=warning",
            1,
        ),
        ("steadygrad_clipped_norm", 0.25_f64.to_bits()),
        ("steadygrad_clipped_steps", 1),
        ("steadygrad_factor", 1_f64.to_bits()),
        ("steadygrad_grad_norm", 0.25_f64.to_bits()),
        ("steadygrad_loss", 0.5_f64.to_bits()),
        ("steadygrad_steps verdict=apply", 3),
        ("steadygrad_steps verdict=skip", 1),
        ("steadygrad_steps verdict=stop", 1),
        ("steadygrad_weight_norm", 3_f64.to_bits()),
    ];
    assert_eq!(told, expected);
}
