//! An optimiser with a guard in it does what the two do apart, and nothing to what it is lent.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW, SGD};
use steadygrad::detect::{NormThreshold, Plateau};
use steadygrad::{Guard, OnNonFinite, Step, Verdict, clip};
use steadygrad_candle::{CandleGrads, CandleParams, Guarded, GuardedStep};

const START: [f32; 3] = [1.0, -2.0, 0.5];

fn vars() -> [(&'static str, Var); 2] {
    let w = Var::new(&START, &Device::Cpu).unwrap();
    let b = Var::new(&[0.25f32], &Device::Cpu).unwrap();
    [("w", w), ("b", b)]
}

fn values(vars: &[(&str, Var)]) -> Vec<Vec<f32>> {
    let values = vars.iter().map(|(_, var)| var.to_vec1::<f32>().unwrap());
    values.collect()
}

fn list(vars: &[(&str, Var)]) -> Vec<Var> {
    vars.iter().map(|(_, var)| var.clone()).collect()
}

/// Steep, and of a new slope in each step.
fn loss(vars: &[(&str, Var)], step: usize) -> Tensor {
    let scale = if step == 2 {
        f64::NAN
    } else {
        3.0 + step as f64
    };
    let w = vars[0].1.sqr().unwrap().sum_all().unwrap();
    let b = vars[1].1.sum_all().unwrap();
    ((w + b).unwrap() * scale).unwrap()
}

fn guard() -> Guard {
    Guard::new().clip(clip::GlobalNorm::new(1.0).unwrap())
}

/// With the guard and the optimiser apart, which `same_bits` and the core's tests hold right.
fn apart(steps: usize) -> Vec<Vec<f32>> {
    let vars = vars();
    let (mut opt, mut guard) = (AdamW::new_lr(list(&vars), 0.1).unwrap(), guard());
    let params = CandleParams::new(&vars);
    for step in 0..steps {
        let mut grads = loss(&vars, step).backward().unwrap();
        let mut set = CandleGrads::new(&mut grads, &vars);
        let report = guard.step(Step::new(&mut set).params(&params)).unwrap();
        if report.verdict().is_apply() {
            opt.step(&grads).unwrap();
        }
    }
    values(&vars)
}

#[test]
fn a_guarded_adam_is_guard_and_adam() {
    let expected = apart(6);
    for way in 0..3 {
        let vars = vars();
        let mut opt = AdamW::new_lr(list(&vars), 0.1)
            .unwrap()
            .guarded(guard(), &vars);
        for step in 0..6 {
            let loss = loss(&vars, step);
            let mut grads = loss.backward().unwrap();
            match way {
                0 => opt.backward_step(&loss).unwrap(),
                1 => opt.step(&grads).unwrap(),
                _ => opt.step_in_place(&mut grads, None).unwrap(),
            }
            let (skips, report) = (step == 2, opt.report());
            assert_eq!(
                (report.step(), report.is_clipped()),
                (step as u64 + 1, !skips)
            );
            assert_eq!(opt.verdict() == Verdict::Skip, skips);
        }
        assert_eq!(values(&vars), expected, "way {way}");
    }
    // A skip leaves no trace in the moments: the third step is as if it had never come.
    let vars = vars();
    let mut opt = AdamW::new_lr(list(&vars), 0.1)
        .unwrap()
        .guarded(guard(), &vars);
    for step in [0, 1, 3, 4, 5] {
        opt.backward_step(&loss(&vars, step)).unwrap();
    }
    assert_eq!(values(&vars), expected);
}

#[test]
fn what_is_lent_stays_as_it_is() {
    let vars = vars();
    // A buffer of which one gradient is a part, and one that repeats a number.
    let buffer = Tensor::new(&[7f32, 30.0, 40.0, 0.0], &Device::Cpu).unwrap();
    let repeated = Tensor::new(&[2f32], &Device::Cpu).unwrap();
    let mut grads = GradStore::default();
    grads.insert(&vars[0].1, buffer.narrow(0, 1, 3).unwrap());
    grads.insert(&vars[1].1, repeated.broadcast_as(1).unwrap());
    let ids: Vec<_> = vars
        .iter()
        .map(|(_, var)| grads.get(var).unwrap().id())
        .collect();
    let guard = || {
        Guard::new()
            .clip(clip::Value::new(10.0).unwrap())
            .clip(clip::TensorNorm::new(1.0).unwrap())
    };
    let mut opt = SGD::new(list(&vars), 1.0).unwrap().guarded(guard(), &vars);
    opt.step(&grads).unwrap();
    for tensor in opt.report().tensors() {
        assert!(
            (tensor.after.unwrap().l2() - 1.0).abs() < 1e-7,
            "{}",
            tensor.name
        );
    }
    let half = 0.5f32.sqrt();
    assert_eq!(
        values(&vars),
        [
            vec![START[0] - half, START[1] - half, START[2]],
            vec![-0.75]
        ]
    );
    assert_eq!(buffer.to_vec1::<f32>().unwrap(), [7.0, 30.0, 40.0, 0.0]);
    assert_eq!(repeated.to_vec1::<f32>().unwrap(), [2.0]);
    let same: Vec<_> = vars
        .iter()
        .map(|(_, var)| grads.get(var).unwrap().id())
        .collect();
    assert_eq!(same, ids);
    // In place is what it says.
    opt.step_in_place(&mut grads, None).unwrap();
    assert_eq!(buffer.to_vec1::<f32>().unwrap(), [7.0, half, half, 0.0]);
}

#[test]
fn variables_that_are_not_watched_are_trained_all_the_same() {
    let vars = vars();
    let mut opt = SGD::new(list(&vars), 1.0)
        .unwrap()
        .guarded(guard(), &vars[..1]);
    for _ in 0..2 {
        let loss = (vars[1].1.sum_all().unwrap() * 100.0).unwrap();
        let loss = (loss + vars[0].1.sum_all().unwrap()).unwrap();
        opt.step(&loss.backward().unwrap()).unwrap();
    }
    assert_eq!(vars[1].1.to_vec1::<f32>().unwrap(), [0.25 - 200.0]);
    assert_eq!(
        (opt.report().before(), opt.report().measurement().len()),
        (3f64.sqrt(), 1)
    );
}

#[test]
fn a_stop_is_an_error_and_a_rollback_is_told() {
    let vars = vars();
    let steep = || (vars[0].1.sum_all().unwrap() * 1e6).unwrap();
    let guard = guard()
        .detect_with(Verdict::Rollback, NormThreshold::new(1e5).unwrap())
        .max_rollbacks(2);
    // The detector stands behind the clip and sees what it leaves.
    let mut opt = SGD::new(list(&vars), 1.0).unwrap().guarded(guard, &vars);
    opt.backward_step(&steep()).unwrap();
    assert_eq!(opt.verdict(), Verdict::Apply);
    let guard = Guard::new()
        .detect_with(Verdict::Rollback, NormThreshold::new(1e5).unwrap())
        .max_rollbacks(2);
    let before = values(&vars);
    let mut opt = SGD::new(list(&vars), 1.0).unwrap().guarded(guard, &vars);
    for _ in 0..2 {
        opt.step(&steep().backward().unwrap()).unwrap();
        assert_eq!(opt.verdict(), Verdict::Rollback);
    }
    for _ in 0..2 {
        let error = opt.backward_step(&steep()).unwrap_err().to_string();
        assert!(
            error.starts_with("the guard stops the training: step "),
            "{error}"
        );
        assert!(error.contains("above 100000 (norm threshold)"), "{error}");
        assert_eq!(opt.verdict(), Verdict::Stop);
    }
    assert_eq!(values(&vars), before);
    // What the guard refuses is an error too, and moves nothing.
    let mut opt = SGD::new(list(&vars), 1.0)
        .unwrap()
        .guarded(Guard::new().on_non_finite(OnNonFinite::Error), &vars);
    let error = opt.backward_step(&loss(&vars, 2)).unwrap_err().to_string();
    assert!(error.contains("expected finite numbers"), "{error}");
    assert_eq!((opt.verdict(), values(&vars)), (Verdict::Skip, before));
}

/// Code that makes its own optimiser of a configuration, as candle's examples do.
fn train<O: Optimizer>(vars: &[(&str, Var)], config: O::Config) -> Result<O> {
    let mut opt = O::new(list(vars), config)?;
    for step in [0, 1, 2, 3] {
        opt.set_learning_rate(0.1 * opt.learning_rate());
        opt.backward_step(&loss(vars, step))?;
    }
    Ok(opt)
}

#[test]
fn it_is_an_optimiser_for_code_that_knows_none_of_this() {
    let params = || ParamsAdamW {
        lr: 10.0,
        ..ParamsAdamW::default()
    };
    let guard = guard().detect(Plateau::new(0.0, 100).unwrap());
    let trained = vars();
    let mut opt: Guarded<AdamW> = train(&trained, (params(), guard)).unwrap();
    assert!((opt.learning_rate() / 1e-3 - 1.0).abs() < 1e-12);
    assert_eq!(opt.optimizer().params().lr, opt.learning_rate());
    assert_eq!(opt.report().measurement().name(1), "1");
    assert!(opt.report().loss().is_some() && opt.report().abstained().is_empty());
    assert!(values(&trained).iter().flatten().all(|x| x.is_finite()));
    assert_eq!(opt.guard_mut().state().step, 4);
    let (mut opt, guard) = opt.into_parts();
    assert_eq!(guard.report().step(), 4);
    opt.backward_step(&loss(&trained, 2)).unwrap();
    assert!(values(&trained)[0][0].is_nan());
}

#[test]
fn every_type_and_an_integer_beside_it() {
    for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16] {
        let w = Var::ones(4, dtype, &Device::Cpu).unwrap();
        let steps = Var::zeros((), DType::I64, &Device::Cpu).unwrap();
        let vars = [("steps", steps), ("w", w.clone())];
        let mut opt = SGD::new(list(&vars), 0.25).unwrap().guarded(guard(), &vars);
        opt.step(&(w.sqr().unwrap() * 4.0).unwrap().backward().unwrap())
            .unwrap();
        assert_eq!((opt.report().before(), opt.report().after()), (16.0, 1.0));
        let w = w.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
        assert_eq!(w, [0.875; 4]);
    }
}
