//! How often the guard and the one-line functions read and write.

use std::cell::Cell;

use steadygrad::clip;
use steadygrad::set::{Visitor, VisitorMut};
use steadygrad::{
    Ask, Edit, Edits, Guard, Norm, OnNonFinite, Result, Stats, Tell, Tensor, TensorMut, TensorRef,
    TensorSet, TensorSetMut,
};

use super::{INF, NAN, above, global, value};

/// A tensor that counts how often its memory is walked.
#[derive(Debug, Default)]
struct Counted {
    xs: Vec<f64>,
    reads: Cell<u32>,
    writes: u32,
    /// Whether it can tell what an edit left while it writes.
    fuses: bool,
}

impl Counted {
    fn new(xs: &[f64]) -> Self {
        Self {
            xs: xs.to_vec(),
            fuses: true,
            ..Self::default()
        }
    }

    /// Reads and writes since the last call.
    fn take(&mut self) -> (u32, u32) {
        (self.reads.take(), core::mem::take(&mut self.writes))
    }
}

impl Tensor for Counted {
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        self.reads.set(self.reads.get() + 1);
        self.xs.stats(ask)
    }

    fn len(&self) -> usize {
        self.xs.len()
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        self.reads.set(self.reads.get() + 1);
        self.xs.read(start, out)
    }
}

impl TensorMut for Counted {
    fn edit(&mut self, edit: &Edit<'_>, tell: Tell<'_>) -> Result<()> {
        let Tell {
            after,
            magnitudes,
            power,
            clamped,
            ..
        } = tell;
        if let Some(counts) = clamped {
            // It looks, and writes if it has to.
            self.reads.set(self.reads.get() + 1);
            let (xs, before) = (&mut self.xs, *counts);
            xs.edit(edit, Tell::clamped(counts))?;
            self.writes += u32::from(counts.clipped() > before.clipped());
        } else {
            self.writes += 1;
            self.xs.edit(edit, Tell::nothing())?;
        }
        if let Some(after) = after {
            let mut ask = Ask::least();
            (ask.magnitudes, ask.power) = (magnitudes, power);
            *after = if self.fuses {
                self.xs.stats(&mut ask)?
            } else {
                self.stats(&mut ask)?
            };
        }
        Ok(())
    }

    fn write(&mut self, start: usize, values: &[f64]) -> Result<()> {
        self.writes += 1;
        self.xs.write(start, values)
    }

    fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
        self.writes += 1;
        self.xs.add(start, values)
    }
}

impl TensorSet for Counted {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        f("", TensorRef::Other(self))
    }
}

impl TensorSetMut for Counted {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        f("", self)
    }
}

/// What, by which rules, on which gradients, and the reads and writes it takes.
type Row = (&'static str, Guard, &'static [f64], (u32, u32));

fn rows() -> Vec<Row> {
    let cube = || global(1.0).norm(Norm::P(3.0)).unwrap();
    vec![
        ("no rule", Guard::new(), &[3.0, 4.0], (1, 0)),
        (
            "not needed",
            Guard::new().clip(global(5.0)),
            &[3.0, 4.0],
            (1, 0),
        ),
        (
            "not needed by any",
            Guard::new().clip(value(4.0)).clip(global(5.0)),
            &[3.0, 4.0],
            (1, 0),
        ),
        (
            "zeros",
            Guard::new().clip(global(0.0)).clip(value(0.0)),
            &[0.0, -0.0],
            (1, 0),
        ),
        (
            "needed",
            Guard::new().clip(global(1.0)),
            &[3.0, 4.0],
            (1, 1),
        ),
        (
            "twice, by arithmetic",
            Guard::new().clip(global(2.0)).clip(global(1.0)),
            &[3.0, 4.0],
            (1, 1),
        ),
        (
            "watched before and after",
            Guard::new()
                .detect(above(1.0))
                .clip(global(2.0))
                .detect(above(1.0))
                .clip(global(1.0))
                .detect(above(0.5)),
            &[3.0, 4.0],
            (1, 1),
        ),
        (
            "another norm",
            Guard::new().clip(global(2.0)).clip(cube()),
            &[3.0, 4.0],
            (1, 1),
        ),
        (
            "a clamp that bites",
            Guard::new().clip(value(3.5)),
            &[3.0, 4.0],
            (1, 1),
        ),
        (
            "a norm, then a clamp that does not bite",
            Guard::new().clip(global(1.0)).clip(value(0.9)),
            &[3.0, 4.0],
            (1, 1),
        ),
        (
            "a rule after a clamp that bites",
            Guard::new().clip(value(3.5)).clip(global(1.0)),
            &[3.0, 4.0],
            (2, 1),
        ),
        (
            "two rules after a clamp that bites",
            Guard::new()
                .clip(value(3.5))
                .clip(global(2.0))
                .clip(global(1.0)),
            &[3.0, 4.0],
            (3, 1),
        ),
        (
            "not finite",
            Guard::new().clip(global(1.0)),
            &[NAN, 4.0],
            (1, 0),
        ),
        (
            "zeroed",
            Guard::new()
                .clip(value(0.5))
                .clip(global(1.0))
                .on_non_finite(OnNonFinite::ZeroAll),
            &[INF, 4.0],
            (1, 1),
        ),
    ]
}

