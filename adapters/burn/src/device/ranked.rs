//! A tensor and what an edit makes of it.

use std::fmt::Debug;

use burn::backend::DispatchTensor;
use burn::tensor::{DType, FloatDType, Tensor, TensorData, bf16, f16};
use steadygrad::{Edit, Element, Op, Wide};

use super::rows::Rows;
use super::transfer::Part;

/// A tensor of any rank.
pub(crate) trait OnDevice: Debug {
    /// The number of elements along each axis.
    fn dims(&self) -> &[usize];

    /// The units along an axis (or one unit: everything) as rows, after an edit, for summing.
    fn rows(&self, after: &Edit<'_>, axis: Option<usize>) -> Rows;

    /// Carries out an edit that fits.
    fn edit(&mut self, edit: &Edit<'_>);

    /// The elements of a range in row-major order.
    fn part(&self, start: usize, end: usize) -> Tensor<1>;

    /// How many elements lie outside the bounds, are NaN, are infinite.
    fn counts(&self, min: f64, max: f64) -> Part;

    /// Puts values in place of the elements from the `start`-th on.
    fn write(&mut self, start: usize, values: &[f64]);

    /// Adds to the elements from the `start`-th on.
    fn add(&mut self, start: usize, values: &[f64]);

    fn into_dispatch(self: Box<Self>) -> DispatchTensor;
}

/// A tensor of rank `D` and the type it is calculated in.
#[derive(Clone, Debug)]
pub(crate) struct Ranked<const D: usize> {
    tensor: Tensor<D>,
    dims: [usize; D],
    wide: FloatDType,
}

impl<const D: usize> Ranked<D> {
    pub(crate) fn new(tensor: Tensor<D>) -> Self {
        let wide = if tensor.dtype() == DType::F64 || tensor.device().supports_dtype(DType::F64) {
            FloatDType::F64
        } else {
            FloatDType::F32
        };
        Self::with(tensor, wide)
    }

    pub(super) fn with(tensor: Tensor<D>, wide: FloatDType) -> Self {
        let dims = tensor.dims();
        Self { tensor, dims, wide }
    }

    /// Numbers on the tensor's device.
    fn values(&self, values: &[f64]) -> Tensor<1> {
        let options = (&self.tensor.device(), DType::from(self.wide));
        Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), options)
    }

    /// Puts numbers in place of the elements from the `start`-th on.
    fn assign(&mut self, start: usize, values: Tensor<1>) {
        let [count] = values.dims();
        let len = self.dims.iter().product::<usize>();
        let flat: Tensor<1> = self.tensor.clone().reshape([len]);
        let values = values.cast(self.tensor.dtype());
        self.tensor = flat
            .slice_assign(start..start + count, values)
            .reshape(self.dims);
    }

    fn edited(&self, edit: &Edit<'_>) -> Tensor<D> {
        let dtype = self.tensor.dtype();
        let wide = self.tensor.clone().cast(self.wide);
        edit.ops()
            .fold(wide, |x, op| self.carry_out(x, &op))
            .cast(dtype)
    }

    fn carry_out(&self, x: Tensor<D>, op: &Op<'_>) -> Tensor<D> {
        match *op {
            Op::Scale(factor) => {
                let steps = in_steps(factor.to_wide(), self.wide);
                steps
                    .into_iter()
                    .filter(|&step| step != 1.0)
                    .fold(x, Tensor::mul_scalar)
            }
            Op::ScaleUnits { axis, factors } => {
                let mut dims = [1; D];
                dims[axis] = factors.len();
                let options = (&x.device(), DType::from(self.wide));
                let steps: Vec<_> = factors
                    .iter()
                    .map(|factor| in_steps(factor.to_wide(), self.wide))
                    .collect();
                (0..3)
                    .map(|i| steps.iter().map(|step| step[i]).collect::<Vec<_>>())
                    .filter(|step| step.iter().any(|&factor| factor != 1.0))
                    .fold(x, |x, step| {
                        let step = TensorData::new(step, [factors.len()]);
                        x * Tensor::<1>::from_data(step, options).reshape(dims)
                    })
            }
            Op::Clamp { min, max } => {
                let (min, max) = (
                    toward_zero(min, self.tensor.dtype()),
                    toward_zero(max, self.tensor.dtype()),
                );
                // By comparison: NaN compares with nothing and stays.
                let below = x.clone().lower_scalar(min);
                let x = x.mask_fill(below, min);
                let above = x.clone().greater_scalar(max);
                x.mask_fill(above, max)
            }
            _ => x.zeros_like(),
        }
    }
}

