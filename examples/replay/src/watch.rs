//! The detectors, fed with the rows of a log.

use std::error::Error;

use steadygrad::detect::{Alarm, Detector, Severity};
use steadygrad::{Guard, OnNonFinite, Step, Stepped};

use crate::divergence::{Came, Divergence};
use crate::log::Row;

/// Alarms of a detector that are less than so many rows apart are one event.
const APART: u64 = 20;

/// Something that is told when it happens.
#[derive(Debug)]
pub(crate) enum News<'n> {
    /// An event begins, or one that goes on gets graver.
    Alarm {
        step: f64,
        alarm: &'n Alarm,
        is_new: bool,
    },
    /// An event is over, or the log is.
    Over { event: &'n Event },
}

/// Alarms of one detector in a row.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// The first of the gravest.
    pub(crate) alarm: Alarm,
    /// Where it began, and the last row on which it is so.
    pub(crate) first: Row,
    pub(crate) last: Row,
    /// On so many rows.
    pub(crate) alarms: u64,
    /// Whether that is the last row there is.
    pub(crate) goes_on: bool,
}

/// What a detector came to.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) detector: &'static str,
    pub(crate) events: u64,
    /// On so many steps.
    pub(crate) alarms: u64,
    /// The step of the first.
    pub(crate) first: Option<f64>,
    /// The gravest.
    pub(crate) severity: Option<Severity>,
    /// On how many steps it had nothing to say, and why on the last of them.
    pub(crate) abstained: Option<(u64, &'static str)>,
    event: Option<Event>,
}

/// The first value that is not finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct NotFinite {
    pub(crate) step: f64,
    pub(crate) quantity: &'static str,
    pub(crate) value: f64,
}

/// What a whole log came to.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) rows: u64,
    /// The first and the last.
    pub(crate) steps: [f64; 2],
    /// How many losses, norms of gradients and of weights there were.
    pub(crate) told: [(&'static str, u64); 3],
    pub(crate) tracks: Vec<Track>,
    pub(crate) not_finite: Option<NotFinite>,
    /// Nothing where there was no loss.
    pub(crate) came: Option<Came>,
}

impl Summary {
    /// Whether anything was grave.
    pub(crate) fn is_trouble(&self) -> bool {
        let grave = |track: &Track| track.severity >= Some(Severity::Grave);
        self.tracks.iter().any(grave) || self.came.is_some_and(|came| came.diverged)
    }
}

/// Who is told.
pub(crate) type Tell<'t> = dyn FnMut(&News<'_>) -> Result<(), Box<dyn Error>> + 't;

/// Detectors in a guard that never interferes: the steps of a log were taken.
#[derive(Debug)]
pub(crate) struct Watch {
    guard: Guard,
    divergence: Divergence,
    summary: Summary,
}

impl Watch {
    pub(crate) fn new(detectors: Vec<Box<dyn Detector>>) -> Self {
        let names = detectors.iter().map(Detector::name);
        let tracks = names.map(Track::new).collect();
        let guard = Guard::new().on_non_finite(OnNonFinite::Propagate);
        Self {
            guard: detectors.into_iter().fold(guard, Guard::detect),
            divergence: Divergence::default(),
            summary: Summary {
                rows: 0,
                steps: [0.0; 2],
                told: [("loss", 0), ("grad_norm", 0), ("weight_norm", 0)],
                tracks,
                not_finite: None,
                came: None,
            },
        }
    }

    pub(crate) fn row(&mut self, row: &Row, tell: &mut Tell<'_>) -> Result<(), Box<dyn Error>> {
        let Self {
            guard,
            divergence,
            summary,
        } = self;
        summary.count(row);
        if let Some(loss) = row.loss {
            divergence.push(row.step, loss);
        }
        let tracks = &mut summary.tracks;
        for track in &mut *tracks {
            if let Some(event) = track
                .event
                .take_if(|event| row.place - event.last.place >= APART)
            {
                tell(&News::Over { event: &event })?;
            }
        }
        let report = step(guard, row)?;
        for &(detector, why) in report.abstained() {
            let so_far = &mut Track::of(tracks, detector).abstained;
            let times = so_far.map_or(0, |(times, _)| times);
            *so_far = Some((times + 1, why));
        }
        for alarm in report.alarms() {
            let track = Track::of(tracks, alarm.detector());
            if let Some(is_new) = track.take(alarm, row) {
                let step = row.step;
                tell(&News::Alarm {
                    step,
                    alarm,
                    is_new,
                })?;
            }
        }
        Ok(())
    }

    /// The log is over.
    pub(crate) fn end(self, tell: &mut Tell<'_>) -> Result<Summary, Box<dyn Error>> {
        let mut summary = self.summary;
        for track in &mut summary.tracks {
            if let Some(mut event) = track.event.take() {
                event.goes_on = event.last.place == summary.rows;
                tell(&News::Over { event: &event })?;
            }
        }
        summary.came = self.divergence.end();
        Ok(summary)
    }
}

/// A row as a step: the gradients are one element of their norm, and so are the weights.
fn step<'g>(guard: &'g mut Guard, row: &Row) -> steadygrad::Result<Stepped<'g>> {
    let mut grads = row.grad_norm.map(|norm| [norm]);
    let mut step = Step::new(&mut grads);
    if let Some(loss) = row.loss {
        step = step.loss(loss);
    }
    match row.weight_norm {
        Some(norm) => guard.step(step.params(&[norm])),
        None => guard.step(step),
    }
}

