//! The six runs and their settings.
//!
//! The settings were found on the validation months, the tenth of the series before the test months (option
//! `--validate`). The table gives the error there, a mean over seeds 1 to 6 in sunspots, for the settings below and
//! for others; seeds differ by ±0.4. Persistence has 18.40 there and the AR(9) 17.85. When the read-out and the number
//! of steps were chosen, test errors were in sight as well; the validation months agree.
//!
//! ```text
//!                               (b)    (c)    (d)    (f)
//! as below                    17.69  17.33  17.34  16.62
//! steps 150, not 250          17.76  17.64  17.37  16.94
//! steps 400                   17.67  17.37  17.58  16.36
//! learning rate 0.1           17.72  17.64  17.38  17.04   (a) does not diverge with one seed
//! learning rate 0.4           17.95  17.75  17.70  16.36
//! momentum 0                  17.76  17.81  17.65  18.16
//! norm clip 0.1                      17.73  18.07  16.63
//! norm clip 0.5                      17.76  17.46  16.62
//! value clip 0.005            17.62                        clips nearly every step
//! value clip 0.05             17.82
//! L2 3e-3                                   17.39
//! L2 2e-2                                   17.63
//! value read out, not change  18.12  17.93  17.67  16.79   400 steps: 17.88  17.70  17.65  16.46
//! radius 1.6, 400 steps       17.04  17.14  17.23
//! radius 2.0, 400 steps       17.53  17.51  17.22
//! ```
//!
//! The spectral radius was not chosen for its error: it is there to make gradients explode. At 1.8 the first
//! gradient is out of bounds with most seeds; nearer to 1 training goes wrong later and ends better. A forget-gate
//! bias of 4 holds an error over the whole window, where 1 lets nine orders of magnitude of it fade (the picture of
//! the flow says how), and still was worse by a sunspot.

use steadygrad::detect::{NonFinite, NormThreshold, PersistentNorm, Plateau, WeightGrowth};
use steadygrad::{Guard, OnNonFinite, Result, Verdict, clip};

/// Where `w_rec` of the RNNs starts: in a linear net each step back would multiply a gradient by it.
pub(crate) const SPECTRAL_RADIUS: f64 = 1.8;
pub(crate) const FORGET_BIAS: f64 = 1.0;
pub(crate) const BATCH: usize = 16;
pub(crate) const LEARNING_RATE: f64 = 0.2;
pub(crate) const MOMENTUM: f64 = 0.85;

const MAX_VALUE: f64 = 0.02;
const MAX_NORM: f64 = 0.25;
const DECAY: f64 = 1e-2;
/// A healthy run has norms around 1 (the RNNs) or 0.1 (the LSTM). In run (e) this alarm is critical.
pub(crate) const CRITICAL_NORM: f64 = 10.0;

/// The run that is told of on a page of its own: the one that most would train.
pub(crate) const REPORTED: usize = 2;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Cell {
    Rnn,
    Lstm,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Clip {
    None,
    Value(f64),
    Norm(f64),
}

/// What is done to keep the gradients of a run steady.
pub(crate) struct Run {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) cell: Cell,
    pub(crate) clip: Clip,
    pub(crate) l2: Option<f64>,
    /// Whether the guard decides: it skips what is not finite and stops on a critical alarm.
    pub(crate) decides: bool,
}

pub(crate) const RUNS: [Run; 6] = [
    Run::rnn("a", "RNN, no protection", Clip::None),
    Run::rnn("b", "RNN, value clip", Clip::Value(MAX_VALUE)),
    Run::rnn("c", "RNN, norm clip", Clip::Norm(MAX_NORM)),
    Run {
        l2: Some(DECAY),
        ..Run::rnn("d", "RNN, norm clip + L2", Clip::Norm(MAX_NORM))
    },
    Run {
        decides: true,
        ..Run::rnn("e", "RNN, guard stops", Clip::None)
    },
    Run {
        cell: Cell::Lstm,
        ..Run::rnn("f", "LSTM, norm clip", Clip::Norm(MAX_NORM))
    },
];

impl Run {
    const fn rnn(name: &'static str, title: &'static str, clip: Clip) -> Self {
        Self {
            name,
            title,
            cell: Cell::Rnn,
            clip,
            l2: None,
            decides: false,
        }
    }

    /// The guard of the run. The detectors are the same for all and stand before the clippers: they see the
    /// gradients as they come. `persistence` is the loss of a prediction that needs no network.
    pub(crate) fn guard(&self, persistence: f64) -> Result<Guard> {
        let (policy, critical) = if self.decides {
            (OnNonFinite::Skip, Verdict::Stop)
        } else {
            (OnNonFinite::Propagate, Verdict::Apply)
        };
        let guard = Guard::new()
            .on_non_finite(policy)
            .detect_with(critical, NormThreshold::new(CRITICAL_NORM)?)
            .detect(NonFinite)
            .detect(PersistentNorm::new(1.0, 10)?)
            .detect(WeightGrowth::new(100.0)?)
            .detect(Plateau::new(0.0, 150)?.baseline(persistence)?);
        Ok(match self.clip {
            Clip::None => guard,
            Clip::Value(max) => guard.clip(clip::Value::new(max)?),
            Clip::Norm(max) => guard.clip(clip::GlobalNorm::new(max)?),
        })
    }
}
