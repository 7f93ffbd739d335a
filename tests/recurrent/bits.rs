//! The same bits whatever number of threads, whichever sequences beside, with a hook or without, however laid out.

use core::ops::ControlFlow;

use ndarray::{Array, Array1, Array2, Array3, Axis, Dimension, Slice, s};
use steadygrad::recurrent::{
    At, Gru, Layer, Lstm, LstmState, Rnn, RnnState, Sequence, Trace, Upstream,
};
use steadygrad::{Element, Result, TensorSet};

use crate::common::{Named, Problem, gru, numbers, uniform};

/// Time, inputs and hidden units: none of them a multiple of what registers hold; input weights that no near cache holds.
const SIZES: [[usize; 3]; 2] = [[37, 5, 17], [3, 800, 90]];

/// Each cell in each of these sizes, in a batch.
macro_rules! each_cell {
    ($sizes:expr, $batch:expr, $check:ident) => {
        for &[time, inputs, hidden] in $sizes {
            let size = [time, $batch, inputs, hidden];
            let draw = &mut uniform(14);
            $check(&of_size(Rnn::builder(inputs, hidden).build(draw), size));
            $check(&of_size(Lstm::builder(inputs, hidden).build(draw), size));
            $check(&of_size(Gru::builder(inputs, hidden).build(draw), size));
        }
    };
}

fn of_size<C: Named<Elem = f32>>(cell: Result<C>, size: [usize; 4]) -> Problem<C> {
    let [time, batch, inputs, hidden] = size;
    Problem::new(cell.unwrap(), time, batch, inputs, hidden).of_final_state()
}

/// Lengths of all kinds: the whole, none, and others.
fn some_lengths(time: usize, batch: usize) -> Vec<usize> {
    (0..batch).map(|b| (b * 7 + time) % (time + 1)).collect()
}

fn sequence<'a>(xs: &'a Array3<f32>, lengths: Option<&'a [usize]>) -> Sequence<'a, f32> {
    let xs = Sequence::new(xs.view());
    match lengths {
        Some(lengths) => xs.lengths(lengths).unwrap(),
        None => xs,
    }
}

fn bits<S: TensorSet + ?Sized>(set: &S) -> Vec<u32> {
    let bits = numbers(set).into_iter().map(|x| f32::narrow(x).to_bits());
    bits.collect()
}

/// The bits of outputs, final state, gradients of parameters, of inputs and of the initial state.
fn run<C: Named<Elem = f32>>(
    problem: &Problem<C>,
    lengths: Option<&[usize]>,
    has_hook: bool,
) -> [Vec<u32>; 5] {
    let xs = sequence(&problem.xs, lengths);
    let pass = problem.cell.forward(xs, &problem.s0).unwrap();
    let mut nothing = |_: At, _: &mut C::State| Ok(ControlFlow::Continue(()));
    let mut back = None;
    problem
        .cell
        .backward_into(
            &pass,
            problem.upstream(),
            if has_hook { Some(&mut nothing) } else { None },
            &mut back,
        )
        .unwrap();
    let back = back.unwrap();
    [
        bits(&pass.outputs().to_owned()),
        bits(&pass.final_state()),
        bits(&back.grads),
        bits(&back.d_inputs),
        bits(&back.d_state0),
    ]
}

/// On so many threads.
#[cfg(feature = "rayon")]
fn on<T: Send>(threads: usize, f: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.unwrap().install(f)
}

#[cfg(feature = "rayon")]
fn threads_and_hooks_do_not_matter<C>(problem: &Problem<C>)
where
    C: Named<Elem = f32> + Sync,
    C::State: Sync,
{
    let (time, batch, _) = problem.xs.dim();
    let lengths = some_lengths(time, batch);
    for lengths in [None, Some(&lengths[..])] {
        let expected = on(1, || run(problem, lengths, false));
        for threads in [1, 2, 3] {
            for has_hook in [false, true] {
                let found = on(threads, || run(problem, lengths, has_hook));
                let what = format!("{batch} on {threads} threads, hook {has_hook}, {lengths:?}");
                assert!(found == expected, "{what}");
            }
        }
    }
}

#[cfg(feature = "rayon")]
#[test]
fn any_number_of_threads_gives_the_same_bits_with_a_hook_and_without() {
    for batch in [1, 2, 5, 9, 32, 33] {
        each_cell!(&SIZES[..1], batch, threads_and_hooks_do_not_matter);
    }
    for batch in [2, 13] {
        each_cell!(&SIZES[1..], batch, threads_and_hooks_do_not_matter);
    }
}

/// Some sequences of a batch, as a batch.
fn of_some<C: Named<Elem = f32>>(problem: &Problem<C>, which: &[usize]) -> Problem<C> {
    let state = |state: &C::State| {
        let (mut all, mut some) = (state.clone(), problem.cell.zero_state(which.len()));
        for ((_, all), (_, some)) in C::state(&mut all).into_iter().zip(C::state(&mut some)) {
            let units = some.len() / which.len();
            for (some, b) in some.chunks_exact_mut(units).zip(which) {
                some.copy_from_slice(&all[b * units..][..units]);
            }
        }
        some
    };
    Problem {
        cell: problem.cell.clone(),
        xs: problem.xs.select(Axis(1), which),
        s0: state(&problem.s0),
        d_outputs: problem.d_outputs.select(Axis(1), which),
        d_final: problem.d_final.as_ref().map(state),
    }
}

