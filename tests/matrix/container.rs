//! A container as these tests see it: a name, its tensors, and a function that builds it over given numbers.

use steadygrad::{TensorSet, TensorSetMut};

use crate::numbers::Format;

/// Elements of which lists are tensors.
pub(crate) trait Number: Format + TensorSetMut + 'static {}

impl<E: Format + TensorSetMut + 'static> Number for E {}

/// How many elements a tensor of a container has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Len {
    /// As many as the run asks for: a multiple of 24.
    Any,
    Just(usize),
}

/// How numbers are laid into a container.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Order {
    RowMajor,
    /// In the order in which they lie in memory.
    Memory,
}

/// A container on loan.
pub(crate) enum Lent<'a> {
    Read(&'a dyn TensorSet),
    Write(&'a mut dyn TensorSetMut),
}

impl Lent<'_> {
    pub(crate) fn set(&self) -> &dyn TensorSet {
        match self {
            Self::Read(set) => *set,
            Self::Write(set) => &**set,
        }
    }
}

/// The numbers of each tensor.
pub(crate) type Numbers<E> = Vec<Vec<E>>;

type Lend<E> = dyn Fn(&mut Numbers<E>, Order, &mut dyn FnMut(Lent<'_>));

pub(crate) struct Container<E> {
    pub(crate) name: String,
    /// What its tensors are called, and how long they are.
    pub(crate) tensors: Vec<(&'static str, Len)>,
    /// The order in which its elements are summed.
    pub(crate) order: Order,
    lend: Box<Lend<E>>,
    fit: fn(&mut Numbers<E>),
}

impl<E> Container<E> {
    /// Builds it over `numbers`, lends it, and puts back what it holds then.
    pub(crate) fn lend(&self, numbers: &mut Numbers<E>, lay: Order, f: &mut dyn FnMut(Lent<'_>)) {
        (self.lend)(numbers, lay, f);
    }

    /// The number of elements of each tensor in a run of `n`.
    pub(crate) fn lengths(&self, n: usize) -> Vec<usize> {
        let of = |&(_, len): &_| match len {
            Len::Any => n,
            Len::Just(len) => len,
        };
        self.tensors.iter().map(of).collect()
    }

    /// Makes of any numbers such as it can hold.
    pub(crate) fn fitted(&self, mut numbers: Numbers<E>) -> Numbers<E> {
        (self.fit)(&mut numbers);
        numbers
    }

    pub(crate) fn fit(self, fit: fn(&mut Numbers<E>)) -> Self {
        Self { fit, ..self }
    }

    pub(crate) fn new(
        name: impl Into<String>,
        tensors: &[(&'static str, Len)],
        order: Order,
        lend: impl Fn(&mut Numbers<E>, Order, &mut dyn FnMut(Lent<'_>)) + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            tensors: tensors.to_vec(),
            order,
            lend: Box::new(lend),
            fit: |_| (),
        }
    }
}

/// A container that owns its numbers: `make` builds it, `back` takes it apart.
pub(crate) fn owned<E: 'static, T: TensorSetMut>(
    name: impl Into<String>,
    tensors: &[(&'static str, Len)],
    make: impl Fn(Numbers<E>) -> T + 'static,
    back: impl Fn(T) -> Numbers<E> + 'static,
) -> Container<E> {
    Container::new(name, tensors, Order::RowMajor, move |numbers, _, f| {
        let mut set = make(std::mem::take(numbers));
        f(Lent::Write(&mut set));
        *numbers = back(set);
    })
}

/// A container that borrows its numbers.
pub(crate) fn borrowed<E>(
    name: impl Into<String>,
    tensors: &[(&'static str, Len)],
    lend: impl Fn(&mut [Vec<E>], &mut dyn FnMut(&mut dyn TensorSetMut)) + 'static,
) -> Container<E> {
    Container::new(name, tensors, Order::RowMajor, move |numbers, _, f| {
        lend(numbers, &mut |set| f(Lent::Write(set)));
    })
}

/// A container that can only be measured.
pub(crate) fn read_only<E>(
    name: impl Into<String>,
    tensors: &[(&'static str, Len)],
    lend: impl Fn(&[Vec<E>], &mut dyn FnMut(&dyn TensorSet)) + 'static,
) -> Container<E> {
    Container::new(name, tensors, Order::RowMajor, move |numbers, _, f| {
        lend(numbers, &mut |set| f(Lent::Read(set)));
    })
}
