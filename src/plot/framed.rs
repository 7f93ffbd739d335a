//! A chart on the sheet.

use super::axis::{Axis, Tick};
use super::beside::{self, LINE, NEAR, WORDS};
use super::chart::{Chart, Kind, Series};
use super::drawn::{edge, fill, marks, off_scale, seen, stroke};
use super::ink::{self, ALERT, EVENT, GRID, INK, QUIET, pale};
use super::lane::{self, Lane};
use super::letters;
use super::scene::{Frame, Point, Scene, Side};
use super::shape::Shape;
use super::tags::{self, Tag};
use crate::figures::AsGiven;

/// The size of a heading's letters.
pub(super) const HEADING: f64 = 14.0;
/// Of so many curves it is told what is off the scale.
const NOTES: usize = 3;

/// What is beside a frame: of charts below each other the same, so that their axes are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Margins {
    pub(super) left: f64,
    pub(super) right: f64,
}

impl Margins {
    pub(super) fn widest(self, other: Self) -> Self {
        Self {
            left: self.left.max(other.left),
            right: self.right.max(other.right),
        }
    }
}

/// A chart whose axes are known.
pub(super) struct Framed<'a> {
    chart: &'a Chart,
    x: Option<Axis>,
    y: Option<Axis>,
    y_ticks: Vec<Tick>,
    lanes: Vec<Lane>,
    notes: Vec<String>,
}

impl<'a> Framed<'a> {
    pub(super) fn new(chart: &'a Chart) -> Self {
        let points = || chart.series.iter().flat_map(|series| &series.points);
        let x = match &chart.x_range {
            Some(range) => Axis::places([range.start, range.end].into_iter(), chart.has_log_x),
            None => Axis::places(points().map(|point| point.0), chart.has_log_x),
        };
        let bounds = chart.bounds.iter().map(|bound| bound.1);
        let values = points().map(|point| point.1);
        let y = match &chart.y_range {
            Some(range) if chart.has_log_y => {
                let ends = [range.start, range.end].map(|end| end.max(f64::MIN_POSITIVE));
                let [low, high] = ends.map(f64::log10);
                Some(Axis::powers_between(low, high))
            }
            Some(range) => Some(Axis::between(range.start, range.end)),
            None if chart.has_log_y => {
                Axis::log(values.clone()).and_then(|_| Axis::log(values.chain(bounds)))
            }
            None => Axis::linear(values.clone()).and_then(|_| Axis::linear(values.chain(bounds))),
        };
        let about = (chart.height / 42.0).max(2.0) as usize;
        let mut framed = Self {
            chart,
            x,
            y,
            y_ticks: y.map(|y| y.ticks(about)).unwrap_or_default(),
            lanes: Vec::new(),
            notes: Vec::new(),
        };
        framed.tell_what_has_no_place();
        framed.lanes.extend(chart.lanes.iter().cloned());
        framed.notes.extend(chart.notes.iter().cloned());
        framed
    }

    /// Strips and notes for values that are NaN or off the scale.
    fn tell_what_has_no_place(&mut self) {
        let mut nan: Vec<(Vec<f64>, &Series)> = Vec::new();
        let mut off: Vec<(String, &Series)> = Vec::new();
        let (mut with_nan, mut with_off) = (0, 0);
        for series in &self.chart.series {
            let places = series.points.iter().filter(|point| point.1.is_nan());
            let places: Vec<f64> = places.map(|point| point.0).collect();
            with_nan += usize::from(!places.is_empty());
            // What is so of all alike need not be told of each.
            if !places.is_empty() && nan.iter().all(|known| known.0 != places) {
                nan.push((places, series));
            }
            let told = self.y.and_then(|y| off_scale(series, &y));
            with_off += usize::from(told.is_some());
            if let Some(told) = told.filter(|told| off.iter().all(|known| known.0 != *told)) {
                off.push((told, series));
            }
        }
        let of = |series: &Series, of_all: bool| match series.name.as_str() {
            name if !name.is_empty() && !of_all => format!(" ({name})"),
            _ => String::new(),
        };
        let all = self.chart.series.len();
        let of_all = nan.len() == 1 && with_nan == all;
        for (places, series) in nan {
            let (count, points) = (places.len(), series.points.len());
            let name = format!("NaN{}: {count} of {points}", of(series, of_all));
            self.lanes
                .push(Lane::of_places(name, ALERT, places.into_iter()));
        }
        let of_all = off.len() == 1 && with_off == all;
        let others = off.len().saturating_sub(NOTES);
        let notes = off.into_iter().take(NOTES);
        let notes = notes.map(|(told, series)| told + &of(series, of_all));
        self.notes.extend(notes);
        if others > 0 {
            self.notes
                .push(format!("and of {others} other curves others"));
        }
    }

