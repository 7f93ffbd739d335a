//! LSTMs with options: gradients, what each option does and leaves alone, limits.

use ndarray::{Array1, Array2, Array3, Axis, Slice, array, concatenate};
use steadygrad::TensorSet;
use steadygrad::recurrent::{
    Init, Layer, Lstm, LstmBuilder, LstmOptions, LstmState, LstmVariant, Real, StepCell, Unrolled,
};

use crate::common::{Named, Problem, distance, signed, slice, uniform};
use crate::differences::agree;

pub(crate) type Variant<A> = Unrolled<LstmVariant<A>>;

impl<A: Real> Named for Variant<A> {
    fn weights(lstm: &mut Self) -> Vec<(&'static str, &mut [A])> {
        let cell = &mut lstm.cell;
        let mut all = vec![
            ("w_in", slice(&mut cell.w_in)),
            ("w_rec", slice(&mut cell.w_rec)),
            ("bias", slice(&mut cell.bias)),
        ];
        all.extend(cell.w_proj.as_mut().map(|w| ("w_proj", slice(w))));
        if let Some(norm) = &mut cell.norm {
            all.extend([
                ("gain_in", slice(&mut norm.gain_in)),
                ("gain_rec", slice(&mut norm.gain_rec)),
                ("gain_c", slice(&mut norm.gain_c)),
                ("shift_c", slice(&mut norm.shift_c)),
            ]);
        }
        all
    }

    fn grads(grads: &Self::Grads) -> Vec<Vec<A>> {
        let of = |vector: &Array1<A>| vector.to_vec();
        let mut all = vec![
            grads.w_in.iter().copied().collect(),
            grads.w_rec.iter().copied().collect(),
            of(&grads.bias),
        ];
        let w_proj = grads.w_proj.as_ref();
        all.extend(w_proj.map(|w| w.iter().copied().collect()));
        if let Some(norm) = &grads.norm {
            all.extend([&norm.gain_in, &norm.gain_rec, &norm.gain_c, &norm.shift_c].map(of));
        }
        all
    }

    fn state(state: &mut LstmState<A>) -> Vec<(&'static str, &mut [A])> {
        Lstm::<A>::state(state)
    }
}

const NAMES: [&str; 5] = [
    "coupled",
    "cell_clip",
    "gate_clip",
    "layer_norm",
    "projection",
];
const CELL_CLIP: f64 = 0.6;
const GATE_CLIP: f64 = 0.9;
/// Normalisation of a small vector is steep: 1/√ε where it is zero. With the usual ε of 1e-5 twenty such steps have third
/// derivatives by which a difference errs. (What `PyTorch` says of the usual one is in `variants_oracle`.)
const EPSILON: f64 = 1e-2;

/// Settings with the options whose bits are set, in the order of their names.
pub(crate) fn with<A: Real>(bits: usize, hidden: usize) -> LstmBuilder<A, LstmOptions> {
    let chosen = |option: usize| bits & (1 << option) != 0;
    // Without an option of its own effect: a bound that is never met.
    let mut builder = Lstm::<A>::builder(2, hidden).cell_clip(f64::INFINITY);
    if chosen(0) {
        builder = builder.coupled();
    }
    if chosen(1) {
        builder = builder.cell_clip(CELL_CLIP);
    }
    if chosen(2) {
        builder = builder.gate_clip(GATE_CLIP);
    }
    if chosen(3) {
        builder = builder.layer_norm_with(EPSILON);
    }
    if chosen(4) {
        builder = builder.projection(hidden - 1);
    }
    builder.w_in(Init::Xavier)
}

/// A problem of four units with these options.
fn problem<A: Real>(bits: usize, time: usize, batch: usize) -> Problem<Variant<A>> {
    problem_of(4, bits, time, batch)
}

/// Gains and shifts are not the ones of the start.
fn problem_of<A: Real>(
    hidden: usize,
    bits: usize,
    time: usize,
    batch: usize,
) -> Problem<Variant<A>> {
    let builder = with::<A>(bits, hidden).w_rec(Init::ScaledOrthogonal { gain: 1.3 });
    let mut lstm = builder.build(&mut uniform(21)).unwrap();
    if let Some(norm) = &mut lstm.cell.norm {
        let mut draw = signed(bits as u64, 0.3);
        for gain in [&mut norm.gain_in, &mut norm.gain_rec, &mut norm.gain_c] {
            gain.mapv_inplace(|one| one * A::narrow(0.6 + draw()));
        }
        norm.shift_c.mapv_inplace(|_| A::narrow(draw()));
    }
    let outputs = lstm.cell.outputs();
    Problem::new(lstm, time, batch, 2, outputs).of_final_state()
}

