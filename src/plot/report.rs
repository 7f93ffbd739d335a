//! A run on one page.

use super::chart::Chart;
use super::events::{events, sentences};
#[cfg(feature = "ndarray")]
use super::flow::Flow;
use super::heat::Heat;
use super::norms::Norms;
use super::picture::{Contents, Picture, Shown};
use super::sheet::{Block, Sheet};
use super::weights::Weights;
use crate::Verdict;
use crate::figures::Short;
use crate::record::{Log, Row};
#[cfg(feature = "ndarray")]
use crate::recurrent::Profile;

/// From here on a loss is told on an axis of logarithms: the largest, as a multiple of the least.
const WIDE: f64 = 20.0;

/// A run on one page: see [`report`].
#[derive(Clone, Debug, PartialEq)]
pub struct Report<'l> {
    log: &'l Log,
    threshold: Option<f64>,
    loss: String,
    maps: Vec<Heat>,
}

/// A run on one page: the loss, the [norms](super::norms()) of the gradients, the [weights](super::weights()) if the log
/// knows them, the [flow](super::flow()) if there are profiles, what the verdicts were, and the events in words.
///
/// # Examples
///
/// ```
/// use steadygrad::{clip, detect, plot, record::Recorder, Guard, Step};
///
/// let mut guard = Guard::new().detect(detect::NormThreshold::new(50.0)?).clip(clip::GlobalNorm::new(1.0)?);
/// let mut recorder = Recorder::new();
/// let mut w = vec![40.0_f64, -3.0];
/// for _ in 0..300 {
///     let loss = w.iter().map(|w| w * w).sum::<f64>();
///     let mut grads: Vec<f64> = w.iter().map(|w| 2.0 * w).collect();
///     let report = guard.step(Step::new(&mut grads).params(&w).loss(loss))?;
///     recorder.record(&report);
///     w.iter_mut().zip(&grads).for_each(|(w, g)| *w -= 0.3 * g);
/// }
/// let path = std::env::temp_dir().join("steadygrad-doc-report.svg");
/// plot::report(&recorder.log()).title("Two weights that come to rest").threshold(1.0).svg(&path)?;
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn report(log: &Log) -> Picture<Report<'_>> {
    Picture::of(Report {
        log,
        threshold: None,
        loss: "as given".into(),
        maps: Vec::new(),
    })
}

impl Picture<Report<'_>> {
    /// Draws a dashed line among the norms: see [`Picture<Norms>::threshold`](Picture#method.threshold).
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::{plot, record::{Log, Row}};
    /// let mut row = Row::new(1);
    /// row.grad_norm = 0.5;
    /// let log = Log::new(vec![], vec![row]);
    /// assert!(plot::report(&log).threshold(0.25).to_svg().contains("threshold 0.25"));
    /// ```
    pub fn threshold(mut self, norm: f64) -> Self {
        self.shown.threshold = Some(norm);
        self
    }

    /// What the loss is, and its unit: it is written above its curve.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::{plot, record::{Log, Row}};
    /// let mut row = Row::new(1);
    /// row.loss = Some(2.5);
    /// let log = Log::new(vec![], vec![row]);
    /// assert!(plot::report(&log).loss("mean cross-entropy, nats").to_svg().contains("mean cross-entropy, nats"));
    /// ```
    pub fn loss(mut self, what: impl Into<String>) -> Self {
        self.shown.loss = what.into();
        self
    }

    /// Adds how the gradient flows back through time, from profiles and the training steps at which they were taken.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::{plot, record::Log, recurrent::{At, Profile}};
    /// let mut profile = Profile::new();
    /// profile.record(At::time(0), &[0.5])?;
    /// let svg = plot::report(&Log::default()).flow([(1, &profile)]).to_svg();
    /// assert!(svg.contains("Gradient flow"));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[cfg(feature = "ndarray")]
    pub fn flow<'p>(mut self, profiles: impl IntoIterator<Item = (u64, &'p Profile)>) -> Self {
        let profiles: Vec<_> = profiles.into_iter().collect();
        self.shown.maps = Flow::of(&profiles).maps;
        self
    }
}

