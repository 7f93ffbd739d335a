//! Random tensors, and the same numbers as the core knows them.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var, WithDType};
use half::{bf16, f16};
use steadygrad::{Element, TensorMut};

/// `SplitMix64`.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> usize {
        (self.bits() % n) as usize
    }

    /// In [-1, 1).
    pub(crate) fn signed(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * 2f64.powi(-52) - 1.0
    }

    /// Numbers of about 2^`exponent`.
    pub(crate) fn values<E: Element>(&mut self, count: usize, exponent: i32) -> Vec<E> {
        let value = |random: &mut Self| {
            let spread = random.below(8) as i32;
            E::narrow(random.signed() * 2f64.powi(exponent - spread))
        };
        (0..count).map(|_| value(self)).collect()
    }
}

/// How a gradient lies in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Layout {
    Plain,
    Transposed,
    Broadcast,
    Narrowed,
}

/// A tensor of logical `values` laid out in some way.
pub(crate) fn laid_out<E: WithDType>(values: &[E], dims: &[usize], layout: Layout) -> Tensor {
    let plain = Tensor::from_slice(values, dims, &Device::Cpu).unwrap();
    let axes = dims.len();
    match layout {
        Layout::Transposed if axes >= 2 => {
            let turned = plain
                .transpose(0, axes - 1)
                .unwrap()
                .force_contiguous()
                .unwrap();
            turned.transpose(0, axes - 1).unwrap()
        }
        Layout::Broadcast if axes >= 1 && dims[0] > 0 => {
            plain.narrow(0, 0, 1).unwrap().broadcast_as(dims).unwrap()
        }
        Layout::Narrowed if axes >= 1 => {
            let more = Tensor::cat(&[&plain, &plain, &plain], 0).unwrap();
            more.narrow(0, dims[0], dims[0]).unwrap()
        }
        _ => plain,
    }
}

pub(crate) const DTYPES: [DType; 4] = [DType::F32, DType::F64, DType::F16, DType::BF16];

/// Variables with gradients, and the same gradients in plain vectors.
pub(crate) struct Pair {
    pub(crate) vars: Vec<(String, Var)>,
    pub(crate) store: GradStore,
    pub(crate) core: Vec<(String, Box<dyn TensorMut>)>,
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self {
            vars: vec![],
            store: GradStore::default(),
            core: vec![],
        }
    }

    /// A gradient, and what it holds in row-major order.
    pub(crate) fn push(&mut self, grad: Tensor) {
        let name = format!("t{}", self.vars.len());
        let flat = grad.flatten_all().unwrap();
        let core: Box<dyn TensorMut> = match grad.dtype() {
            DType::F32 => Box::new(flat.to_vec1::<f32>().unwrap()),
            DType::F64 => Box::new(flat.to_vec1::<f64>().unwrap()),
            DType::F16 => Box::new(flat.to_vec1::<f16>().unwrap()),
            _ => Box::new(flat.to_vec1::<bf16>().unwrap()),
        };
        let var = Var::zeros(grad.shape(), grad.dtype(), &Device::Cpu).unwrap();
        self.store.insert(&var, grad);
        self.vars.push((name.clone(), var));
        self.core.push((name, core));
    }

    /// Between one and six tensors of any type, up to five axes, mostly small, of about 2^`exponent`
    /// where their type has such numbers.
    pub(crate) fn random(random: &mut Random, exponent: i32) -> Self {
        let mut pair = Self::new();
        for _ in 0..=random.below(6) {
            let mut dims: Vec<usize> = (0..random.below(6)).map(|_| random.below(6)).collect();
            if random.below(3) == 0 {
                dims = vec![1 + random.below(3), 1 + random.below(3000)];
            }
            let count = dims.iter().product();
            let layout = [
                Layout::Plain,
                Layout::Transposed,
                Layout::Broadcast,
                Layout::Narrowed,
            ][random.below(4)];
            let grad = match DTYPES[random.below(4)] {
                DType::F32 => laid_out(
                    &random.values::<f32>(count, exponent.clamp(-148, 127)),
                    &dims,
                    layout,
                ),
                DType::F64 => laid_out(&random.values::<f64>(count, exponent), &dims, layout),
                DType::F16 => laid_out(
                    &random.values::<f16>(count, exponent.clamp(-23, 15)),
                    &dims,
                    layout,
                ),
                _ => laid_out(
                    &random.values::<bf16>(count, exponent.clamp(-132, 127)),
                    &dims,
                    layout,
                ),
            };
            pair.push(grad);
        }
        pair
    }

    /// What the store holds now, type by type, as bits of the exact `f64`s.
    pub(crate) fn candle_bits(&self) -> Vec<Vec<u64>> {
        let bits = |(_, var): &(String, Var)| {
            let grad = self.store.get(var).unwrap().flatten_all().unwrap();
            let values = grad.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
            values.into_iter().map(f64::to_bits).collect()
        };
        self.vars.iter().map(bits).collect()
    }

    pub(crate) fn core_bits(&self) -> Vec<Vec<u64>> {
        let bits = |(_, tensor): &(String, Box<dyn TensorMut>)| {
            let mut values = vec![0.0; tensor.len()];
            tensor.read(0, &mut values).unwrap();
            values.into_iter().map(f64::to_bits).collect()
        };
        self.core.iter().map(bits).collect()
    }
}
