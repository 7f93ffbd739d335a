//! What a log tells of alarms: from where to where each of them lasted.

use std::collections::BTreeMap;

use super::ink;
use super::lane::{Lane, Span};
use crate::record::{AlarmRow, Log, Phase};

/// As many detectors have a strip of their own.
const STRIPS: usize = 5;

/// As many events are told in words.
const TOLD: usize = 12;

/// One alarm from its begin to its end.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event<'a> {
    /// As it was told last.
    pub(super) alarm: &'a AlarmRow,
    pub(super) last: u64,
    /// Whether it was over before the log ended.
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
    // The row that tells the end may not have been kept.
    let end = log.rows.last().map_or(0, |row| row.step);
    for event in &mut events {
        event.is_over |= event.last < end;
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

/// The first events in words, and the last.
pub(super) fn sentences(events: &[Event<'_>]) -> Vec<String> {
    let mut told: Vec<String> = events.iter().take(TOLD).map(Event::sentence).collect();
    match events.len().saturating_sub(TOLD) {
        _ if events.is_empty() => told.push("None.".into()),
        0 => (),
        more => {
            told.push(format!("and {more} more, the last of them:"));
            told.extend(events.last().map(Event::sentence));
        }
    }
    told
}

impl Event<'_> {
    /// From where to where, and what.
    fn sentence(&self) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Row;

    fn log(alarms: &[(u64, &str, u64, Phase)], last: u64) -> Log {
        let row = |step: u64| {
            let mut row = Row::new(step);
            let mine = alarms.iter().filter(|alarm| alarm.0 == step);
            row.alarms = mine
                .map(|(_, detector, since, phase)| {
                    let mut alarm = AlarmRow::new(*detector, "the loss", *since);
                    alarm.phase = *phase;
                    alarm
                })
                .collect();
            row
        };
        Log::new(Vec::new(), (1..=last).map(row).collect())
    }

    #[test]
    fn an_event_is_told_once_from_its_begin_to_its_end() {
        let log = log(
            &[
                (2, "spike", 2, Phase::Began),
                (3, "spike", 2, Phase::GoesOn),
                (4, "spike", 2, Phase::Ended),
                (4, "plateau", 4, Phase::Began),
                (5, "plateau", 4, Phase::GoesOn),
                (6, "plateau", 4, Phase::GoesOn),
                (6, "spike", 6, Phase::Began),
            ],
            6,
        );
        assert_eq!(
            sentences(&events(&log)),
            [
                "Steps 2 to 3: spike, the loss",
                "From step 4 on: plateau, the loss",
                "From step 6 on: spike, the loss"
            ]
        );
    }

    #[test]
    fn what_began_before_the_log_and_whose_end_was_not_kept_has_its_place() {
        let log = log(
            &[
                (3, "spike", 1, Phase::GoesOn),
                (5, "plateau", 2, Phase::Ended),
            ],
            9,
        );
        let sentences = sentences(&events(&log));
        assert_eq!(
            sentences,
            [
                "Steps 1 to 3: spike, the loss",
                "Steps 2 to 4: plateau, the loss"
            ]
        );
        assert_eq!(super::sentences(&[]), ["None."]);
    }

    #[test]
    fn each_detector_has_a_strip_and_many_share_one() {
        let names = ["a", "b", "c", "d", "e", "f", "a"];
        let alarms = (1..)
            .zip(names)
            .map(|(step, name)| (step, name, step, Phase::Began));
        let log = log(&alarms.collect::<Vec<_>>(), 9);
        let strips = strips(&events(&log));
        let told: Vec<_> = strips
            .iter()
            .map(|lane| (lane.name.as_str(), lane.spans.len()))
            .collect();
        assert_eq!(
            told,
            [
                ("a", 2),
                ("b", 1),
                ("c", 1),
                ("d", 1),
                ("other detectors", 2)
            ]
        );
    }
}
