//! What a guarded step gives to the guard, which losses it takes, and who moves.

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{AdamW, Init, Optimizer, SGD, VarMap};
use steadygrad::detect::{NormThreshold, Subject, WeightGrowth};
use steadygrad::{Guard, Measurement, Step, Verdict, clip};
use steadygrad_candle::{CandleGrads, CandleParams, GuardedStep, IntoCandle, guarded_backward};

fn var(values: &[f32]) -> Var {
    Var::from_slice(values, values.len(), &Device::Cpu).unwrap()
}

#[test]
fn the_guard_sees_the_parameters() {
    let matrix = |row: &[f32]| Var::from_slice(row, (1, row.len()), &Device::Cpu).unwrap();
    let (w, frozen) = (matrix(&[1.0]), matrix(&[0.0, f32::NAN]));
    let vars = [("w", w.clone()), ("frozen", frozen)];
    let mut sgd = SGD::new(vec![w.clone()], 0.1).unwrap();
    let mut guard = Guard::new().detect(WeightGrowth::new(2.0).unwrap());
    let loss = w.sqr().unwrap();
    let report = sgd.guarded_backward_step(&loss, &mut guard, &vars).unwrap();
    let fault = report.non_finite().unwrap();
    assert_eq!(fault.subject(), Subject::Parameter(1));
    assert_eq!(
        (fault.tensor(), report.verdict()),
        (Some("frozen"), Verdict::Skip)
    );
    assert!(report.abstained().is_empty(), "{report}");
    assert_eq!(w.to_vec2::<f32>().unwrap(), [[1.0]]);
}

/// Whatever candle's `backward_step` takes: it differentiates the sum.
#[test]
fn a_loss_of_any_shape_is_its_sum() {
    for dims in [&[][..], &[1], &[1, 1], &[8, 1], &[2, 3, 4]] {
        let w = Var::new(&[[3f32, 4.0]], &Device::Cpu).unwrap();
        let other = Var::from_tensor(&w).unwrap();
        let other = Var::from_tensor(&other.copy().unwrap().detach()).unwrap();
        let count = dims.iter().product::<usize>();
        let loss_of = |w: &Var| {
            let rows = Tensor::arange(0f32, count as f32, &Device::Cpu).unwrap();
            let loss = rows
                .reshape((count, 1))
                .unwrap()
                .matmul(&w.sum_keepdim(1).unwrap());
            loss.unwrap().reshape(dims).unwrap()
        };
        let loss = loss_of(&w);
        let mut sgd = SGD::new(vec![w.clone()], 0.5).unwrap();
        let mut guard = Guard::new();
        let report = sgd.guarded_backward_step(&loss, &mut guard, &w).unwrap();
        let sum = 7.0 * (count * (count - 1) / 2) as f64;
        assert_eq!(
            (report.loss(), report.verdict()),
            (Some(sum), Verdict::Apply)
        );
        let mut plain = SGD::new(vec![other.clone()], 0.5).unwrap();
        plain.backward_step(&loss_of(&other)).unwrap();
        assert_eq!(w.to_vec2::<f32>().unwrap(), other.to_vec2::<f32>().unwrap());
    }
    // The sum is taken where nothing overflows, and one bad element is enough.
    let w = var(&[1.0, 1.0]);
    let scales = [[3e38_f32, 3e38], [1.0, f32::NAN]];
    for (scales, fits) in scales.into_iter().zip([true, false]) {
        let loss = (w.as_tensor() * Tensor::new(&scales, &Device::Cpu).unwrap()).unwrap();
        let mut guard = Guard::new().clip(clip::GlobalNorm::new(0.0).unwrap());
        let report = guarded_backward(&loss, &mut guard, &w, |_| Ok(())).unwrap();
        assert_eq!(report.loss().unwrap().is_finite(), fits);
        assert_eq!(report.verdict().is_apply(), fits);
    }
}

