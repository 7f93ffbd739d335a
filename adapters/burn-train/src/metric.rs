//! What the guard sees and does, for burn's dashboard and logs.

use std::fmt;
use std::sync::Arc;

use burn::tensor::TensorReadError;
use burn::train::metric::state::{FormatOptions, NumericMetricState};
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
    SerializedEntry,
};

use crate::{SharedGuard, StepSummary};

/// A metric of burn's trainer: the norm of the gradients before or after clipping, or the share of steps that were
/// clipped or not taken.
///
/// Values that are not finite are left out of the means: one NaN would be the mean of its epoch. That it was there is
/// told by [`skipped`](Self::skipped). An epoch in which there was nothing has no mean (NaN on the dashboard, no line in
/// the log). Where gradients are accumulated, the parts behind which there was no step have no value.
///
/// Its input is `()`, so that nothing has to be implemented for it. It is for the training split alone.
///
/// # Examples
///
/// ```
/// use burn::data::dataloader::Progress;
/// use burn::train::metric::{Metric, MetricMetadata, Numeric};
/// use burn::{nn::LinearConfig, optim::{GradientsParams, SgdConfig}, tensor::{Device, Tensor}};
/// use steadygrad::{clip, Guard};
/// use steadygrad_burn_train::{GradNormMetric, SharedGuard};
///
/// let device = Device::flex().autodiff();
/// let (mut model, mut optim) = (LinearConfig::new(2, 1).with_bias(false).init(&device), SgdConfig::new().init());
/// let guard = SharedGuard::new(Guard::new().clip(clip::GlobalNorm::new(1.0)?), |why| eprintln!("{why}"));
///
/// // training.metric_train_numeric(GradNormMetric::before(&guard)) ...
/// let mut metrics = [GradNormMetric::before, GradNormMetric::after, GradNormMetric::clipped, GradNormMetric::skipped]
///     .map(|metric| metric(&guard));
/// let now = MetricMetadata { progress: Progress::new(1, 3, None), iteration: Some(1), lr: None };
/// for x in [3.0, f32::NAN, 0.5] {
///     let loss = model.forward(Tensor::<2>::from_floats([[x, 0.0]], &device)).sum();
///     let grads = GradientsParams::from_grads(loss.backward(), &model);
///     model = guard.optimize(model, &mut optim, 0.1, grads);
///     for metric in &mut metrics {
///         metric.update(&(), &now)?;
///     }
/// }
/// let means = metrics.map(|metric| metric.final_value().current());
/// assert_eq!(means, [1.75, 0.75, 50.0, 100.0 / 3.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct GradNormMetric {
    guard: SharedGuard,
    name: MetricName,
    unit: Option<&'static str>,
    of: fn(&StepSummary) -> Option<f64>,
    /// How many steps of the guard's were looked at.
    seen: u64,
    state: NumericMetricState,
    /// Whether the last update, and whether the epoch, had any value.
    has: [bool; 2],
}

impl GradNormMetric {
    fn new(
        guard: &SharedGuard,
        name: &str,
        unit: Option<&'static str>,
        of: fn(&StepSummary) -> Option<f64>,
    ) -> Self {
        Self {
            guard: guard.clone(),
            name: Arc::new(name.into()),
            unit,
            of,
            seen: guard.count(),
            state: NumericMetricState::new(),
            has: [false; 2],
        }
    }

    /// "Gradient Norm": of all gradients as they came, of every step.
    #[must_use]
    pub fn before(guard: &SharedGuard) -> Self {
        Self::new(guard, "Gradient Norm", None, |step| Some(step.before))
    }

    /// "Gradient Norm Clipped": of all gradients as the optimizer was given them, of the steps that were taken.
    #[must_use]
    pub fn after(guard: &SharedGuard) -> Self {
        Self::new(guard, "Gradient Norm Clipped", None, |step| {
            step.verdict.is_apply().then_some(step.after)
        })
    }

    /// "Clipped Steps": of the steps that were taken, the share in which a gradient was changed, in percent.
    #[must_use]
    pub fn clipped(guard: &SharedGuard) -> Self {
        Self::new(guard, "Clipped Steps", Some("%"), |step| {
            step.verdict.is_apply().then(|| percent(step.clipped))
        })
    }

    /// "Skipped Steps": the share of steps that were not taken, for whatever reason, in percent.
    #[must_use]
    pub fn skipped(guard: &SharedGuard) -> Self {
        Self::new(guard, "Skipped Steps", Some("%"), |step| {
            Some(percent(!step.verdict.is_apply()))
        })
    }

    fn format(&self) -> FormatOptions {
        let format = FormatOptions::new(self.name()).precision(3);
        match self.unit {
            Some(unit) => format.unit(unit),
            None => format,
        }
    }
}

fn percent(is_so: bool) -> f64 {
    if is_so { 100.0 } else { 0.0 }
}

impl Metric for GradNormMetric {
    type Input = ();

    fn name(&self) -> MetricName {
        Arc::clone(&self.name)
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes {
            unit: self.unit.map(Into::into),
            higher_is_better: false,
        }
        .into()
    }

    fn update(
        &mut self,
        _item: &(),
        _metadata: &MetricMetadata,
    ) -> Result<SerializedEntry, TensorReadError> {
        // burn updates its metrics on another thread: the training may be a step ahead, or have had none since.
        let (of, mut sum, mut count) = (self.of, 0.0, 0);
        self.guard.since(&mut self.seen, |step| {
            if let Some(value) = of(step).filter(|value| value.is_finite()) {
                sum += value;
                count += 1;
            }
        });
        self.has[0] = count > 0;
        if count == 0 {
            return Ok(SerializedEntry::not_available(self.unit));
        }
        self.has[1] = true;
        self.state.update(sum / count as f64, count);
        Ok(self.state.compute_update(self.format()))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(if self.has[1] {
            self.state.compute_final(self.format())
        } else {
            SerializedEntry::not_available(self.unit)
        })
    }

    fn clear(&mut self) {
        self.state.reset();
        self.has = [false; 2];
    }
}

impl Numeric for GradNormMetric {
    fn value(&self) -> Option<NumericEntry> {
        self.has[0].then(|| self.state.current_value())
    }

    fn running_value(&self) -> Option<NumericEntry> {
        self.has[1].then(|| self.state.running_value())
    }

    fn final_value(&self) -> NumericEntry {
        self.state.final_value()
    }
}

impl fmt::Debug for GradNormMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GradNormMetric")
            .field("name", &self.name)
            .field("running", &self.running_value())
            .finish_non_exhaustive()
    }
}
