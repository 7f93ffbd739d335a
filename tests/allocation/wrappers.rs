//! Layers that wrap others ask the heap for nothing once warm, and checkpoints keep √T of T steps.

use std::ops::ControlFlow;

use ndarray::{Array1, Array2, Array3, ArrayView3, Axis};
use steadygrad::recurrent::{
    At, Backward, Bidirectional, Checkpointed, Dropout, Hook, Layer, Lstm, Merge, Profile,
    RnnState, Sequence, Stacked, Trace, Truncated, Upstream,
};
use steadygrad::set::Two;
use steadygrad::{Result, tensor_set};

use super::{allocations, peak};

/// `h_t = a ⊙ h_{t−1} + x_t`: a layer that asks for memory in its first call only, so that what a wrapper asks for shows.
#[derive(Clone, Debug)]
struct Decay {
    a: Array1<f32>,
}
tensor_set!(Decay { a });

struct DecayPass {
    /// With the initial state; past the end of a sequence it stays.
    states: Array3<f32>,
    outputs: Array3<f32>,
    lengths: Vec<usize>,
}

impl Trace for DecayPass {
    type Elem = f32;
    type State = RnnState<f32>;

    fn outputs(&self) -> ArrayView3<'_, f32> {
        self.outputs.view()
    }

    fn final_state(&self) -> RnnState<f32> {
        let last = self.states.dim().0 - 1;
        RnnState {
            h: self.states.index_axis(Axis(0), last).to_owned(),
        }
    }

    fn final_state_into(&self, state: &mut RnnState<f32>) {
        let last = self.states.index_axis(Axis(0), self.states.dim().0 - 1);
        if state.h.dim() == last.dim() {
            state.h.assign(&last);
        } else {
            state.h = last.to_owned();
        }
    }
}

impl Layer for Decay {
    type Elem = f32;
    type State = RnnState<f32>;
    type At<'t> = &'t mut RnnState<f32>;
    type Pass = DecayPass;
    type Grads = Decay;
    type Space = ();

    fn zero_state(&self, batch: usize) -> RnnState<f32> {
        RnnState {
            h: Array2::zeros((batch, self.a.len())),
        }
    }

    fn forward_into<'a>(
        &self,
        xs: impl Into<Sequence<'a, f32>>,
        s0: &RnnState<f32>,
        pass: &mut Option<DecayPass>,
    ) -> Result<()> {
        let xs = xs.into();
        let (time, batch, n) = xs.xs().dim();
        let pass = pass.get_or_insert_with(|| DecayPass {
            states: Array3::zeros((0, 0, 0)),
            outputs: Array3::zeros((0, 0, 0)),
            lengths: Vec::new(),
        });
        if pass.outputs.dim() != (time, batch, n) {
            pass.states = Array3::zeros((time + 1, batch, n));
            pass.outputs = Array3::zeros((time, batch, n));
        }
        pass.lengths.clear();
        pass.lengths.extend((0..batch).map(|b| xs.length(b)));
        pass.states.index_axis_mut(Axis(0), 0).assign(&s0.h);
        for t in 0..time {
            for (b, &length) in pass.lengths.iter().enumerate() {
                for i in 0..n {
                    let before = pass.states[[t, b, i]];
                    let is_padding = t >= length;
                    let after = self.a[i] * before + xs.xs()[[t, b, i]];
                    pass.states[[t + 1, b, i]] = if is_padding { before } else { after };
                    pass.outputs[[t, b, i]] = if is_padding { 0.0 } else { after };
                }
            }
        }
        Ok(())
    }

    fn backward_into(
        &self,
        pass: &DecayPass,
        d: Upstream<'_, Self>,
        mut at: Option<&mut Hook<'_, Self>>,
        back: &mut Option<Backward<Self>>,
    ) -> Result<()> {
        let shape = pass.outputs.raw_dim();
        let (time, batch, n) = pass.outputs.dim();
        let next = back.get_or_insert_with(|| {
            let grads = self.clone();
            Backward::new(grads, Array3::zeros(shape), self.zero_state(batch))
        });
        if next.d_inputs.raw_dim() != shape {
            next.d_inputs = Array3::zeros(shape);
        }
        next.grads.a.fill(0.0);
        match d.final_state {
            Some(given) if next.d_state0.h.dim() == given.h.dim() => {
                next.d_state0.h.assign(&given.h);
            }
            _ => next.d_state0 = self.zero_state(batch),
        }
        for t in (0..time).rev() {
            // The hook's rows of ended sequences are not looked at here; the tests write nothing there.
            let d_state = &mut next.d_state0;
            for (b, _) in pass.lengths.iter().enumerate().filter(|(_, l)| t < **l) {
                if let Some(d_outputs) = d.outputs {
                    let mut row = d_state.h.row_mut(b);
                    row += &d_outputs.index_axis(Axis(0), t).row(b);
                }
            }
            if let Some(at) = &mut at {
                let _ = at(At::time(t), d_state)?;
            }
            for (b, &length) in pass.lengths.iter().enumerate() {
                for i in 0..n {
                    let (d, runs) = (d_state.h[[b, i]], t < length);
                    next.d_inputs[[t, b, i]] = if runs { d } else { 0.0 };
                    if runs {
                        next.grads.a[i] += d * pass.states[[t, b, i]];
                        d_state.h[[b, i]] = d * self.a[i];
                    }
                }
            }
        }
        Ok(())
    }
}

