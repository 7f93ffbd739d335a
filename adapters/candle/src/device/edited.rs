//! What an edit leaves, part by part.

use candle_core::{DType, Device, Tensor as Values};
use steadygrad::{Edit, Element, Error, Factor, Op, Result};

use super::{Arithmetic, Candle};
use crate::host::each_dtype;

/// Elements that are handled at once, where the shape allows.
const CHUNK: usize = 1 << 22;

/// The number of units along `axis`.
pub(super) fn unit_count(dims: &[usize], axis: usize) -> Result<usize> {
    dims.get(axis).copied().ok_or(Error::Axis {
        axes: dims.len(),
        axis,
    })
}

/// Checks that every list of factors fits.
pub(super) fn check(dims: &[usize], edit: &Edit<'_>) -> Result<()> {
    edit.ops().try_for_each(|op| {
        let Op::ScaleUnits { axis, factors } = op else {
            return Ok(());
        };
        let expected = unit_count(dims, axis)?;
        if factors.len() == expected {
            Ok(())
        } else {
            Err(Error::Count {
                what: "factors for the units",
                expected,
                found: factors.len(),
            })
        }
    })
}

pub(super) fn check_dtype(values: &Values) -> Result<()> {
    each_dtype!(values.dtype(), E => { let _ = E::NAME; Ok(()) })
}

/// The bounds of an edit that clamps once and does nothing else.
pub(super) fn clamp_of(edit: &Edit<'_>) -> Option<(f64, f64)> {
    let mut ops = edit.ops();
    match (ops.next(), ops.next()) {
        (Some(Op::Clamp { min, max }), None) => Some((min, max)),
        _ => None,
    }
}

/// The bounds of a clamp as the element type has them.
pub(super) fn bounds(dtype: DType, min: f64, max: f64) -> Result<(f64, f64)> {
    each_dtype!(dtype, E => Ok((E::toward_zero(min).widen(), E::toward_zero(max).widen())))
}

/// A factor as numbers that are multiplied in turn.
fn steps(factor: Factor, exponent: i64) -> Vec<f64> {
    let (m, e) = factor.to_wide().parts();
    // Beyond 2^±2100 every number becomes 0 or infinite.
    let mut e = e.clamp(-2100, 2100);
    let mut steps = vec![];
    while e.abs() > exponent {
        let step = exponent * e.signum();
        steps.push(2f64.powi(step as i32));
        e -= step;
    }
    steps.push(m * 2f64.powi(e as i32));
    steps
}

pub(super) fn scalar(x: f64, like: &Values) -> Candle<Values> {
    Values::new(x, &Device::Cpu)?
        .to_dtype(like.dtype())?
        .to_device(like.device())
}

/// The places `start..start + len` along `axis`, in what the device reckons in and after the edit.
pub(super) struct Part<'a> {
    pub(super) values: &'a Values,
    pub(super) edit: &'a Edit<'a>,
    pub(super) arithmetic: Arithmetic,
    pub(super) axis: usize,
    pub(super) start: usize,
    pub(super) len: usize,
}

impl Part<'_> {
    /// Without the rounding to the element type.
    pub(super) fn edited(&self) -> Candle<Values> {
        let part = self.values.narrow(self.axis, self.start, self.len)?;
        let mut x = part.to_dtype(self.arithmetic.dtype)?;
        // Factors in a row are multiplied first, so that nothing is lost between them.
        let mut pending = Factor::ONE;
        for op in self.edit.ops() {
            if let Op::Scale(factor) = op {
                pending = pending.then(factor);
            } else {
                x = self.apply(self.scaled(x, pending)?, op)?;
                pending = Factor::ONE;
            }
        }
        self.scaled(x, pending)
    }

    fn scaled(&self, x: Values, factor: Factor) -> Candle<Values> {
        if factor == Factor::ONE {
            return Ok(x);
        }
        let steps = steps(factor, self.arithmetic.exponent);
        steps
            .into_iter()
            .try_fold(x, |x, step| x.broadcast_mul(&scalar(step, &x)?))
    }

    fn apply(&self, x: Values, op: Op<'_>) -> Candle<Values> {
        match op {
            Op::Scale(factor) => self.scaled(x, factor),
            Op::Clamp { min, max } => {
                let (min, max) =
                    bounds(self.values.dtype(), min, max).map_err(candle_core::Error::wrap)?;
                // By comparison, so that NaN stays NaN on every device.
                let min = scalar(min, &x)?.broadcast_as(x.shape())?;
                let max = scalar(max, &x)?.broadcast_as(x.shape())?;
                let x = x.lt(&min)?.where_cond(&min, &x)?;
                x.gt(&max)?.where_cond(&max, &x)
            }
            Op::ScaleUnits { axis, factors } => {
                let factors = if axis == self.axis {
                    &factors[self.start..self.start + self.len]
                } else {
                    factors
                };
                let mut shape = vec![1; x.rank()];
                shape[axis] = factors.len();
                let exponent = self.arithmetic.exponent;
                let each = factors.iter().map(|&factor| steps(factor, exponent));
                let each: Vec<Vec<f64>> = each.collect();
                let most = each.iter().map(Vec::len).max().unwrap_or(0);
                (0..most).try_fold(x, |x, i| {
                    let step = each
                        .iter()
                        .map(|steps| steps.get(i).copied().unwrap_or(1.0));
                    let step: Vec<f64> = step.collect();
                    let step = Values::from_slice(&step, shape.as_slice(), &Device::Cpu)?;
                    x.broadcast_mul(&step.to_dtype(x.dtype())?.to_device(x.device())?)
                })
            }
            Op::Zero => x.zeros_like(),
            // An operation that this version of the core does not have.
            other => {
                candle_core::bail!("expected an edit known to steadygrad-candle, found {other:?}")
            }
        }
    }

    /// As the element type would hold it.
    pub(super) fn rounded(&self) -> Candle<Values> {
        let x = self.edited()?;
        if self.edit.is_keep() {
            return Ok(x);
        }
        x.to_dtype(self.values.dtype())?
            .to_dtype(self.arithmetic.dtype)
    }
}

/// The tensor with at least one axis: a flat one, unless the edit looks at the axes.
pub(super) fn laid_out(values: &Values, edit: &Edit<'_>) -> Candle<Values> {
    let by_unit = edit.ops().any(|op| matches!(op, Op::ScaleUnits { .. }));
    if by_unit {
        Ok(values.clone())
    } else {
        values.flatten_all()
    }
}

/// Cuts `count` places of `size` elements into runs that are handled at once.
pub(super) fn chunks(count: usize, size: usize) -> impl Iterator<Item = (usize, usize)> {
    let step = (CHUNK / size.max(1)).max(1);
    (0..count)
        .step_by(step)
        .map(move |start| (start, step.min(count - start)))
}
