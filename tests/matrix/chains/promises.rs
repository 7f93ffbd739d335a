//! The promises, each for thousands of chains.

use std::cell::Cell;

use steadygrad::{Factor, Norm, OnNonFinite, Op, TensorMut, Verdict, Wide};

use super::counted::Counted;
use super::exact::Real;
use super::oracle::{Oracle, last_place};
use super::random::{Kind, Step};
use super::rules::{Chain, Own, Rule, Watch};
use super::run::{NAMES, bits_of, named, take};
use crate::container::{Lent, Number, Order};
use crate::numbers::{Random, bits, for_each_type};

/// Chains of each test and element type.
const CHAINS: u64 = 2600;

fn each_seed(of: impl Fn(&mut Random)) {
    for seed in 0..CHAINS {
        of(&mut Random(seed.wrapping_mul(0x5851_f42d_4c95_7f2d)));
    }
}

fn is_finite<E: Number>(xs: &[E]) -> bool {
    xs.iter().all(|x| x.widen().is_finite())
}

#[test]
fn elements_are_those_of_exact_arithmetic_and_a_no_op_changes_no_bit() {
    fn check<E: Number>() {
        let (checked, strict, kept) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let worst = Cell::new(0.0_f64);
        each_seed(|random| {
            let lengths = random.lengths(4);
            let names = &NAMES[..lengths.len()];
            let Step { grads, .. } = random.step::<E>(&lengths, Kind::Any);
            let mut chain = random.chain(&grads, names);
            if random.one_in(3) {
                chain.rules = vec![random.shrinking(&grads)];
            }
            // Whatever is found, the step is taken.
            for rule in &mut chain.rules {
                if let Rule::Detect(_, verdict) = rule {
                    *verdict = Verdict::Apply;
                }
            }
            let Some(oracle) = Oracle::run(&chain, names, &grads) else {
                return;
            };
            // Past the range of f64 on the way, or of the type at the end.
            if oracle.largest > Real::pow2(E::LARGEST - 2) {
                return;
            }
            let step = Step {
                grads,
                params: None,
                loss: None,
            };
            let mut left = named(names, &step.grads);
            let mut guard = chain.guard();
            let told = take(&mut guard, &step, names, &mut left);
            assert_eq!(
                told.told.verdict,
                Some(Verdict::Apply),
                "{chain:?} {step:?}: {}",
                told.text
            );
            if oracle.touched == Some(false) {
                let same = bits_of(&left) == bits_of(&named(names, &step.grads));
                assert!(
                    same && !guard.report().is_clipped(),
                    "{chain:?} {step:?}: {}",
                    told.text
                );
                kept.set(kept.get() + 1);
                return;
            }
            let single = matches!(
                chain.rules[..],
                [Rule::TensorNorm { .. } | Rule::GlobalNorm { .. }]
            );
            for ((_, xs), tensor) in left.iter().zip(&oracle.tensors) {
                for (x, exact) in xs.iter().zip(tensor) {
                    let found = Real::of(x.widen());
                    let unit = last_place::<E>(if found < exact.value {
                        exact.value
                    } else {
                        found
                    });
                    let apart = found.distance(exact.value);
                    let allowed = if single {
                        Real::of(E::ALLOWED) * unit
                    } else {
                        exact.error + unit * Real::of(0.5 + 1e-9)
                    };
                    let here = || {
                        format!(
                            "{} {chain:?} {:?}: {x:?} is not {exact:?}",
                            E::NAME,
                            step.grads
                        )
                    };
                    assert!(
                        apart <= allowed || exact.value.is_zero() && found.is_zero(),
                        "{}",
                        here()
                    );
                    if !found.is_zero() {
                        assert_eq!(x.widen().is_sign_negative(), exact.negative, "{}", here());
                    }
                    if single {
                        worst.set(worst.get().max((apart / unit).to_f64()));
                    }
                }
            }
            checked.set(checked.get() + 1);
            strict.set(strict.get() + u64::from(single));
        });
        println!(
            "{}: {checked:?} checked, {strict:?} of one rule, off by {worst:?}; {kept:?} kept",
            E::NAME
        );
        assert!(
            checked.get() > CHAINS / 4 && strict.get() > CHAINS / 20 && kept.get() > CHAINS / 40
        );
    }
    for_each_type!(check);
}

