//! The operations.

use steadygrad::clip::Clipper;
use steadygrad::penalty::{L1, L2, Penalty};
use steadygrad::{
    Ask, Clamped, Edits, Factor, Guard, Measurement, Needs, Norm, OnNonFinite, Pen, Result,
    SliceMut, Stats, StepView, Stepped, Tell, Tensor, TensorMut, TensorSet, TensorSetMut, Verdict,
    clip, detect, set,
};

use crate::seen::Seen;

/// In which order numbers must lie for the results to be the same to the bit.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Goes {
    /// Tensors as a whole are summed: in memory's order, unless sums are exact.
    Memory,
    /// The same, and what is summed then is not what came in, so no sum need be exact.
    MemoryAgain,
    /// By row-major indices.
    Index,
}

pub(crate) enum Run {
    /// Only looks. The number is the unit of the input.
    Read(fn(&dyn TensorSet, f64, &mut Seen)),
    Write(fn(&mut dyn TensorSetMut, f64, &mut Seen)),
}

pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) goes: Goes,
    pub(crate) run: Run,
}

#[rustfmt::skip]
pub(crate) fn all() -> Vec<Operation> {
    use Goes::{Index, Memory, MemoryAgain};
    use Run::{Read, Write};
    let op = |name, goes, run| Operation { name, goes, run };
    vec![
        op("measure", Memory, Read(|set, _, seen| measure(set, &Needs::norms().of_magnitudes(), seen))),
        op("measure the least", Memory, Read(|set, _, seen| measure(set, &Needs::norms(), seen))),
        op("measure a power", Memory, Read(|set, _, seen| measure(set, &cubes(), seen))),
        op("measure after an edit", Memory, Read(measure_after)),
        op("plan", MemoryAgain, Read(plan)),
        op("read", Index, Read(|set, _, seen| read(set, seen))),
        op("be weights of a penalty", Index, Read(be_weights)),
        op("be gradients of a penalty", Index, Write(be_gradients)),
        op("clip by value", Memory, Write(|set, unit, seen| clamped(clip::value(set, 3.0 * unit), seen))),
        op("clip by value between", Memory, Write(|set, unit, seen| clamped(clip::Value::between(-unit, 5.0 * unit).and_then(|rule| rule.apply(set)), seen))),
        op("clip by value to nothing", Memory, Write(|set, _, seen| clamped(clip::value(set, 0.0), seen))),
        op("clip by value, too high to bite", Memory, Write(|set, unit, seen| clamped(clip::value(set, 8.0 * unit), seen))),
        op("clip by value, its own output too", Index, Write(clamp_twice)),
        op("clip by tensor norm", Memory, Write(|set, unit, seen| clipped(clip::tensor_norm(set, 5.0 * unit), seen))),
        op("clip by L1 tensor norm", Memory, Write(|set, unit, seen| clipped(clip::TensorNorm::new(5.0 * unit).and_then(|rule| rule.norm(Norm::L1)?.apply(set)), seen))),
        op("clip by global norm", Memory, Write(|set, unit, seen| clipped(clip::global_norm(set, 7.0 * unit), seen))),
        op("clip by largest element", Memory, Write(|set, unit, seen| clipped(clip::GlobalNorm::new(3.0 * unit).and_then(|rule| rule.norm(Norm::Max)?.apply(set)), seen))),
        op("clip by global norm to nothing", Memory, Write(|set, _, seen| clipped(clip::global_norm(set, 0.0), seen))),
        op("clip by global norm, too high to bite", Memory, Write(|set, _, seen| clipped(clip::global_norm(set, f64::INFINITY), seen))),
        op("guard step", MemoryAgain, Write(|set, unit, seen| each_policy(|policy, guard| seen.step(policy, guard(unit).step(&mut *set))))),
        op("plan and apply", MemoryAgain, Write(|set, unit, seen| each_policy(|policy, guard| {
            let mut guard = guard(unit);
            seen.step(policy, guard.plan(&*set).and_then(|plan| plan.apply(set)));
        }))),
        op("edit", Memory, Write(|set, unit, seen| {
            let edits = edits(count(set), unit);
            seen.result("edit", edits.apply(set));
        })),
        op("edit and measure", Memory, Write(edit_and_measure)),
        op("edit each tensor", Memory, Write(edit_each)),
        op("clamp each tensor", Memory, Write(clamp_each)),
        op("add", Index, Write(|set, unit, seen| in_pieces(set, unit, seen, |tensor, start, values| tensor.add(start, values)))),
        op("write", Index, Write(|set, unit, seen| in_pieces(set, unit, seen, |tensor, start, values| tensor.write(start, values)))),
        op("write to lent memory", Index, Write(write_to_lent_memory)),
        op("be x of set arithmetic", Index, Read(be_x)),
        op("y ← y + a·x", Index, Write(|set, unit, seen| seen.done(set::axpy(-0.375, &partner(set, unit), set)))),
        op("y ← y + x", Index, Write(|set, unit, seen| seen.done(set::accumulate(&partner(set, unit), set)))),
        op("y ← x", Index, Write(|set, unit, seen| seen.done(set::copy(&partner(set, unit), set)))),
        op("y ← a·y", Index, Write(|set, _, seen| seen.done(set::scale(set, -1.5)))),
        op("y ← 0", Index, Write(|set, _, seen| seen.done(set::zero(set)))),
    ]
}