/// The mean of squares of 300 is 90,000, and `f16` ends at 65,504; the gradients are 2·300/n.
#[test]
fn an_f16_loss_past_its_type_stops_nothing() {
    let start = Tensor::full(300f32, (4,), &Device::Cpu).unwrap();
    let w = Var::from_tensor(&start.to_dtype(DType::F16).unwrap()).unwrap();
    let mut sgd = SGD::new(vec![w.clone()], 1e-3).unwrap();
    let mut guard = Guard::new().clip(clip::GlobalNorm::new(1e4).unwrap());
    for step in 1..=12 {
        let loss = w.sqr().unwrap().mean_all().unwrap();
        let report = sgd.guarded_backward_step(&loss, &mut guard, &w).unwrap();
        assert_eq!(report.verdict(), Verdict::Apply, "step {step}: {report}");
        assert_eq!(report.loss(), None);
        assert_eq!(report.signals(), [("loss past f16", f64::INFINITY)]);
    }
    // Where the gradients overflow too, they say so.
    let loss = (w.sqr().unwrap().mean_all().unwrap() * 1000.0).unwrap();
    let report = sgd.guarded_backward_step(&loss, &mut guard, &w).unwrap();
    assert_eq!(report.verdict(), Verdict::Skip);
    assert!(matches!(
        report.non_finite().unwrap().subject(),
        Subject::Gradient(_)
    ));
    // NaN comes of no range, and F32 has room for any loss.
    for (dtype, scale) in [(DType::F16, f64::NAN), (DType::F32, f64::INFINITY)] {
        let w = Var::ones(2, dtype, &Device::Cpu).unwrap();
        let loss = (w.sum_all().unwrap() + scale).unwrap();
        let report = guarded_backward(&loss, &mut guard, &w, |_| Ok(())).unwrap();
        assert_eq!(report.verdict(), Verdict::Skip);
        assert_eq!(report.non_finite().unwrap().subject(), Subject::Loss);
    }
}

/// Policy and value network, each with an optimiser of its own.
#[test]
fn two_optimisers_share_one_norm() {
    let maps = [(); 2].map(|()| VarMap::new());
    for map in &maps {
        map.get(1, "w", Init::Const(0.0), DType::F32, &Device::Cpu)
            .unwrap();
    }
    let [policy, value] = &maps;
    let vars = [("policy", policy), ("value", value)];
    let first = |map: &VarMap| map.all_vars()[0].to_vec1::<f32>().unwrap()[0];
    let mut policy_opt = SGD::new(policy.all_vars(), 1.0).unwrap();
    let mut value_opt = SGD::new(value.all_vars(), 10.0).unwrap();
    let mut guard = Guard::new().clip(clip::GlobalNorm::new(0.5).unwrap());
    let slopes = [[3.0, 4.0], [f64::NAN, 4.0], [0.03, 0.04]];
    let expected = [
        (5.0, -0.3, -4.0),
        (f64::NAN, -0.3, -4.0),
        (0.05, -0.33, -4.4),
    ];
    for ([p, v], (norm, policy_w, value_w)) in slopes.into_iter().zip(expected) {
        let loss = ((policy.all_vars()[0].as_tensor() * p).unwrap()
            + (value.all_vars()[0].as_tensor() * v).unwrap())
        .unwrap();
        let report = guarded_backward(&loss, &mut guard, &vars, |grads| {
            policy_opt.step(grads)?;
            value_opt.step(grads)
        })
        .unwrap();
        assert!(report.before().is_nan() && norm.is_nan() || (report.before() - norm).abs() < 1e-8);
        assert_eq!(report.measurement().name(1), "value.w");
        assert!((first(policy) - policy_w).abs() < 1e-6 && (first(value) - value_w).abs() < 1e-5);
    }
    // The same from two backward passes.
    let mut stores = [policy, value].map(|map| {
        let loss = (map.all_vars()[0].as_tensor() * 3.0).unwrap();
        loss.backward().unwrap()
    });
    let [a, b] = &mut stores;
    let mut both = [
        ("policy", CandleGrads::new(a, policy)),
        ("value", CandleGrads::new(b, value)),
    ];
    let params = CandleParams::new(vars);
    let report = guard.step(Step::new(&mut both).params(&params)).unwrap();
    assert_eq!(report.before(), 18f64.sqrt());
}

