//! A tensor that counts how often it is read and written.

use std::cell::Cell;

use steadygrad::{Ask, Edit, Result, Stats, Tell, Tensor, TensorMut};

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
    /// What is to be told is told by the pass that writes.
    fn edit(&mut self, edit: &Edit<'_>, tell: Tell<'_>) -> Result<()> {
        self.writes += 1;
        self.elements.edit(edit, tell)
    }

    fn write(&mut self, start: usize, values: &[f64]) -> Result<()> {
        self.writes += 1;
        self.elements.write(start, values)
    }

    fn add(&mut self, start: usize, values: &[f64]) -> Result<()> {
        self.writes += 1;
        self.elements.add(start, values)
    }
}
