//! How an error flows back through time.

use std::path::Path;

use plotters::prelude::*;

use super::{COLOURS, FONT, Fallible, GRID, INK, QUIET, decades, panels, power_of_ten, whole};
use crate::runs::RUNS;
use crate::train::Outcome;

/// How far back an error is felt, before any training.
pub(super) fn draw(path: &Path, outcomes: &[Outcome]) -> Fallible {
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
        .y_label_formatter(&|y| power_of_ten(*y))
        .x_label_formatter(&|x| whole(*x))
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