#[test]
fn nothing_that_is_not_finite_leaves_as_apply() {
    fn check<E: Number>() {
        each_seed(|random| {
            let lengths = random.lengths(4);
            let names = &NAMES[..lengths.len()];
            let first = random.step::<E>(&lengths, Kind::Any);
            let mut chain = random.chain(&first.grads, names);
            if random.one_in(2) {
                let factor = random.pick(&[f64::INFINITY, 1e30, 1e300, 2.0]);
                let at = random.between(0, chain.rules.len() as i64) as usize;
                let far = Factor::ratio(Wide::new(1.0, 2000), Wide::ONE);
                let own = match (random.bits() % 3, Factor::new(factor)) {
                    (0, Ok(_)) => Own::ScaleAll(factor),
                    (1, Ok(_)) => Own::Scale(names[0], factor),
                    (_, factor) => Own::ScaleUnits(names[0], factor.unwrap_or(far)),
                };
                chain.rules.insert(at, Rule::Own(own));
            }
            let mut guard = chain.guard();
            for step in [
                first,
                random.step(&lengths, Kind::Any),
                random.step(&lengths, Kind::Any),
            ] {
                let mut left = named(names, &step.grads);
                let told = take(&mut guard, &step, names, &mut left);
                let here = || format!("{} {chain:?} {step:?} -> {left:?}: {}", E::NAME, told.text);
                let applied = told.told.verdict == Some(Verdict::Apply);
                if applied && chain.policy != OnNonFinite::Propagate {
                    assert!(left.iter().all(|(_, xs)| is_finite(xs)), "{}", here());
                    let watched = step.params.iter().flatten().all(|xs| is_finite(xs));
                    assert!(
                        watched && step.loss.is_none_or(f64::is_finite),
                        "{}",
                        here()
                    );
                }
                if !applied {
                    assert_eq!(
                        bits_of(&left),
                        bits_of(&named(names, &step.grads)),
                        "{}",
                        here()
                    );
                }
                // Loss, gradients, parameters: the first is named, with its index and counts.
                let bad = |tensors: &[Vec<E>]| tensors.iter().position(|xs| !is_finite(xs));
                let found = match (step.loss, bad(&step.grads), &step.params) {
                    (Some(loss), ..) if !loss.is_finite() => Some((None, 1)),
                    (_, Some(i), _) => Some((Some(names[i]), count(&step.grads[i]))),
                    (_, _, Some(params)) => {
                        bad(params).map(|i| (Some(names[i]), count(&params[i])))
                    }
                    _ => None,
                };
                if let Some((name, count)) = found {
                    let fault = guard.report().non_finite();
                    let fault = fault.unwrap_or_else(|| panic!("{}", here()));
                    assert_eq!(
                        (fault.tensor(), fault.value()),
                        (name, count as f64),
                        "{}",
                        here()
                    );
                }
            }
        });
    }
    fn count<E: Number>(xs: &[E]) -> usize {
        xs.iter().filter(|x| !x.widen().is_finite()).count()
    }
    for_each_type!(check);
}

#[test]
fn another_order_of_the_tensors_changes_no_verdict_and_no_bit() {
    fn check<E: Number>() {
        each_seed(|random| {
            let lengths = random.lengths(5);
            let names = &NAMES[..lengths.len()];
            let mut order: Vec<usize> = (0..lengths.len()).collect();
            for i in (1..order.len()).rev() {
                order.swap(i, random.between(0, i as i64) as usize);
            }
            let turned = |xs: &Vec<Vec<E>>| order.iter().map(|&i| xs[i].clone()).collect();
            let turned_names: Vec<&str> = order.iter().map(|&i| names[i]).collect();
            let first = random.step::<E>(&lengths, Kind::Any);
            let chain = random.chain(&first.grads, names);
            let (mut guard, mut other) = (chain.guard(), chain.guard());
            for step in [
                first,
                random.step(&lengths, Kind::Any),
                random.step(&lengths, Kind::Any),
            ] {
                let turned_step = Step {
                    grads: turned(&step.grads),
                    params: step.params.as_ref().map(turned),
                    loss: step.loss,
                };
                let (mut left, mut right) = (
                    named(names, &step.grads),
                    named(&turned_names, &turned_step.grads),
                );
                let one = take(&mut guard, &step, names, &mut left);
                let two = take(&mut other, &turned_step, &turned_names, &mut right);
                let here = || {
                    format!(
                        "{} {chain:?} {step:?} {order:?}: {} | {}",
                        E::NAME,
                        one.text,
                        two.text
                    )
                };
                assert_eq!(one.told, two.told, "{}", here());
                let expected: Vec<Vec<u64>> = order.iter().map(|&i| bits(&left[i].1)).collect();
                assert_eq!(bits_of(&right), expected, "{}", here());
            }
        });
    }
    for_each_type!(check);
}

