//! A run in bounded memory.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::newest::Newest;
use super::row::{Log, Row};
use super::table::Table;
use crate::Report;

/// Keeps what [reports](Report) say of a run, in memory that does not grow with it.
///
/// - The whole run, thinned: when there are as many rows as are allowed ([`whole_run`](Self::whole_run), 1024), every
///   second one is dropped, and from then on only every second one is taken.
/// - The last steps in full ([`last`](Self::last), 256).
/// - The rows of events, apart ([`events`](Self::events), 256): where an alarm begins or ends, or the verdict is not to
///   apply. Of more than that the first half and the last half stay, and [`left_out`](Self::left_out) counts the rest.
/// - The row of the hardest clip, and that of the largest norm.
///
/// Rows come back in the order in which they were recorded, each once, and the first and the last are always there.
/// Steps rise, but for where a guard went back to an earlier one and counts from there once more.
///
/// Of a set of more than 256 tensors the first are recorded one by one ([`tensors`](Self::tensors)), and all in the norms
/// of the set. Their names are those of the first report that has any; of a set of other names there are no tensors.
///
/// All memory is asked for at the first record, 300 bytes for each row and 40 for each of its tensors; what is
/// more is for rows that have more than one alarm in the mean.
///
/// # Examples
///
/// ```
/// use steadygrad::{clip, detect, record::Recorder, Guard, Step};
///
/// let mut guard = Guard::new().detect(detect::NormThreshold::new(20.0)?).clip(clip::GlobalNorm::new(1.0)?);
/// let mut recorder = Recorder::new().whole_run(100).last(10);
/// let mut w = [5.0_f64];
/// for step in 0..1000 {
///     let mut grads = [if step == 640 { 30.0 } else { 2.0 * w[0] }];
///     let report = guard.step(Step::new(&mut grads).params(&w).loss(w[0] * w[0]))?;
///     recorder.record(&report);
///     w[0] -= 0.01 * grads[0];
/// }
/// let steps: Vec<u64> = recorder.rows().iter().map(|row| row.step).collect();
/// assert_eq!(steps[..3], [1, 17, 33]);                              // every 16th step,
/// assert!(steps.contains(&641) && steps.contains(&642));            // where an alarm began and ended,
/// assert_eq!(steps[steps.len() - 10..], [991, 992, 993, 994, 995, 996, 997, 998, 999, 1000]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Recorder {
    most_rows: usize,
    most_last: usize,
    most_events: usize,
    newest: Newest,
    /// Of the whole run, those whose place is a multiple of `stride`.
    whole: Table,
    stride: u64,
    last: Table,
    first_events: Table,
    last_events: Table,
    left_out: u64,
    hardest: Peak,
    largest: Peak,
}

/// The row where a number was the largest.
#[derive(Clone, Debug)]
struct Peak {
    value: f64,
    row: Table,
}

impl Peak {
    fn above(value: f64) -> Self {
        Self {
            value,
            row: Table::default(),
        }
    }

    fn offer(&mut self, value: f64, newest: &Newest) {
        if value > self.value {
            self.value = value;
            self.row.clear();
            self.row.push(newest);
        }
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Recorder {
    /// With the numbers above.
    ///
    /// ```
    /// use steadygrad::record::Recorder;
    /// assert!(Recorder::new().rows().is_empty());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self {
            most_rows: 1024,
            most_last: 256,
            most_events: 256,
            newest: Newest::new(256),
            whole: Table::default(),
            stride: 1,
            last: Table::default(),
            first_events: Table::default(),
            last_events: Table::default(),
            left_out: 0,
            hardest: Peak::above(0.0),
            largest: Peak::above(f64::NEG_INFINITY),
        }
    }

