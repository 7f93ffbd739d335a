//! The three pictures.

use std::ops::Range;
use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::data::Series;
use crate::runs::{Clip, RUNS, Run};
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
    let pictures: [(&str, &dyn Fn(&Path) -> Fallible); 3] = [
        ("gradients.svg", &|path| gradients(path, plan, outcomes)),
        ("flow.svg", &|path| flow(path, outcomes)),
        ("predictions.svg", &|path| {
            predictions(path, series, outcomes)
        }),
    ];
    let draw = |(name, draw): (&str, &dyn Fn(&Path) -> Fallible)| {
        let path = dir.join(name);
        match draw(&path) {
            Ok(()) => Ok(path),
            Err(why) => Err(format!("cannot write {}: {why}", path.display())),
        }
    };
    pictures.into_iter().map(draw).collect()
}

/// The norm of the gradients at each step: one panel a run, all on the same axes.
fn gradients(path: &Path, plan: &Plan, outcomes: &[Outcome]) -> Fallible {
    let root = SVGBackend::new(path, (1200, 760)).into_drawing_area();
    let norms = outcomes.iter().flat_map(|outcome| &outcome.norms);
    let range = decades(norms.copied().chain([0.1, 1e3]), 1e-4, 1e14);
    let panels = panels(
        &root,
        "Norm of the gradients before clipping, step by step",
        (2, 3),
    )?;
    for (index, (panel, outcome)) in panels.iter().zip(outcomes).enumerate() {
        let run = &RUNS[index];
        let steps = (1.0..plan.steps.max(2) as f64).log_scale();
        let mut chart = ChartBuilder::on(panel)
            .margin(8)
            .margin_right(18)
            .caption(title(run), (FONT, 17).into_font().color(&COLOURS[index]))
            .x_label_area_size(34)
            .y_label_area_size(46)
            .build_cartesian_2d(steps, range.clone().log_scale())?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(QUIET)
            .label_style((FONT, 13).into_font().color(&INK))
            .y_label_formatter(&power_of_ten)
            .y_labels(9)
            .x_labels(4)
            .x_label_formatter(&whole)
            .x_desc("step")
            .draw()?;

        // What is not finite is drawn at the upper edge.
        let height = |norm: f64| {
            if norm.is_nan() {
                range.end
            } else {
                norm.clamp(range.start, range.end)
            }
        };
        let points = (1..)
            .zip(&outcome.norms)
            .map(|(step, &norm)| (f64::from(step), height(norm)));
        chart.draw_series(LineSeries::new(
            points.clone(),
            COLOURS[index].stroke_width(2),
        ))?;
        if outcome.norms.len() == 1 {
            chart
                .draw_series(points.map(|point| Circle::new(point, 3, COLOURS[index].filled())))?;
        }
        if let Clip::Norm(max) = run.clip {
            let ends = [(1.0, max), (plan.steps.max(2) as f64, max)];
            chart.draw_series(DashedLineSeries::new(ends, 5, 4, INK.stroke_width(1)))?;
            let style = (FONT, 13).into_font().color(&INK);
            chart.draw_series([Text::new(
                format!("clipped to {max}"),
                (1.15, max * 0.55),
                style,
            )])?;
        }
        for (row, alarm) in outcome.alarms.iter().enumerate() {
            let step = alarm.step();
            let y = height(outcome.norms[step as usize - 1]);
            let mark =
                EmptyElement::at((step as f64, y)) + Circle::new((0, 0), 5, INK.stroke_width(2));
            chart.draw_series([mark])?;
            let text = format!("{} @ {step}", alarm.detector());
            let style = (FONT, 13).into_font().color(&INK);
            panel.draw(&Text::new(text, (215, 36 + 16 * row as i32), style))?;
        }
    }
    root.present()?;
    Ok(())
}