fn decay() -> Decay {
    Decay {
        a: Array1::from(vec![0.5, 0.9]),
    }
}

/// What a pass and its gradients ask of the heap once they have been made with these shapes.
fn warm<L: Layer<Elem = f32>>(layer: &L, lengths: &[usize]) -> [u64; 2] {
    let xs = Array3::ones((10, lengths.len(), 2));
    let xs = Sequence::new(xs.view()).lengths(lengths).unwrap();
    let (s0, d_final) = (
        layer.zero_state(lengths.len()),
        layer.zero_state(lengths.len()),
    );
    let d_outputs = Array3::ones(layer.forward(xs, &s0).unwrap().outputs().raw_dim());
    let (mut pass, mut back, mut counts) = (None, None, [0; 2]);
    for _ in 0..3 {
        let forward = allocations(|| layer.forward_into(xs, &s0, &mut pass).unwrap());
        let d = Upstream::outputs(d_outputs.view()).final_state(&d_final);
        let pass = pass.as_ref().unwrap();
        let hook = &mut |_: At, _: L::At<'_>| Ok(ControlFlow::Continue(()));
        let backward = allocations(|| layer.backward_into(pass, d, Some(hook), &mut back).unwrap());
        counts = [forward, backward];
    }
    counts
}

#[test]
fn a_wrapper_asks_for_nothing_once_warm() {
    let both = || Bidirectional::new(decay(), decay()).merge(Merge::Sum);
    let mut dropout = Dropout::new(decay(), 0.5).unwrap();
    dropout.draw([10, 3, 2], &mut || 0.7).unwrap();
    for lengths in [[10, 10, 10], [4, 10, 0]] {
        assert_eq!(warm(&decay(), &lengths), [0, 0]);
        assert_eq!(
            warm(&Stacked(vec![decay(), decay(), decay()]), &lengths),
            [0, 0]
        );
        assert_eq!(
            warm(
                &Stacked(Two(decay(), Stacked(Two(decay(), both())))),
                &lengths
            ),
            [0, 0]
        );
        assert_eq!(warm(&both(), &lengths), [0, 0]);
        assert_eq!(
            warm(&Bidirectional::new(decay(), decay()), &lengths),
            [0, 0]
        );
        assert_eq!(warm(&dropout, &lengths), [0, 0]);
        for every in [1, 3, 10, 99] {
            let sparing = Checkpointed::new(decay()).every(every).unwrap();
            assert_eq!(warm(&sparing, &lengths), [0, 0], "every {every}");
        }
        let stack = Checkpointed::new(Stacked(vec![decay(), decay()]));
        assert_eq!(warm(&stack, &lengths), [0, 0]);
    }
}

