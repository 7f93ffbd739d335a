//! How an error flows back through time.

use std::path::Path;

use plotters::element::DashedPathElement;
use plotters::prelude::*;

use super::{
    COLOURS, Fallible, GRID, INK, QUIET, decades, off_scale, pieces, power_of_ten, sheet, text,
    whole,
};
use crate::model::Flow;
use crate::runs::{FORGET_BIAS, RUNS, SPECTRAL_RADIUS};
use crate::train::Outcome;

/// The runs whose networks are compared, before any training: an RNN, and the LSTM.
const SHOWN: [(usize, &str); 2] = [(0, "RNN"), (5, "LSTM")];

/// Of what flows through c alone: a dash, and the gap behind it.
const DASHES: (u32, u32) = (2, 4);

/// How far back an error is felt, before any training.
pub(super) fn draw(path: &Path, outcomes: &[Outcome]) -> Fallible {
    let title = "How the error of a window's last month flows back, before training";
    let root = sheet(path, 640, title)?;
    let (root, below) = root.split_vertically(508);
    let shown = SHOWN.map(|(run, cell)| (run, cell, &outcomes[run].flow));
    let flows = || shown.iter().flat_map(|(_, _, flows)| flows.iter());
    let norms = flows().flat_map(|flow| flow.seen().iter().copied());
    let range = decades(norms, 1e-20, 1e20);
    let time = flows().map(|flow| flow.norms.len()).max().unwrap_or(1);
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .margin_right(24)
        .x_label_area_size(44)
        .y_label_area_size(72)
        .build_cartesian_2d(1.0..time as f64, range.clone().log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(QUIET)
        .label_style(text(14, INK))
        .axis_desc_style(text(15, INK))
        .y_label_formatter(&|y| power_of_ten(*y))
        .x_label_formatter(&|x| whole(*x))
        .x_desc("month t of the window")
        .y_desc("‖∂L/∂h‖ and ‖∂L/∂c‖ at month t")
        .draw()?;
    for (run, cell, flows) in shown {
        for flow in flows {
            let width = if flow.part == "h" { 3 } else { 1 };
            let style = COLOURS[run].stroke_width(width);
            let points = (1..).zip(flow.seen()).map(|(t, &y)| (f64::from(t), y));
            for piece in pieces(points, &range) {
                if flow.is_alone {
                    chart.draw_series(DashedLineSeries::new(piece, DASHES.0, DASHES.1, style))?;
                } else {
                    chart.draw_series(LineSeries::new(piece, style))?;
                }
            }
            let alone = if flow.is_alone {
                " through c alone"
            } else {
                ""
            };
            let label = format!("({}) {cell}, ∂L/∂{}{alone}", RUNS[run].name, flow.part);
            let (dash, gap) = if flow.is_alone { DASHES } else { (26, 0) };
            chart
                .draw_series(LineSeries::new([], style))?
                .label(label)
                .legend(move |(x, y)| {
                    DashedPathElement::new([(x, y), (x + 26, y)], dash, gap, style)
                });
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.9))
        .border_style(GRID)
        .label_font(text(15, INK))
        .draw()?;
    let mut lines = why(outcomes).to_vec();
    let norms: Vec<f64> = flows().flat_map(|flow| flow.seen().to_vec()).collect();
    lines.extend(off_scale(&norms, &range));
    for (row, line) in (0..).zip(lines) {
        below.draw(&Text::new(line, (24, 4 + 20 * row), text(14, INK)))?;
    }
    root.present()?;
    Ok(())
}

/// What makes the curves rise and fall.
fn why(outcomes: &[Outcome]) -> [String; 4] {
    let [(rnn, _), (lstm, _)] = SHOWN;
    let monthly = |run: usize, flow: usize| outcomes[run].flow[flow].monthly();
    let forget = 1.0 / (1.0 + (-FORGET_BIAS).exp());
    [
        format!(
            "RNN: a month back multiplies ∂L/∂h by {:.2} on average. w_rec has a spectral radius of \
             {SPECTRAL_RADIUS}, and tanh takes its part.",
            monthly(rnn, 0)
        ),
        format!(
            "LSTM: a month back multiplies ∂L/∂c by {:.2} on average: {} over the window. Through c alone it is {:.2},",
            monthly(lstm, 1),
            power_of_ten(10_f64.powf(-outcomes[lstm].flow[1].orders())),
            monthly(lstm, 2)
        ),
        format!(
            "about what the forget gate begins with, σ({FORGET_BIAS}) = {forget:.2}; what flows through h, from gate to gate, \
             adds the rest."
        ),
        "∂L/∂h steps down behind the last month: that month's h is the output, and h before it is read by gates alone."
            .into(),
    ]
}

impl Flow {
    /// The months into which the error flows back: it comes in at the last, into h, and c has nothing of it there.
    fn seen(&self) -> &[f64] {
        let end = self.norms.len() - usize::from(self.part != "h");
        &self.norms[..end]
    }

    /// By how many orders of magnitude the error fades on its way to the first month, the last one left out.
    fn orders(&self) -> f64 {
        (self.norms[self.norms.len() - 2] / self.norms[0]).log10()
    }

    /// By what a month multiplies a norm on the way back: the geometric mean over the same months.
    fn monthly(&self) -> f64 {
        10_f64.powf(-self.orders() / (self.norms.len() - 2) as f64)
    }
}
