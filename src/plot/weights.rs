//! How large the parameters are, and how fast they change.

use super::chart::{Chart, Kind};
use super::letters;
use super::picture::{Contents, Picture, Shown};
use super::scene::Point;
use super::sheet::{Block, Sheet};
use super::tags;
use crate::record::{Log, TensorRow};

/// As many tensors have a name beside their curve.
const NAMED: usize = 8;
/// As many more are drawn, in grey.
const GREY: usize = 24;
/// Names up to this width have room beside a chart.
const ROOM: f64 = 120.0;
/// Of an update of this share of its weights one hears that it is a good size.
const USUAL: f64 = 1e-3;

/// How large the parameters are, and how fast they change: see [`weights`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights<'l> {
    log: &'l Log,
}

/// The L2 norm of each parameter against the step, and beside it ‖Δw‖/‖w‖, the share of it by which a step changes it.
/// Of more than eight tensors those are named whose norm changed the most; the others are grey.
///
/// # Examples
///
/// ```
/// use steadygrad::{plot, record::Recorder, Guard, Step};
///
/// let mut guard = Guard::new();
/// let mut recorder = Recorder::new();
/// let (mut w, mut b) = (vec![2.0_f64; 4], vec![0.5_f64]);
/// for _ in 0..100 {
///     let mut grads = [("w", w.clone()), ("b", b.clone())];
///     let report = guard.step(Step::new(&mut grads).params(&[("w", &w), ("b", &b)]))?;
///     recorder.record(&report);
///     w.iter_mut().for_each(|w| *w *= 0.97);
///     b[0] *= 1.01;
/// }
/// let svg = plot::weights(&recorder.log()).to_svg();
/// assert!(svg.contains("\nw\n") && svg.contains("\nb\n"));
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// # References
///
/// That ‖Δw‖/‖w‖ is about 10⁻³ where training goes well: Bottou (2015), Karpathy's lecture notes.
pub fn weights(log: &Log) -> Picture<Weights<'_>> {
    Picture::of(Weights { log })
}

impl<'l> Weights<'l> {
    pub(super) fn of(log: &'l Log) -> Self {
        Self { log }
    }

    /// Whether there is anything of parameters in the log.
    pub(super) fn are_known(self) -> bool {
        self.log.rows.iter().any(|row| {
            row.weight_norm.is_some()
                || row
                    .tensors
                    .iter()
                    .any(|tensor| tensor.weight_norm.is_some())
        })
    }

    /// The norms, and the ratios beside them.
    pub(super) fn charts(self) -> Vec<Chart> {
        let mut norms = Chart::new("Norms of the parameters")
            .x("step")
            .y("L2 norm (log scale)")
            .log_y();
        let mut ratios = Chart::new("Size of the updates")
            .x("step")
            .y("‖Δw‖/‖w‖ a step (log scale)")
            .log_y();
        let tensors = self.tensors();
        let others = tensors.len().saturating_sub(NAMED);
        let grey = others.min(GREY);
        // What has no name lies behind what has one.
        let mut in_order: Vec<usize> = tensors.iter().skip(NAMED).take(GREY).copied().collect();
        let mut named: Vec<usize> = tensors.into_iter().take(NAMED).collect();
        named.sort_unstable();
        in_order.extend(&named);
        let names = self.names(&named);
        for tensor in in_order {
            let (name, kind) = match named.iter().position(|&known| known == tensor) {
                Some(place) => (names[place].clone(), Kind::Line),
                None => (String::new(), Kind::Quiet),
            };
            norms = norms.series(
                name.clone(),
                self.series(tensor, |row| row.weight_norm),
                kind,
            );
            ratios = ratios.series(name, self.series(tensor, ratio), kind);
        }
        if named.is_empty() {
            let rows = || self.log.rows.iter();
            let norm = rows().filter_map(|row| Some((row.step as f64, row.weight_norm?)));
            let ratio = rows()
                .filter_map(|row| Some((row.step as f64, row.update_norm? / row.weight_norm?)));
            norms = norms
                .line("", norm)
                .y("L2 norm of all parameters (log scale)");
            ratios = ratios.line("", ratio);
        }
        if grey > 0 {
            let which = if grey < others {
                format!(" of {others}")
            } else {
                String::new()
            };
            norms = norms.note(format!(
                "grey: {grey}{which} tensors whose norms changed less"
            ));
        }
        let zero = self.zeros();
        if !zero.is_empty() {
            let names = self.names(&zero);
            let shown = names
                .iter()
                .take(NAMED)
                .cloned()
                .collect::<Vec<_>>()
                .join(", ");
            let others = names.len().saturating_sub(NAMED);
            let more = if others > 0 {
                format!(" and {others} others")
            } else {
                String::new()
            };
            norms = norms.note(format!("always 0: {shown}{more}"));
        }
        if ratios.series.iter().any(|series| !series.points.is_empty()) {
            ratios = ratios.bound("usual", USUAL);
        }
        vec![norms.height(170.0), ratios.height(170.0)]
    }