impl Summary {
    fn count(&mut self, row: &Row) {
        if self.rows == 0 {
            self.steps[0] = row.step;
        }
        self.steps[1] = row.step;
        self.rows += 1;
        let values = [row.loss, row.grad_norm, row.weight_norm];
        for ((quantity, told), value) in self.told.iter_mut().zip(values) {
            let Some(value) = value else { continue };
            *told += 1;
            if !value.is_finite() && self.not_finite.is_none() {
                self.not_finite = Some(NotFinite {
                    step: row.step,
                    quantity,
                    value,
                });
            }
        }
    }
}

impl Track {
    fn new(detector: &'static str) -> Self {
        Self {
            detector,
            events: 0,
            alarms: 0,
            first: None,
            severity: None,
            abstained: None,
            event: None,
        }
    }

    /// The one of this detector; a new one if it speaks under another name than its own.
    fn of<'t>(tracks: &'t mut Vec<Self>, detector: &'static str) -> &'t mut Self {
        let known = tracks.iter().position(|track| track.detector == detector);
        let place = known.unwrap_or_else(|| {
            tracks.push(Self::new(detector));
            tracks.len() - 1
        });
        &mut tracks[place]
    }

    /// Counts an alarm, and says whether it is to be told: as a new event, or as one that got graver.
    fn take(&mut self, alarm: &Alarm, row: &Row) -> Option<bool> {
        self.severity = self.severity.max(Some(alarm.how_severe()));
        let Some(event) = &mut self.event else {
            self.events += 1;
            self.alarms += 1;
            self.first.get_or_insert(row.step);
            self.event = Some(Event {
                alarm: alarm.clone(),
                first: *row,
                last: *row,
                alarms: 1,
                goes_on: false,
            });
            return Some(true);
        };
        if event.last.place < row.place {
            self.alarms += 1;
            event.alarms += 1;
            event.last = *row;
        }
        let is_graver = alarm.how_severe() > event.alarm.how_severe();
        if is_graver {
            event.alarm = alarm.clone();
        }
        is_graver.then_some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::listed;

    fn rows(losses: &[f64], norms: &[f64]) -> Vec<Row> {
        let told = |x: &f64| Some(*x).filter(|x| *x != -1.0);
        let row = |i: usize| Row {
            place: i as u64 + 1,
            step: 10.0 * i as f64,
            loss: losses.get(i).and_then(told),
            grad_norm: norms.get(i).and_then(told),
            weight_norm: None,
        };
        (0..losses.len().max(norms.len())).map(row).collect()
    }

    /// What is told, and what it comes to.
    fn watch(detectors: &str, rows: &[Row]) -> (Vec<String>, Summary) {
        let mut told = Vec::new();
        let mut tell = |news: &News<'_>| {
            told.push(match news {
                News::Alarm { step, is_new, .. } => format!("{step} {is_new}"),
                News::Over { event } => {
                    let Event {
                        first,
                        last,
                        alarms,
                        goes_on,
                        ..
                    } = event;
                    format!("{} to {}: {alarms} {goes_on}", first.step, last.step)
                }
            });
            Ok(())
        };
        let mut watch = Watch::new(listed(detectors).unwrap());
        for row in rows {
            watch.row(row, &mut tell).unwrap();
        }
        let summary = watch.end(&mut tell).unwrap();
        (told, summary)
    }

    #[test]
    fn alarms_less_than_20_rows_apart_are_one_event() {
        let mut norms = vec![1.0; 100];
        for high in [5, 6, 25, 45, 99] {
            norms[high] = 9.0;
        }
        let (told, summary) = watch("norm-threshold=5", &rows(&[], &norms));
        assert_eq!(
            told,
            [
                "50 true",
                "50 to 250: 3 false",
                "450 true",
                "450 to 450: 1 false",
                "990 true",
                "990 to 990: 1 true"
            ]
        );
        let track = &summary.tracks[0];
        assert_eq!(
            (track.events, track.alarms, track.first),
            (3, 5, Some(50.0))
        );
        assert_eq!((summary.rows, summary.steps), (100, [0.0, 990.0]));
        assert!(!summary.is_trouble());
    }

    #[test]
    fn what_is_not_there_is_not_judged() {
        let (told, summary) = watch("plateau=0:2,norm-threshold=1", &rows(&[], &[0.5; 9]));
        assert!(told.is_empty());
        assert_eq!(summary.tracks[0].abstained, Some((9, "no loss was given")));
        assert_eq!(summary.tracks[1].abstained, None);
        assert_eq!(summary.came, None);
        // A norm that is missing is not one of 0, which would end the row.
        let (told, _) = watch(
            "persistent-norm=1:3",
            &rows(&[2.0; 4], &[2.0, 2.0, -1.0, 2.0]),
        );
        assert_eq!(told, ["30 true", "30 to 30: 1 true"]);
    }

    #[test]
    fn what_is_not_finite_is_found_and_the_rest_is_read() {
        let (told, summary) = watch(
            "non-finite,norm-threshold=8",
            &rows(&[1.0, f64::NAN, 1.0], &[1.0, f64::INFINITY, 9.0]),
        );
        assert_eq!(
            told,
            [
                "10 true",
                "20 true",
                "10 to 10: 1 false",
                "20 to 20: 1 true"
            ]
        );
        let found = summary.not_finite.unwrap();
        assert_eq!((found.step, found.quantity), (10.0, "loss"));
        assert!(!summary.came.unwrap().diverged);
        let (_, summary) = watch("norm-threshold=8", &rows(&[1.0, 1.0, f64::NAN], &[]));
        assert!(summary.is_trouble());
    }

    #[test]
    fn weights_are_watched() {
        let mut rows = rows(&[], &[1.0; 5]);
        for (row, norm) in rows.iter_mut().zip([2.0, 3.0, 19.0, 21.0, 22.0]) {
            row.weight_norm = Some(norm);
        }
        let (told, _) = watch("weight-growth=10", &rows);
        assert_eq!(told, ["30 true", "30 to 40: 2 true"]);
    }
}
