//! Whether an engine does what it says.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::engine::{Engine, Kind};
use super::places::{Place, Places};
use super::remote::Remote;
use super::sums::ROW;
use crate::tensor::Ask;
use crate::{
    Clamped, Edits, Factor, Measurement, Needs, Norm, Result, Stats, Tensor, TensorMut, Units,
};
use crate::{clip, set};

/// Tests an engine against the same numbers in host memory: sums of every kind over short, long and uneven tensors, of
/// the whole range and of units, what is not finite, edits, reading and writing, and how often numbers travel.
///
/// `make` puts numbers, each of which the type has, onto the device as a tensor of these dims.
///
/// # Examples
///
/// The example `engine` ends with it; the adapters' tests call it.
///
/// # Errors
///
/// What was expected and what was found first.
pub fn conformance<E: Engine>(
    engine: &E,
    kinds: &[Kind],
    make: impl Fn(&[f64], &[usize], Kind) -> Result<E::Array>,
) -> Result<(), String> {
    for &kind in kinds {
        let suite = Suite {
            engine,
            kind,
            make: &make,
        };
        suite.run().map_err(|what| format!("{kind:?}: {what}"))?;
    }
    Ok(())
}

struct Suite<'a, E, F> {
    engine: &'a E,
    kind: Kind,
    make: &'a F,
}

