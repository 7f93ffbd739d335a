//! What has been so for some steps.

use alloc::vec::Vec;

use super::{Alarms, Subject, at_least_one};
use crate::{Error, Result, State};

/// A detector that is heard only once it has spoken of the same thing on so many steps in a row:
/// [`Detector::for_steps`](super::Detector::for_steps).
///
/// A step that the detector did not judge neither counts nor breaks the row; after a rollback it begins anew.
///
/// # Examples
///
/// ```
/// use steadygrad::{prelude::*, detect::NormThreshold, Guard};
///
/// let mut guard = Guard::new().detect(NormThreshold::new(1.0)?.per_tensor().for_steps(3)?);
/// let mut told = vec![];
/// for norm in [2.0, 2.0, 0.5, 2.0, 3.0, 4.0, 5.0] {
///     let report = guard.step(&mut [("w", [norm]), ("b", [0.5])])?;
///     told.extend(report.alarms().iter().map(|alarm| alarm.to_string()));
/// }
/// assert_eq!(told, [
///     "step 6: the norm of gradient w is 4.000, above 1.000 for 3 steps in a row (norm threshold)",
///     "step 7: the norm of gradient w is 5.000, above 1.000 for 4 steps in a row (norm threshold)",
/// ]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ForSteps<D> {
    pub(super) detector: D,
    steps: u64,
    pub(super) rows: Vec<Row>,
}

/// Of how many steps in a row something has been said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Row {
    subject: Subject,
    steps: u64,
    goes_on: bool,
}

impl<D> ForSteps<D> {
    pub(crate) fn new(detector: D, steps: u64) -> Result<Self> {
        Ok(Self {
            detector,
            steps: at_least_one("steps in a row", steps)?,
            rows: Vec::new(),
        })
    }

    /// Counts what was said behind the first `from` alarms, and leaves of it what has been said often enough.
    pub(super) fn hear(&mut self, alarms: &mut Alarms, from: usize) {
        let Self { steps, rows, .. } = self;
        rows.iter_mut().for_each(|row| row.goes_on = false);
        // As many things may be spoken of as there is room for.
        rows.reserve(alarms.room().saturating_sub(rows.len()));
        alarms.keep(from, |alarm| {
            let subject = alarm.subject();
            let place = rows.iter().position(|row| row.subject == subject);
            let place = place.unwrap_or_else(|| {
                rows.push(Row {
                    subject,
                    steps: 0,
                    goes_on: false,
                });
                rows.len() - 1
            });
            let row = &mut rows[place];
            // Two things may be said of one.
            row.steps += u64::from(!row.goes_on);
            row.goes_on = true;
            alarm.at_least(row.steps);
            row.steps >= *steps
        });
        rows.retain(|row| row.goes_on);
    }
}

impl Row {
    pub(super) fn save_all(rows: &[Self], state: &mut State) {
        let each = |row: &Self| {
            let [kind, index] = row.subject.code();
            [kind, index, row.steps]
        };
        let rows: Vec<u64> = rows.iter().flat_map(each).collect();
        state.put("rows", &rows[..]);
    }

    pub(super) fn load_all(state: &State) -> Result<Vec<Self>> {
        let saved: Vec<u64> = state.get("rows")?;
        let row = |row: &[u64]| match *row {
            [kind, index, steps] => Some(Self {
                subject: Subject::from_code([kind, index])?,
                steps,
                goes_on: false,
            }),
            _ => None,
        };
        let rows: Option<Vec<Self>> = saved.chunks(3).map(row).collect();
        rows.ok_or_else(|| Error::State {
            expected: "rows of a kind, an index and steps".into(),
            found: alloc::format!("{saved:?}"),
        })
    }
}
