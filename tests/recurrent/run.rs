//! Whole sequences without a tape.

use ndarray::{Array2, Array3, Axis};
use steadygrad::recurrent::{Activation, Lstm, LstmState, RecurrentCell, Sequence, Trace};

use crate::common::{Named, Problem, lstm, rnn, signed, uniform};

fn is_forward<C: Named<Elem = f64>>(problem: &Problem<C>)
where
    C::State: PartialEq + std::fmt::Debug,
{
    let pass = problem.pass();
    let (mut state, mut outputs) = (problem.s0.clone(), Array3::zeros((0, 0, 0)));
    problem
        .cell
        .run(problem.xs.view(), &mut state, &mut outputs)
        .unwrap();
    assert_eq!(outputs, pass.outputs());
    assert_eq!(state, pass.final_state());

    // In two parts, into the memory of another sequence.
    let mut state = problem.s0.clone();
    let (early, late) = problem.xs.view().split_at(Axis(0), problem.xs.dim().0 / 3);
    problem.cell.run(early, &mut state, &mut outputs).unwrap();
    problem.cell.run(late, &mut state, &mut outputs).unwrap();
    assert_eq!(state, pass.final_state());
    assert_eq!(
        outputs,
        pass.outputs().slice_axis(Axis(0), (early.dim().0..).into())
    );

    // One step after the other says the same, to rounding.
    let mut s = problem.s0.clone();
    for x in problem.xs.outer_iter() {
        s = problem.cell.step(x, &s).unwrap();
    }
    for ((_, s), (_, state)) in C::state(&mut s).iter().zip(C::state(&mut state)) {
        assert!(s.iter().zip(state).all(|(a, b)| (a - *b).abs() < 1e-14));
    }
}

#[test]
fn is_the_forward_pass_and_goes_on_where_it_ended() {
    for time in [1, 2, 31, 32, 33, 100] {
        for batch in [1, 3] {
            is_forward(&Problem::new(
                rnn(Activation::Tanh, 2, 4, 0.9),
                time,
                batch,
                2,
                4,
            ));
            is_forward(&Problem::new(lstm(2, 4), time, batch, 2, 4));
        }
    }
}

#[test]
fn of_no_step_the_state_stays_and_nothing_comes_out() {
    let problem = Problem::new(lstm::<f64>(2, 4), 3, 2, 2, 4);
    let (mut state, mut outputs) = (problem.s0.clone(), Array3::ones((7, 7, 7)));
    let xs = Array3::zeros((0, 2, 2));
    problem
        .cell
        .run(xs.view(), &mut state, &mut outputs)
        .unwrap();
    assert_eq!((state, outputs.dim()), (problem.s0.clone(), (0, 2, 4)));
}

#[test]
fn an_error_leaves_the_state_as_it_was() {
    let problem = Problem::new(lstm::<f64>(2, 4), 3, 2, 2, 4);
    let (mut state, mut outputs) = (problem.s0.clone(), Array3::zeros((0, 0, 0)));
    let error = problem
        .cell
        .run(Array3::zeros((50, 2, 3)).view(), &mut state, &mut outputs);
    assert!(error.is_err());
    assert_eq!(state, problem.s0);
}

#[test]
fn each_sequence_ends_with_its_own_state() {
    // A cell that takes lengths one way, unrolled, and alone.
    let cell = Lstm::<f64>::builder(2, 4).cell_clip(f64::INFINITY);
    let cell = cell.build(&mut uniform(3)).unwrap();
    let mut draw = signed(4, 1.0);
    let xs = Array3::from_shape_simple_fn((70, 4, 2), &mut draw);
    let mut part = || Array2::from_shape_simple_fn((4, 4), &mut draw);
    let s0 = LstmState {
        h: part(),
        c: part(),
    };
    let lengths = [70, 40, 0, 32]; // in every window, in two, in none, in one whole
    let padded = Sequence::new(xs.view()).lengths(&lengths).unwrap();
    let (mut state, mut outputs) = (s0.clone(), Array3::zeros((0, 0, 0)));
    cell.run(padded, &mut state, &mut outputs).unwrap();
    for (b, &length) in lengths.iter().enumerate() {
        let of = |part: &Array2<f64>| part.slice_axis(Axis(0), (b..b + 1).into()).to_owned();
        let mut alone = LstmState {
            h: of(&s0.h),
            c: of(&s0.c),
        };
        let (xs, _) = xs.view().split_at(Axis(0), length);
        let mut out = Array3::zeros((0, 0, 0));
        cell.run(
            xs.slice_axis(Axis(1), (b..b + 1).into()),
            &mut alone,
            &mut out,
        )
        .unwrap();
        let close = |a: &Array2<f64>, b: &Array2<f64>| (a - b).iter().all(|x| x.abs() < 1e-14);
        assert!(
            close(&of(&state.h), &alone.h) && close(&of(&state.c), &alone.c),
            "{b}"
        );
        for (t, out) in out.outer_iter().enumerate() {
            let found = outputs.index_axis(Axis(0), t).row(b).to_owned();
            assert!((&found - &out.row(0)).iter().all(|x| x.abs() < 1e-14));
        }
        let past = outputs.index_axis(Axis(1), b);
        assert!(
            past.slice_axis(Axis(0), (length..).into())
                .iter()
                .all(|y| *y == 0.0),
            "{b}"
        );
    }
}