/// Fails with a sentence.
fn ensure(holds: bool, sentence: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(sentence()) }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` passes")]
fn told(error: crate::Error) -> String {
    format!("{error}")
}

/// Numbers of both signs and a few sizes that every type has.
fn wave(len: usize) -> Vec<f64> {
    (0..len)
        .map(|i| ((i * 37 + i / 11) % 41) as f64 / 8.0 - 2.5)
        .collect()
}

impl<E: Engine, F: Fn(&[f64], &[usize], Kind) -> Result<E::Array>> Suite<'_, E, F> {
    fn run(&self) -> Result<(), String> {
        self.numbers_arrive()?;
        for len in [
            1,
            3,
            ROW - 1,
            ROW,
            ROW + 1,
            1000,
            ROW * ROW + 7,
            (1 << 22) + 5,
        ] {
            self.sums(&format!("{len} elements"), &wave(len), &[len])?;
        }
        self.units()?;
        self.range()?;
        self.not_finite()?;
        self.edits()?;
        self.clamps()?;
        self.writes()?;
        self.travels()
    }

    fn tensor(&self, values: &[f64], dims: &[usize]) -> Result<Remote<E>, String> {
        let array = (self.make)(values, dims, self.kind).map_err(told)?;
        Ok(Remote::new(self.engine.clone(), array))
    }

    fn values(tensor: &Remote<E>) -> Result<Vec<f64>, String> {
        let mut values = vec![0.0; Tensor::len(tensor)];
        tensor.read(0, &mut values).map_err(told)?;
        Ok(values)
    }

    /// Of the type in which tensors are edited and their rows summed up, and of that for sums of rows.
    fn units_of_rounding(&self) -> Result<[f64; 2], String> {
        let one = (self.make)(&[1.0], &[1], self.kind).map_err(told)?;
        Ok([
            self.engine.arithmetic(&one).unit(),
            self.engine.widest(&one).unit(),
        ])
    }

    fn numbers_arrive(&self) -> Result<(), String> {
        let values = wave(24);
        let tensor = self.tensor(&values, &[2, 3, 4])?;
        let dims = Tensor::dims(&tensor);
        ensure(dims == Some(&[2, 3, 4]), || {
            format!("expected dims [2, 3, 4], found {dims:?}")
        })?;
        let kind = self.engine.kind(tensor.array()).map_err(told)?;
        ensure(kind == self.kind, || {
            format!("expected this type, found {kind:?}")
        })?;
        let found = Self::values(&tensor)?;
        ensure(found == values, || {
            format!("expected {values:?}, found {found:?}")
        })
    }

    /// Whether two sums of `len` numbers are as near as promised.
    fn near(&self, what: &str, found: &Stats, expected: &Stats) -> Result<(), String> {
        let levels = f64::from(u8::try_from(found.len().max(2).ilog2() / 8 + 1).unwrap_or(u8::MAX));
        let [row, further] = self.units_of_rounding()?;
        // Of a power each element is rounded once more, by a function that need not be exact.
        let room = (ROW as f64 + 24.0) * row + (ROW as f64 * levels + 8.0) * further;
        for norm in [Norm::L1, Norm::L2, Norm::Max, Norm::P(3.0)] {
            let (a, b) = (found.norm(norm), expected.norm(norm));
            let same = a == b || a.to_f64().is_nan() && b.to_f64().is_nan();
            let ratio = (a / b).to_f64();
            ensure(same || (ratio - 1.0).abs() <= room, || {
                format!(
                    "{what}: expected {norm:?} {}, found {} times that",
                    b.to_f64(),
                    ratio
                )
            })?;
        }
        let of = |stats: &Stats| {
            (
                stats.len(),
                stats.nan(),
                stats.pos_inf(),
                stats.neg_inf(),
                stats.first_non_finite(),
            )
        };
        ensure(of(found) == of(expected), || {
            format!(
                "{what}: expected (len, NaN, +inf, -inf, first) {:?}, found {:?}",
                of(expected),
                of(found)
            )
        })?;
        ensure(found.range() == expected.range(), || {
            format!(
                "{what}: expected the range {:?}, found {:?}",
                expected.range(),
                found.range()
            )
        })
    }

    fn sums(&self, what: &str, values: &[f64], dims: &[usize]) -> Result<(), String> {
        let ask = || {
            let mut ask = Ask::default().power(3.0);
            ask.range = true;
            ask
        };
        let found = self.tensor(values, dims)?.stats(&mut ask()).map_err(told)?;
        self.near(what, &found, &values.stats(&mut ask()).map_err(told)?)
    }

    fn units(&self) -> Result<(), String> {
        // Of no length that rows divide.
        let dims = [3, 5, 257];
        let mut values = wave(dims.iter().product());
        for bad in [false, true] {
            if bad {
                values[777] = f64::NAN;
                values[1000] = f64::INFINITY;
            }
            for axis in 0..3 {
                let [before, count, after] = super::edited::along(&dims, axis);
                let mut found = vec![];
                let tensor = self.tensor(&values, &dims)?;
                tensor
                    .stats(&mut Ask::default().power(3.0).units(axis, &mut found))
                    .map_err(told)?;
                ensure(found.len() == count, || {
                    format!("expected {count} units, found {}", found.len())
                })?;
                for (unit, found) in found.iter().enumerate() {
                    let of = |i: &usize| i / after % count == unit;
                    let expected: Vec<f64> = (0..before * count * after)
                        .filter(of)
                        .map(|i| values[i])
                        .collect();
                    let expected = expected
                        .stats(&mut Ask::default().power(3.0))
                        .map_err(told)?;
                    self.near(&format!("unit {unit} along axis {axis}"), found, &expected)?;
                }
            }
        }
        Ok(())
    }

    fn range(&self) -> Result<(), String> {
        let (largest, smallest) = (self.kind.largest(), self.kind.smallest());
        for (what, values) in [
            ("the largest", [largest, -largest, largest]),
            ("the smallest", [smallest, smallest, -smallest]),
            ("large and small", [largest / 4.0, smallest, 1.0]),
            ("zeros", [0.0; 3]),
        ] {
            self.sums(what, &values, &[3])?;
        }
        Ok(())
    }

    fn not_finite(&self) -> Result<(), String> {
        let mut values = wave(2000);
        (values[1234], values[1500], values[1999]) = (f64::NEG_INFINITY, f64::NAN, f64::INFINITY);
        self.sums("three that are not finite", &values, &[40, 50])?;
        self.sums("nothing finite", &[f64::NAN, f64::INFINITY], &[2])
    }

    /// Elements after an edit, `ops` operations of which round.
    fn same(&self, what: &str, found: &[f64], expected: &[f64], ops: u8) -> Result<(), String> {
        let [arithmetic, _] = self.units_of_rounding()?;
        let unit = self.kind.unit();
        let room = unit * 1.001 + 2.0 * f64::from(ops) * arithmetic;
        let least = self.kind.smallest() * unit * 2.0;
        for (i, (&a, &b)) in found.iter().zip(expected).enumerate() {
            let same =
                a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= room * b.abs() + least;
            ensure(same, || {
                format!("{what}: expected {b} as element {i}, found {a}")
            })?;
        }
        Ok(())
    }

    fn edits(&self) -> Result<(), String> {
        let dims = [4, 6, 5];
        let factor = |x: f64| Factor::new(x).map_err(told);
        for axis in 0..3 {
            let count = dims[axis];
            let factors = (0..count)
                .map(|i| factor(i as f64 * 0.3))
                .collect::<Result<Vec<_>, _>>()?;
            let mut edits = Edits::for_count(1);
            edits.scale(0, factor(0.7)?);
            edits.scale_units(0, axis, &factors);
            edits.clamp(0, -0.75, 1.25);
            let after = super::edited::along(&dims, axis)[2];
            let expected: Vec<f64> = wave(120)
                .into_iter()
                .enumerate()
                .map(|(i, x)| (x * 0.7 * ((i / after % count) as f64 * 0.3)).clamp(-0.75, 1.25))
                .collect();
            let mut tensor = self.tensor(&wave(120), &dims)?;
            let as_if = tensor
                .stats(&mut Ask::default().after(edits.get(0)).power(3.0))
                .map_err(told)?;
            tensor
                .edit(&edits.get(0), crate::Tell::nothing())
                .map_err(told)?;
            let found = Self::values(&tensor)?;
            self.same(
                &format!("scaled along axis {axis} and clamped"),
                &found,
                &expected,
                3,
            )?;
            let left = found.stats(&mut Ask::default().power(3.0)).map_err(told)?;
            self.near("as an edit would leave it", &as_if, &left)?;
        }
        let (largest, smallest) = (self.kind.largest(), self.kind.smallest());
        for (x, target) in [
            (largest, smallest * 4.0),
            (smallest, largest / 4.0),
            (1.0, 0.0),
        ] {
            let mut edits = Edits::for_count(1);
            edits.scale(0, Factor::ratio(target.into(), x.into()));
            let mut tensor = self.tensor(&[x, -x], &[2])?;
            tensor
                .edit(&edits.get(0), crate::Tell::nothing())
                .map_err(told)?;
            self.same(
                "far over the range",
                &Self::values(&tensor)?,
                &[target, -target],
                2,
            )?;
        }
        let mut edits = Edits::for_count(1);
        edits.zero(0);
        let mut tensor = self.tensor(&[f64::NAN, -1.0, f64::INFINITY], &[3])?;
        tensor
            .edit(&edits.get(0), crate::Tell::nothing())
            .map_err(told)?;
        let found = Self::values(&tensor)?;
        ensure(found.iter().all(|x| x.to_bits() == 0), || {
            format!("expected +0.0 three times, found {found:?}")
        })
    }

    fn clamps(&self) -> Result<(), String> {
        let inf = f64::INFINITY;
        for (min, max) in [(-1.0, 1.0), (f64::NEG_INFINITY, 0.5), (0.1, inf)] {
            let values = [0.5, 1.0, -1.0, 1.5, f64::NAN, inf, -inf, -2.0];
            let (low, high) = (self.kind.toward_zero(min), self.kind.toward_zero(max));
            let outside = values.iter().filter(|&&x| x < low || x > high).count() as u64;
            let expected: Vec<f64> = values
                .iter()
                .map(|&x| {
                    if x < low {
                        low
                    } else if x > high {
                        high
                    } else {
                        x
                    }
                })
                .collect();
            let mut tensor = self.tensor(&values, &[2, 4])?;
            let mut set = Places::<Vec<f64>, E>::default();
            set.push("w", Place::Remote(tensor.clone()));
            let found = clip::Value::between(min, max)
                .and_then(|clip| clip.apply(&mut set))
                .map_err(told)?;
            let counts = Clamped::of(8, outside, 1, 2);
            ensure(found == counts, || {
                format!("expected {counts}, found {found}")
            })?;
            ensure(set.transfers() == 1, || {
                format!(
                    "a clip by value: expected 1 transfer, found {}",
                    set.transfers()
                )
            })?;
            if let Some(Place::Remote(clamped)) = set.drain().next() {
                tensor = clamped;
            }
            self.same("clamped", &Self::values(&tensor)?, &expected, 0)?;
        }
        Ok(())
    }

    fn writes(&self) -> Result<(), String> {
        let mut tensor = self.tensor(&wave(12), &[3, 4])?;
        tensor
            .write(2, &[0.5, -0.5])
            .and_then(|()| tensor.add(3, &[1.0, 2.0]))
            .map_err(told)?;
        let mut expected = wave(12);
        (expected[2], expected[3]) = (0.5, 0.5);
        expected[4] += 2.0;
        let found = Self::values(&tensor)?;
        ensure(found == expected, || {
            format!("written and added to: expected {expected:?}, found {found:?}")
        })?;
        let past = tensor.write(11, &[1.0, 1.0]).is_err() && tensor.read(12, &mut [0.0]).is_err();
        ensure(past, || {
            "expected an error past the last element, found none".into()
        })
    }

    fn travels(&self) -> Result<(), String> {
        let mut set = Places::<Vec<f64>, E>::default();
        for (name, len) in [("a", 5), ("b", 300), ("c", 0)] {
            set.push(name, Place::Remote(self.tensor(&wave(len), &[len])?));
        }
        set.push("missing", Place::Missing);
        set.push("host", Place::Host(wave(7)));
        let seen = Measurement::with_needs(&set, &Needs::norms().of_units(Units::Examples))
            .map_err(told)?;
        ensure(seen.len() == 5 && seen.units(1).len() == 300, || {
            format!("expected 5 tensors, found {}", seen.len())
        })?;
        let transfers = |what: &str, expected: usize, set: &Places<Vec<f64>, E>| {
            ensure(set.transfers() == expected, || {
                format!(
                    "{what}: expected {expected} transfers so far, found {}",
                    set.transfers()
                )
            })
        };
        transfers("measured", 1, &set)?;
        set::scale(&mut set, 0.5).map_err(told)?;
        let clipped = clip::global_norm(&mut set, 1.0).map_err(told)?;
        ensure((clipped.after() - 1.0).abs() < 1e-2, || {
            format!("expected a norm of 1, found {}", clipped.after())
        })?;
        transfers("scaled and clipped", 2, &set)
    }
}
