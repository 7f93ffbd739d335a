//! A run that is being lost goes back to its last good model and optimiser, to the bit.

use std::collections::HashMap;

use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use steadygrad::detect::NormThreshold;
use steadygrad::keep::Keep;
use steadygrad::{Action, Guard, Recovery, Step, Verdict};
use steadygrad_burn::{BurnGrads, BurnParams};

fn bits(model: &Linear) -> Vec<u32> {
    let values =
        |data: burn::tensor::TensorData| data.iter::<f32>().map(f32::to_bits).collect::<Vec<_>>();
    let bias = model
        .bias
        .as_ref()
        .map(|bias| values(bias.val().into_data()));
    [
        values(model.weight.val().into_data()),
        bias.unwrap_or_default(),
    ]
    .concat()
}

#[test]
fn a_loop_driven_into_divergence_ends_below_its_loss_before() {
    let device = Device::flex().autodiff();
    let x = Tensor::<2>::from_floats(
        [
            [1.0, 2.0, 3.0],
            [0.5, -1.0, 1.5],
            [2.0, 0.0, -1.0],
            [1.0, 1.0, 1.0],
        ],
        &device,
    );
    let y = Tensor::<2>::from_floats([[1.0], [2.0], [3.0], [4.0]], &device);
    let mut guard = Guard::new().detect_with(Verdict::Rollback, NormThreshold::new(40.0).unwrap());
    let mut recovery = Recovery::new(Keep::clones_after(8).unwrap())
        .cut(0.1, 1000)
        .unwrap();
    // Both change by value, and go back as one.
    let mut run = (
        LinearConfig::new(3, 1).init(&device),
        AdamConfig::new().init(),
    );
    let (mut seen, mut updates, mut back, mut before, mut last) =
        (HashMap::new(), HashMap::new(), 0, 0.0, 0.0);
    let mut went_back_to = None;
    for call in 0..300 {
        let rate = if call < 60 { 0.05 } else { 20.0 };
        let loss = (run.0.forward(x.clone()) - y.clone()).powi_scalar(2).mean();
        let value = loss.clone().into_scalar::<f32>();
        let mut grads = GradientsParams::from_grads(loss.backward(), &run.0);
        if call == 60 {
            before = value;
        }
        let step = guard
            .step(
                Step::new(&mut BurnGrads::new(&mut grads, &run.0))
                    .params(&BurnParams::new(&run.0))
                    .loss(value),
            )
            .unwrap();
        let (number, now) = (step.step(), bits(&run.0));
        match recovery.act(step, &mut run).unwrap() {
            Action::Apply => {
                seen.insert(number, now);
                let rate = rate * recovery.rate();
                run.0 = run.1.step(rate, run.0, grads);
                // With the same rate the optimiser's moments make the same update of the same gradients.
                if went_back_to == Some(number) && updates.contains_key(&(number, rate.to_bits())) {
                    assert_eq!(updates[&(number, rate.to_bits())], bits(&run.0));
                }
                updates.insert((number, rate.to_bits()), bits(&run.0));
                (went_back_to, last) = (None, value);
            }
            Action::RolledBack => {
                back += 1;
                went_back_to = recovery.keep().step();
                assert_eq!(bits(&run.0), seen[&went_back_to.unwrap()]);
                assert!(bits(&run.0) != now);
            }
            Action::Skip | Action::Stop => panic!("{recovery}"),
        }
    }
    assert!(
        back >= 1 && last < before,
        "{back} rollbacks, {last} against {before}"
    );
}

#[test]
fn an_optimiser_comes_back_with_its_moments() {
    let device = Device::flex().autodiff();
    let mut run = (
        LinearConfig::new(3, 1).init(&device),
        AdamConfig::new().init(),
    );
    let x = Tensor::<2>::from_floats([[1.0, -2.0, 3.0]], &device);
    let mut guard = Guard::new();
    let mut keep = Keep::clones_after(1).unwrap();
    let mut history = vec![];
    // The same gradients every time: what comes of them goes by the moments.
    let go =
        |run: &mut (Linear, ModuleOptimizer), guard: &mut Guard, keep: &mut Keep<_>, note: bool| {
            let loss = run.0.forward(x.clone()).powi_scalar(2).sum();
            let mut grads = GradientsParams::from_grads(loss.backward(), &run.0);
            let mut step = guard.step(&mut BurnGrads::new(&mut grads, &run.0)).unwrap();
            if note {
                keep.note(&mut step, run).unwrap();
            }
            let (model, mut optim) = run.clone();
            let model = optim.step(0.05, model, grads);
            *run = (model, optim);
            bits(&run.0)
        };
    for step in 0..12 {
        history.push(go(&mut run, &mut guard, &mut keep, step < 6));
    }
    keep.bring_back(&mut guard, &mut run).unwrap();
    assert_eq!(keep.step(), Some(6));
    for expected in &history[5..] {
        assert_eq!(&go(&mut run, &mut guard, &mut keep, false), expected);
    }
}
