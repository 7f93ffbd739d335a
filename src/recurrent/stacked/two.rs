//! Two layers of any kind, one on the other.

use ndarray::{Array3, ArrayView2, ArrayView3};

use super::{Stacked, step_with_output};
use crate::recurrent::layer::nothing;
use crate::recurrent::{
    At, Backward, Hook, Layer, Origin, RecurrentCell, Sequence, Trace, Upstream, Working,
};
use crate::set::Two;
use crate::{Result, TensorSetMut};

/// What a pass of two layers on each other keeps: that of each.
impl<P: Trace, Q: Trace<Elem = P::Elem>> Trace for Two<P, Q> {
    type Elem = P::Elem;
    type State = Two<P::State, Q::State>;

    fn outputs(&self) -> ArrayView3<'_, P::Elem> {
        self.1.outputs()
    }

    fn final_state(&self) -> Self::State {
        Two(self.0.final_state(), self.1.final_state())
    }

    fn final_state_into(&self, state: &mut Self::State) {
        self.0.final_state_into(&mut state.0);
        self.1.final_state_into(&mut state.1);
    }
}

impl<A: Layer, B: Layer<Elem = A::Elem>> Layer for Stacked<Two<A, B>> {
    type Elem = A::Elem;
    type State = Two<A::State, B::State>;
    type At<'t> = &'t mut (dyn TensorSetMut + 't);
    type Pass = Two<A::Pass, B::Pass>;
    type Grads = Two<A::Grads, B::Grads>;
    /// That of either, and the gradients between them.
    type Space = Working<(A::Space, B::Space, Option<Array3<A::Elem>>)>;

    fn layers(&self) -> usize {
        self.0.0.layers() + self.0.1.layers()
    }

    fn directions(&self) -> usize {
        self.0.0.directions().max(self.0.1.directions())
    }

    fn zero_state(&self, batch: usize) -> Self::State {
        Two(self.0.0.zero_state(batch), self.0.1.zero_state(batch))
    }

    fn forward_into<'a>(
        &self,
        xs: impl Into<Sequence<'a, A::Elem>>,
        s0: &Self::State,
        pass: &mut Option<Self::Pass>,
    ) -> Result<()> {
        let (mut lower, mut upper) = pass.take().map(|Two(a, b)| (a, b)).unzip();
        let Two(below, above) = &self.0;
        let xs = xs.into();
        below.forward_into(xs, &s0.0, &mut lower)?;
        let lower = lower.ok_or_else(|| nothing("passes that a layer made"))?;
        above.forward_into(xs.with_xs(lower.outputs())?, &s0.1, &mut upper)?;
        let upper = upper.ok_or_else(|| nothing("passes that a layer made"))?;
        *pass = Some(Two(lower, upper));
        Ok(())
    }

    fn backward_into(
        &self,
        pass: &Self::Pass,
        d: Upstream<'_, Self>,
        mut at: Option<&mut Hook<'_, Self>>,
        back: &mut Option<Backward<Self>>,
    ) -> Result<()> {
        let (mut lower, mut upper) = (None, None);
        if let Some(last) = back.take() {
            let (Two(grads, above), Two(d_state0, d_above)) = (last.grads, last.d_state0);
            let Working((space, space_above, between)) = last.space;
            lower = Some(Backward {
                space,
                ..Backward::new(grads, last.d_inputs, d_state0)
            });
            upper = between.map(|d_inputs| Backward {
                space: space_above,
                ..Backward::new(above, d_inputs, d_above)
            });
        }
        let Two(below, above) = &self.0;
        let layers = below.layers();
        let raised = |place: At| At {
            layer: place.layer + layers,
            ..place
        };

        let d_above = Upstream {
            outputs: d.outputs,
            final_state: d.final_state.map(|d| &d.1),
        };
        match &mut at {
            None => above.backward_into(&pass.1, d_above, None, &mut upper)?,
            Some(at) => {
                let hook: &mut Hook<'_, B> = &mut |place, mut d| at(raised(place), &mut d);
                above.backward_into(&pass.1, d_above, Some(hook), &mut upper)?;
            }
        }
        let upper = upper.ok_or_else(|| nothing("gradients that a layer made"))?;
        let d_below = Upstream {
            outputs: Some(upper.d_inputs.view()),
            final_state: d.final_state.map(|d| &d.0),
        };
        match &mut at {
            None => below.backward_into(&pass.0, d_below, None, &mut lower)?,
            Some(at) => {
                let hook: &mut Hook<'_, A> = &mut |place, mut d| at(place, &mut d);
                below.backward_into(&pass.0, d_below, Some(hook), &mut lower)?;
            }
        }
        let lower = lower.ok_or_else(|| nothing("gradients that a layer made"))?;

        *back = Some(Backward {
            grads: Two(lower.grads, upper.grads),
            d_inputs: lower.d_inputs,
            d_state0: Two(lower.d_state0, upper.d_state0),
            stopped_at: upper.stopped_at.map(raised).or(lower.stopped_at),
            space: Working((lower.space, upper.space, Some(upper.d_inputs))),
        });
        Ok(())
    }

    fn forward_origin(&self, pass: &Self::Pass) -> Result<Option<Origin>> {
        let Two(below, above) = &self.0;
        if let Some(found) = below.forward_origin(&pass.0)? {
            return Ok(Some(found.under(0)));
        }
        let found = above.forward_origin(&pass.1)?;
        Ok(found.map(|found| found.raised(below.layers()).under(1)))
    }

    fn backward_origin(&self, pass: &Self::Pass, d: Upstream<'_, Self>) -> Result<Option<Origin>> {
        let Two(below, above) = &self.0;
        let d_above = Upstream {
            outputs: d.outputs,
            final_state: d.final_state.map(|d| &d.1),
        };
        if let Some(found) = above.backward_origin(&pass.1, d_above)? {
            return Ok(Some(found.raised(below.layers()).under(1)));
        }
        let between = above.backward(&pass.1, d_above)?.d_inputs;
        let d_below = Upstream {
            outputs: Some(between.view()),
            final_state: d.final_state.map(|d| &d.0),
        };
        let found = below.backward_origin(&pass.0, d_below)?;
        Ok(found.map(|found| found.under(0)))
    }
}

impl<A: RecurrentCell, B: RecurrentCell<Elem = A::Elem>> RecurrentCell for Stacked<Two<A, B>> {
    fn step(&self, x: ArrayView2<'_, A::Elem>, s: &Self::State) -> Result<Self::State> {
        let Two(below, above) = &self.0;
        let (x, next) = step_with_output(below, &x, &s.0)?;
        Ok(Two(next, above.step(x.view(), &s.1)?))
    }
}
