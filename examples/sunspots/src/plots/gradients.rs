//! The norm of the gradients, step by step.

use std::path::Path;

use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{
    Area, COLOURS, Fallible, GRID, INK, QUIET, WIDTH, decades, off_scale, pieces, power_of_ten,
    sheet, text, title, whole,
};
use crate::runs::{CRITICAL_NORM, Clip, RUNS};
use crate::train::{Outcome, Plan};

/// Dots of the line of a bound.
const ALARM_DASH: u32 = 1;
const CLIP_DASH: u32 = 5;

/// One panel a run, all on the same axes.
pub(super) fn draw(path: &Path, plan: &Plan, outcomes: &[Outcome]) -> Fallible {
    let root = sheet(
        path,
        860,
        "Norm of the gradients before clipping, step by step",
    )?;
    let (legend, root) = root.split_vertically(26);
    explain(&legend)?;
    let norms = outcomes.iter().flat_map(|outcome| &outcome.norms);
    let range = decades(norms.copied().chain([0.1, 1e3]), 1e-4, 1e14);
    let panels = root.split_evenly((3, 2));
    for (index, (panel, outcome)) in panels.iter().zip(outcomes).enumerate() {
        let (run, colour) = (&RUNS[index], COLOURS[index]);
        let last = plan.steps.max(2) as f64;
        let mut chart = ChartBuilder::on(panel)
            .margin(8)
            .margin_right(18)
            .caption(title(run), text(17, colour))
            .x_label_area_size(38)
            .y_label_area_size(60)
            .build_cartesian_2d((1.0..last).log_scale(), range.clone().log_scale())?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(QUIET)
            .label_style(text(14, INK))
            .axis_desc_style(text(14, INK))
            .y_label_formatter(&|y| power_of_ten(*y))
            .y_labels(9)
            .x_labels(4)
            .x_label_formatter(&|x| whole(*x))
            .x_desc("step")
            .y_desc("norm")
            .draw()?;

        let points = (1..)
            .zip(&outcome.norms)
            .map(|(step, &norm)| (f64::from(step), norm));
        for piece in pieces(points, &range) {
            if let [point] = piece[..] {
                chart.draw_series([Circle::new(point, 3, colour.filled())])?;
            }
            chart.draw_series(LineSeries::new(piece, colour.stroke_width(2)))?;
        }
        let right = (last, 1.0, Pos::new(HPos::Right, VPos::Bottom));
        let left = (1.1, 0.8, Pos::new(HPos::Left, VPos::Top));
        let mut bounds = vec![(CRITICAL_NORM, "alarm above", ALARM_DASH, right)];
        if let Clip::Norm(max) = run.clip {
            bounds.push((max, "clipped to", CLIP_DASH, left));
        }
        for (bound, words, dash, (x, lift, anchor)) in bounds {
            let ends = [(1.0, bound), (last, bound)];
            chart.draw_series(DashedLineSeries::new(ends, dash, 4, QUIET.stroke_width(1)))?;
            let style = text(14, QUIET).pos(anchor);
            let words = format!("{words} {bound}");
            chart.draw_series([Text::new(words, (x, lift * bound), style)])?;
        }
        let mut notes = Vec::new();
        for alarm in &outcome.alarms {
            let step = alarm.step();
            let norm = outcome.norms[step as usize - 1];
            // What has no place on the axis is marked at its upper end.
            let y = norm.max(range.start).min(range.end);
            let mark = Circle::new((0, 0), 5, INK.stroke_width(2));
            chart.draw_series([EmptyElement::at((step as f64, y)) + mark])?;
            notes.push(format!("{} @ {step}", alarm.detector()));
        }
        notes.extend(outcome.diverged_at.map(|step| format!("diverged @ {step}")));
        notes.extend(outcome.stopped_at.map(|step| format!("stopped @ {step}")));
        notes.extend(off_scale(&outcome.norms, &range));
        let style = text(14, INK).pos(Pos::new(HPos::Right, VPos::Top));
        let right = panel.dim_in_pixel().0 as i32 - 24;
        for (row, note) in (0..).zip(notes) {
            panel.draw(&Text::new(note, (right, 38 + 17 * row), style.clone()))?;
        }
    }
    root.present()?;
    Ok(())
}

/// What the marks mean, in one line.
fn explain(legend: &Area<'_>) -> Fallible {
    let words = text(14, INK).pos(Pos::new(HPos::Left, VPos::Center));
    let entries = [
        (0, "first alarm of a detector, named with its step"),
        (ALARM_DASH, "bound of an alarm"),
        (CLIP_DASH, "bound of a clip by norm"),
    ];
    let mut x = WIDTH as i32 / 2 - 372;
    for ((dash, entry), width) in entries.into_iter().zip([350, 176, 0]) {
        if dash == 0 {
            legend.draw(&Circle::new((x + 12, 12), 5, INK.stroke_width(2)))?;
        } else {
            let ends = [(x, 12), (x + 26, 12)];
            legend.draw(&DashedPathElement::new(
                ends,
                dash,
                4,
                QUIET.stroke_width(1),
            ))?;
        }
        legend.draw(&Text::new(entry, (x + 32, 12), words.clone()))?;
        x += width;
    }
    Ok(())
}
