//! The three pictures, and what they share.

mod flow;
mod gradients;
mod predictions;

use std::ops::Range;
use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::data::Series;
use crate::runs::Run;
use crate::train::{Outcome, Plan};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Fallible = Result<(), Box<dyn std::error::Error>>;

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

/// Draws everything into the directory and returns the paths.
pub(crate) fn draw_all(
    dir: &Path,
    plan: &Plan,
    series: &Series,
    outcomes: &[Outcome],
) -> Result<Vec<PathBuf>, String> {
    let [gradients, flow, predictions] =
        ["gradients.svg", "flow.svg", "predictions.svg"].map(|name| dir.join(name));
    gradients::draw(&gradients, plan, outcomes)
        .and_then(|()| flow::draw(&flow, outcomes))
        .and_then(|()| predictions::draw(&predictions, series, outcomes))
        .map_err(|why| format!("cannot write the pictures to {}: {why}", dir.display()))?;
    Ok(vec![gradients, flow, predictions])
}

/// A white sheet with a title, cut into rows and columns.
fn panels<'a>(
    root: &Area<'a>,
    title: &str,
    cut: (usize, usize),
) -> Result<Vec<Area<'a>>, Box<dyn std::error::Error>> {
    root.fill(&WHITE)?;
    let style = (FONT, 22).into_font().color(&INK);
    Ok(root.titled(title, style)?.split_evenly(cut))
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
