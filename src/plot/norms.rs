//! The norm of the gradients, step by step.

use super::chart::Chart;
use super::events::{Event, events, strips};
use super::ink::{DONE, INK};
use super::picture::{Contents, Picture, Shown};
use super::sheet::{Block, Sheet};
use crate::Verdict;
use crate::record::{Log, Row};

/// Of more events than that, the strips alone tell where they begin.
const BEGINS: usize = 12;

/// The norm of the gradients, step by step: see [`norms`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norms<'l> {
    log: &'l Log,
    threshold: Option<f64>,
}

/// The norm of the gradients before and after clipping against the step, on an axis of logarithms. Strips below show the
/// steps whose norm is NaN, those that were clipped, those that were not taken, and each event from its begin to its end.
///
/// # Examples
///
/// ```
/// use steadygrad::{clip, detect, plot, record::Recorder, Guard};
///
/// let mut guard = Guard::new().detect(detect::NormThreshold::new(8.0)?).clip(clip::GlobalNorm::new(1.0)?);
/// let mut recorder = Recorder::new();
/// for step in 0..200 {
///     let size = if step % 50 == 30 { 30.0 } else { 1.5 + (0.3 * f64::from(step)).sin() };
///     let report = guard.step(&mut [size])?;
///     recorder.record(&report);
/// }
/// let svg = plot::norms(&recorder.log()).threshold(1.0).to_svg();
/// for words in ["before clipping", "after clipping", "threshold 1", "norm threshold", "clipped: "] {
///     assert!(svg.contains(words), "{words}");
/// }
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub fn norms(log: &Log) -> Picture<Norms<'_>> {
    Picture::of(Norms {
        log,
        threshold: None,
    })
}

impl Picture<Norms<'_>> {
    /// Draws a dashed line at the norm to which gradients are clipped, or above which a detector speaks.
    ///
    /// # Examples
    ///
    /// ```
    /// use steadygrad::{plot, record::{Log, Row}};
    /// let mut row = Row::new(1);
    /// row.grad_norm = 0.5;
    /// let log = Log::new(vec![], vec![row]);
    /// assert!(plot::norms(&log).threshold(0.25).to_svg().contains("threshold 0.25"));
    /// ```
    pub fn threshold(mut self, norm: f64) -> Self {
        self.shown.threshold = Some(norm);
        self
    }

    /// The chart alone, for a [`page`](super::page()) with others.
    ///
    /// # Examples
    ///
    /// Two runs side by side:
    ///
    /// ```
    /// use steadygrad::{plot, record::Log};
    /// let (plain, clipped) = (Log::default(), Log::default());
    /// let page = plot::page("With and without").columns(2);
    /// let page = page.chart(plot::norms(&plain).title("without").chart());
    /// let svg = page.chart(plot::norms(&clipped).title("with").chart()).to_svg();
    /// assert!(svg.contains("\nwithout\n") && svg.contains("\nwith\n"));
    /// ```
    #[must_use]
    pub fn chart(&self) -> Chart {
        let chart = self.shown.chart(&events(self.shown.log));
        match &self.title {
            Some(title) => Chart {
                heading: title.clone(),
                ..chart
            },
            None => chart,
        }
    }
}

impl<'l> Norms<'l> {
    pub(super) fn of(log: &'l Log, threshold: Option<f64>) -> Self {
        Self { log, threshold }
    }

    pub(super) fn chart(&self, events: &[Event<'_>]) -> Chart {
        let rows = &self.log.rows;
        let norm = |of: fn(&Row) -> f64| rows.iter().map(move |row| (row.step as f64, of(row)));
        let chart = Chart::new("Norm of the gradients")
            .x("step")
            .y("L2 norm of all gradients (log scale)")
            .log_y();
        let is_clipped = |row: &Row| row.clipped_norm < row.grad_norm || row.factor < 1.0;
        let chart = if rows.iter().any(is_clipped) {
            chart
                .line("before clipping", norm(|row| row.grad_norm))
                .line("after clipping", norm(|row| row.clipped_norm))
        } else {
            chart.line("", norm(|row| row.grad_norm))
        };
        let chart = match self.threshold {
            Some(norm) => chart.bound("threshold", norm),
            None => chart,
        };
        let steps = |is: &dyn Fn(&Row) -> bool| -> Vec<f64> {
            let those = rows.iter().filter(|row| is(row));
            those.map(|row| row.step as f64).collect()
        };
        let clipped = steps(&is_clipped);
        let share = 100.0 * clipped.len() as f64 / rows.len() as f64;
        let mut chart = chart.lane(format!("clipped: {share:.1} %"), DONE, &clipped);
        for (verdict, name) in [
            (Verdict::Skip, "skipped"),
            (Verdict::Rollback, "rolled back"),
            (Verdict::Stop, "stopped"),
        ] {
            let those = steps(&|row| row.verdict == verdict);
            chart = chart.lane(format!("{name}: {}", those.len()), INK, &those);
        }
        chart.lanes.extend(strips(events));
        if events.len() <= BEGINS {
            let begins = events.iter().map(|event| event.alarm.since as f64);
            chart.begins = begins.collect();
        }
        chart.height(220.0)
    }
}

impl Shown for Norms<'_> {
    fn sheet(&self) -> Contents {
        let chart = self.chart(&events(self.log));
        let heading = String::new();
        Contents(Sheet {
            title: "Norm of the gradients".into(),
            blocks: vec![Block::Charts(1, vec![Chart { heading, ..chart }])],
        })
    }
}