#[test]
fn a_mask_and_a_window_ask_for_nothing_once_warm() {
    let mut dropout = Dropout::new(decay(), 0.5).unwrap();
    let mut draw = || allocations(|| dropout.draw([10, 3, 2], &mut || 0.7).unwrap());
    assert_eq!((draw(), draw()), (1, 0));
    dropout.rest();
    let draw = allocations(|| dropout.draw([10, 3, 2], &mut || 0.7).unwrap());
    assert_eq!(draw, 0);

    let (decay, xs) = (decay(), Array3::ones((7, 3, 2)));
    let mut stream = Truncated::new(&decay, 7, 3).unwrap();
    let mut window = || allocations(|| stream.forward(&decay, xs.view()).map(|_| ()).unwrap());
    assert!(window() > 0);
    assert_eq!((window(), window()), (0, 0));
}

/// What a profile asks of the heap in its first pass, and in its second.
fn profiled<L: Layer<Elem = f32>>(layer: &L, time: usize) -> [u64; 2] {
    let xs = Array3::ones((time, 3, 2));
    let pass = layer.forward(xs.view(), &layer.zero_state(3)).unwrap();
    let (mut profile, mut back) = (Profile::new(), None);
    let d = Array3::ones(pass.outputs().raw_dim());
    let mut pass_back = |hook: &mut Hook<'_, L>| {
        let d = Upstream::outputs(d.view());
        allocations(|| {
            layer
                .backward_into(&pass, d, Some(hook), &mut back)
                .unwrap();
        })
    };
    let none = &mut |_: At, _: L::At<'_>| Ok(ControlFlow::Continue(()));
    pass_back(none);
    let bare = pass_back(none);
    [(); 2].map(|()| pass_back(&mut profile.hook(layer)) - bare)
}

#[test]
fn a_profile_asks_for_nothing_at_a_step() {
    let both = || Bidirectional::new(decay(), decay()).merge(Merge::Sum);
    let [first, later] = profiled(&decay(), 100);
    assert_eq!(([first, later], later), (profiled(&decay(), 1000), 0));
    let mix = Stacked(Two(both(), Stacked(Two(decay(), Stacked(vec![decay()])))));
    let [first, later] = profiled(&mix, 1000);
    assert_eq!(later, 0);
    // The reverse direction begins at step 0, so its row of numbers grows as it comes: by doubling.
    assert!(first < 40, "{first}");
}

/// Bytes at the peak of a pass and its way back, beside inputs, outputs and input gradients.
fn beside<L: Layer<Elem = f64>>(layer: &L, time: usize) -> f64 {
    let (batch, inputs) = (2, 2);
    let xs = Array3::ones((time, batch, inputs));
    let s0 = layer.zero_state(batch);
    let d = Array3::ones(layer.forward(xs.view(), &s0).unwrap().outputs().raw_dim());
    let bytes = peak(|| {
        let pass = layer.forward(xs.view(), &s0).unwrap();
        layer.backward(&pass, d.view()).map(|_| ()).unwrap();
    });
    (bytes - ((2 * xs.len() + d.len()) * size_of::<f64>()) as i64) as f64
}

#[test]
fn checkpoints_keep_the_root_of_what_a_pass_keeps() {
    let lstm = Lstm::<f64>::builder(2, 16).build(&mut || 0.75).unwrap();
    // So many steps that what does not grow with them, as the packed weights, weighs little.
    let growth = |bytes: &dyn Fn(usize) -> f64| bytes(51_200) / bytes(3200);
    let plain = growth(&|time| beside(&lstm, time));
    assert!(plain > 12.0, "{plain}");
    // Sixteen times the steps, four times the memory.
    let sparing = growth(&|time| beside(&Checkpointed::new(lstm.clone()), time));
    assert!((2.0..4.5).contains(&sparing), "{sparing}");
    let saved = beside(&lstm, 51_200) / beside(&Checkpointed::new(lstm.clone()), 51_200);
    assert!(saved > 15.0, "{saved}");
}
