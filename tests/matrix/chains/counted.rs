//! A tensor that counts how often it is read and written.

use std::cell::Cell;

use steadygrad::{Ask, Edit, Result, Stats, Tensor, TensorMut};

use crate::container::Number;

#[derive(Debug)]
pub(crate) struct Counted<E> {
    pub(crate) elements: Vec<E>,
    pub(crate) reads: Cell<usize>,
    pub(crate) writes: usize,
}

impl<E: Number> Counted<E> {
    pub(crate) fn new(elements: Vec<E>) -> Self {
        Self {
            elements,
            reads: Cell::new(0),
            writes: 0,
        }
    }
}

impl<E: Number> Tensor for Counted<E> {
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        self.reads.set(self.reads.get() + 1);
        self.elements.stats(ask)
    }

    fn len(&self) -> usize {
        self.elements.len()
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        self.reads.set(self.reads.get() + 1);
        self.elements.read(start, out)
    }
}

impl<E: Number> TensorMut for Counted<E> {
    fn edit(&mut self, edit: &Edit<'_>) -> Result<()> {
        self.writes += 1;
        self.elements.edit(edit)
    }

    /// In the pass that writes.
    fn edit_and_measure(&mut self, edit: &Edit<'_>, p: Option<f64>) -> Result<Stats> {
        self.writes += 1;
        self.elements.edit_and_measure(edit, p)
    }

    fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
        self.writes += 1;
        self.elements.add(start, values)
    }
}