/// Stores are summed by candle; the guard undoes the factor as it clips, so there is one write.
#[test]
fn micro_batches_are_one_step_of_their_mean() {
    let w = var(&[0.0, 0.0]);
    let rows = [[3f32, 0.0], [5.0, 8.0], [1.0, 0.0], [3.0, 8.0]];
    let sum_of = |scale: f64| -> Result<_> {
        let mut sum = candle_core::backprop::GradStore::default();
        for row in &rows {
            let loss = (w.as_tensor() * Tensor::new(row, &Device::Cpu)?)?;
            sum.extend((loss * scale)?.backward()?)?;
        }
        Ok(sum)
    };
    let mut guard = Guard::new().clip(clip::GlobalNorm::new(2.5).unwrap());
    for (divided, scale) in [(1.0, 4.0), (0.25, 1.0)] {
        let mut sum = sum_of(divided).unwrap();
        let report = guard
            .step(Step::new(&mut CandleGrads::new(&mut sum, &w)).scaled_by(scale))
            .unwrap();
        assert_eq!((report.before(), report.after()), (5.0, 2.5));
        assert_eq!(sum.get(&w).unwrap().to_vec1::<f32>().unwrap(), [1.5, 2.0]);
    }
}

#[test]
fn candle_functions_take_our_results() {
    fn run(max: f64, scale: f64) -> Result<f64> {
        let w = var(&[3.0, 4.0]);
        let mut grads = (w.sqr()? * scale)?.sum_all()?.backward()?;
        let mut guard = Guard::new()
            .detect(NormThreshold::new(1e9).candle()?)
            .on_non_finite(steadygrad::OnNonFinite::Error)
            .clip(clip::GlobalNorm::new(max).candle()?);
        let report = guard.step(&mut CandleGrads::new(&mut grads, &w)).candle()?;
        AdamW::new_lr(vec![w], 0.1)?.step(&grads)?;
        Ok(report.after())
    }
    assert_eq!(run(1.0, 0.5).unwrap(), 1.0);
    let said = |max, scale| {
        let error = run(max, scale).unwrap_err().to_string();
        error.lines().next().unwrap().to_owned()
    };
    assert_eq!(said(-1.0, 0.5), "max norm: expected a number ≥ 0, found -1");
    assert!(said(1.0, f64::NAN).contains("expected finite numbers, found 2 NaN"));
}

/// The loop of the README with a temporary set in the `match` itself.
#[test]
fn every_verdict_is_met_in_one_expression() {
    let w = var(&[1.0]);
    let mut sgd = SGD::new(vec![w.clone()], 0.5).unwrap();
    let mut guard = Guard::new()
        .detect_with(Verdict::Rollback, NormThreshold::new(100.0).unwrap())
        .max_skips(1);
    let params = CandleParams::new(&w);
    let mut met = vec![];
    for slope in [1.0, 1000.0, f64::NAN, f64::NAN, 1.0] {
        let mut grads = (w.as_tensor() * slope).unwrap().backward().unwrap();
        let mut set = CandleGrads::new(&mut grads, &w);
        match guard
            .step(Step::new(&mut set).params(&params))
            .unwrap()
            .verdict()
        {
            Verdict::Apply => sgd.step(&grads).unwrap(),
            Verdict::Skip => met.push(0),
            Verdict::Rollback => met.push(1),
            Verdict::Stop => {
                assert_eq!(guard.report().step(), 4);
                met.push(2);
                break;
            }
        }
        match guard
            .plan(Step::new(&CandleGrads::new(&mut grads, &w)).params(&params))
            .unwrap()
            .verdict()
        {
            Verdict::Stop => break,
            _ => met.push(usize::from(Measurement::of(&params).is_err())),
        }
    }
    assert_eq!(w.to_vec1::<f32>().unwrap(), [0.5]);
    assert_eq!(met, [0, 1, 0, 0]);
}
