//! The user's program: a cell, a penalty and a guard in one training loop.

use ndarray::{Array3, Axis, Slice};
use steadygrad::penalty::{L2, Penalty};
use steadygrad::recurrent::{Activation, Init, Layer, Rnn};
use steadygrad::{Guard, Step, TensorSet, Verdict, clip, detect};

use crate::common::{signed, uniform};

#[test]
fn a_guard_bounds_the_step_that_an_unguarded_loop_lets_explode() {
    let (time, batch) = (40, 8);
    // Predict a slow sine from itself, started at a spectral radius of 3.
    let mut phase = signed(1, 3.0);
    let starts: Vec<f64> = (0..batch).map(|_| phase()).collect();
    let wave = Array3::from_shape_fn((time + 1, batch, 1), |(t, b, _)| {
        (0.3 * t as f64 + starts[b]).sin()
    });
    let xs = wave.slice_axis(Axis(0), Slice::from(..time));
    let targets = wave.slice_axis(Axis(0), Slice::from(1..));

    let run = |guarded: bool| {
        let mut rnn = Rnn::<f64>::builder(1, 16)
            .activation(Activation::Identity)
            .w_in(Init::Xavier)
            .w_rec(Init::Scaled { radius: 3.0 })
            .build(&mut uniform(1))
            .unwrap();
        let decay = L2::new(1e-4).unwrap();
        let mut guard = Guard::new().detect(detect::NormThreshold::new(100.0).unwrap());
        if guarded {
            guard = guard.clip(clip::GlobalNorm::new(1.0).unwrap());
        }
        let (mut alarms, mut largest) = (0, 0.0_f64);
        for _ in 0..10 {
            let pass = rnn.forward(xs.view(), &rnn.zero_state(batch)).unwrap();
            // The prediction is unit 0.
            let mut d_outputs = Array3::zeros(pass.outputs().raw_dim());
            let first = Slice::from(..1);
            let off = &pass.outputs().slice_axis(Axis(2), first) - &targets;
            d_outputs.slice_axis_mut(Axis(2), first).assign(&off);
            let loss = 0.5 * off.mapv(|e| e * e).sum();

            let mut back = rnn.backward(&pass, d_outputs.view()).unwrap();
            let loss = loss + decay.apply(&rnn, &mut back.grads).unwrap();
            let report = guard
                .step(Step::new(&mut back.grads).params(&rnn).loss(loss))
                .unwrap();
            alarms += report.alarms().len();
            if report.verdict() != Verdict::Apply {
                continue;
            }
            largest = largest.max(report.after());
            rnn.w_in.scaled_add(-0.1, &back.grads.w_in);
            rnn.w_rec.scaled_add(-0.1, &back.grads.w_rec);
            rnn.bias.scaled_add(-0.1, &back.grads.bias);
        }
        let mut names = Vec::new();
        rnn.visit(&mut |name, _| {
            names.push(name.to_owned());
            Ok(())
        })
        .unwrap();
        assert_eq!(names, ["w_in", "w_rec", "bias"]);
        (alarms, largest)
    };
    let (alarms, largest) = run(true);
    assert!(
        alarms >= 1 && largest <= 1.0 + 1e-12,
        "{alarms} alarms, {largest}"
    );
    let (_, largest) = run(false);
    assert!(largest > 1e20, "{largest}");
}
