//! Sums of rows, taken where the tensor is.

use alloc::vec;
use alloc::vec::Vec;

use super::edited::{Run, along, carried_out_in, check, runs};
use super::engine::{Engine, Fold, Kind, Map, Zip};
use crate::Result;
use crate::edit::Edit;
use crate::needs::Look;
use crate::units::units;

/// Numbers that are added up in one go: what bounds the roundings of a sum.
pub(super) const ROW: usize = 256;

/// What is to be found beside counts and squares.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    pub(super) look: Look,
    /// The largest magnitude.
    pub(super) largest: bool,
}

/// A tensor to be summed up as an edit would leave it.
pub(super) struct Job<'a, E: Engine> {
    pub(super) array: &'a E::Array,
    pub(super) dims: &'a [usize],
    pub(super) after: Edit<'a>,
    pub(super) asked: Asked,
    /// The axis of its units, if they are asked for.
    pub(super) axis: Option<usize>,
    pub(super) kind: Kind,
    pub(super) arithmetic: Kind,
    /// Whether what is not finite is counted and left out of the sums.
    pub(super) counts: bool,
    /// For each row the power of two that brings its largest magnitude into [1, 2), and what that then is; none while
    /// rows are taken as they are.
    pub(super) scales: Vec<(f64, f64)>,
}

/// What is summed up of some rows of the same length: for each field lists of numbers, row by row.
pub(super) struct Sheet {
    pub(super) rows: usize,
    pub(super) row_len: usize,
    /// How many numbers each list has for a row.
    pub(super) fields: Vec<Vec<usize>>,
}

impl Sheet {
    /// How many numbers there are in all.
    pub(super) fn len(&self) -> usize {
        self.rows * self.fields.iter().flatten().sum::<usize>()
    }
}

/// A list of numbers, row by row, and how many there are for each.
type Piece<A> = (A, usize);

/// What one list of numbers is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Field {
    Low,
    High,
    Nan,
    PosInf,
    NegInf,
    First,
    Largest,
    Magnitudes,
    Power(f64),
    Squares,
}

impl<'a, E: Engine> Job<'a, E> {
    pub(super) fn new(
        engine: &E,
        (array, dims): (&'a E::Array, &'a [usize]),
        after: Edit<'a>,
        asked: Asked,
        axis: Option<usize>,
    ) -> Result<Self> {
        check(&after, dims)?;
        axis.map_or(Ok(1), |axis| units(dims, axis))?;
        Ok(Self {
            array,
            dims,
            after,
            asked,
            axis,
            kind: engine.kind(array)?,
            arithmetic: engine.arithmetic(array),
            counts: false,
            scales: vec![],
        })
    }

    pub(super) fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Whether a sum may leave the range of the type it is taken in, though all elements are finite.
    pub(super) fn may_overflow(&self) -> bool {
        self.asked.look.power.is_some() || !self.kind.has_squares_in(self.arithmetic)
    }

    /// What is summed up of each row, in order.
    pub(super) fn fields(&self) -> impl Iterator<Item = Field> + use<E> {
        let Asked { look, largest } = self.asked;
        let counts =
            self.counts
                .then_some([Field::Nan, Field::PosInf, Field::NegInf, Field::First]);
        // Tells rows of zeros, of which units have many, from those whose powers are too small, and how far others have
        // to be scaled.
        let of_units = self.axis.is_some() && self.may_overflow();
        let largest = largest || self.counts || look.power.is_some() || of_units;
        let range = look.range.then_some([Field::Low, Field::High]);
        range
            .into_iter()
            .flatten()
            .chain(counts.into_iter().flatten())
            .chain(largest.then_some(Field::Largest))
            .chain(look.l1.then_some(Field::Magnitudes))
            .chain(look.power.map(Field::Power))
            .chain([Field::Squares])
    }

    /// What is summed up, the sums of which go to `all`, still on the device.
    pub(super) fn sheets(&self, engine: &E, all: &mut Vec<E::Array>) -> Result<Vec<Sheet>> {
        let len = self.len();
        if len == 0 {
            return Ok(vec![]);
        }
        let Some(axis) = self.axis else {
            let carried_out_in = carried_out_in(engine, self.array, &self.after);
            let runs = Run::all(self.dims, &self.after, self.kind, carried_out_in);
            let sheet = |(index, run): (usize, Run<'_>)| {
                let x = run.as_if(engine, self.array, &self.after, self.arithmetic)?;
                self.sheet(engine, x, [1, run.len()], index, all)
            };
            return runs.enumerate().map(sheet).collect();
        };
        // Units apart: each a row. Only they are laid out anew, unless they are so already.
        let axes = along(self.dims, axis);
        let [before, count, _] = axes;
        let edited = if self.after.is_keep() {
            None
        } else {
            Some(self.edited(engine)?)
        };
        let whole = edited.as_ref().unwrap_or(self.array);
        let rows = if before == 1 {
            whole.clone()
        } else {
            engine.to_front(whole, axes)?
        };
        let size = len / count;
        runs(count, size)
            .map(|range| {
                let (first, rows_here) = (range.start, range.len());
                let x = engine.part(&rows, [1, count, size], range)?;
                let x = engine.cast(x, self.arithmetic)?;
                self.sheet(engine, x, [rows_here, size], first, all)
            })
            .collect()
    }

