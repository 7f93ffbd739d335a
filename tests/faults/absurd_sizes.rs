//! Kind 19: sizes that no memory can hold.

use steadygrad::{Edits, Error, Factor, Measurement, Op};

/// No count of bytes overflows for it, and yet no machine of 64 bits has as many.
const VAST: usize = 1 << (usize::BITS * 3 / 4);
const ABSURD: [usize; 4] = [usize::MAX, usize::MAX / 2, 1 << (usize::BITS - 2), VAST];

#[test]
fn edits_for_any_count_take_no_room_until_they_are_made() {
    for count in ABSURD {
        let mut edits = Edits::for_count(count);
        assert_eq!((edits.len(), edits.is_keep()), (count, true));
        assert_eq!(edits.common_factor(), Some(Factor::ONE));
        // All alike, in no time.
        let half = Factor::new(0.5).unwrap();
        edits.scale_all(half);
        edits.scale_all(half);
        edits.scale_all(half);
        assert_eq!(edits.get(count - 1).factor().unwrap().to_f64(), 0.125);
        assert_eq!(edits.common_factor().unwrap().to_f64(), 0.125);
        // A few apart.
        edits.zero(2);
        assert_eq!(edits.get(2).ops().last(), Some(Op::Zero));
        assert_eq!(edits.get(1).factor().unwrap().to_f64(), 0.125);
        assert_eq!(edits.get(count - 1).factor().unwrap().to_f64(), 0.125);
        assert_eq!(edits.common_factor(), None);
        edits.clamp(0, -1.0, 1.0);
        edits.zero_all();
        assert_eq!(edits.get(0).ops().count(), 5);
        assert_eq!(edits.get(3).ops().count(), 4);
        assert_eq!(edits, edits.clone());
        assert_ne!(edits, Edits::for_count(count));
        // The last one of all is beyond any set, and the edits fit none.
        edits.zero(count - 1);
        edits.scale_units(count - 1, usize::MAX, &[Factor::ONE]);
        let mut grads = [[3.0_f32], [4.0]];
        let error = edits.apply(&mut grads).unwrap_err();
        assert!(
            matches!(error, Error::Count { expected, found: 2, .. } if expected == count),
            "{error}"
        );
    }
    let seen = Measurement::of(&[1.0]).unwrap();
    assert_eq!(
        (seen.name(usize::MAX), seen.tensor(usize::MAX).len()),
        ("", 0)
    );
    assert!(seen.units(usize::MAX).is_empty());
}

#[test]
fn what_is_apart_is_so_whatever_came_first() {
    // Each with all that came before it and behind it, in any order of the tensors.
    let (half, third) = (Factor::new(0.5).unwrap(), Factor::new(0.75).unwrap());
    let mut edits = Edits::for_count(5);
    edits.scale_all(half);
    edits.scale(3, third);
    edits.scale_all(third);
    edits.scale(1, third);
    edits.scale(4, half);
    let mut grads = vec![[64.0_f64]; 5];
    edits.apply(&mut grads).unwrap();
    assert_eq!(grads, [[24.0], [18.0], [24.0], [18.0], [12.0]]);
    let mut same = Edits::for_count(5);
    same.scale_all(half);
    for i in [4, 3, 2, 1, 0] {
        let factors = match i {
            4 => vec![third, half],
            3 | 1 => vec![third, third],
            _ => vec![third],
        };
        factors.iter().for_each(|factor| same.scale(i, *factor));
    }
    assert_eq!(edits, same);
    // The last tensor alone differs.
    let mut last = Edits::for_count(5);
    last.scale(4, half);
    assert_ne!(last, Edits::for_count(5));
    assert_eq!(last.common_factor(), None);
    // All but the last.
    let mut first = Edits::for_count(3);
    first.scale(0, half);
    first.scale(1, half);
    assert_eq!(first.common_factor(), None);
    first.scale(2, half);
    assert_eq!(first.common_factor(), Some(half));
}

#[cfg(feature = "ndarray")]
mod cells {
    use super::*;
    use ndarray::{Array1, Array2, Array3};
    use steadygrad::recurrent::{Activation, Init, Layer, Lstm, RecurrentCell, Rnn};

    fn too_large<T>(result: steadygrad::Result<T>) -> String {
        match result {
            Err(error @ Error::TooLarge { .. }) => error.to_string(),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("it fits"),
        }
    }

    fn all_inits() -> [Init; 6] {
        [
            Init::Uniform,
            Init::Xavier,
            Init::Orthogonal,
            Init::Identity,
            Init::Sparse {
                nonzeros: usize::MAX,
                radius: 1.0,
            },
            Init::Scaled { radius: 1.0 },
        ]
    }