impl Report<'_> {
    /// How long the run is, what became of its steps, and the extremes.
    fn summary(&self) -> String {
        let rows = &self.log.rows;
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return "Nothing was recorded.".into();
        };
        let steps = (last.step + 1).saturating_sub(first.step);
        let kept = if (rows.len() as u64) < steps {
            format!(", of which {} were kept", rows.len())
        } else {
            String::new()
        };
        let verdicts = [
            Verdict::Apply,
            Verdict::Skip,
            Verdict::Rollback,
            Verdict::Stop,
        ];
        let verdicts = verdicts.into_iter().filter_map(|verdict| {
            let count = rows.iter().filter(|row| row.verdict == verdict).count();
            (count > 0).then(|| format!("{verdict} {count}"))
        });
        let verdicts: Vec<String> = verdicts.collect();
        let mut told = vec![format!(
            "Steps {} to {}{kept}; verdicts: {}.",
            first.step,
            last.step,
            verdicts.join(", ")
        )];

        let losses = rows.iter().filter_map(|row| Some((row.loss?, row.step)));
        let losses: Vec<(f64, u64)> = losses.collect();
        if let (Some((first, _)), Some((last, _))) = (losses.first(), losses.last()) {
            let numbers = losses.iter().filter(|loss| !loss.0.is_nan());
            let least = numbers.min_by(|a, b| a.0.total_cmp(&b.0));
            let least =
                least.map(|(loss, step)| format!(", lowest {} at step {step}", Short(*loss)));
            told.push(format!(
                "Loss {} at first, {} at last{}.",
                Short(*first),
                Short(*last),
                least.unwrap_or_default()
            ));
        }
        let norms = rows.iter().filter(|row| row.grad_norm.is_finite());
        if let Some(row) = norms.max_by(|a, b| a.grad_norm.total_cmp(&b.grad_norm)) {
            let (norm, step) = (Short(row.grad_norm), row.step);
            told.push(format!("Largest finite norm {norm} at step {step}."));
        }
        if rows.iter().all(|row| row.grad_norm.is_nan()) {
            told.push("No norm of the gradients is a number.".into());
        }
        told.join(" ")
    }

    fn loss(&self, begins: &[f64]) -> Option<Chart> {
        let losses = self
            .log
            .rows
            .iter()
            .filter_map(|row| Some((row.step as f64, row.loss?)));
        let losses: Vec<_> = losses.collect();
        let finite = || {
            losses
                .iter()
                .map(|point| point.1)
                .filter(|loss| loss.is_finite())
        };
        let (low, high) = (
            finite().fold(f64::INFINITY, f64::min),
            finite().fold(0.0, f64::max),
        );
        let is_wide = low > 0.0 && high > WIDE * low;
        let chart = Chart::new("Loss").x("step");
        let chart = if is_wide {
            chart.y(format!("{} (log scale)", self.loss)).log_y()
        } else {
            chart.y(&self.loss)
        };
        let mut chart = chart.line("", losses.iter().copied());
        chart.begins = begins.to_vec();
        (!losses.is_empty()).then(|| chart.height(150.0))
    }
}

impl Shown for Report<'_> {
    fn sheet(&self) -> Contents {
        let events = events(self.log);
        let has_norms = |row: &Row| !row.grad_norm.is_nan() || !row.verdict.is_apply();
        let norms = Norms::of(self.log, self.threshold).chart(&events);
        let loss = self.loss(&norms.begins);
        let mut blocks = vec![Block::Words(String::new(), vec![self.summary()])];
        // Of a log that has losses and not one norm, norms were never asked for, unless that is why steps were refused.
        let is_shown = loss.is_none() || self.log.rows.iter().any(has_norms);
        blocks.extend(loss.map(|chart| Block::Charts(1, vec![chart])));
        if is_shown {
            blocks.push(Block::Charts(1, vec![norms]));
        }
        let weights = Weights::of(self.log);
        if weights.are_known() {
            blocks.push(Block::Charts(2, weights.charts()));
        }
        blocks.extend(self.maps.iter().cloned().map(Block::Heat));
        blocks.push(Block::Words("Events".into(), sentences(&events)));
        Contents(Sheet {
            title: "A training run".into(),
            blocks,
        })
    }
}
