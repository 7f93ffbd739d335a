//! The three pictures, and what they share.

mod flow;
mod gradients;
mod predictions;

use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::data::Series;
use crate::output::short;
use crate::runs::Run;
use crate::train::{Outcome, Plan};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Fallible = Result<(), Box<dyn std::error::Error>>;

/// As wide as a page shows it, so that letters stay as high as they are here.
const WIDTH: u32 = 800;
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(40, 44, 52);
const QUIET: RGBColor = RGBColor(120, 126, 138);
const GRID: RGBColor = RGBColor(228, 231, 236);
/// One colour a run, told apart by most eyes (after Paul Tol's bright scheme).
const COLOURS: [RGBColor; 6] = [
    RGBColor(204, 51, 17),
    RGBColor(187, 120, 0),
    RGBColor(34, 119, 187),
    RGBColor(0, 131, 112),
    RGBColor(150, 50, 130),
    RGBColor(70, 70, 180),
];

/// The paths of the pictures in a directory, once each of them can be written: better to know before the training.
pub(crate) fn prepare(dir: &Path) -> Result<[PathBuf; 3], String> {
    let paths = ["gradients.svg", "flow.svg", "predictions.svg"].map(|name| dir.join(name));
    let made = fs::create_dir_all(dir);
    made.map_err(|why| format!("cannot write to {}: {why}", dir.display()))?;
    for path in &paths {
        // What was drawn before stays until there is something to take its place.
        let opened = File::options().append(true).create(true).open(path);
        opened.map_err(|why| format!("cannot write to {}: {why}", path.display()))?;
    }
    Ok(paths)
}

/// Draws everything.
pub(crate) fn draw_all(
    paths: &[PathBuf; 3],
    plan: &Plan,
    series: &Series,
    outcomes: &[Outcome],
) -> Result<(), String> {
    let [gradients, flow, predictions] = paths;
    gradients::draw(gradients, plan, outcomes)
        .and_then(|()| flow::draw(flow, outcomes))
        .and_then(|()| predictions::draw(predictions, series, outcomes))
        .map_err(|why| format!("cannot draw the pictures: {why}"))
}

/// A white sheet under a title.
fn sheet<'a>(
    path: &'a Path,
    height: u32,
    title: &str,
) -> Result<Area<'a>, Box<dyn std::error::Error>> {
    let root = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    Ok(root.titled(title, text(20, INK))?)
}

fn text(size: u32, colour: RGBColor) -> TextStyle<'static> {
    (FONT, size).into_font().color(&colour)
}

/// A curve as far as the frame holds it: where it leaves it ends at the edge, and where it returns it begins there.
/// Nothing runs along the edge, and nothing joins what is not a number.
fn pieces(points: impl Iterator<Item = (f64, f64)>, frame: &Range<f64>) -> Vec<Vec<(f64, f64)>> {
    let mut pieces: Vec<Vec<(f64, f64)>> = Vec::new();
    let mut before = f64::NAN;
    for (x, y) in points {
        let is_joined = (frame.contains(&before) || frame.contains(&y)) && !(before + y).is_nan();
        match pieces.last_mut() {
            Some(piece) if is_joined => piece.push((x, y)),
            _ => pieces.push(vec![(x, y)]),
        }
        before = y;
    }
    pieces.retain(|piece| piece.len() > 1 || frame.contains(&piece[0].1));
    for (_, y) in pieces.iter_mut().flatten() {
        *y = y.clamp(frame.start, frame.end);
    }
    pieces
}

/// Says how many values the frame does not hold, if any.
fn off_scale(values: &[f64], frame: &Range<f64>) -> Option<String> {
    let off = values.iter().filter(|y| !frame.contains(y));
    let (low, high) = off.clone().fold((f64::NAN, f64::NAN), |(low, high), &y| {
        (f64::min(low, y), f64::max(high, y))
    });
    let mut which = match (low, high) {
        _ if low.is_nan() => "NaN".into(),
        _ if low == high => short(low),
        _ => format!("{} to {}", short(low), short(high)),
    };
    if off.clone().any(|y| y.is_nan()) && !low.is_nan() {
        which += " and NaN";
    }
    let count = off.count();
    (count > 0).then(|| format!("{count} of {} off the scale: {which}", values.len()))
}

fn title(run: &Run) -> String {
    format!("({}) {}", run.name, run.title)
}

/// Whole powers of ten around all that is finite and above 0, within a floor and a ceiling.
fn decades(norms: impl Iterator<Item = f64>, floor: f64, ceiling: f64) -> Range<f64> {
    let usual = norms.filter(|norm| (floor..ceiling).contains(norm));
    let (low, high) = usual.fold((1.0_f64, 1.0_f64), |(low, high), norm| {
        (low.min(norm), high.max(norm))
    });
    10_f64.powf(low.log10().floor())..10_f64.powf((1.5 * high).log10().ceil())
}

/// A whole number, or an approximate one where the digits would fill the picture.
fn whole(x: f64) -> String {
    if x.abs() < 1e6 {
        format!("{x:.0}")
    } else {
        format!("{x:.1e}")
    }
}

/// 10⁻³.
fn power_of_ten(x: f64) -> String {
    let superscript = |c| match c {
        '-' => '⁻',
        digit => ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][digit as usize - '0' as usize],
    };
    let exponent = format!("{:.0}", x.log10()).replace("-0", "0");
    format!(
        "10{}",
        exponent.chars().map(superscript).collect::<String>()
    )
}