fn cubes() -> Needs {
    Needs::norms().of_power(3.0)
}

fn count(set: &(impl TensorSet + ?Sized)) -> usize {
    let mut count = 0;
    let seen = set.visit(&mut |_, _| {
        count += 1;
        Ok(())
    });
    seen.map_or(0, |()| count)
}

fn norms(needs: &Needs) -> &'static [Norm] {
    match (needs.magnitudes, needs.power) {
        (true, _) => ALL,
        (false, Some(_)) => &[Norm::L2, Norm::Max, Norm::P(3.0)],
        (false, None) => &[Norm::L2, Norm::Max],
    }
}

const ALL: &[Norm] = &[Norm::L1, Norm::L2, Norm::Max];

fn measure(set: &dyn TensorSet, needs: &Needs, seen: &mut Seen) {
    if let Some(found) = seen.result("measure", Measurement::with_needs(set, needs)) {
        seen.measurement("measure", &found, norms(needs));
    }
}

/// Something of everything, by edits or by a pen: scaled, clamped and zeroed by turns.
macro_rules! push {
    ($to:expr, $unit:expr) => {
        for i in 0..$to.len() {
            match i % 4 {
                0 => {
                    $to.scale(i, Factor::new(0.5).unwrap());
                    $to.clamp(i, -$unit, 2.0 * $unit);
                }
                1 => $to.zero(i),
                2 => (),
                _ => $to.scale(i, Factor::new(0.25).unwrap()),
            }
        }
    };
}

fn edits(count: usize, unit: f64) -> Edits {
    let mut edits = Edits::for_count(count);
    push!(edits, unit);
    edits
}

/// A rule that does so.
#[derive(Debug)]
struct Everything {
    unit: f64,
}

impl Clipper for Everything {
    fn name(&self) -> &'static str {
        "everything"
    }

    fn needs(&self) -> Needs {
        Needs::norms().of_magnitudes()
    }

    fn plan(&mut self, _: &StepView<'_>, pen: &mut Pen<'_>) {
        push!(pen, self.unit);
    }
}

fn measure_after(set: &dyn TensorSet, unit: f64, seen: &mut Seen) {
    let edits = edits(count(set), unit);
    let mut i = 0;
    let result = set.visit(&mut |name, tensor| {
        let stats = tensor.stats(&mut Ask::default().after(edits.get(i)))?;
        seen.stats(&format!("after: {i} {name:?}"), &stats, ALL);
        i += 1;
        Ok(())
    });
    seen.result("measure after", result);
}

fn guard(unit: f64) -> Guard {
    Guard::new()
        .detect(detect::NormThreshold::new(4.0 * unit).unwrap())
        .detect(detect::NormThreshold::new(2.0 * unit).unwrap().per_tensor())
        .detect(detect::NonFinite)
        .clip(clip::Value::new(3.0 * unit).unwrap())
        .clip(clip::TensorNorm::new(16.0 * unit).unwrap())
        .clip(clip::GlobalNorm::new(8.0 * unit).unwrap())
        .detect_with(
            Verdict::Stop,
            detect::PersistentNorm::new(9.0 * unit, 1).unwrap(),
        )
}

