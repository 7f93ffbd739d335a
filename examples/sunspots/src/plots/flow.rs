//! How an error flows back through time.

use steadygrad::plot::{self, Chart, Page, Picture};

use crate::model::Flow;
use crate::output::short;
use crate::runs::{FORGET_BIAS, RUNS, SPECTRAL_RADIUS};
use crate::train::Outcome;

/// The runs whose networks are compared, before any training: an RNN, and the LSTM.
const SHOWN: [(usize, &str); 2] = [(0, "RNN"), (5, "LSTM")];

/// How far back an error is felt, before any training.
pub(super) fn picture(outcomes: &[Outcome]) -> Picture<Page> {
    let mut chart = Chart::new("")
        .x("month t of the window")
        .y("‖∂L/∂h‖ and ‖∂L/∂c‖ at month t (L2, log scale)")
        .log_y();
    for (run, cell) in SHOWN {
        for flow in &outcomes[run].flow {
            let alone = if flow.is_alone { ", c alone" } else { "" };
            let name = format!("({}) {cell}, ∂{}{alone}", RUNS[run].name, flow.part);
            let points = (1..).map(f64::from).zip(flow.seen().iter().copied());
            chart = chart.line(name, points);
        }
    }
    for line in why(outcomes) {
        chart = chart.note(line);
    }
    plot::page("How the error of a window's last month flows back, before training").chart(chart)
}

/// What makes the curves rise and fall.
fn why(outcomes: &[Outcome]) -> [String; 3] {
    let [(rnn, _), (lstm, _)] = SHOWN;
    let monthly = |run: usize, flow: usize| outcomes[run].flow[flow].monthly();
    let forget = 1.0 / (1.0 + (-FORGET_BIAS).exp());
    [
        format!(
            "RNN: a month back multiplies ∂L/∂h by {:.2} on average. w_rec has a spectral radius of {SPECTRAL_RADIUS}, \
             and tanh takes its part.",
            monthly(rnn, 0)
        ),
        format!(
            "LSTM: a month back multiplies ∂L/∂c by {:.2} on average: {} over the window. Through c alone it is {:.2}, \
             about what the forget gate begins with, σ({FORGET_BIAS}) = {forget:.2}; what flows through h, from gate to \
             gate, adds the rest.",
            monthly(lstm, 1),
            short(10_f64.powf(-outcomes[lstm].flow[1].orders())),
            monthly(lstm, 2)
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