    #[test]
    fn weights_that_fit_into_no_memory_are_refused() {
        let absurd = usize::MAX / 2;
        assert_eq!(
            too_large(Init::Uniform.matrix::<f64>(absurd, 4, &mut || 0.5)),
            format!("weights: expected a shape that fits into memory, found [{absurd}, 4]"),
        );
        for init in all_inits() {
            for n in ABSURD {
                for (rows, cols) in [
                    (n, 4),
                    (4, n),
                    (n, n),
                    (0, n.max(1 << (usize::BITS - 1))),
                    (n, 1),
                ] {
                    too_large(init.matrix::<f32>(rows, cols, &mut || 0.5));
                }
                too_large(
                    Rnn::<f32>::builder(2, n)
                        .w_in(init)
                        .w_rec(init)
                        .build(&mut || 0.5),
                );
                too_large(Lstm::<f64>::builder(2, n).w_in(init).build(&mut || 0.5));
                too_large(Lstm::<f32>::builder(n, 2).w_in(init).build(&mut || 0.5));
            }
        }
        // Without inputs it is the recurrent weights that do not fit.
        too_large(Rnn::<f64>::builder(0, 1 << (usize::BITS - 4)).build(&mut || 0.5));
        // A matrix without elements fits, however long.
        let empty = Init::Orthogonal.matrix::<f64>(0, VAST, &mut || 0.5);
        assert_eq!(empty.unwrap().dim(), (0, VAST));
        let error = Init::Sparse {
            nonzeros: usize::MAX,
            radius: 1.0,
        };
        let error = error.matrix::<f64>(3, 3, &mut || 0.5).unwrap_err();
        assert!(matches!(error, Error::Setting { .. }), "{error}");
    }

    /// That a cell's state of an impossible batch is refused by all that takes one.
    fn refuses<C: RecurrentCell<Elem = f64>>(cell: &C) {
        for batch in ABSURD {
            let state = cell.zero_state(batch);
            let step = cell.step(Array2::zeros((3, 2)).view(), &state);
            assert_eq!(
                step.err().unwrap().to_string(),
                "state h: expected shape [3, 5], found [0, 0]"
            );
            for size in [0, 3] {
                let xs = Array3::zeros((4, size, 2));
                let error = cell.forward(xs.view(), &state).err().unwrap();
                assert!(matches!(error, Error::Shape { .. }), "{error}");
            }
        }
    }

    #[test]
    fn a_state_of_an_impossible_batch_is_refused_by_the_next_step() {
        refuses(&Rnn::<f64>::builder(2, 5).build(&mut || 0.5).unwrap());
        refuses(&Lstm::<f64>::builder(2, 5).build(&mut || 0.5).unwrap());
    }

    #[test]
    fn inputs_without_elements_may_be_long_and_their_outputs_too_large() {
        // Of no inputs there may be any number of steps, each of which has a state.
        let xs = Array3::<f64>::zeros((1 << (usize::BITS * 5 / 8), 1 << (usize::BITS * 5 / 16), 0));
        let rnn = Rnn::<f64>::builder(0, 8).build(&mut || 0.5).unwrap();
        let lstm = Lstm::<f64>::builder(0, 8).build(&mut || 0.5).unwrap();
        let message = too_large(rnn.forward(xs.view(), &rnn.zero_state(1 << 20)));
        assert_eq!(
            message,
            "states: expected a shape that fits into memory, found [1099511627777, 1048576, 8]",
        );
        too_large(lstm.forward(xs.view(), &lstm.zero_state(1 << 20)));
    }

    #[test]
    fn an_empty_matrix_of_absurd_width_is_no_cell() {
        let (w_in, w_rec) = (
            Array2::<f64>::zeros((0, 3)),
            Array2::zeros((0, 1 << (usize::BITS - 2))),
        );
        let error = Lstm::new(w_in, w_rec, Array1::zeros(0)).unwrap_err();
        assert!(matches!(error, Error::Shape { .. }), "{error}");
        let (w_in, w_rec) = (
            Array2::<f64>::zeros((0, 3)),
            Array2::zeros((0, 1 << (usize::BITS - 2))),
        );
        assert!(Rnn::new(w_in, w_rec, Array1::zeros(0), Activation::Tanh).is_err());
        let square = steadygrad::spectral::spectral_radius(&Array2::<f64>::zeros((
            0,
            1 << (usize::BITS - 2),
        )));
        assert!(square.is_err());
    }
}
