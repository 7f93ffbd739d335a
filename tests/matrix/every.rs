//! The matrix itself.

use std::collections::BTreeMap;

use crate::container::{Container, Lent, Number, Numbers, Order};
use crate::inputs::{self, Input};
use crate::numbers::{bits, for_each_type};
use crate::operations::{self, Goes, Operation, Run};
use crate::seen::Seen;

impl Operation {
    fn applies_to(&self, lent: &Lent<'_>) -> bool {
        matches!((&self.run, lent), (Run::Read(_), _) | (_, Lent::Write(_)))
    }

    fn run(&self, lent: Lent<'_>, unit: f64, seen: &mut Seen) {
        match (&self.run, lent) {
            (Run::Read(run), lent) => run(lent.set(), unit, seen),
            (Run::Write(run), Lent::Write(set)) => run(set, unit, seen),
            (Run::Write(_), Lent::Read(_)) => (),
        }
    }
}

/// What a list of plain `Vec`s shows, and the bits that are in it then.
fn plain<E: Number>(
    container: &Container<E>,
    operation: &Operation,
    numbers: Numbers<E>,
    unit: f64,
) -> (Seen, Vec<Vec<u64>>) {
    let names = container.tensors.iter().map(|&(name, _)| name);
    let mut set: Vec<(&str, Vec<E>)> = names.zip(numbers).collect();
    let mut seen = Seen::default();
    operation.run(Lent::Write(&mut set), unit, &mut seen);
    (seen, set.iter().map(|(_, xs)| bits(xs)).collect())
}

/// How numbers are to be laid so that the results must agree to the bit.
fn lay<E>(container: &Container<E>, operation: &Operation, input: Input) -> Order {
    match (operation.goes, input) {
        (Goes::Memory, Input::Rough) | (Goes::MemoryAgain, Input::Rough | Input::Exact(_)) => {
            container.order
        }
        _ => Order::RowMajor,
    }
}

fn bits_of<E: Number>(numbers: &Numbers<E>) -> Vec<Vec<u64>> {
    numbers.iter().map(|xs| bits(xs)).collect()
}

fn check<E: Number>(n: usize, inputs: &[Input]) {
    let operations = operations::all();
    // Many containers hold the same tensors.
    let mut known = BTreeMap::new();
    for container in crate::containers::all::<E>() {
        for &input in inputs {
            let unit = input.unit::<E>();
            let numbers = container.fitted(input.numbers(&container.lengths(n)));
            let tensors = (container.tensors.clone(), bits_of(&numbers));
            let expected: &Vec<_> = known.entry(tensors).or_insert_with(|| {
                let plain = |operation| plain(&container, operation, numbers.clone(), unit);
                operations.iter().map(plain).collect()
            });
            for (operation, (expected, left)) in operations.iter().zip(expected) {
                let lay = lay(&container, operation, input);
                let (mut found, mut seen) = (numbers.clone(), None);
                container.lend(&mut found, lay, &mut |lent| {
                    if operation.applies_to(&lent) {
                        operation.run(lent, unit, seen.insert(Seen::default()));
                    }
                });
                let Some(seen) = seen else { continue };
                let here = || {
                    let (container, operation) = (&container.name, operation.name);
                    format!("{operation}, {container}, {} × {n}, {input:?}", E::NAME)
                };
                assert!(
                    seen == *expected,
                    "{}:\n{}",
                    here(),
                    seen.differences(expected)
                );
                assert_eq!(bits_of(&found), *left, "{}", here());
            }
        }
    }
}

#[test]
fn every_operation_on_every_container_is_that_on_plain_lists() {
    fn few<E: Number>() {
        check::<E>(24, &inputs::ALL);
    }
    for_each_type!(few);
}

#[test]
fn and_so_it_is_past_every_block_that_is_worked_on_at_once() {
    check::<f32>(47 * 24, &[Input::NonFinite, Input::Rough]);
    check::<f64>(47 * 24, &[Input::Rough]);
}