fn each_policy(mut step: impl FnMut(&str, &dyn Fn(f64) -> Guard)) {
    for policy in [
        OnNonFinite::Skip,
        OnNonFinite::Error,
        OnNonFinite::Propagate,
        OnNonFinite::ZeroTensor,
        OnNonFinite::ZeroAll,
    ] {
        step(&format!("{policy:?}"), &|unit| {
            guard(unit).on_non_finite(policy)
        });
    }
}

fn plan(set: &dyn TensorSet, unit: f64, seen: &mut Seen) {
    each_policy(|policy, guard| {
        let mut guard = guard(unit);
        if let Some(plan) = seen.result(policy, guard.plan(set)) {
            seen.report(policy, plan.report());
            for i in 0..count(set) {
                seen.number(
                    format_args!("{policy}: factor {i}"),
                    plan.factor(i).unwrap_or(-1.0),
                );
            }
        }
    });
}

impl Seen {
    fn done(&mut self, result: Result<()>) {
        self.result("done", result);
    }

    fn step(&mut self, policy: &str, report: Result<Stepped<'_>>) {
        if let Some(report) = self.result(policy, report) {
            self.report(policy, &report);
        }
    }
}

fn clamped(clamped: Result<Clamped>, seen: &mut Seen) {
    if let Some(clamped) = seen.result("clip", clamped) {
        seen.say("clipped", clamped);
    }
}

/// The bounds are those of the element type, wherever it is told: none of the output lies outside.
fn clamp_twice(set: &mut dyn TensorSetMut, unit: f64, seen: &mut Seen) {
    let rule = clip::Value::between(0.3 * unit, 4.7 * unit).unwrap();
    clamped(rule.apply(set), seen);
    let again = rule.apply(set);
    assert!(again.as_ref().is_ok_and(|again| !again.is_clipped()));
    clamped(again, seen);
}

fn clipped(clipped: Result<clip::Clipped>, seen: &mut Seen) {
    if let Some(clipped) = seen.result("clip", clipped) {
        seen.number("before", clipped.before());
        seen.number("after", clipped.after());
        seen.number("factor", clipped.factor());
        seen.say("clipped", clipped.is_clipped());
    }
}

/// Every tensor in odd pieces.
fn read(set: &dyn TensorSet, seen: &mut Seen) {
    let result = set.visit(&mut |name, tensor| {
        seen.say(
            "name",
            format_args!("{name:?}, {} elements, {}", tensor.len(), tensor.is_empty()),
        );
        let mut out = [0.0; 37];
        for start in (0..tensor.len()).step_by(37) {
            let out = &mut out[..37.min(tensor.len() - start)];
            tensor.read(start, out)?;
            seen.numbers("elements", out);
        }
        let beyond = tensor.read(tensor.len(), &mut out).unwrap_err();
        seen.say("beyond", beyond);
        Ok(())
    });
    seen.result("read", result);
}

/// Plain tensors of the names and sizes of a set.
fn partner(set: &dyn TensorSet, unit: f64) -> Vec<(String, Vec<f64>)> {
    let mut partner = vec![];
    let seen = set.visit(&mut |name, tensor| {
        let number = |i| ((i * 37) % 15) as f64 * unit;
        partner.push((name.to_string(), (0..tensor.len()).map(number).collect()));
        Ok(())
    });
    assert_eq!(seen, Ok(()));
    partner
}

fn be_weights(set: &dyn TensorSet, unit: f64, seen: &mut Seen) {
    let all = |_: &str| true;
    let (l1, l2) = (L1::new(0.5).unwrap().on(all), L2::new(0.5).unwrap().on(all));
    let mut grads = partner(set, unit);
    let values = [
        l1.value(set),
        l2.value(set),
        l1.apply(set, &mut grads),
        l2.apply(set, &mut grads),
    ];
    for value in values {
        value
            .into_iter()
            .for_each(|value| seen.number("penalty", value));
    }
    grads
        .iter()
        .for_each(|(name, grad)| seen.numbers(name, grad));
}