    /// The whole tensor as the edit would leave it.
    fn edited(&self, engine: &E) -> Result<E::Array> {
        let all = Run {
            dims: self.dims,
            kind: self.kind,
            arithmetic: carried_out_in(engine, self.array, &self.after),
            range: 0..self.dims[0],
            by_unit: true,
        };
        let x = all.edited(engine, all.read(engine, self.array)?, &self.after)?;
        engine.cast(x, self.kind)
    }

    /// Sums up `rows` rows of `len` numbers, the first of which is row `first` of the tensor.
    fn sheet(
        &self,
        engine: &E,
        x: E::Array,
        [rows, len]: [usize; 2],
        first: usize,
        all: &mut Vec<E::Array>,
    ) -> Result<Sheet> {
        let mut fields: Vec<Vec<Piece<E::Array>>> = vec![];
        let largest = self.arithmetic.largest();
        // What is left of a row is added up by the host, in `f64`.
        let sums = |x| partial(engine, self.array, x, rows, len, (ROW / rows).max(1));
        if self.asked.look.range {
            // What is not finite is no end of the range.
            for (end, fold) in [(f64::INFINITY, Fold::Min), (f64::NEG_INFINITY, Fold::Max)] {
                let x = engine.map(x.clone(), Map::FiniteOr(end))?;
                fields.push(vec![(engine.fold(x, rows, fold)?, 1)]);
            }
        }
        let mut x = x;
        if self.counts {
            for which in [Map::IsNan, Map::Above(largest), Map::Below(-largest)] {
                fields.push(sums(engine.map(x.clone(), which)?)?);
            }
            // Where it is finite, an index past the end.
            let finite = engine.map(x.clone(), Map::IsFinite)?;
            let past = engine.map(finite, Map::Times(len as f64))?;
            let indices = engine.cast(engine.count(len, self.array)?, self.arithmetic)?;
            let at = engine.zip(past, [rows, len, 1], &indices, Zip::Plus)?;
            fields.push(vec![(engine.fold(at, rows, Fold::Min)?, 1)]);
            x = engine.map(x, Map::FiniteOr(0.0))?;
        }
        if self.fields().any(|field| field == Field::Largest) {
            let magnitudes = engine.map(x.clone(), Map::Abs)?;
            fields.push(vec![(engine.fold(magnitudes, rows, Fold::Max)?, 1)]);
        }
        let scales = self.scales.get(first..first + rows);
        let by_row = |numbers: Vec<f64>, x, zip| {
            let numbers = engine.cast(engine.values(&numbers, self.array)?, self.arithmetic)?;
            engine.zip(x, [1, rows, len], &numbers, zip)
        };
        if let Some(scales) = scales {
            x = by_row(
                scales.iter().map(|(scale, _)| *scale).collect(),
                x,
                Zip::Times,
            )?;
        }
        if self.asked.look.l1 {
            fields.push(sums(engine.map(x.clone(), Map::Abs)?)?);
        }
        if let Some(p) = self.asked.look.power {
            let mut magnitudes = engine.map(x.clone(), Map::Abs)?;
            if let Some(scales) = scales {
                magnitudes = by_row(
                    scales.iter().map(|(_, max)| *max).collect(),
                    magnitudes,
                    Zip::Over,
                )?;
            }
            fields.push(sums(engine.map(magnitudes, Map::Power(p))?)?);
        }
        fields.push(sums(engine.map(x, Map::Square)?)?);
        let mut hand_over = |(numbers, len)| {
            all.push(numbers);
            len
        };
        let lens = |pieces: Vec<Piece<_>>| pieces.into_iter().map(&mut hand_over).collect();
        let fields = fields.into_iter().map(lens).collect();
        Ok(Sheet {
            rows,
            row_len: len,
            fields,
        })
    }
}

/// Row sums, none of which adds more than [`ROW`] numbers at a time, the first in the type of `x` and the others in the
/// widest: lists of numbers that add up to them, and how many each list has for a row, at most `left`. `like` is the tensor
/// that they are of.
fn partial<E: Engine>(
    engine: &E,
    like: &E::Array,
    mut x: E::Array,
    rows: usize,
    mut len: usize,
    left: usize,
) -> Result<Vec<Piece<E::Array>>> {
    let mut pieces = vec![];
    loop {
        let divides = |width: &usize| len.is_multiple_of(*width);
        let width = len.min(ROW);
        let width = (ROW / 2..=width).rev().find(divides).unwrap_or(width);
        let whole = len - len % width;
        if whole < len {
            let rest = engine.part(&x, [rows, len, 1], whole..len)?;
            pieces.push((engine.fold(rest, rows, Fold::Sum)?, 1));
            x = engine.part(&x, [rows, len, 1], 0..whole)?;
        }
        len = whole / width;
        x = engine.fold(x, rows * len, Fold::Sum)?;
        if len <= left {
            pieces.push((x, len));
            return Ok(pieces);
        }
        x = engine.cast(x, engine.widest(like))?;
    }
}

/// Sums of a flat list, taken as those of rows are: numbers in the widest type that add up to its sum.
pub(super) fn total<E: Engine>(
    engine: &E,
    like: &E::Array,
    x: E::Array,
    len: usize,
) -> Result<Vec<E::Array>> {
    let pieces = partial(engine, like, x, 1, len, 1)?;
    pieces
        .into_iter()
        .map(|(piece, _)| engine.cast(piece, engine.widest(like)))
        .collect()
}
