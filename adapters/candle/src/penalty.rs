//! Penalties on weights as scalars for candle's autograd.

use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor};
use steadygrad::Ask;
use steadygrad::penalty::all_but_biases;

use crate::vars::trained;
use crate::{Vars, host};

/// `λ·Σ|w|` over all weights but biases (variables of at most one axis), as a scalar to be added to the loss.
///
/// ```text
/// λ·Σ|w|        gradient: λ·sign(w), 0 at 0
/// ```
///
/// candle's own `w.abs()?.sum_all()?` gives the subgradient +1 at 0, which pushes zero weights away
/// from zero.
///
/// # Examples
///
/// ```
/// use candle_core::{Device, Var};
///
/// let w = Var::new(&[[3f32, -4.0, 0.0]], &Device::Cpu)?;
/// let penalty = steadygrad_candle::l1(&[("w", w.clone())], 0.5)?;
/// assert_eq!(penalty.to_scalar::<f32>()?, 3.5);
/// let grads = penalty.backward()?;
/// assert_eq!(grads.get(&w).unwrap().to_vec2::<f32>()?, [[0.5, -0.5, 0.0]]);
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// # Errors
///
/// As [`elastic_net_where`].
pub fn l1(vars: &(impl Vars + ?Sized), lambda: f64) -> Result<Tensor> {
    elastic_net(vars, lambda, 0.0)
}

/// `(λ/2)·Σw²` over all weights but biases (variables of at most one axis), as a scalar to be added to the loss.
///
/// ```text
/// (λ/2)·Σw²     gradient: λ·w
/// ```
///
/// # Examples
///
/// ```
/// use candle_core::{Device, Var};
///
/// let (w, b) = (Var::new(&[[3f32, 4.0]], &Device::Cpu)?, Var::new(&[9f32], &Device::Cpu)?);
/// let vars = [("w", w.clone()), ("bias", b)];
/// let loss = w.sum_all()?;
/// let loss = (loss + steadygrad_candle::l2(&vars, 0.1)?)?;
/// assert_eq!(loss.to_scalar::<f32>()?, 7.0 + 1.25);
/// assert_eq!(loss.backward()?.get(&w).unwrap().to_vec2::<f32>()?, [[1.3, 1.4]]);
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// # Errors
///
/// As [`elastic_net_where`].
pub fn l2(vars: &(impl Vars + ?Sized), lambda: f64) -> Result<Tensor> {
    elastic_net(vars, 0.0, lambda)
}

/// `λ₁·Σ|w| + (λ₂/2)·Σw²` over all weights but biases (variables of at most one axis), as a scalar to be added to the loss.
///
/// # Examples
///
/// ```
/// use candle_core::{Device, Var};
///
/// let w = Var::new(&[[3f64, -4.0]], &Device::Cpu)?;
/// let penalty = steadygrad_candle::elastic_net(&[w], 0.5, 0.1)?;
/// assert_eq!(penalty.to_scalar::<f64>()?, 3.5 + 1.25);
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// # Errors
///
/// As [`elastic_net_where`].
pub fn elastic_net(vars: &(impl Vars + ?Sized), lambda_1: f64, lambda_2: f64) -> Result<Tensor> {
    sum(vars, lambda_1, lambda_2, |name, dims| {
        all_but_biases(name, Some(dims))
    })
}

/// [`elastic_net`] over the variables whose names `covers` picks.
///
/// The value is an F32 scalar, or an F64 one if a variable is F64 (use `to_dtype` to add it to a loss
/// of another type). On the host the sums are steadygrad's own, and the value is that of the core's
/// penalty within 1e-7 relative (F64: 1e-14) for any number of elements. On a device they are taken
/// in rows of 8192 and then in all: within 1e-7 where the device has `f64`; where it has not, within
/// 1e-6 up to 10⁶ elements and 1e-5 beyond. A variable under two names counts once, an integer one not at all.
///
/// # Examples
///
/// ```
/// use candle_core::{Device, Var};
///
/// let (w, b) = (Var::new(&[1f32], &Device::Cpu)?, Var::new(&[10f32], &Device::Cpu)?);
/// let vars = [("rnn.w_rec", w), ("out.w", b)];
/// let penalty = steadygrad_candle::elastic_net_where(&vars, 1.0, 0.0, |name| name.ends_with("w_rec"))?;
/// assert_eq!(penalty.to_scalar::<f32>()?, 1.0);
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// # Errors
///
/// A λ that is negative or not finite, a variable of floats that are not F32, F64, F16 or BF16, and what candle gives.
pub fn elastic_net_where(
    vars: &(impl Vars + ?Sized),
    lambda_1: f64,
    lambda_2: f64,
    covers: impl Fn(&str) -> bool,
) -> Result<Tensor> {
    sum(vars, lambda_1, lambda_2, |name, _| covers(name))
}

