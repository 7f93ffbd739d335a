//! The norm of the gradients, step by step.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{
    COLOURS, FONT, Fallible, GRID, INK, QUIET, decades, panels, power_of_ten, title, whole,
};
use crate::runs::{CRITICAL_NORM, Clip, RUNS};
use crate::train::{Outcome, Plan};

/// One panel a run, all on the same axes.
pub(super) fn draw(path: &Path, plan: &Plan, outcomes: &[Outcome]) -> Fallible {
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
        let last = plan.steps.max(2) as f64;
        let mut chart = ChartBuilder::on(panel)
            .margin(8)
            .margin_right(18)
            .caption(title(run), (FONT, 17).into_font().color(&COLOURS[index]))
            .x_label_area_size(34)
            .y_label_area_size(46)
            .build_cartesian_2d((1.0..last).log_scale(), range.clone().log_scale())?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(QUIET)
            .label_style((FONT, 13).into_font().color(&INK))
            .y_label_formatter(&|y| power_of_ten(*y))
            .y_labels(9)
            .x_labels(4)
            .x_label_formatter(&|x| whole(*x))
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
        let right = (last, 1.0, Pos::new(HPos::Right, VPos::Bottom));
        let left = (1.1, 0.8, Pos::new(HPos::Left, VPos::Top));
        let mut bounds = vec![(CRITICAL_NORM, "alarm above", 1, right)];
        if let Clip::Norm(max) = run.clip {
            bounds.push((max, "clipped to", 5, left));
        }
        for (bound, text, dash, (x, lift, anchor)) in bounds {
            let ends = [(1.0, bound), (last, bound)];
            chart.draw_series(DashedLineSeries::new(ends, dash, 4, QUIET.stroke_width(1)))?;
            let style = (FONT, 12).into_font().color(&QUIET).pos(anchor);
            chart.draw_series([Text::new(
                format!("{text} {bound}"),
                (x, lift * bound),
                style,
            )])?;
        }
        let mut notes = Vec::new();
        for alarm in &outcome.alarms {
            let step = alarm.step();
            let y = height(outcome.norms[step as usize - 1]);
            let mark =
                EmptyElement::at((step as f64, y)) + Circle::new((0, 0), 5, INK.stroke_width(2));
            chart.draw_series([mark])?;
            notes.push(format!("{} @ {step}", alarm.detector()));
        }
        notes.extend(outcome.diverged_at.map(|step| format!("diverged @ {step}")));
        notes.extend(outcome.stopped_at.map(|step| format!("stopped @ {step}")));
        for (row, note) in (0..).zip(notes) {
            let style = (FONT, 13).into_font().color(&INK);
            panel.draw(&Text::new(note, (225, 38 + 16 * row), style))?;
        }
    }
    root.present()?;
    Ok(())
}
