//! Predictions over the truth.

use std::path::Path;

use plotters::prelude::*;

use super::{COLOURS, FONT, Fallible, GRID, INK, QUIET, panels, title, whole};
use crate::data::Series;
use crate::output::short;
use crate::runs::RUNS;
use crate::train::Outcome;

/// What each network says of the test years, over what was seen.
pub(super) fn draw(path: &Path, series: &Series, outcomes: &[Outcome]) -> Fallible {
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
    // The axis has no end of marks if its length is not finite.
    let edge = f64::MAX / 4.0;
    let range = low.max(-edge)..(1.15 * high).min(edge) + f64::MIN_POSITIVE;
    // What leaves the frame runs along its edge.
    let within = |y: f64| {
        if y.is_nan() {
            range.end
        } else {
            y.clamp(range.start, range.end)
        }
    };
    for (index, (panel, outcome)) in panels.iter().zip(outcomes).enumerate() {
        let rmse = series.rmse(series.test.clone(), &outcome.predictions);
        let caption = format!("{}: RMSE {}", title(&RUNS[index]), short(rmse));
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
            .x_label_formatter(&|x| whole(*x))
            .y_label_formatter(&|x| whole(*x))
            .y_labels(5)
            .draw()?;
        let dates = series.test.clone().map(date);
        let seen = dates.clone().zip(truth.iter().map(|&y| within(y)));
        chart.draw_series(AreaSeries::new(seen, range.start, QUIET.mix(0.35)))?;
        let said = dates.zip(outcome.predictions.iter().map(|&y| within(y)));
        chart.draw_series(LineSeries::new(said, COLOURS[index].stroke_width(1)))?;
    }
    root.present()?;
    Ok(())
}