fn be_x(set: &dyn TensorSet, unit: f64, seen: &mut Seen) {
    let start = partner(set, unit);
    let mut ys = [start.clone(), start.clone(), start];
    seen.done(set::axpy(-0.375, set, &mut ys[0]));
    seen.done(set::accumulate(set, &mut ys[1]));
    seen.done(set::copy(set, &mut ys[2]));
    for (name, y) in ys.iter().flatten() {
        seen.numbers(name, y);
    }
}

fn be_gradients(set: &mut dyn TensorSetMut, unit: f64, seen: &mut Seen) {
    let all = |_: &str| true;
    let weights = partner(set, unit);
    let value = L2::new(0.5).unwrap().on(all).apply(&weights, set);
    value
        .into_iter()
        .for_each(|value| seen.number("penalty", value));
    let added = L1::new(unit).unwrap().on(all).apply(&weights, set);
    seen.result("add", added.map(drop));
}

fn edit_and_measure(set: &mut dyn TensorSetMut, unit: f64, seen: &mut Seen) {
    let mut guard = Guard::new()
        .clip(Everything { unit })
        .on_non_finite(OnNonFinite::Propagate);
    let Some(report) = seen.result("edit", guard.step(set)) else {
        return;
    };
    for tensor in report.tensors() {
        let after = tensor.after.expect("the step is taken");
        seen.stats(&format!("after: {}", tensor.name), &after, ALL);
    }
}

fn edit_each(set: &mut dyn TensorSetMut, unit: f64, seen: &mut Seen) {
    let edits = edits(count(set), unit);
    let mut i = 0;
    let result = set.visit_mut(&mut |name, tensor| {
        let mut left = Stats::EMPTY;
        let mut tell = Tell::after(&mut left);
        tell.power = Some(3.0);
        tensor.edit(&edits.get(i), tell)?;
        seen.stats(&format!("{i} {name:?}"), &left, norms(&cubes()));
        tensor.edit(&edits.get(i), Tell::nothing())?;
        i += 1;
        Ok(())
    });
    seen.result("edit", result);
}

fn clamp_each(set: &mut dyn TensorSetMut, unit: f64, seen: &mut Seen) {
    let result = set.visit_mut(&mut |name, tensor| {
        for bound in [9.0, 4.0, 4.0] {
            let mut clamp = Edits::for_count(1);
            clamp.clamp(0, -bound * unit, 2.0 * unit);
            let (mut left, mut counts) = (Stats::EMPTY, Clamped::default());
            let mut tell = Tell::after(&mut left);
            tell.clamped = Some(&mut counts);
            tensor.edit(&clamp.get(0), tell)?;
            seen.say(format_args!("{name:?}"), counts);
            seen.stats(&format!("{name:?}"), &left, norms(&Needs::norms()));
        }
        Ok(())
    });
    seen.result("clamp", result);
}

/// Five values by five.
fn in_pieces(
    set: &mut dyn TensorSetMut,
    unit: f64,
    seen: &mut Seen,
    put: fn(&mut dyn TensorMut, usize, &[f64]) -> Result<()>,
) {
    let result = set.visit_mut(&mut |_, tensor| {
        let len = tensor.len();
        for start in (0..len).step_by(5) {
            let values = [1.0, -2.0, 0.0, 0.5, 4.0].map(|x| x * unit);
            put(tensor, start, &values[..5.min(len - start)])?;
        }
        seen.say("beyond", put(tensor, len, &[unit]).unwrap_err());
        Ok(())
    });
    seen.result("write", result);
}

/// A tensor that lends its memory lends it in row-major order; any other is written by index.
fn write_to_lent_memory(set: &mut dyn TensorSetMut, unit: f64, seen: &mut Seen) {
    let result = set.visit_mut(&mut |_, tensor| {
        let values: Vec<f64> = (0..tensor.len()).map(|i| (i % 3) as f64 * unit).collect();
        let lent = tensor.as_slice_ref().map(|slice| slice.len());
        assert!(lent.is_none_or(|len| len == values.len()));
        match tensor.as_slice_mut_ref() {
            Some(SliceMut::F32(xs)) => xs.add(0, &values),
            Some(SliceMut::F64(xs)) => xs.add(0, &values),
            _ => tensor.add(0, &values),
        }
    });
    seen.result("write", result);
}
