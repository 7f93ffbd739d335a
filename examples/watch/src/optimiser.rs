//! Gradient descent, plain, with momentum, and Adam.

use steadygrad::{Measurement, Result, Tensor, TensorSet, TensorSetMut, tensor_set};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Δw = −η·g
    Sgd,
    /// v ← 0.9·v + g, Δw = −η·v (Polyak, 1964)
    Momentum,
    /// Δw = −η·m̂/(√v̂ + 1e-8), with 0.9 and 0.999 (Kingma and Ba, 2014, arXiv:1412.6980)
    Adam,
}

const MOMENTUM: f64 = 0.9;
const BETAS: [f64; 2] = [0.9, 0.999];

/// The state of an optimiser: a set of tensors, so that it can go back with the parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Optimiser {
    kind: Kind,
    steps: [f64; 1],
    first: Vec<f64>,
    second: Vec<f64>,
    /// Gradients before a step, updates after it.
    update: Vec<f64>,
}

tensor_set!(Optimiser {
    steps,
    first,
    second
});

impl Optimiser {
    pub(crate) fn new(kind: Kind, params: &dyn TensorSet) -> Result<Self> {
        let mut count = 0;
        params.visit(&mut |_, tensor| {
            count += tensor.len();
            Ok(())
        })?;
        let zeros = |wanted| vec![0.0; if wanted { count } else { 0 }];
        Ok(Self {
            kind,
            steps: [0.0],
            first: zeros(kind != Kind::Sgd),
            second: zeros(kind == Kind::Adam),
            update: zeros(true),
        })
    }

    /// Takes a step, and gives the norm of what was added to the parameters.
    pub(crate) fn step(
        &mut self,
        grads: &dyn TensorSet,
        rate: f64,
        params: &mut dyn TensorSetMut,
    ) -> Result<f64> {
        let mut rest = &mut self.update[..];
        grads.visit(&mut |_, tensor| {
            let (part, behind) = std::mem::take(&mut rest).split_at_mut(tensor.len());
            rest = behind;
            tensor.read(0, part)
        })?;
        self.decide(rate);
        let mut rest = &self.update[..];
        params.visit_mut(&mut |_, tensor| {
            let (part, behind) = rest.split_at(tensor.len());
            rest = behind;
            tensor.add(0, part)
        })?;
        Ok(Measurement::of(&self.update)?.total().l2())
    }

    /// Makes updates of gradients.
    fn decide(&mut self, rate: f64) {
        self.steps[0] += 1.0;
        match self.kind {
            Kind::Sgd => self.update.iter_mut().for_each(|g| *g *= -rate),
            Kind::Momentum => {
                for (g, v) in self.update.iter_mut().zip(&mut self.first) {
                    *v = MOMENTUM * *v + *g;
                    *g = -rate * *v;
                }
            }
            Kind::Adam => {
                let [of_m, of_v] = BETAS.map(|beta| 1.0 - beta.powf(self.steps[0]));
                let moments = self.first.iter_mut().zip(&mut self.second);
                for (g, (m, v)) in self.update.iter_mut().zip(moments) {
                    *m = BETAS[0] * *m + (1.0 - BETAS[0]) * *g;
                    *v = BETAS[1] * *v + (1.0 - BETAS[1]) * *g * *g;
                    *g = -rate * (*m / of_m) / ((*v / of_v).sqrt() + 1e-8);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(kind: Kind, grads: &[[f64; 2]]) -> [f64; 2] {
        let mut params = [1.0, -1.0];
        let mut optimiser = Optimiser::new(kind, &params).unwrap();
        for grads in grads {
            optimiser.step(grads, 0.1, &mut params).unwrap();
        }
        params
    }

    #[test]
    fn steps_are_those_of_the_formulas() {
        assert_eq!(
            after(Kind::Sgd, &[[1.0, 0.0], [2.0, 0.0]]),
            [1.0 - 0.1 - 0.2, -1.0]
        );
        let [w, _] = after(Kind::Momentum, &[[1.0, 0.0], [2.0, 0.0]]);
        assert!((w - (1.0 - 0.1 - 0.1 * 2.9)).abs() < 1e-15);
        // The first step of Adam is the rate, whatever the size; the second after the same gradient too.
        for size in [1e-3, 1e3] {
            let [w, other] = after(Kind::Adam, &[[size, -size]; 2]);
            assert!((w - 0.8).abs() < 1e-5 && (other + 0.8).abs() < 1e-5);
        }
    }

    #[test]
    fn the_norm_is_that_of_the_update() {
        let mut params = [0.0_f32, 0.0];
        let mut optimiser = Optimiser::new(Kind::Sgd, &params).unwrap();
        assert_eq!(optimiser.step(&[3.0, 4.0], 0.5, &mut params).unwrap(), 2.5);
        assert_eq!(params, [-1.5, -2.0]);
    }
}