fn named(bits: usize) -> String {
    let chosen = (0..5).filter(|option| bits & (1 << option) != 0);
    chosen
        .map(|option| NAMES[option])
        .collect::<Vec<_>>()
        .join("+")
}

#[test]
fn gradients_are_the_slopes_of_the_loss_for_every_combination() {
    for bits in 0..32 {
        for time in [1, 2, 20] {
            for batch in [1, 3] {
                let what = format!("{} {time}x{batch}", named(bits));
                agree(problem::<f64>(bits, time, batch), &what);
            }
        }
    }
}

/// What is clamped is clamped in the problems above, and what is not is not.
#[test]
fn clips_bite_in_some_places_and_not_in_others() {
    let problem = problem::<f64>(0b00110, 20, 3);
    let mut s = problem.s0.clone();
    let (mut at_bound, mut within) = (0, 0);
    for x in problem.xs.outer_iter() {
        s = problem.cell.cell.step_forward(x, &s).unwrap().0;
        assert!(s.c.iter().all(|c| c.abs() <= CELL_CLIP));
        at_bound += s.c.iter().filter(|c| c.abs() == CELL_CLIP).count();
        within += s.c.iter().filter(|c| c.abs() < CELL_CLIP).count();
    }
    assert!(at_bound > 20 && within > 100, "{at_bound} and {within}");
}

/// A problem in `f32`, and the same numbers in `f64`. It has more units, since the variance of a few can come near
/// zero, where normalisation is steep.
fn twins(bits: usize) -> (Problem<Variant<f32>>, Problem<Variant<f64>>) {
    let mut single = problem_of::<f32>(12, bits, 20, 3);
    let mut double = problem_of::<f64>(12, bits, 20, 3);
    let widen = |to: &mut [f64], from: &[f32]| {
        assert_eq!(to.len(), from.len());
        to.iter_mut()
            .zip(from)
            .for_each(|(to, &from)| *to = from.into());
    };
    let weights = Variant::weights(&mut double.cell).into_iter();
    for ((_, to), (_, from)) in weights.zip(Variant::weights(&mut single.cell)) {
        widen(to, from);
    }
    widen(slice(&mut double.xs), slice(&mut single.xs));
    widen(slice(&mut double.d_outputs), slice(&mut single.d_outputs));
    widen(slice(&mut double.s0.h), slice(&mut single.s0.h));
    widen(slice(&mut double.s0.c), slice(&mut single.s0.c));
    let ends = double.d_final.iter_mut().zip(&mut single.d_final);
    for (to, from) in ends {
        widen(slice(&mut to.h), slice(&mut from.h));
        widen(slice(&mut to.c), slice(&mut from.c));
    }
    (single, double)
}

#[test]
fn f32_is_f64_but_for_rounding() {
    for bits in 0..32 {
        let (single, double) = twins(bits);
        let close = |name: &str, found: &[f32], expected: &[f64]| {
            let found: Vec<f64> = found.iter().map(|&x| x.into()).collect();
            let off = distance(&found, expected);
            assert!(off < 1e-5, "{}: {name} off by {off:e}", named(bits));
        };
        let mut outputs = (
            single.pass().outputs().to_owned(),
            double.pass().outputs().to_owned(),
        );
        close("outputs", slice(&mut outputs.0), slice(&mut outputs.1));
        let (mut found, mut expected) = (single.backward(), double.backward());
        let d = Variant::grads(&found.grads).into_iter();
        for (k, (found, expected)) in d.zip(Variant::grads(&expected.grads)).enumerate() {
            close(&format!("gradient {k}"), &found, &expected);
        }
        close(
            "inputs",
            slice(&mut found.d_inputs),
            slice(&mut expected.d_inputs),
        );
        close(
            "h",
            slice(&mut found.d_state0.h),
            slice(&mut expected.d_state0.h),
        );
        close(
            "c",
            slice(&mut found.d_state0.c),
            slice(&mut expected.d_state0.c),
        );
    }
}

/// The same problem for a plain LSTM and for one with options that should make no difference.
fn same(plain: &Problem<Lstm<f64>>, other: Variant<f64>) {
    let other = Problem {
        cell: other,
        xs: plain.xs.clone(),
        s0: plain.s0.clone(),
        d_outputs: plain.d_outputs.clone(),
        d_final: plain.d_final.clone(),
    };
    assert!(distance(other.pass().outputs(), plain.pass().outputs()) < 1e-13);
    let (found, expected) = (other.backward(), plain.backward());
    assert!(distance(&found.d_inputs, &expected.d_inputs) < 1e-12);
    assert!(distance(&found.d_state0.h, &expected.d_state0.h) < 1e-12);
    assert!(distance(&found.d_state0.c, &expected.d_state0.c) < 1e-12);
    if found.grads.w_in.dim() == expected.grads.w_in.dim() {
        assert!(distance(&found.grads.w_in, &expected.grads.w_in) < 1e-12);
        assert!(distance(&found.grads.w_rec, &expected.grads.w_rec) < 1e-12);
        assert!(distance(&found.grads.bias, &expected.grads.bias) < 1e-12);
    }
}

