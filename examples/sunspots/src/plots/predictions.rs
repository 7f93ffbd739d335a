//! Predictions over the truth.

use std::ops::Range;

use steadygrad::plot::{self, Chart, Page, Picture};

use super::title;
use crate::data::Series;
use crate::output::short;
use crate::runs::RUNS;
use crate::train::Outcome;

/// What each network says of the months it is judged by, over what was seen.
pub(super) fn picture(series: &Series, outcomes: &[Outcome]) -> Picture<Page> {
    let (what, unit, place) = if series.first_year.is_some() {
        ("Sunspots a month ahead", "sunspots", "year")
    } else {
        ("The series a step ahead", "value", "place in the series")
    };
    let date = |month: usize| {
        let year = series.first_year.map(|year| year + month as f64 / 12.0);
        year.unwrap_or(month as f64)
    };
    let truth = &series.values[series.judged.clone()];
    let heading = format!("{what}, in the {} months", series.judged_as);
    let mut page = plot::page(heading).columns(2);
    for (run, outcome) in RUNS.iter().zip(outcomes) {
        let said = &outcome.predictions;
        let rmse = series.rmse(series.judged.clone(), said);
        let dated = |values: &[f64]| {
            let dates = series.judged.clone().map(date);
            dates.zip(values.iter().copied()).collect::<Vec<_>>()
        };
        let chart = Chart::new(format!("{}: RMSE {}", title(run), short(rmse)))
            .x(place)
            .y(unit)
            .y_range(frame(truth))
            .area("truth", dated(truth))
            .line("predicted", dated(said));
        page = page.chart(chart);
    }
    page
}

/// The truth with some room around it, for predictions that overshoot.
fn frame(truth: &[f64]) -> Range<f64> {
    let (low, high) = truth.iter().fold((0.0, 0.0), |(low, high), &y| {
        (f64::min(low, y), f64::max(high, y))
    });
    let room = 0.15 * (high - low);
    (low - 0.5 * room)..(high + room)
}
