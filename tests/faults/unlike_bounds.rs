//! Kind 3: bounds that are not alike on both sides.

use std::cell::Cell;

use steadygrad::{
    Ask, Edit, Error, Guard, Needs, Result, Stats, Tell, Tensor, TensorMut, TensorRef, TensorSet,
    TensorSetMut, Visitor, VisitorMut, clip::Value,
};

/// A tensor that counts how often it is read and written.
struct Counting {
    values: Vec<f32>,
    reads: Cell<u32>,
    writes: u32,
}

impl Counting {
    fn new(values: &[f32]) -> Self {
        Self {
            values: values.into(),
            reads: Cell::new(0),
            writes: 0,
        }
    }
}

impl Tensor for Counting {
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        self.reads.set(self.reads.get() + 1);
        self.values.stats(ask)
    }

    fn len(&self) -> usize {
        Tensor::len(&self.values)
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        self.values.read(start, out)
    }
}

impl TensorMut for Counting {
    fn edit(&mut self, edit: &Edit<'_>, tell: Tell<'_>) -> Result<()> {
        let Tell { after, clamped, .. } = tell;
        if let Some(counts) = clamped {
            // It looks, and writes if it has to.
            self.reads.set(self.reads.get() + 1);
            let before = *counts;
            self.values.edit(edit, Tell::clamped(counts))?;
            self.writes += u32::from(counts.clipped() > before.clipped());
        } else {
            self.writes += 1;
            self.values.edit(edit, Tell::nothing())?;
        }
        if let Some(after) = after {
            *after = self.stats(&mut Ask::least())?;
        }
        Ok(())
    }

    fn write(&mut self, start: usize, values: &[f64]) -> Result<()> {
        self.values.write(start, values)
    }

    fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
        self.values.add(start, values)
    }
}

impl TensorSet for Counting {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        f("", TensorRef::Other(self))
    }
}

impl TensorSetMut for Counting {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        f("", self)
    }
}

/// Bounds, elements, and whether one lies outside.
const CASES: [(f64, f64, &[f32], bool); 12] = [
    (0.0, 1.0, &[0.5], false),
    (0.0, 1.0, &[0.5, 1.0, 0.0], false),
    (0.0, 1.0, &[0.5, -1e-30], true),
    (-1.0, 0.0, &[-1.0, -0.25], false),
    (-1.0, 0.0, &[1e-30], true),
    (0.25, 2.0, &[0.25, 2.0], false),
    (0.25, 2.0, &[0.125], true),
    (-3.0, -2.0, &[-2.5, f32::NAN], false),
    (
        f64::NEG_INFINITY,
        1.0,
        &[f32::NEG_INFINITY, -1e30, 1.0],
        false,
    ),
    (f64::NEG_INFINITY, 1.0, &[f32::INFINITY], true),
    (-1.0, f64::INFINITY, &[f32::INFINITY, 0.5], false),
    (2.0, 3.0, &[f32::NAN], false),
];

#[test]
fn one_read_and_no_write_where_nothing_lies_outside() {
    for (min, max, values, outside) in CASES {
        let clip = Value::between(min, max).unwrap();
        let mut tensor = Counting::new(values);
        let clipped = clip.apply(&mut tensor).unwrap().is_clipped();
        assert_eq!(clipped, outside, "{values:?} in [{min}, {max}]");
        if !outside {
            assert_eq!((tensor.reads.get(), tensor.writes), (1, 0), "{values:?}");
            assert!(
                tensor
                    .values
                    .iter()
                    .zip(values)
                    .all(|(a, b)| a.to_bits() == b.to_bits())
            );
        }
    }
}

#[test]
fn slices_longer_than_any_block_are_told_apart_too() {
    for (min, max, values, outside) in CASES {
        for len in [1, 7, 300, 5000, 70_000] {
            let mut grads: Vec<f32> = values
                .iter()
                .copied()
                .cycle()
                .take(len.max(values.len()))
                .collect();
            let clipped = Value::between(min, max).unwrap().apply(&mut grads).unwrap();
            assert_eq!(
                clipped.is_clipped(),
                outside,
                "{values:?} × {len} in [{min}, {max}]"
            );
            let wide: Vec<f64> = grads.iter().map(|&x| f64::from(x)).collect();
            let again = Value::between(min, max)
                .unwrap()
                .apply(&mut wide.clone())
                .unwrap();
            assert!(
                !again.is_clipped(),
                "its own output, {values:?} × {len} in [{min}, {max}]"
            );
        }
    }
}

#[test]
fn a_guard_says_clipped_only_of_what_was() {
    for (min, max, values, outside) in CASES {
        if values.iter().any(|x| !x.is_finite()) {
            continue;
        }
        let mut guard = Guard::new().clip(Value::between(min, max).unwrap());
        let mut tensor = Counting::new(values);
        assert_eq!(guard.step(&mut tensor).unwrap().is_clipped(), outside);
        assert_eq!(
            tensor.writes,
            u32::from(outside),
            "{values:?} in [{min}, {max}]"
        );
        if !outside {
            assert_eq!(tensor.reads.get(), 1);
        }
    }
    // Behind a norm clip the range follows by arithmetic.
    let mut guard = Guard::new()
        .clip(steadygrad::clip::GlobalNorm::new(1.0).unwrap())
        .clip(Value::between(0.0, 0.9).unwrap());
    let mut tensor = Counting::new(&[3.0, 4.0]);
    assert!(
        guard
            .step(&mut tensor)
            .unwrap()
            .edits()
            .common_factor()
            .is_some()
    );
    assert_eq!((tensor.reads.get(), tensor.writes), (1, 1));
}

#[test]
fn the_range_is_measured_where_it_is_asked_for() {
    let mut grads = vec![vec![3.0_f64, -0.5], vec![], vec![0.25]];
    let mut guard = Guard::new().also_measure(&Needs::norms().of_range());
    let report = guard.step(&mut grads).unwrap();
    assert_eq!(report.measurement().total().range(), (-0.5, 3.0));
    assert_eq!(report.measurement().tensor(2).range(), (0.25, 0.25));
    // Unasked, the largest magnitude bounds it.
    let seen = steadygrad::Measurement::of(&grads).unwrap();
    assert_eq!(seen.total().range(), (-3.0, 3.0));
}

#[test]
fn bounds_that_make_everything_infinite_are_refused() {
    for bound in [f64::INFINITY, f64::NEG_INFINITY] {
        let refused = Value::between(bound, bound);
        assert!(matches!(refused, Err(Error::Setting { found, .. }) if found == bound));
    }
    assert!(Value::between(f64::NEG_INFINITY, f64::INFINITY).is_ok());
    assert!(Value::between(2.0, 2.0).is_ok());
}