fn sum(
    vars: &(impl Vars + ?Sized),
    lambda_1: f64,
    lambda_2: f64,
    covers: impl Fn(&str, &[usize]) -> bool,
) -> Result<Tensor> {
    for lambda in [lambda_1, lambda_2] {
        if !(lambda >= 0.0 && lambda.is_finite()) {
            candle_core::bail!("lambda: expected a finite number ≥ 0, found {lambda}");
        }
    }
    let cost = Cost { lambda_1, lambda_2 };
    let mut seen = std::collections::HashSet::new();
    let (mut dtype, mut sum) = (DType::F32, None::<Result<Tensor>>);
    trained(vars, &mut |name, var| {
        if !covers(name, var.dims()) || !seen.insert(var.id()) {
            return;
        }
        if var.dtype() == DType::F64 {
            dtype = DType::F64;
        }
        let of_var = if var.device().is_cpu() {
            var.apply_op1(cost)
        } else {
            cost.on_device(var)
        };
        sum = Some(match sum.take() {
            Some(sum) => {
                sum.and_then(|sum| &sum + of_var?.to_device(sum.device())?.to_dtype(sum.dtype())?)
            }
            None => of_var,
        });
    });
    sum.unwrap_or_else(|| Tensor::zeros((), dtype, &Device::Cpu))?
        .to_dtype(dtype)
}

/// What weights cost.
#[derive(Clone, Copy, Debug)]
struct Cost {
    lambda_1: f64,
    lambda_2: f64,
}

impl Cost {
    /// By candle's own operations, which its autograd knows.
    fn on_device(self, var: &Tensor) -> Result<Tensor> {
        let widest = if var.device().is_metal() {
            DType::F32
        } else {
            DType::F64
        };
        let x = var.flatten_all()?.to_dtype(widest)?;
        // The sign is a constant, so that the subgradient at 0 is 0.
        let l1 = sum_in_rows(&(&x * x.sign()?.detach())?)?;
        let sum_sq = sum_in_rows(&x.sqr()?)?;
        l1.affine(self.lambda_1, 0.0)? + sum_sq.affine(self.lambda_2 / 2.0, 0.0)?
    }
}

/// On the host: one read by the core's kernels, nothing stored.
impl CustomOp1 for Cost {
    fn name(&self) -> &'static str {
        "steadygrad-penalty"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let stats = host::stats_of(storage, layout, &mut Ask::default())
            .map_err(candle_core::Error::wrap)?;
        let norm = stats.l2();
        let mut cost = 0.0;
        // Without this a λ of 0 would turn an infinite norm into NaN.
        if self.lambda_1 > 0.0 {
            cost += self.lambda_1 * stats.l1();
        }
        if self.lambda_2 > 0.0 {
            cost += self.lambda_2 / 2.0 * norm * norm;
        }
        Ok((CpuStorage::F64(vec![cost]), Shape::from(())))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad_res: &Tensor) -> Result<Option<Tensor>> {
        let of_loss = grad_res.to_scalar::<f64>()?;
        let (linear, square) = (of_loss * self.lambda_1, of_loss * self.lambda_2);
        let grad = arg.detach().force_contiguous()?;
        host::map(&grad, |w| {
            let sign = f64::from(w > 0.0) - f64::from(w < 0.0);
            linear * sign + square * w
        })
        .map_err(candle_core::Error::wrap)?;
        Ok(Some(grad))
    }
}

/// Numbers that are added up in one go.
const ROW: usize = 1 << 13;

/// The sum of a flat tensor, known to candle's autograd: first in rows, then in all.
fn sum_in_rows(flat: &Tensor) -> Result<Tensor> {
    let count = flat.elem_count();
    let whole = count - count % ROW;
    if whole == 0 {
        return flat.sum_all();
    }
    let rows = flat.narrow(0, 0, whole)?.reshape((whole / ROW, ROW))?;
    let sum = rows.sum(1)?.sum_all()?;
    if whole == count {
        return Ok(sum);
    }
    sum + flat.narrow(0, whole, count - whole)?.sum_all()?
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;

    /// candle's own operations, which devices use, give what the kernels give.
    #[test]
    fn both_paths_agree() {
        let values: Vec<f32> = (0..20_000).map(|i| (i % 201) as f32 * 0.01 - 1.0).collect();
        let w = Var::from_vec(values, (100, 200), &Device::Cpu).unwrap();
        let cost = Cost {
            lambda_1: 0.5,
            lambda_2: 0.25,
        };
        let (here, there) = (w.apply_op1(cost).unwrap(), cost.on_device(&w).unwrap());
        let (x, y) = (
            here.to_scalar::<f64>().unwrap(),
            there.to_scalar::<f64>().unwrap(),
        );
        assert!((x / y - 1.0).abs() < 1e-13, "{x} and {y}");
        let gradient = |loss: Tensor| {
            let grad = loss.backward().unwrap().remove(&w).unwrap();
            grad.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        for (x, y) in gradient(here).iter().zip(gradient(there)) {
            assert!((x - y).abs() <= 1e-7, "{x} and {y}");
        }
    }

    #[test]
    fn rows_add_up_and_autograd_knows_them() {
        for count in [1, ROW - 1, ROW, 3 * ROW, 3 * ROW + 5] {
            let w = Var::ones(count, DType::F32, &Device::Cpu).unwrap();
            let sum = sum_in_rows(&w).unwrap();
            assert_eq!(sum.to_scalar::<f32>().unwrap(), count as f32);
            let grad = sum.backward().unwrap().remove(&w).unwrap();
            assert_eq!(grad.to_vec1::<f32>().unwrap(), vec![1.0; count]);
        }
    }
}