/// How far back an error is felt, before any training.
fn flow(path: &Path, outcomes: &[Outcome]) -> Fallible {
    let root = SVGBackend::new(path, (900, 520)).into_drawing_area();
    let curves: Vec<(usize, &str, &[f64])> = [0, 5]
        .into_iter()
        .flat_map(|run| {
            outcomes[run]
                .flow
                .iter()
                .map(move |(part, norms)| (run, part.as_str(), norms.as_slice()))
        })
        .collect();
    let norms = curves
        .iter()
        .flat_map(|(_, _, norms)| norms.iter().copied());
    let range = decades(norms, 1e-20, 1e20);
    let title = "How the error of the last month flows back through a window, before training";
    let panels = panels(&root, title, (1, 1))?;
    let time = curves.first().map_or(1, |(_, _, norms)| norms.len());
    let mut chart = ChartBuilder::on(&panels[0])
        .margin(10)
        .margin_right(24)
        .x_label_area_size(42)
        .y_label_area_size(64)
        .build_cartesian_2d(1.0..time as f64, range.clone().log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(QUIET)
        .label_style((FONT, 14).into_font().color(&INK))
        .y_label_formatter(&power_of_ten)
        .x_label_formatter(&whole)
        .x_desc("month t of the window")
        .y_desc("‖∂L/∂h‖ at month t")
        .draw()?;
    for (run, part, norms) in curves {
        let width = if part == "h" { 3 } else { 1 };
        let style = COLOURS[run].stroke_width(width);
        let points = (1..)
            .zip(norms)
            .map(|(t, &norm)| (f64::from(t), norm.clamp(range.start, range.end)));
        let label = format!(
            "({}) {}, ∂L/∂{part}",
            RUNS[run].name,
            if run == 0 { "RNN" } else { "LSTM" }
        );
        chart
            .draw_series(LineSeries::new(
                points.filter(|(_, norm)| *norm > range.start),
                style,
            ))?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 26, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.9))
        .border_style(GRID)
        .label_font((FONT, 15).into_font().color(&INK))
        .draw()?;
    root.present()?;
    Ok(())
}

/// What each network says of the test years, over what was seen.
fn predictions(path: &Path, series: &Series, outcomes: &[Outcome]) -> Fallible {
    let root = SVGBackend::new(path, (1200, 860)).into_drawing_area();
    let panels = panels(
        &root,
        "Next month's number in the test years: truth (grey) and prediction",
        (3, 2),
    )?;
    let date = |month: usize| {
        series
            .first_year
            .map_or(month as f64, |year| year + month as f64 / 12.0)
    };
    let truth = &series.values[series.test.clone()];
    let (low, high) = truth.iter().fold((0.0, 0.0), |(low, high), &y| {
        (f64::min(low, y), f64::max(high, y))
    });
    let range = low..1.15 * high + f64::MIN_POSITIVE;
    for (index, (panel, outcome)) in panels.iter().zip(outcomes).enumerate() {
        let rmse = series.rmse(series.test.clone(), &outcome.predictions);
        let caption = format!("{}: RMSE {rmse:.2}", title(&RUNS[index]));
        let mut chart = ChartBuilder::on(panel)
            .margin(8)
            .margin_right(18)
            .caption(caption, (FONT, 17).into_font().color(&COLOURS[index]))
            .x_label_area_size(26)
            .y_label_area_size(46)
            .build_cartesian_2d(
                date(series.test.start)..date(series.test.end),
                range.clone(),
            )?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(QUIET)
            .label_style((FONT, 13).into_font().color(&INK))
            .x_label_formatter(&whole)
            .y_label_formatter(&whole)
            .y_labels(5)
            .draw()?;
        let dates = series.test.clone().map(date);
        let seen = dates.clone().zip(truth.iter().copied());
        chart.draw_series(AreaSeries::new(seen, low, QUIET.mix(0.35)))?;
        // What leaves the frame runs along its edge.
        let within = |y: f64| {
            if y.is_nan() {
                range.end
            } else {
                y.clamp(range.start, range.end)
            }
        };
        let said = dates.zip(outcome.predictions.iter().map(|&y| within(y)));
        chart.draw_series(LineSeries::new(said, COLOURS[index].stroke_width(1)))?;
    }
    root.present()?;
    Ok(())
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

fn whole(x: &f64) -> String {
    format!("{x:.0}")
}

/// 10⁻³.
fn power_of_ten(x: &f64) -> String {
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
