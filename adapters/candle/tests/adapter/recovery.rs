//! A run that is being lost goes back to its last good variables, to the bit.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Init, Optimizer, SGD, VarMap};
use half::{bf16, f16};
use steadygrad::detect::NormThreshold;
use steadygrad::keep::{Keep, Memory, Tensors};
use steadygrad::{Action, Guard, Recovery, Step, TensorSetMut, Verdict};
use steadygrad_candle::{CandleGrads, CandleParams, Vars};

fn bits(vars: &impl Vars) -> Vec<u32> {
    let mut all = vec![];
    vars.each(&mut |_, var| {
        let values = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        all.extend(values.into_iter().map(f32::to_bits));
    });
    all
}

#[test]
fn a_loop_driven_into_divergence_ends_below_its_loss_before() {
    for on_device in [false, true] {
        let vars = VarMap::new();
        vars.get((3, 1), "w", Init::Const(2.0), DType::F32, &Device::Cpu)
            .unwrap();
        vars.get(1, "b", Init::Const(-1.0), DType::F32, &Device::Cpu)
            .unwrap();
        vars.get((), "steps", Init::Const(1.0), DType::U32, &Device::Cpu)
            .unwrap();
        // The optimiser's state, in variables that can be kept with the others.
        let velocity = Var::zeros((3, 1), DType::F32, &Device::Cpu).unwrap();
        let x = [
            [1f32, 2.0, 3.0],
            [0.5, -1.0, 1.5],
            [2.0, 0.0, -1.0],
            [1.0, 1.0, 1.0],
        ];
        let x = Tensor::new(&x, &Device::Cpu).unwrap();
        let y = Tensor::new(&[[1f32], [2.0], [3.0], [4.0]], &Device::Cpu).unwrap();
        let mut opt = SGD::new(vars.all_vars(), 0.0).unwrap();
        let (mut params, mut moments) = (CandleParams::new(&vars), CandleParams::new(&velocity));
        if on_device {
            (params, moments) = (params.on_device(), moments.on_device());
        }
        let mut guard =
            Guard::new().detect_with(Verdict::Rollback, NormThreshold::new(1e3).unwrap());
        let mut recovery = Recovery::new(Keep::after(8).unwrap())
            .cut(0.25, 100)
            .unwrap();
        let all = || {
            [
                bits(
                    &vars
                        .data()
                        .lock()
                        .unwrap()
                        .clone()
                        .into_iter()
                        .filter(|(_, var)| var.dtype().is_float())
                        .collect::<HashMap<_, _>>(),
                ),
                bits(&velocity),
            ]
        };
        let (mut seen, mut back, mut before, mut last) = (HashMap::new(), 0, 0.0, 0.0);
        for call in 0..250 {
            let rate = if call < 50 { 0.05 } else { 2.0 };
            let variables = vars.data().lock().unwrap().clone();
            let found = x
                .matmul(&variables["w"])
                .unwrap()
                .broadcast_add(&variables["b"])
                .unwrap();
            let loss = (found - &y).unwrap().sqr().unwrap().mean_all().unwrap();
            let value = f64::from(loss.to_scalar::<f32>().unwrap());
            let mut grads = loss.backward().unwrap();
            if call == 50 {
                before = value;
            }
            let step = guard
                .step(
                    Step::new(&mut CandleGrads::new(&mut grads, &vars))
                        .params(&params)
                        .loss(value),
                )
                .unwrap();
            let (number, now) = (step.step(), all());
            let mut set: [(&str, &mut dyn TensorSetMut); 2] =
                [("params", &mut params), ("velocity", &mut moments)];
            match recovery.act(step, &mut set).unwrap() {
                Action::Apply => {
                    seen.insert(number, now);
                    opt.set_learning_rate(rate * recovery.rate());
                    opt.step(&grads).unwrap();
                    velocity
                        .set(&(velocity.as_tensor() + value).unwrap())
                        .unwrap();
                    last = value;
                }
                Action::RolledBack => {
                    back += 1;
                    assert_eq!(all(), seen[&recovery.keep().step().unwrap()]);
                    assert!(all() != now);
                }
                Action::Skip | Action::Stop => panic!("{recovery}"),
            }
        }
        assert!(
            back >= 2 && last < before,
            "{back} rollbacks, {last} against {before}"
        );
    }
}

#[test]
fn every_type_comes_back_wherever_its_handles_are() {
    let odd = [
        0.0_f32,
        -0.0,
        1e-45,
        -1e-40,
        f32::MAX,
        f32::MIN_POSITIVE,
        0.1,
        65_504.0,
    ];
    let halves = odd.map(|x| f16::from_bits(x.to_bits() as u16 & 0x7bff));
    let brains = odd.map(|x| bf16::from_bits((x.to_bits() >> 16) as u16));
    let doubles = [0.1_f64, -0.0, f64::from_bits(1), f64::MAX];
    for on_device in [false, true] {
        let var = |tensor: candle_core::Result<Tensor>| Var::from_tensor(&tensor.unwrap()).unwrap();
        let vars = [
            ("single", var(Tensor::new(&odd, &Device::Cpu))),
            ("half", var(Tensor::new(&halves, &Device::Cpu))),
            ("brain", var(Tensor::new(&brains, &Device::Cpu))),
            ("double", var(Tensor::new(&doubles, &Device::Cpu))),
        ];
        let mut params = CandleParams::new(&vars);
        if on_device {
            params = params.on_device();
        }
        let handle = vars[0].1.as_tensor().clone();
        let mut kept = Tensors::default();
        for _ in 0..2 {
            kept.take(&params).unwrap();
            for (_, var) in &vars {
                var.set(&var.affine(0.0, 7.0).unwrap()).unwrap();
            }
            assert_eq!(handle.to_vec1::<f32>().unwrap(), [7.0; 8]);
            kept.give(&mut params).unwrap();
            let single = handle.to_vec1::<f32>().unwrap();
            assert_eq!(
                single.iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
                odd.map(f32::to_bits)
            );
            let half = vars[1].1.to_vec1::<f16>().unwrap();
            assert_eq!(
                half.iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
                halves.map(f16::to_bits)
            );
            let brain = vars[2].1.to_vec1::<bf16>().unwrap();
            assert_eq!(
                brain.iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
                brains.map(bf16::to_bits)
            );
            let double = vars[3].1.to_vec1::<f64>().unwrap();
            assert_eq!(
                double.iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
                doubles.map(f64::to_bits)
            );
        }
    }
    // A list that has changed is another set, and says so.
    let vars = VarMap::new();
    vars.get(2, "w", Init::Const(3.0), DType::F32, &Device::Cpu)
        .unwrap();
    let (mut params, mut kept) = (CandleParams::new(&vars), Tensors::default());
    kept.take(&params).unwrap();
    vars.get(1, "z", Init::Const(3.0), DType::F32, &Device::Cpu)
        .unwrap();
    let error = kept.give(&mut params).unwrap_err().to_string();
    assert_eq!(error, "tensors of what is kept: expected 1, found 2");
    kept.take(&params).unwrap();
    kept.give(&mut params).unwrap();
}
