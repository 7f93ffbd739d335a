//! Numbers that are the same on every run, and a detector for any norm.

use steadygrad::{
    Needs, Norm, StepView,
    detect::{Alarms, Detector, Subject},
};

/// Says so when a norm of the whole, or of any tensor, is above a bound.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) norm: Norm,
    pub(crate) max: f64,
    pub(crate) each: bool,
}

impl Detector for Watch {
    fn name(&self) -> &'static str {
        "watch"
    }

    fn needs(&self) -> Needs {
        match self.norm {
            Norm::P(p) => Needs::norms().of_power(p),
            Norm::L1 => Needs::norms().of_magnitudes(),
            _ => Needs::norms(),
        }
    }

    fn observe(&mut self, step: &StepView<'_>, alarms: &mut Alarms) {
        let total = std::slice::from_ref(step.grads.total());
        let watched = if self.each {
            step.grads.tensors()
        } else {
            total
        };
        let norms = watched.iter().map(|stats| stats.norm(self.norm).to_f64());
        // A computed norm is good to a few units in the last place.
        for high in norms.filter(|&norm| norm > self.max * (1.0 + 1e-15)) {
            let alarm = step.alarm("watch", Subject::Gradients);
            alarms.raise(alarm.above("norm", high, self.max));
        }
    }
}

/// xorshift64*.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.bits() >> 33) as usize % n
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Of either sign, up to 50.
    pub(crate) fn vec(&mut self, len: usize) -> Vec<f32> {
        (0..len)
            .map(|_| ((self.unit() - 0.5) * 100.0) as f32)
            .collect()
    }

    /// Any finite number of any size.
    pub(crate) fn any(&mut self) -> f64 {
        loop {
            let x = f64::from_bits(self.bits());
            if x.is_finite() {
                return x;
            }
        }
    }
}