    /// What the chart wants beside its frame.
    pub(super) fn margins(&self) -> Margins {
        let ticks = self
            .y_ticks
            .iter()
            .map(|tick| letters::width(&tick.text, WORDS));
        let names = self.named().map(|series| series.name.as_str());
        let lanes = self.lanes.iter().map(|lane| lane.name.as_str());
        let bounds: Vec<String> = self.chart.bounds.iter().map(bound_name).collect();
        let names = names.chain(lanes).chain(bounds.iter().map(String::as_str));
        Margins {
            left: NEAR + ticks.fold(12.0, f64::max),
            right: tags::room(names).max(10.0),
        }
    }

    /// How high all of it is, in a sheet so wide.
    pub(super) fn height(&self, width: f64) -> f64 {
        let notes = self.noted(width).len() as f64;
        self.above() + self.chart.height + self.below() + LINE * notes
    }

    fn above(&self) -> f64 {
        let lines = [&self.chart.heading, &self.chart.y];
        let lines = lines.iter().filter(|line| !line.is_empty()).count();
        LINE.mul_add(lines as f64, 8.0)
    }

    /// Strips, the axis and its name.
    fn below(&self) -> f64 {
        lane::HEIGHT * self.lanes.len() as f64 + beside::room_below(&self.chart.x) + 4.0
    }

    fn noted(&self, width: f64) -> Vec<String> {
        let notes = self.notes.iter();
        notes
            .flat_map(|note| letters::wrapped(note, WORDS, width))
            .collect()
    }

    /// The curves that have a name beside them.
    fn named(&self) -> impl Iterator<Item = &Series> {
        self.chart
            .series
            .iter()
            .filter(|series| series.kind != Kind::Quiet && !series.name.is_empty())
    }

    /// Draws all of it below and to the right of a corner, and as wide as that.
    pub(super) fn draw(&self, scene: &mut Scene, (left, top): Point, width: f64, margins: Margins) {
        // Names give way before the curves do.
        let right = margins.right.min(0.42 * width);
        let frame = Frame {
            left: left + margins.left,
            top: top + self.above(),
            right: left + width - right,
            bottom: top + self.above() + self.chart.height,
        };
        self.head(scene, (left, top), width);
        self.grid(scene, &frame);
        self.curves(scene, &frame, left + width);
        let mut below = frame.bottom;
        if let Some(x) = &self.x {
            for lane in &self.lanes {
                lane.draw(scene, &frame, below, left + width, x);
                below += lane::HEIGHT;
            }
        }
        beside::below(scene, &frame, below, self.x, &self.chart.x);
        let notes = top + self.height(width) - LINE * self.noted(width).len() as f64;
        for (row, note) in (0..).map(f64::from).zip(self.noted(width)) {
            let at = (left, LINE.mul_add(row + 0.5, notes));
            scene.text(&note, at, Side::Left, WORDS, QUIET);
        }
    }

    fn head(&self, scene: &mut Scene, (left, top): Point, width: f64) {
        let mut y = top + LINE / 2.0;
        for (line, size, ink) in [
            (&self.chart.heading, HEADING, INK),
            (&self.chart.y, WORDS, QUIET),
        ] {
            if !line.is_empty() {
                let line = letters::fitted(line, size, width);
                scene.text(&line, (left, y), Side::Left, size, ink);
                y += LINE;
            }
        }
    }

    fn grid(&self, scene: &mut Scene, frame: &Frame) {
        for y in beside::left(scene, frame, &self.y_ticks) {
            scene.line(vec![(frame.left, y), (frame.right, y)], GRID, 1.0);
        }
        scene.line(
            vec![(frame.left, frame.top), (frame.left, frame.bottom)],
            QUIET,
            1.0,
        );
    }