    /// Sets how many rows of the whole run are kept at most; with 0 the first is.
    ///
    /// ```
    /// use steadygrad::{record::Recorder, Guard};
    /// let (mut guard, mut recorder) = (Guard::new(), Recorder::new().whole_run(4).last(0));
    /// for step in 0..16 {
    ///     recorder.record(guard.step(&mut [1.0_f32])?.report());
    /// }
    /// let steps: Vec<u64> = recorder.rows().iter().map(|row| row.step).collect();
    /// assert_eq!(steps, [1, 5, 9, 13, 16]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn whole_run(self, rows: usize) -> Self {
        Self {
            most_rows: rows.max(1),
            ..self
        }
    }

    /// Sets how many of the last steps are kept; with 0 the last one is.
    ///
    /// ```
    /// use steadygrad::{record::Recorder, Guard};
    /// let (mut guard, mut recorder) = (Guard::new(), Recorder::new().whole_run(0).last(3));
    /// for step in 0..16 {
    ///     recorder.record(guard.step(&mut [1.0_f32])?.report());
    /// }
    /// let steps: Vec<u64> = recorder.rows().iter().map(|row| row.step).collect();
    /// assert_eq!(steps, [1, 14, 15, 16]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn last(self, steps: usize) -> Self {
        Self {
            most_last: steps.max(1),
            ..self
        }
    }

    /// Sets how many rows of events are kept at most.
    ///
    /// ```
    /// use steadygrad::{record::Recorder, Guard};
    /// let mut guard = Guard::new().max_skips(20);
    /// let mut recorder = Recorder::new().whole_run(0).last(0).events(4);
    /// for step in 0..16 {
    ///     recorder.record(guard.step(&mut [f32::NAN])?.report());           // each of them is skipped
    /// }
    /// let steps: Vec<u64> = recorder.rows().iter().map(|row| row.step).collect();
    /// assert_eq!(steps, [1, 2, 15, 16]);
    /// assert_eq!(recorder.left_out(), 12);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn events(self, rows: usize) -> Self {
        Self {
            most_events: rows,
            ..self
        }
    }

    /// Sets of how many tensors there are rows at most; with 0 there are none. To be set before the first record.
    ///
    /// ```
    /// use steadygrad::{record::Recorder, Guard};
    /// let (mut guard, mut recorder) = (Guard::new(), Recorder::new().tensors(1));
    /// recorder.record(guard.step(&mut [("w", [3.0_f32]), ("b", [4.0])])?.report());
    /// let log = recorder.log();
    /// assert_eq!((log.names.len(), log.rows[0].tensors[0].grad_norm, log.rows[0].grad_norm), (1, 3.0, 5.0));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn tensors(mut self, tensors: usize) -> Self {
        self.newest.limit = tensors;
        self
    }

    /// Records a step.
    ///
    /// ```
    /// use steadygrad::{record::Recorder, Guard};
    /// let (mut guard, mut recorder) = (Guard::new(), Recorder::new());
    /// recorder.record(guard.step(&mut [3.0_f32, 4.0])?.report());
    /// assert_eq!(recorder.rows()[0].grad_norm, 5.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn record(&mut self, report: &Report) {
        self.newest.read(report);
        let newest = &self.newest;
        let line = &newest.line;
        if line.place == 0 {
            self.whole.make_room(self.most_rows, newest);
            self.last.make_room(self.most_last, newest);
            let half = self.most_events.div_ceil(2);
            self.first_events.make_room(half, newest);
            self.last_events.make_room(self.most_events - half, newest);
            for peak in [&mut self.hardest, &mut self.largest] {
                peak.row.make_room(1, newest);
            }
        }

        while line.place.is_multiple_of(self.stride) && self.whole.len() >= self.most_rows {
            self.stride *= 2;
            let stride = self.stride;
            self.whole.retain(|line| line.place.is_multiple_of(stride));
        }
        if line.place.is_multiple_of(self.stride) {
            self.whole.push(newest);
        }
        while self.last.len() >= self.most_last {
            self.last.pop();
        }
        self.last.push(newest);
        // A clamp has no factor.
        let left = line.factor.min(line.clipped_norm / line.grad_norm);
        self.hardest.offer(1.0 - left, newest);
        self.largest.offer(line.grad_norm, newest);
        if newest.is_event() {
            self.record_event();
        }
    }

    fn record_event(&mut self) {
        let half = self.most_events.div_ceil(2);
        if self.first_events.len() < half {
            return self.first_events.push(&self.newest);
        }
        let most = self.most_events - half;
        if most > 0 {
            while self.last_events.len() >= most {
                self.last_events.pop();
                self.left_out += 1;
            }
            self.last_events.push(&self.newest);
        } else {
            self.left_out += 1;
        }
    }

    /// How many rows of events were left out, since there were more than are [kept](Self::events). Some of them may be
    /// among the rows all the same.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// All that is kept.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let tables = [
            &self.whole,
            &self.first_events,
            &self.last_events,
            &self.hardest.row,
            &self.largest.row,
            &self.last,
        ];
        // What stands in several tables is the same in each.
        let rows: BTreeMap<u64, Row> = tables.into_iter().flat_map(Table::rows).collect();
        rows.into_values().collect()
    }

    /// All that is kept, with the names of the tensors.
    ///
    /// ```
    /// use steadygrad::{record::Recorder, Guard};
    /// let (mut guard, mut recorder) = (Guard::new(), Recorder::new());
    /// recorder.record(guard.step(&mut [("w", [3.0_f32]), ("b", [4.0])])?.report());
    /// let log = recorder.log();
    /// assert_eq!((log.names, log.rows), (vec!["w".to_string(), "b".to_string()], recorder.rows()));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn log(&self) -> Log {
        let names = self.newest.names().map(String::from).collect();
        Log::new(names, self.rows())
    }
}

#[cfg(test)]
mod tests {
    use super::super::newest::{Line, Told};
    use super::super::row::TensorRow;

    #[test]
    fn a_row_takes_the_memory_that_is_told() {
        // Where pointers have 64 bits.
        if size_of::<usize>() == 8 {
            let row = size_of::<Line>() + size_of::<Told>();
            assert!((270..=300).contains(&row), "{row}");
            assert_eq!(size_of::<TensorRow>(), 40);
        }
    }
}