#[test]
fn another_container_changes_no_verdict_no_word_and_no_bit() {
    fn check<E: Number>() {
        let containers = crate::containers::all::<E>();
        let compared = Cell::new(0);
        each_seed(|random| {
            let container = &containers[random.between(0, containers.len() as i64 - 1) as usize];
            let lengths = container.lengths(24);
            let names: Vec<&'static str> =
                container.tensors.iter().map(|&(name, _)| name).collect();
            let mut step = random.step::<E>(&lengths, Kind::Any);
            step.grads = container.fitted(step.grads);
            let chain = random.chain(&step.grads, &names);
            let mut list = named(&names, &step.grads);
            let expected = take(&mut chain.guard(), &step, &names, &mut list);
            let mut found = step.grads.clone();
            let mut told = None;
            container.lend(&mut found, container.order, &mut |lent| {
                if let Lent::Write(set) = lent {
                    told = Some(take(&mut chain.guard(), &step, &names, set));
                }
            });
            let Some(told) = told else { return };
            let here = || {
                format!(
                    "{} {} {chain:?} {step:?}: {} | {}",
                    container.name,
                    E::NAME,
                    told.text,
                    expected.text
                )
            };
            assert_eq!(told.told, expected.told, "{}", here());
            // Where numbers lie in another order, another of those that are not finite is the first.
            if container.order == Order::RowMajor || step.grads.iter().all(|xs| is_finite(xs)) {
                assert_eq!(told.text, expected.text, "{}", here());
            }
            let found: Vec<Vec<u64>> = found.iter().map(|xs| bits(xs)).collect();
            assert_eq!(found, bits_of(&list), "{}", here());
            compared.set(compared.get() + 1);
        });
        assert!(compared.get() > CHAINS * 3 / 4);
    }
    for_each_type!(check);
}

/// Reads that the chain is promised to stay within.
fn most_reads(chain: &Chain, bites: bool) -> usize {
    let first_clamp = chain.rules.iter().position(|rule| rule.clamps());
    let behind = first_clamp.map_or(0, |first| chain.rules.len() - first - 1);
    let mut powers = chain.rules.iter().filter_map(|rule| rule.power());
    let first = powers.next();
    let others = powers.filter(|&p| Some(p) != first).count();
    // What may have grown past the range of its type is looked at before it leaves.
    let grown = chain.rules.iter().any(|rule| rule.grows());
    1 + if bites { behind } else { 0 } + others + usize::from(grown)
}

#[test]
fn reads_are_as_few_as_promised_and_writes_one_at_most() {
    fn check<E: Number>() {
        each_seed(|random| {
            let lengths = random.lengths(4);
            let names = &NAMES[..lengths.len()];
            let step = random.step::<E>(&lengths, Kind::Any);
            let chain = random.chain(&step.grads, names);
            let mut guard = chain.guard();
            let mut counted: Vec<Counted<E>> =
                step.grads.iter().cloned().map(Counted::new).collect();
            let lent = counted
                .iter_mut()
                .map(|tensor| tensor as &mut dyn TensorMut);
            let mut set: Vec<(&str, &mut dyn TensorMut)> =
                names.iter().copied().zip(lent).collect();
            let told = take(&mut guard, &step, names, &mut set);
            let edits = guard.report().edits();
            let ops = || (0..lengths.len()).flat_map(|i| edits.get(i).ops());
            let applied = told.told.verdict == Some(Verdict::Apply);
            // Of a step that is not taken nobody knows any more what it would have been.
            let bites = !applied || ops().any(|op| matches!(op, Op::Clamp { .. }));
            for (i, tensor) in counted.iter().enumerate() {
                let here = || format!("{} {chain:?} {step:?} {tensor:?}: {}", E::NAME, told.text);
                assert!(
                    tensor.reads.get() <= most_reads(&chain, bites),
                    "{}",
                    here()
                );
                let writes = usize::from(applied && !edits.get(i).is_keep());
                assert_eq!(tensor.writes, writes, "{}", here());
            }
        });
    }
    for_each_type!(check);
}

