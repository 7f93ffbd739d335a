//! Sums of rows, taken where the tensor is.

use candle_core::Tensor as Values;
use steadygrad::{Edit, Result};

use super::edited::{Part, check, check_dtype, chunks, laid_out, unit_count};
use super::{Arithmetic, Candle};

/// Elements of a row.
const ROW: usize = 1 << 13;

/// The sums of some rows of the same length, still on the device: field by field, row by row.
pub(super) struct Sheet {
    pub(super) rows: usize,
    pub(super) row_len: usize,
    pub(super) fields: usize,
    pub(super) sums: Values,
}

/// How closely to look.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Look {
    /// At sums, which tell whether everything is finite.
    Sums,
    /// Also at what is not finite, leaving it out of the sums.
    NonFinite,
}

/// A tensor to be summed up as `edit` would leave it.
pub(super) struct Job<'a> {
    pub(super) values: &'a Values,
    pub(super) edit: Edit<'a>,
    pub(super) p: Option<f64>,
    pub(super) range: bool,
    pub(super) units: Option<usize>,
    pub(super) arithmetic: Arithmetic,
}

/// The sheets of a tensor, and of its units.
pub(super) struct Sheets {
    pub(super) whole: Vec<Sheet>,
    pub(super) units: Vec<Sheet>,
}

impl<'a> Job<'a> {
    pub(super) fn new(
        values: &'a Values,
        edit: Edit<'a>,
        (p, range): (Option<f64>, bool),
        units: Option<usize>,
    ) -> Result<Self> {
        check_dtype(values)?;
        check(values.dims(), &edit)?;
        units.map_or(Ok(1), |axis| unit_count(values.dims(), axis))?;
        Ok(Self {
            values,
            edit,
            p,
            range,
            units,
            arithmetic: Arithmetic::of(values.device()),
        })
    }

    pub(super) fn sheets(&self, look: Look) -> Candle<Sheets> {
        let mut sheets = Sheets {
            whole: vec![],
            units: vec![],
        };
        if self.values.elem_count() == 0 {
            return Ok(sheets);
        }
        let values = laid_out(self.values, &self.edit)?;
        let places = values.dim(0)?;
        for (start, len) in chunks(places, values.elem_count() / places) {
            let flat = self.part(&values, 0, start, len).rounded()?.flatten_all()?;
            let count = flat.elem_count();
            let whole = count - count % ROW;
            if whole > 0 {
                let rows = flat.narrow(0, 0, whole)?.reshape((whole / ROW, ROW))?;
                sheets.whole.push(self.sheet(&rows, look)?);
            }
            if whole < count {
                let rest = flat
                    .narrow(0, whole, count - whole)?
                    .reshape((1, count - whole))?;
                sheets.whole.push(self.sheet(&rest, look)?);
            }
        }
        if let Some(axis) = self.units {
            let units = self.values.dim(axis)?;
            let size = self.values.elem_count() / units;
            for (start, len) in chunks(units, size) {
                let part = self.part(self.values, axis, start, len).rounded()?;
                let mut order: Vec<usize> = (0..part.rank()).collect();
                order[..=axis].rotate_right(1);
                let rows = part.permute(order)?.reshape((len, size))?;
                sheets.units.push(self.sheet(&rows, look)?);
            }
        }
        Ok(sheets)
    }

    pub(super) fn part<'s>(
        &'s self,
        values: &'s Values,
        axis: usize,
        start: usize,
        len: usize,
    ) -> Part<'s> {
        Part {
            values,
            edit: &self.edit,
            arithmetic: self.arithmetic,
            axis,
            start,
            len,
        }
    }

    /// Sums up the rows of a matrix.
    fn sheet(&self, matrix: &Values, look: Look) -> Candle<Sheet> {
        let (rows, row_len) = matrix.dims2()?;
        let mut magnitudes = matrix.abs()?;
        let mut counts = vec![];
        let (mut low, mut high) = (matrix.clone(), matrix.clone());
        if look == Look::NonFinite {
            let largest = self.arithmetic.largest;
            let is_finite = magnitudes.le(largest)?;
            let count = |mask: Values| mask.to_dtype(matrix.dtype())?.sum(1);
            counts.push(count(matrix.ne(matrix)?)?);
            counts.push(count(matrix.gt(largest)?)?);
            counts.push(count(matrix.lt(-largest)?)?);
            let places = Values::arange(0u32, row_len as u32, matrix.device())?;
            let places = places
                .to_dtype(matrix.dtype())?
                .broadcast_as((rows, row_len))?;
            let beyond = Values::full(row_len as f64, (rows, row_len), matrix.device())?;
            let beyond = beyond.to_dtype(matrix.dtype())?;
            counts.push(
                is_finite
                    .where_cond(&beyond, &places.contiguous()?)?
                    .min(1)?,
            );
            magnitudes = is_finite.where_cond(&magnitudes, &magnitudes.zeros_like()?)?;
            // What is not finite is no end of the range.
            let end = (magnitudes.zeros_like()? + largest)?;
            low = is_finite.where_cond(matrix, &end)?;
            high = is_finite.where_cond(matrix, &end.neg()?)?;
        }
        let max = magnitudes.max_keepdim(1)?;
        let shares = magnitudes.broadcast_div(&max.maximum(self.arithmetic.least)?)?;
        let mut fields = vec![max.flatten_all()?, shares.sum(1)?, shares.sqr()?.sum(1)?];
        if let Some(p) = self.p {
            fields.push(shares.powf(p)?.sum(1)?);
        }
        if self.range {
            fields.extend([low.min(1)?, high.max(1)?]);
        }
        fields.extend(counts);
        Ok(Sheet {
            rows,
            row_len,
            fields: fields.len(),
            sums: Values::cat(&fields, 0)?,
        })
    }
}

/// The sum of a flat tensor, known to candle's autograd: first in rows, then in all.
pub(crate) fn sum_in_rows(flat: &Values) -> Candle<Values> {
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
    use candle_core::{DType, Device, Var};

    use super::*;

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
