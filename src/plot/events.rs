//! What a log tells of alarms: from where to where each of them lasted.

use std::collections::BTreeMap;

use super::ink;
use super::lane::{Lane, Span};
use crate::record::{AlarmRow, Log, Phase};

/// As many detectors have a strip of their own.
const STRIPS: usize = 5;

/// One alarm from its begin to its end.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event<'a> {
    /// As it was told last.
    pub(super) alarm: &'a AlarmRow,
    pub(super) last: u64,
    /// Whether it was over when the log ended.
    pub(super) is_over: bool,
}

/// The events of a log, in the order in which they began.
pub(super) fn events(log: &Log) -> Vec<Event<'_>> {
    let mut places = BTreeMap::new();
    let mut events: Vec<Event<'_>> = Vec::new();
    for row in &log.rows {
        for alarm in &row.alarms {
            let is_over = alarm.phase == Phase::Ended;
            let last = if is_over {
                row.step.saturating_sub(1)
            } else {
                row.step
            };
            let last = last.max(alarm.since);
            let key = (&alarm.detector, &alarm.what, alarm.since);
            let place = *places.entry(key).or_insert(events.len());
            match events.get_mut(place) {
                Some(event) => {
                    *event = Event {
                        alarm,
                        last: last.max(event.last),
                        is_over,
                    }
                }
                None => events.push(Event {
                    alarm,
                    last,
                    is_over,
                }),
            }
        }
    }
    events.sort_by_key(|event| event.alarm.since);
    events
}

/// A strip for each detector, in the order in which they first had something to say.
pub(super) fn strips(events: &[Event<'_>]) -> Vec<Lane> {
    let mut strips: Vec<(&str, Lane)> = Vec::new();
    for event in events {
        let span = Span {
            first: event.alarm.since as f64,
            last: event.last as f64,
        };
        let detector = event.alarm.detector.as_str();
        let known = strips.iter().position(|(name, _)| *name == detector);
        let is_full = strips.len() >= STRIPS;
        match known
            .or(is_full.then_some(STRIPS - 1))
            .and_then(|place| strips.get_mut(place))
        {
            Some((name, lane)) => {
                if *name != detector {
                    lane.name = "other detectors".into();
                }
                lane.spans.push(span);
            }
            None => strips.push((
                detector,
                Lane {
                    name: detector.into(),
                    ink: ink::EVENT,
                    spans: vec![span],
                    of_events: true,
                },
            )),
        }
    }
    strips.into_iter().map(|(_, lane)| lane).collect()
}

impl Event<'_> {
    /// From where to where, and what.
    pub(super) fn sentence(&self) -> String {
        let AlarmRow {
            since,
            said,
            detector,
            what,
            ..
        } = self.alarm;
        let when = match (self.is_over, self.last) {
            (true, last) if last == *since => format!("Step {since}"),
            (true, last) => format!("Steps {since} to {last}"),
            (false, _) => format!("From step {since} on"),
        };
        if said.is_empty() {
            format!("{when}: {detector}, {what}")
        } else {
            format!("{when}: {said}")
        }
    }
}