fn plain() -> Problem<Lstm<f64>> {
    let builder = Lstm::builder(2, 4).w_rec(Init::Orthogonal);
    let lstm = builder.build(&mut uniform(3)).unwrap();
    Problem::new(lstm, 9, 3, 2, 4).of_final_state()
}

/// A variant with the weights of a plain cell.
fn wearing(plain: &Lstm<f64>, builder: LstmBuilder<f64, LstmOptions>) -> Variant<f64> {
    let mut lstm = builder.build(&mut uniform(0)).unwrap();
    lstm.cell.w_in.clone_from(&plain.w_in);
    lstm.cell.w_rec.clone_from(&plain.w_rec);
    lstm.cell.bias.clone_from(&plain.bias);
    lstm
}

#[test]
fn bounds_that_are_never_met_change_nothing() {
    let builder = Lstm::builder(2, 4).cell_clip(1e9).gate_clip(f64::INFINITY);
    same(&plain(), wearing(&plain().cell, builder));
}

#[test]
fn a_projection_by_the_identity_changes_nothing() {
    let builder = Lstm::builder(2, 4).projection(4).w_proj(Init::Identity);
    same(&plain(), wearing(&plain().cell, builder));
}

#[test]
fn coupled_gates_are_gates_with_opposite_weights() {
    // σ(−z) = 1 − σ(z).
    let mut problem = plain();
    let rows = |from: usize| Slice::from(from..from + 4);
    let Lstm { w_in, w_rec, bias } = &mut problem.cell;
    for weights in [&mut *w_in, w_rec] {
        let of_f = -&weights.slice_axis(Axis(0), rows(4));
        weights.slice_axis_mut(Axis(0), rows(0)).assign(&of_f);
    }
    let of_f = -&bias.slice_axis(Axis(0), rows(4));
    bias.slice_axis_mut(Axis(0), rows(0)).assign(&of_f);
    let mut coupled = Lstm::builder(2, 4)
        .coupled()
        .build(&mut uniform(0))
        .unwrap();
    let later = Slice::from(4..);
    coupled.cell.w_in = problem.cell.w_in.slice_axis(Axis(0), later).to_owned();
    coupled.cell.w_rec = problem.cell.w_rec.slice_axis(Axis(0), later).to_owned();
    coupled.cell.bias = problem.cell.bias.slice_axis(Axis(0), later).to_owned();
    same(&problem, coupled);
}

#[test]
fn normalisation_takes_away_shift_and_scale() {
    let builder = Lstm::<f64>::builder(2, 4).layer_norm_with(1e-13);
    let lstm = builder.build(&mut uniform(5)).unwrap();
    let problem = Problem::new(lstm, 6, 3, 2, 4);
    let expected = problem.pass();
    let mut other = problem.cell.clone();
    // Every sum of gates moves by the same: v·x, and is three times as large.
    other.cell.w_in += &array![0.7, -2.0];
    other.cell.w_rec *= 3.0;
    let found = other.forward(problem.xs.view(), &problem.s0).unwrap();
    assert!(distance(found.outputs(), expected.outputs()) < 1e-11);
    other.cell.w_in[[3, 1]] += 1.0;
    let found = other.forward(problem.xs.view(), &problem.s0).unwrap();
    assert!(distance(found.outputs(), expected.outputs()) > 1e-3);
}

#[test]
fn no_gradient_goes_through_what_is_clamped() {
    // One unit that counts: i = f = g = 1, o = ½. After 3 steps c is at its bound of 2.5.
    let mut lstm = Lstm::<f64>::builder(1, 1)
        .cell_clip(2.5)
        .build(&mut || 0.5)
        .unwrap();
    lstm.cell.bias = array![800.0, 800.0, 800.0, 0.0];
    for (time, slope) in [(1, 1.0), (2, 1.0), (3, 0.0), (4, 0.0)] {
        let s0 = lstm.zero_state(1);
        let pass = lstm
            .forward(Array3::zeros((time, 1, 1)).view(), &s0)
            .unwrap();
        let d_final = LstmState {
            h: array![[0.0]],
            c: array![[1.0]],
        };
        let upstream = steadygrad::recurrent::Upstream::default().final_state(&d_final);
        let back = lstm.backward(&pass, upstream).unwrap();
        assert_eq!(back.d_state0.c, array![[slope]]);
    }
    // A value at the bound is not beyond it.
    let s0 = LstmState {
        h: array![[0.0]],
        c: array![[1.5]],
    };
    let pass = lstm.forward(Array3::zeros((1, 1, 1)).view(), &s0).unwrap();
    assert_eq!(pass.final_state().c, array![[2.5]]);
    let d_final = LstmState {
        h: array![[0.0]],
        c: array![[1.0]],
    };
    let upstream = steadygrad::recurrent::Upstream::default().final_state(&d_final);
    assert_eq!(
        lstm.backward(&pass, upstream).unwrap().d_state0.c,
        array![[1.0]]
    );
}

