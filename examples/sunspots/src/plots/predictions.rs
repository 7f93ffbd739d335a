//! Predictions over the truth.

use std::path::Path;

use plotters::prelude::*;

use super::{COLOURS, Fallible, GRID, INK, QUIET, off_scale, pieces, sheet, text, title, whole};
use crate::data::Series;
use crate::output::short;
use crate::runs::RUNS;
use crate::train::Outcome;

/// What each network says of the months it is judged by, over what was seen.
pub(super) fn draw(path: &Path, series: &Series, outcomes: &[Outcome]) -> Fallible {
    let (what, unit, place) = if series.first_year.is_some() {
        ("Sunspots a month ahead", "sunspots", "year")
    } else {
        ("The series a step ahead", "value", "place in the series")
    };
    let part = series.judged_as;
    let heading = format!("{what}, in the {part} months: truth (grey) and prediction (line)");
    let root = sheet(path, 860, &heading)?;
    let date = |month: usize| {
        series
            .first_year
            .map_or(month as f64, |year| year + month as f64 / 12.0)
    };
    let truth = &series.values[series.judged.clone()];
    let range = frame(truth);
    for (index, (panel, outcome)) in root.split_evenly((3, 2)).iter().zip(outcomes).enumerate() {
        let (colour, said) = (COLOURS[index], &outcome.predictions);
        let rmse = series.rmse(series.judged.clone(), said);
        let caption = format!("{}: RMSE {}", title(&RUNS[index]), short(rmse));
        let dates = series.judged.clone().map(date);
        let mut chart = ChartBuilder::on(panel)
            .margin(8)
            .margin_right(18)
            .caption(caption, text(17, colour))
            .x_label_area_size(38)
            .y_label_area_size(62)
            .build_cartesian_2d(
                date(series.judged.start)..date(series.judged.end),
                range.clone(),
            )?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(QUIET)
            .label_style(text(14, INK))
            .axis_desc_style(text(14, INK))
            .x_label_formatter(&|x| whole(*x))
            .y_label_formatter(&|x| whole(*x))
            .x_labels(6)
            .y_labels(5)
            .x_desc(place)
            .y_desc(unit)
            .draw()?;
        let seen = truth.iter().map(|y| y.clamp(range.start, range.end));
        let area = AreaSeries::new(dates.clone().zip(seen), 0.0, QUIET.mix(0.35));
        chart.draw_series(area)?;
        for piece in pieces(dates.zip(said.iter().copied()), &range) {
            chart.draw_series(LineSeries::new(piece, colour.stroke_width(1)))?;
        }
        let notes = [("", said.as_slice()), ("truth: ", truth)];
        let notes = notes
            .into_iter()
            .filter_map(|(of, values)| Some(format!("{of}{}", off_scale(values, &range)?)));
        for (row, note) in (0..).zip(notes) {
            panel.draw(&Text::new(note, (84, 36 + 17 * row), text(14, colour)))?;
        }
    }
    root.present()?;
    Ok(())
}

/// The truth with some room around it, for predictions that overshoot.
fn frame(truth: &[f64]) -> std::ops::Range<f64> {
    let (low, high) = truth.iter().fold((0.0, 0.0), |(low, high), &y| {
        (f64::min(low, y), f64::max(high, y))
    });
    let room = 0.15 * (high - low);
    // The axis has no end of marks if its length is not finite.
    let edge = f64::MAX / 4.0;
    (low - 0.5 * room).max(-edge)..(high + room).min(edge) + f64::MIN_POSITIVE
}