#[test]
fn one_read_and_at_most_one_write() {
    for (what, mut guard, xs, expected) in rows() {
        for _ in 0..3 {
            let mut grads = Counted::new(xs);
            let _ = guard.step(&mut grads).unwrap();
            assert_eq!(grads.take(), expected, "{what}");
        }
        // Planning reads as much and writes nothing.
        let mut grads = Counted::new(xs);
        let _ = guard.plan(&grads).unwrap();
        assert_eq!(grads.take(), (expected.0, 0), "planning: {what}");
    }
}

#[test]
fn rules_that_change_nothing_after_a_clamp_share_one_read() {
    let mut guard = Guard::new()
        .clip(value(3.5))
        .detect(above(9.0))
        .detect(above(9.0))
        .clip(global(100.0));
    let mut grads = Counted::new(&[3.0, 4.0]);
    let _ = guard.step(&mut grads).unwrap();
    assert_eq!(grads.take(), (2, 1));
}

#[test]
fn the_one_line_functions_read_once_too() {
    let mut grads = Counted::new(&[3.0, 4.0]);
    clip::global_norm(&mut grads, 9.0).unwrap();
    assert_eq!(grads.take(), (1, 0));
    clip::value(&mut grads, 4.0).unwrap();
    assert_eq!(grads.take(), (1, 0));
    clip::tensor_norm(&mut grads, 2.5).unwrap();
    assert_eq!(grads.take(), (1, 1));
    clip::value(&mut grads, 1.75).unwrap();
    assert_eq!((grads.take(), &grads.xs[..]), ((1, 1), &[1.5, 1.75][..]));

    let mut optional = Some(grads);
    clip::value(&mut optional, 1.625).unwrap();
    let mut edits = Edits::for_count(1);
    edits.clamp(0, -1.0, 1.0);
    let mut left = Stats::EMPTY;
    let mut tell = Tell::after(&mut left);
    tell.magnitudes = true;
    optional.edit(&edits.get(0), tell).unwrap();
    assert_eq!((left.l1(), optional.unwrap().take()), (2.0, (1, 2)));
}

#[test]
fn tensors_that_are_kept_are_not_written() {
    let mut grads = vec![
        Some(Counted::new(&[30.0])),
        None,
        Some(Counted::new(&[0.5])),
        Some(Counted::new(&[NAN])),
    ];
    let mut guard = Guard::new()
        .clip(clip::TensorNorm::new(1.0).unwrap())
        .on_non_finite(OnNonFinite::Propagate);
    let report = guard.step(&mut grads).unwrap();
    assert_eq!(
        report.abstained(),
        [("tensor norm clip", "the norm is not finite")]
    );
    let counts: Vec<_> = grads.iter_mut().flatten().map(Counted::take).collect();
    assert_eq!(counts, [(1, 1), (1, 0), (1, 0)]);
    assert_eq!(grads[0].as_ref().unwrap().xs, [1.0]);
    assert!(
        guard
            .step(&mut grads)
            .unwrap()
            .to_string()
            .ends_with("tensor norm clip abstained, the norm is not finite")
    );
}

#[test]
fn a_tensor_that_cannot_fuse_is_looked_at_again() {
    let mut grads = Counted {
        fuses: false,
        ..Counted::new(&[3.0, 4.0])
    };
    let mut guard = Guard::new().clip(value(3.0));
    let report = guard.step(&mut grads).unwrap();
    assert_eq!(report.after(), 18_f64.sqrt());
    assert_eq!(grads.take(), (2, 1));
}