#[test]
fn what_a_rule_leaves_is_within_its_own_bound_for_every_rule_behind_it() {
    fn check<E: Number>() {
        each_seed(|random| {
            let lengths = random.lengths(4);
            let names = &NAMES[..lengths.len()];
            let first = random.step::<E>(&lengths, Kind::Finite);
            let mut rules: Vec<Rule> = (0..random.between(0, 2))
                .map(|_| random.shrinking(&first.grads))
                .collect();
            let (per_tensor, max) = (random.one_in(2), random.shrinking(&first.grads).max());
            let norm = Norm::L2;
            rules.push(if per_tensor {
                Rule::TensorNorm { max, norm }
            } else {
                Rule::GlobalNorm { max, norm }
            });
            // What shrinks breaks no bound.
            rules.extend((0..random.between(0, 2)).map(|_| random.shrinking(&first.grads)));
            rules.push(Rule::Detect(Watch::Norm { max, per_tensor }, Verdict::Stop));
            if !per_tensor {
                rules.push(Rule::Detect(
                    Watch::Persistent { max, steps: 1 },
                    Verdict::Stop,
                ));
            }
            let chain = Chain {
                rules,
                policy: OnNonFinite::Skip,
            };
            let mut guard = chain.guard();
            for mut step in [
                first,
                random.step(&lengths, Kind::Finite),
                random.step(&lengths, Kind::Finite),
            ] {
                (step.params, step.loss) = (None, None);
                let mut left = named(names, &step.grads);
                let told = take(&mut guard, &step, names, &mut left);
                let here = || format!("{} {chain:?} {step:?}: {}", E::NAME, told.text);
                assert_eq!(told.told.verdict, Some(Verdict::Apply), "{}", here());
                // Nor does the same rule find anything more to do.
                let mut twice = chain.clone();
                let clip = twice
                    .rules
                    .iter()
                    .position(|rule| matches!(rule, Rule::Detect(..)))
                    .unwrap();
                twice.rules.truncate(clip);
                let once = twice.clone();
                twice.rules.push(*twice.rules.last().unwrap());
                let ops = |chain: &Chain| {
                    let mut guard = chain.guard();
                    let _ = take(&mut guard, &step, names, &mut named(names, &step.grads));
                    let edits = guard.report().edits();
                    (0..lengths.len())
                        .map(|i| edits.get(i).ops().count())
                        .sum::<usize>()
                };
                assert_eq!(ops(&twice), ops(&once), "{} twice", here());
            }
        });
    }
    for_each_type!(check);
}

#[test]
fn what_is_not_finite_teaches_a_detector_nothing_and_blinds_none() {
    fn check<E: Number>() {
        each_seed(|random| {
            let names = &NAMES[..2];
            let lengths = [3, 2];
            let first = random.step::<E>(&lengths, Kind::Finite);
            let rules = (0..3)
                .map(|_| Rule::Detect(random.watch(&first.grads), Verdict::Apply))
                .collect();
            let chain = Chain {
                rules,
                policy: random.policy(),
            };
            let (mut guard, mut sheltered) = (chain.guard(), chain.guard());
            for _ in 0..12 {
                let mut step = random.step::<E>(&lengths, Kind::Finite);
                step.loss = step.loss.or(Some(1.0));
                let strange = random.one_in(3);
                if strange {
                    let bad = random.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
                    step.grads.iter_mut().for_each(|xs| xs[0] = E::narrow(bad));
                    step.params = step.params.or(Some(step.grads.clone()));
                    step.params
                        .iter_mut()
                        .flatten()
                        .for_each(|xs| xs[1] = E::narrow(bad));
                    step.loss = Some(bad);
                }
                let found = |guard: &mut _| {
                    let told = take(guard, &step, names, &mut named(names, &step.grads));
                    (told.told.verdict, told.text)
                };
                let (verdict, text) = found(&mut guard);
                if strange {
                    continue;
                }
                let (expected, without) = found(&mut sheltered);
                // Only the one that saw what is not finite is told that it is over, and other events lasted longer by
                // the steps that the other has not seen.
                let findings = |text: &str| -> Option<Vec<String>> {
                    let (_, rest) = text.split_once(": ")?;
                    let told = rest.split("; ").filter_map(|told| {
                        match told.strip_prefix("over after ") {
                            None => Some(told),
                            Some(over) if over.ends_with("(non-finite)") => None,
                            Some(over) => over.split_once(": ").map(|(_, event)| event),
                        }
                    });
                    Some(told.map(str::to_string).collect())
                };
                assert_eq!(
                    (verdict, findings(&text)),
                    (expected, findings(&without)),
                    "{chain:?} {step:?}"
                );
            }
        });
    }
    for_each_type!(check);
}