fn company_does_not_matter<C: Named<Elem = f32>>(problem: &Problem<C>) {
    let (time, batch, inputs) = problem.xs.dim();
    let hidden = problem.d_outputs.dim().2;
    let all_lengths = some_lengths(time, batch);
    for is_padded in [false, true] {
        let whole = run(problem, is_padded.then_some(&all_lengths), false);
        let others = (0..batch).rev().step_by(3).collect::<Vec<_>>();
        for which in [
            &[0, 1][..],
            &[32, 7],
            &[3, 30, 1],
            &[4, 5, 6, 7, 8],
            &others,
        ] {
            let lengths: Vec<usize> = which.iter().map(|&b| all_lengths[b]).collect();
            let part = of_some(problem, which);
            let part = run(&part, is_padded.then_some(&lengths), false);
            for (k, features) in [(0, hidden), (3, inputs)] {
                let array = |bits: &[u32], batch| {
                    Array3::from_shape_vec((time, batch, features), bits.to_vec()).unwrap()
                };
                let expected = array(&whole[k], batch).select(Axis(1), which);
                assert!(array(&part[k], which.len()) == expected, "{which:?}");
            }
            for k in [1, 4] {
                let array = |bits: &[u32], batch| {
                    let parts = bits.len() / (batch * hidden);
                    Array3::from_shape_vec((parts, batch, hidden), bits.to_vec()).unwrap()
                };
                let expected = array(&whole[k], batch).select(Axis(1), which);
                assert!(array(&part[k], which.len()) == expected, "{which:?}");
            }
        }
    }
}

#[test]
fn a_sequence_has_the_same_bits_in_any_company() {
    each_cell!(&SIZES, 33, company_does_not_matter);
}

/// How the same numbers may lie in memory.
#[derive(Clone, Copy, Debug)]
enum Lie {
    /// The last axis first.
    Turned,
    /// Each axis from its end.
    Backwards,
    /// With gaps on every axis.
    Sparse,
}

impl Lie {
    fn array<D: Dimension>(self, array: &Array<f32, D>) -> Array<f32, D> {
        let lying = match self {
            Self::Turned => array.t().as_standard_layout().into_owned().reversed_axes(),
            Self::Backwards => {
                let mut lying = array.clone();
                (0..array.ndim()).for_each(|axis| lying.invert_axis(Axis(axis)));
                let mut lying = lying.as_standard_layout().into_owned();
                (0..array.ndim()).for_each(|axis| lying.invert_axis(Axis(axis)));
                lying
            }
            Self::Sparse => {
                let mut shape = array.raw_dim();
                shape.slice_mut().iter_mut().for_each(|len| *len *= 3);
                let mut lying = Array::from_elem(shape, f32::NAN);
                for axis in 0..array.ndim() {
                    lying.slice_axis_inplace(Axis(axis), Slice::new(1, None, 3));
                }
                lying.assign(array);
                lying
            }
        };
        assert_eq!(lying, array);
        lying
    }
}

/// What may lie differently in a cell and in its states.
trait Lies: Named<Elem = f32> {
    fn lie(&mut self, how: Lie);
    fn state_lies(state: &mut Self::State, how: Lie);
}

macro_rules! lies {
    ($cell:ident { $($w:ident),* }, $state:ident { $($s:ident),* }) => {
        impl Lies for $cell<f32> {
            fn lie(&mut self, how: Lie) {
                $(self.$w = how.array(&self.$w);)*
            }

            fn state_lies(state: &mut $state<f32>, how: Lie) {
                $(state.$s = how.array(&state.$s);)*
            }
        }
    };
}
lies!(Rnn { w_in, w_rec, bias }, RnnState { h });
lies!(Lstm { w_in, w_rec, bias }, LstmState { h, c });
lies!(
    Gru {
        w_in,
        w_rec,
        bias,
        bias_rec
    },
    RnnState { h }
);

fn layout_does_not_matter<C: Lies>(problem: &Problem<C>) {
    let (time, batch, _) = problem.xs.dim();
    let lengths = some_lengths(time, batch);
    for lengths in [None, Some(&lengths[..])] {
        let expected = run(problem, lengths, false);
        for how in [Lie::Turned, Lie::Backwards, Lie::Sparse] {
            let mut lying = of_some(problem, &(0..batch).collect::<Vec<_>>());
            lying.cell.lie(how);
            lying.xs = how.array(&lying.xs);
            lying.d_outputs = how.array(&lying.d_outputs);
            C::state_lies(&mut lying.s0, how);
            lying.d_final.iter_mut().for_each(|d| C::state_lies(d, how));
            assert!(!lying.xs.is_standard_layout());
            assert!(run(&lying, lengths, true) == expected, "{how:?} {batch}");
        }
    }
}

#[test]
fn any_layout_in_memory_gives_the_same_bits() {
    for batch in [1, 2, 5] {
        each_cell!(&SIZES, batch, layout_does_not_matter);
    }
}

/// One value for a whole row, which a view may show without holding it.
#[test]
fn a_broadcast_view_is_what_it_shows() {
    let cell = gru::<f32>(3, 5);
    let one = Array1::from(vec![0.5_f32, -1.0, 2.0]);
    let broadcast = one.broadcast((7, 4, 3)).unwrap();
    let held = broadcast.to_owned();
    let s0 = cell.zero_state(4);
    let (found, expected) = (cell.forward(broadcast, &s0), cell.forward(held.view(), &s0));
    let (found, expected) = (found.unwrap(), expected.unwrap());
    assert!(found == expected);
    let ones = Array2::<f32>::ones((1, 1));
    let d = ones.broadcast((7, 4, 5)).unwrap();
    let back = cell.backward(&found, Upstream::outputs(d)).unwrap();
    let held = cell.backward(&expected, Array3::ones((7, 4, 5)).view());
    assert!(back == held.unwrap());
    assert_eq!(
        found.outputs().slice(s![.., 0, ..]),
        found.outputs().slice(s![.., 3, ..])
    );
}
