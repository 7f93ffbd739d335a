//! A chart on the sheet.

use plotters::style::RGBColor;

use super::axis::{Axis, Tick};
use super::chart::{Chart, Kind, Series};
use super::curve::Curve;
use super::ink::{self, ALERT, GRID, INK, QUIET, pale};
use super::lane::{self, Lane};
use super::letters;
use super::scene::{Frame, Point, Scene, Side};
use super::shape::Shape;
use super::tags::{self, Tag};
use crate::figures::{AsGiven, Short};

/// The size of a heading's letters.
pub(super) const HEADING: f64 = 14.0;
/// The size of the other letters.
pub(super) const WORDS: f64 = 12.0;
/// From one line of words to the next.
pub(super) const LINE: f64 = 16.0;
/// From a frame to what is written at its axis.
const NEAR: f64 = 6.0;

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
        let x = Axis::places(points().map(|point| point.0), chart.has_log_x);
        let bounds = chart.bounds.iter().map(|bound| bound.1);
        let values = points().map(|point| point.1);
        let y = match &chart.range {
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
        for series in &self.chart.series {
            let places = series.points.iter().filter(|point| point.1.is_nan());
            let places: Vec<f64> = places.map(|point| point.0).collect();
            // What is so of all alike need not be told of each.
            if !places.is_empty() && nan.iter().all(|known| known.0 != places) {
                nan.push((places, series));
            }
            let told = self.y.and_then(|y| off_scale(series, &y));
            if let Some(told) = told.filter(|told| off.iter().all(|known| known.0 != *told)) {
                off.push((told, series));
            }
        }
        let of = |series: &Series, alone: bool| match series.name.as_str() {
            name if !name.is_empty() && !alone => format!(" ({name})"),
            _ => String::new(),
        };
        let alone = nan.len() == 1;
        for (places, series) in nan {
            let (count, all) = (places.len(), series.points.len());
            let name = format!("NaN{}: {count} of {all}", of(series, alone));
            self.lanes
                .push(Lane::of_places(name, ALERT, places.into_iter()));
        }
        let alone = off.len() == 1;
        let notes = off
            .into_iter()
            .map(|(told, series)| told + &of(series, alone));
        self.notes.extend(notes);
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
        let name = if self.chart.x.is_empty() { 0.0 } else { LINE };
        lane::HEIGHT * self.lanes.len() as f64 + 18.0 + name + 4.0
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
        self.foot(scene, &frame, below);
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
        for tick in &self.y_ticks {
            let y = frame.bottom - tick.share * frame.height();
            scene.line(vec![(frame.left, y), (frame.right, y)], GRID, 1.0);
            scene.text(&tick.text, (frame.left - NEAR, y), Side::Right, WORDS, INK);
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
            scene.dashes((at, frame.top), (at, frame.bottom), [1.0, 3.0], QUIET);
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
            let curve = Curve::new(&series.points, [x, y], frame);
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
        // Of two at one height the first is named first.
        tags.reverse();
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
        let [above, below] = edges;
        edge(scene, above, frame.top, Shape::Up);
        edge(scene, below, frame.bottom, Shape::Down);
        tags::draw(scene, frame, right, tags);
    }

    /// The axis from left to right, with its values and its name.
    fn foot(&self, scene: &mut Scene, frame: &Frame, bottom: f64) {
        scene.line(
            vec![(frame.left, bottom), (frame.right, bottom)],
            QUIET,
            1.0,
        );
        let about = (frame.width() / 90.0).max(2.0) as usize;
        let ticks = self.x.map(|x| x.ticks(about)).unwrap_or_default();
        let mut free = f64::NEG_INFINITY;
        for tick in ticks {
            let at = frame.left + tick.share * frame.width();
            let half = letters::width(&tick.text, WORDS) / 2.0;
            if at - half < free {
                continue;
            }
            free = at + half + 6.0;
            scene.line(vec![(at, bottom), (at, bottom + 4.0)], QUIET, 1.0);
            scene.text(&tick.text, (at, bottom + 12.0), Side::Middle, WORDS, INK);
        }
        let middle = (frame.left + frame.width() / 2.0, bottom + 18.0 + LINE / 2.0);
        if !self.chart.x.is_empty() {
            scene.text(&self.chart.x, middle, Side::Middle, WORDS, QUIET);
        }
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

/// Says how many values of a curve have no place on an axis, NaN aside.
fn off_scale(series: &Series, axis: &Axis) -> Option<String> {
    let off = series
        .points
        .iter()
        .map(|point| point.1)
        .filter(|&y| !y.is_nan() && !(0.0..=1.0).contains(&axis.share(y)));
    let (low, high) = off.clone().fold((f64::NAN, f64::NAN), |(low, high), y| {
        (f64::min(low, y), f64::max(high, y))
    });
    let (count, all) = (off.count(), series.points.len());
    let which = if low == high {
        Short(low).to_string()
    } else {
        format!("{} to {}", Short(low), Short(high))
    };
    let are = if count == 1 { "is" } else { "are" };
    (count > 0).then(|| format!("{count} of {all} values {are} off the scale: {which}"))
}

fn stroke(scene: &mut Scene, curve: &Curve, ink: RGBColor, width: f64, shape: Shape) {
    for piece in &curve.pieces {
        match piece[..] {
            [point] => shape.draw(scene, point, width + 0.7, ink),
            _ => scene.line(piece.clone(), ink, width),
        }
    }
}

fn fill(scene: &mut Scene, curve: &Curve, base: f64, ink: RGBColor) {
    for piece in &curve.pieces {
        if let (Some(first), Some(last)) = (piece.first(), piece.last()) {
            let foot = [(last.0, base), (first.0, base)];
            scene.area(piece.iter().copied().chain(foot).collect(), ink);
        }
    }
}

/// Marks along a curve, at other places than those of the other curves.
fn marks(
    scene: &mut Scene,
    curve: &Curve,
    frame: &Frame,
    (place, of): (usize, usize),
    ink: RGBColor,
) {
    const EVERY: f64 = 110.0;
    let mut last = None;
    let mut target = frame.left + EVERY * (place as f64 + 1.0) / (of as f64 + 1.0);
    while target < frame.right {
        let away = |point: &Point| (point.0 - target).abs();
        let points = curve.pieces.iter().flatten();
        let nearest = points.min_by(|a, b| away(a).total_cmp(&away(b))).copied();
        let inside = nearest
            .filter(|point| away(point) < EVERY / 2.0 && nearest != last && frame.holds(*point));
        if let Some(point) = inside {
            Shape::of(place).draw(scene, point, 3.0, ink);
            last = nearest;
        }
        target += EVERY;
    }
}

/// Marks at an edge of a frame, where values lie beyond it.
fn edge(scene: &mut Scene, mut columns: Vec<f64>, y: f64, shape: Shape) {
    columns.sort_by(f64::total_cmp);
    let inwards = if shape == Shape::Up { 5.0 } else { -5.0 };
    let mut free = f64::NEG_INFINITY;
    for at in columns {
        if at >= free {
            shape.draw(scene, (at + 0.5, y + inwards), 4.0, ALERT);
            free = at + 9.0;
        }
    }
}