impl<const D: usize> OnDevice for Ranked<D> {
    fn dims(&self) -> &[usize] {
        &self.dims
    }

    fn rows(&self, after: &Edit<'_>, axis: Option<usize>) -> Rows {
        let tensor = if after.is_keep() {
            self.tensor.clone()
        } else {
            self.edited(after)
        };
        let len: usize = self.dims.iter().product();
        let (tensor, units) = match axis {
            Some(axis) => {
                let mut axes = [axis; D];
                let others = (0..D).filter(|&other| other != axis);
                axes[1..].iter_mut().zip(others).for_each(|(to, a)| *to = a);
                (tensor.permute(axes), self.dims[axis])
            }
            None => (tensor, 1),
        };
        let dtype = tensor.dtype();
        let x = tensor.reshape([units, len / units]).cast(self.wide);
        Rows::new(x, dtype, self.wide)
    }

    fn edit(&mut self, edit: &Edit<'_>) {
        self.tensor = self.edited(edit);
    }

    fn part(&self, start: usize, end: usize) -> Tensor<1> {
        let len = self.dims.iter().product::<usize>();
        self.tensor
            .clone()
            .reshape([len])
            .slice(start..end)
            .cast(self.wide)
    }

    fn counts(&self, min: f64, max: f64) -> Part {
        let len = self.dims.iter().product::<usize>();
        let dtype = self.tensor.dtype();
        let (min, max) = (toward_zero(min, dtype), toward_zero(max, dtype));
        let x = self.tensor.clone().reshape([1, len]).cast(self.wide);
        let (below, above) = (x.clone().lower_scalar(min), x.clone().greater_scalar(max));
        let infinite = x.clone().abs().equal_scalar(f64::INFINITY);
        let counts = [below.bool_or(above), x.is_nan(), infinite];
        let counts = counts.map(|which| which.int().sum_dim(1));
        Part::Int(Tensor::cat(counts.into(), 1))
    }

    fn write(&mut self, start: usize, values: &[f64]) {
        let values = self.values(values);
        self.assign(start, values);
    }

    fn add(&mut self, start: usize, values: &[f64]) {
        let sum = self.part(start, start + values.len()) + self.values(values);
        self.assign(start, sum);
    }

    fn into_dispatch(self: Box<Self>) -> DispatchTensor {
        self.tensor.into_dispatch()
    }
}

/// Three factors of the type, that multiply to `factor` and lose nothing on the way; one is enough,
/// with two ones behind it, unless the factor is out of the type's range.
fn in_steps(factor: Wide, wide: FloatDType) -> [f64; 3] {
    let limit = if wide == FloatDType::F64 { 1020 } else { 124 };
    let (m, e) = factor.parts();
    let pow2 = |e: i64| (e as f64).exp2();
    if m == 0.0 || e.abs() <= limit {
        return [m * pow2(if m == 0.0 { 0 } else { e }), 1.0, 1.0];
    }
    let e = e.clamp(-3 * limit, 3 * limit);
    let third = e / 3;
    [pow2(third), pow2(third), m * pow2(e - 2 * third)]
}

/// A bound in the tensor's own type.
fn toward_zero(bound: f64, dtype: DType) -> f64 {
    match dtype {
        DType::F64 => bound,
        DType::F16 => <f16 as Element>::toward_zero(bound).widen(),
        DType::BF16 => <bf16 as Element>::toward_zero(bound).widen(),
        _ => <f32 as Element>::toward_zero(bound).widen(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_multiply_to_their_factor() {
        for wide in [FloatDType::F32, FloatDType::F64] {
            for e in [-300, -200, -125, -1, 0, 1, 125, 200, 300] {
                let product: f64 = in_steps(Wide::new(1.5, e), wide).iter().product();
                assert_eq!(product, Wide::new(1.5, e).to_f64());
            }
            assert_eq!(in_steps(Wide::ZERO, wide), [0.0, 1.0, 1.0]);
        }
    }
}