#[test]
fn nan_is_not_clamped_away() {
    let lstm = with::<f64>(0b00110, 4).build(&mut uniform(1)).unwrap();
    let mut xs = Array3::zeros((2, 1, 2));
    xs[[0, 0, 0]] = f64::NAN;
    let pass = lstm.forward(xs.view(), &lstm.zero_state(1)).unwrap();
    assert!(pass.outputs().iter().all(|h| h.is_nan()));
    assert!(pass.final_state().c.iter().all(|c| c.is_nan()));
}

#[test]
fn the_set_has_the_tensors_of_the_options_and_no_other() {
    let names = |set: &dyn TensorSet| {
        let mut names = vec![];
        set.visit(&mut |name, _| {
            names.push(name.to_owned());
            Ok(())
        })
        .unwrap();
        names
    };
    for bits in 0..32 {
        let mut problem = problem::<f64>(bits, 3, 2);
        let mut expected = vec!["w_in", "w_rec", "bias"];
        if bits & 16 != 0 {
            expected.push("w_proj");
        }
        if bits & 8 != 0 {
            expected.extend(["gain_in", "gain_rec", "gain_c", "shift_c"]);
        }
        assert_eq!(names(&problem.cell), expected);
        assert_eq!(names(&problem.backward().grads), expected);
        let lens = |all: Vec<Vec<f64>>| all.iter().map(Vec::len).collect::<Vec<_>>();
        let weights = Variant::weights(&mut problem.cell).into_iter();
        let weights = weights.map(|(_, w)| w.to_vec()).collect();
        let grads = Variant::grads(&problem.backward().grads);
        assert_eq!(lens(weights), lens(grads));
    }
}

#[test]
fn empty_sequences_and_batches_are_handled() {
    for bits in 0..32 {
        let lstm = with::<f64>(bits, 4).build(&mut uniform(2)).unwrap();
        let outputs = lstm.cell.outputs();
        for (time, batch) in [(0, 2), (3, 0), (0, 0)] {
            let s0 = LstmState {
                h: Array2::ones((batch, outputs)),
                c: Array2::ones((batch, 4)),
            };
            let pass = lstm
                .forward(Array3::zeros((time, batch, 2)).view(), &s0)
                .unwrap();
            assert_eq!(pass.outputs().dim(), (time, batch, outputs));
            let back = lstm.backward(&pass, pass.outputs()).unwrap();
            let mut grads = Variant::grads(&back.grads).concat().into_iter();
            assert!(grads.all(|d| d == 0.0), "{}", named(bits));
        }
    }
}

#[test]
fn gates_are_drawn_as_those_of_the_plain_cell() {
    let plain = Lstm::<f64>::builder(3, 5)
        .w_rec(Init::Orthogonal)
        .build(&mut uniform(9))
        .unwrap();
    let lstm = Lstm::<f64>::builder(3, 5)
        .gate_clip(9.0)
        .w_rec(Init::Orthogonal)
        .build(&mut uniform(9));
    let LstmVariant {
        w_in, w_rec, bias, ..
    } = lstm.unwrap().cell;
    assert_eq!((w_in, w_rec, bias), (plain.w_in, plain.w_rec, plain.bias));
    let coupled = Lstm::<f64>::builder(3, 5)
        .coupled()
        .forget_bias(2.0)
        .build(&mut uniform(9))
        .unwrap();
    let (twos, zeros) = (Array1::from_elem(5, 2.0), Array1::<f64>::zeros(10));
    let bias = concatenate(Axis(0), &[twos.view(), zeros.view()]).unwrap();
    assert_eq!(coupled.cell.bias, bias);
    assert_eq!(coupled.cell.w_rec.dim(), (15, 5));
    // A projection is drawn within ±1/√hidden.
    let wide = Lstm::<f64>::builder(1, 400)
        .projection(10)
        .build(&mut uniform(9))
        .unwrap();
    let w_proj = wide.cell.w_proj.unwrap();
    let largest = w_proj.fold(0.0, |m, w| f64::max(m, w.abs()));
    assert!(largest <= 0.05 && largest > 0.0499, "{largest}");
    assert!((w_proj.mapv(|w| w * w).mean().unwrap() * 1200.0 - 1.0).abs() < 0.1);
}
