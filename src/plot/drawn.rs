//! A curve on the sheet, and what is said of it.

use plotters::style::RGBColor;

use super::axis::Axis;
use super::chart::{Kind, Series};
use super::curve::Curve;
use super::ink::ALERT;
use super::scene::{Frame, Point, Scene};
use super::shape::Shape;
use crate::figures::Short;

/// What of a curve is seen. An area is full up to the edge where its values lie beyond it, and of a curve without a name
/// nobody asks for every tip.
pub(super) fn seen(series: &Series, [x, y]: [&Axis; 2], frame: &Frame) -> Curve {
    match series.kind {
        Kind::Line => Curve::new(&series.points, [x, y], frame, 1.0),
        Kind::Quiet => Curve::new(&series.points, [x, y], frame, 4.0),
        Kind::Area => {
            let points = series.points.iter();
            let points: Vec<Point> = points.map(|&(at, value)| (at, y.clamped(value))).collect();
            Curve::new(&points, [x, y], frame, 1.0)
        }
    }
}

/// Says how many values of a curve have no place on an axis, NaN aside.
pub(super) fn off_scale(series: &Series, axis: &Axis) -> Option<String> {
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

pub(super) fn stroke(scene: &mut Scene, curve: &Curve, ink: RGBColor, width: f64, shape: Shape) {
    for piece in &curve.pieces {
        match piece[..] {
            [point] => shape.draw(scene, point, 1.0 + width, ink),
            _ => scene.line(piece.clone(), ink, width),
        }
    }
}

pub(super) fn fill(scene: &mut Scene, curve: &Curve, base: f64, ink: RGBColor) {
    for piece in &curve.pieces {
        if let (Some(first), Some(last)) = (piece.first(), piece.last()) {
            let foot = [(last.0, base), (first.0, base)];
            scene.area(piece.iter().copied().chain(foot).collect(), ink);
        }
    }
}

/// Marks along a curve, at other places than those of the other curves.
pub(super) fn marks(
    scene: &mut Scene,
    curve: &Curve,
    frame: &Frame,
    (place, of): (usize, usize),
    ink: RGBColor,
) {
    const EVERY: f64 = 110.0;
    // Not where a curve leaves the frame: a mark there would tell of a value.
    let inner = Frame {
        top: frame.top + 1.0,
        bottom: frame.bottom - 1.0,
        ..*frame
    };
    let mut last = None;
    let mut target = frame.left + EVERY * (place as f64 + 1.0) / (of as f64 + 1.0);
    while target < frame.right {
        let away = |point: &Point| (point.0 - target).abs();
        let points = curve.pieces.iter().flatten();
        let nearest = points.min_by(|a, b| away(a).total_cmp(&away(b))).copied();
        let inside = nearest
            .filter(|point| away(point) < EVERY / 2.0 && nearest != last && inner.holds(*point));
        if let Some(point) = inside {
            Shape::of(place).draw(scene, point, 3.0, ink);
            last = nearest;
        }
        target += EVERY;
    }
}

/// Marks at an edge of a frame, where values lie beyond it.
pub(super) fn edge(scene: &mut Scene, mut columns: Vec<f64>, y: f64, shape: Shape) {
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