    fn curves(&self, scene: &mut Scene, frame: &Frame, right: f64) {
        let (Some(x), Some(y)) = (&self.x, &self.y) else {
            let middle = (
                frame.left + frame.width() / 2.0,
                frame.top + frame.height() / 2.0,
            );
            let words = letters::fitted(&self.nothing(), WORDS, frame.width());
            scene.text(&words, middle, Side::Middle, WORDS, INK);
            return;
        };
        let begins = self.chart.begins.iter().map(|&at| x.share(at));
        for share in begins.filter(|share| (0.0..=1.0).contains(share)) {
            let at = frame.left + share * frame.width();
            let across = vec![(at, frame.top), (at, frame.bottom)];
            scene.line(across, pale(EVENT, 0.5), 1.0);
        }
        let mut tags = Vec::new();
        let lines = self
            .chart
            .series
            .iter()
            .filter(|series| series.kind == Kind::Line)
            .count();
        let mut place = lines;
        let mut edges = [Vec::new(), Vec::new()];
        // The first lies uppermost.
        let behind = |series: &&Series| series.kind != Kind::Line;
        let order = self.chart.series.iter().filter(behind);
        let order = order.chain(
            self.chart
                .series
                .iter()
                .rev()
                .filter(|series| !behind(series)),
        );
        for series in order {
            let curve = seen(series, [x, y], frame);
            let (ink, shape) = match series.kind {
                Kind::Line => {
                    place -= 1;
                    let (ink, shape) = (ink::curve(place), Shape::of(place));
                    stroke(scene, &curve, ink, 1.5, shape);
                    if lines > 1 {
                        marks(scene, &curve, frame, (place, lines), ink);
                    }
                    (ink, shape)
                }
                Kind::Area => {
                    let base = frame.bottom - y.share(0.0).clamp(0.0, 1.0) * frame.height();
                    fill(scene, &curve, base, pale(QUIET, 0.4));
                    (pale(QUIET, 0.4), Shape::Square)
                }
                Kind::Quiet => {
                    let ink = pale(QUIET, 0.45);
                    stroke(scene, &curve, ink, 1.0, Shape::Disc);
                    (ink, Shape::Disc)
                }
            };
            if series.kind != Kind::Quiet && !series.name.is_empty() {
                let end = curve.end();
                tags.push(Tag {
                    text: series.name.clone(),
                    height: end.map_or(frame.bottom, |end| end.1),
                    ink,
                    shape: Some(shape),
                    is_joined: end.is_some_and(|end| frame.right - end.0 < 4.0),
                });
            }
            edges[0].extend(curve.above);
            edges[1].extend(curve.below);
        }
        // Of two at one height the first is named first, and bounds before all.
        tags.reverse();
        let curves = std::mem::take(&mut tags);
        for bound in &self.chart.bounds {
            let share = y.share(bound.1);
            if (0.0..=1.0).contains(&share) {
                let height = frame.bottom - share * frame.height();
                scene.dashes((frame.left, height), (frame.right, height), [6.0, 4.0], INK);
                tags.push(Tag {
                    text: bound_name(bound),
                    height,
                    ink: QUIET,
                    shape: None,
                    is_joined: true,
                });
            }
        }
        tags.extend(curves);
        let [above, below] = edges;
        edge(scene, above, frame.top, Shape::Up);
        edge(scene, below, frame.bottom, Shape::Down);
        tags::draw(scene, frame, right, tags);
    }

    /// Why there is no curve.
    fn nothing(&self) -> String {
        let values = || {
            self.chart
                .series
                .iter()
                .flat_map(|series| &series.points)
                .map(|point| point.1)
        };
        let count = |is: fn(&f64) -> bool| values().filter(is).count();
        let (all, nan) = (values().count(), count(|y| y.is_nan()));
        let infinite = count(|y| y.is_infinite());
        match all {
            0 => "nothing was recorded".into(),
            _ if nan == all => format!("no number among {all} values: all are NaN"),
            _ if nan + infinite == all => {
                format!("no finite number among {all} values: {nan} NaN, {infinite} infinite")
            }
            _ => format!("no number above 0 among {all} values"),
        }
    }
}

/// A bound as it is named beside it.
fn bound_name((name, value): &(String, f64)) -> String {
    format!("{name} {}", AsGiven(*value))
}