    fn series(self, tensor: usize, of: fn(&TensorRow) -> Option<f64>) -> Vec<Point> {
        let rows = self.log.rows.iter();
        let points = rows.filter_map(|row| Some((row.step as f64, of(row.tensors.get(tensor)?)?)));
        points.collect()
    }

    /// The tensors whose weights were 0 at every step.
    fn zeros(self) -> Vec<usize> {
        let is_zero = |&tensor: &usize| {
            let norms = self.series(tensor, |row| row.weight_norm);
            !norms.is_empty() && norms.iter().all(|point| point.1 == 0.0)
        };
        (0..self.count()).filter(is_zero).collect()
    }

    fn count(self) -> usize {
        let counts = self.log.rows.iter().map(|row| row.tensors.len());
        counts.max().unwrap_or(0)
    }

    /// Names of tensors; of long ones what tells them apart.
    fn names(self, tensors: &[usize]) -> Vec<String> {
        let name = |&tensor: &usize| match self.log.names.get(tensor) {
            Some(name) => name.clone(),
            None => format!("tensor {tensor}"),
        };
        let names: Vec<String> = tensors.iter().map(name).collect();
        if names
            .iter()
            .all(|name| letters::width(name, tags::SIZE) <= ROOM)
        {
            return names;
        }
        letters::apart(&names)
    }

    /// The tensors of which weights are known and not always 0, those first whose norm changed the most.
    fn tensors(self) -> Vec<usize> {
        let mut changes: Vec<(f64, usize)> = (0..self.count())
            .filter_map(|tensor| {
                let norms = self.series(tensor, |row| row.weight_norm);
                let first = norms.iter().find(|point| point.1 != 0.0)?.1;
                let change = |&(_, norm): &Point| match (norm / first).ln().abs() {
                    change if change.is_nan() => f64::INFINITY,
                    change => change,
                };
                let norms = norms.iter().filter(|point| point.1 != 0.0);
                Some((norms.map(change).fold(0.0, f64::max), tensor))
            })
            .collect();
        changes.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        changes.into_iter().map(|(_, tensor)| tensor).collect()
    }
}

/// A ratio; of weights that are 0 and stay so there is none.
fn ratio(row: &TensorRow) -> Option<f64> {
    let stays = row.weight_norm == Some(0.0) && row.update_ratio.is_some_and(f64::is_nan);
    row.update_ratio.filter(|_| !stays)
}

impl Shown for Weights<'_> {
    fn sheet(&self) -> Contents {
        let mut blocks = vec![Block::Charts(2, self.charts())];
        if !self.are_known() {
            let why = "No parameters were given to the guard (Step::params).";
            blocks.push(Block::Words(String::new(), vec![why.into()]));
        }
        Contents(Sheet {
            title: "The parameters, and how fast they change".into(),
            blocks,
        })
    }
}
