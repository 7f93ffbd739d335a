//! Two trainings in one picture: their losses and the norms of their gradients, step by step.

use std::error::Error;
use std::ops::Range;
use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Fallible = Result<(), Box<dyn Error>>;

/// As wide as a page shows it, so that letters stay as high as they are here.
const SHEET: (u32, u32) = (800, 640);
const INK: RGBColor = RGBColor(40, 44, 52);
const QUIET: RGBColor = RGBColor(120, 126, 138);
const GRID: RGBColor = RGBColor(228, 231, 236);
/// Told apart by most eyes (after Paul Tol's bright scheme).
const COLOURS: [RGBColor; 2] = [RGBColor(204, 51, 17), RGBColor(34, 119, 187)];

/// What there is to draw of a training.
pub(crate) struct Course<'a> {
    pub(crate) name: &'a str,
    pub(crate) losses: &'a [f64],
    /// Of the gradients before any clipping.
    pub(crate) norms: &'a [f64],
}

/// Heights to compare a curve with, and what they are.
pub(crate) type Levels<'a> = &'a [(f64, &'a str)];

/// The path of a picture in a directory, once it can be written: better to know before the training.
pub(crate) fn prepare(dir: &Path, name: &str) -> Result<PathBuf, String> {
    let path = dir.join(name);
    // What was drawn before stays until there is something to take its place.
    std::fs::create_dir_all(dir)
        .and_then(|()| {
            std::fs::File::options()
                .append(true)
                .create(true)
                .open(&path)
        })
        .map_err(|why| format!("cannot write to {}: {why}", path.display()))?;
    Ok(path)
}

pub(crate) fn draw(
    path: &Path,
    title: &str,
    courses: &[Course<'_>; 2],
    losses: Levels<'_>,
    norms: Levels<'_>,
) -> Fallible {
    let root = SVGBackend::new(path, SHEET).into_drawing_area();
    root.fill(&WHITE)?;
    let root = root.titled(title, text(20, INK))?;
    let (legend, root) = root.split_vertically(26);
    for ((course, colour), x) in courses.iter().zip(COLOURS).zip([250, 430]) {
        let line = PathElement::new([(x, 12), (x + 26, 12)], colour.stroke_width(2));
        legend.draw(&line)?;
        let style = text(15, INK).pos(Pos::new(HPos::Left, VPos::Center));
        legend.draw(&Text::new(course.name, (x + 34, 12), style))?;
    }
    let (upper, lower) = root.split_vertically((50).percent_height());
    let [first, second] = courses;
    panel(
        &upper,
        "loss, nats per letter",
        [first.losses, second.losses],
        losses,
    )?;
    panel(
        &lower,
        "norm before clipping",
        [first.norms, second.norms],
        norms,
    )?;
    root.present()?;
    Ok(())
}

fn panel(area: &Area<'_>, what: &str, curves: [&[f64]; 2], levels: Levels<'_>) -> Fallible {
    let steps = curves
        .iter()
        .map(|curve| curve.len())
        .max()
        .unwrap_or(1)
        .max(2) as f64;
    let shown = curves
        .iter()
        .copied()
        .flatten()
        .chain(levels.iter().map(|(y, _)| y));
    let frame = around(shown.copied());
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .margin_right(24)
        .x_label_area_size(40)
        .y_label_area_size(72)
        .build_cartesian_2d(1.0..steps, frame.clone().log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(QUIET)
        .label_style(text(14, INK))
        .axis_desc_style(text(15, INK))
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| short(*y))
        .y_labels(6)
        .x_desc("step")
        .y_desc(what)
        .draw()?;
    for &(y, name) in levels {
        let ends = [(1.0, y), (steps, y)];
        chart.draw_series(DashedLineSeries::new(ends, 5, 4, QUIET.stroke_width(1)))?;
        let style = text(14, QUIET).pos(Pos::new(HPos::Right, VPos::Bottom));
        chart.draw_series([Text::new(name.to_owned(), (steps, y), style)])?;
    }
    for (curve, colour) in curves.into_iter().zip(COLOURS) {
        // A logarithm has no place for zero, for infinities or for NaN: there the line breaks off.
        let steps = (1..).map(f64::from).zip(curve.iter().copied());
        let points: Vec<(f64, f64)> = steps.collect();
        for piece in points.split(|(_, y)| !frame.contains(y)) {
            if let [point] = piece {
                chart.draw_series([Circle::new(*point, 3, colour.filled())])?;
            }
            let line = LineSeries::new(piece.iter().copied(), colour.stroke_width(2));
            chart.draw_series(line)?;
        }
    }
    for ((curve, colour), row) in curves.into_iter().zip(COLOURS).zip(0..) {
        let lost = curve.iter().filter(|y| !frame.contains(y)).count();
        if lost > 0 {
            let note = format!("{lost} of {} not finite, or 0: not drawn", curve.len());
            area.draw(&Text::new(note, (92, 14 + 17 * row), text(14, colour)))?;
        }
    }
    Ok(())
}

/// A range around all that a logarithm can show.
fn around(values: impl Iterator<Item = f64>) -> Range<f64> {
    let usual = values.filter(|y| *y > 0.0 && y.is_finite());
    let (low, high) = usual.fold((f64::INFINITY, 0.0_f64), |(low, high), y| {
        (low.min(y), high.max(y))
    });
    if low > high {
        return 0.1..10.0;
    }
    0.7 * low..(1.5 * high).min(f64::MAX)
}

fn text(size: u32, colour: RGBColor) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&colour)
}

fn short(y: f64) -> String {
    if (1e-3..1e5).contains(&y) {
        format!("{y}")
    } else {
        format!("{y:.0e}")
    }
}
