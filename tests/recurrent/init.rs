//! Initialisers.

use ndarray::{Array2, ArrayView2, Axis};
use steadygrad::Error;
use steadygrad::recurrent::{Init, Lstm, Rnn};
use steadygrad::spectral::spectral_radius;

use crate::common::uniform;

const ALL: [Init; 6] = [
    Init::Uniform,
    Init::Xavier,
    Init::Orthogonal,
    Init::Identity,
    Init::Sparse {
        nonzeros: 3,
        radius: 1.1,
    },
    Init::Scaled { radius: 1.1 },
];

fn draw(init: Init, rows: usize, cols: usize, seed: u64) -> Array2<f64> {
    init.matrix(rows, cols, &mut uniform(seed)).unwrap()
}

/// How far the columns, or the rows if there are fewer, are from orthonormal.
fn skew(q: &ArrayView2<'_, f64>) -> f64 {
    let q = if q.nrows() < q.ncols() {
        q.t()
    } else {
        q.view()
    };
    (q.t().dot(&q) - Array2::<f64>::eye(q.ncols()))
        .iter()
        .fold(0.0, |m, x| f64::max(m, x.abs()))
}

#[test]
fn uniform_and_xavier_fill_their_interval() {
    for (init, rows, cols, bound) in [
        (Init::Uniform, 64, 100, 1.0 / 8.0),
        (Init::Xavier, 64, 100, (6.0_f64 / 164.0).sqrt()),
    ] {
        let w = draw(init, rows, cols, 1);
        let largest = w.iter().fold(0.0, |m, x| f64::max(m, x.abs()));
        assert!(
            largest <= bound && largest > 0.999 * bound,
            "{init:?}: {largest} of {bound}"
        );
        // 6400 draws: the mean has standard deviation bound/√3/80, the mean square bound²·0.298/80.
        assert!(w.mean().unwrap().abs() < 5.0 * bound / 138.0);
        let square = w.mapv(|x| x * x).mean().unwrap();
        assert!(
            (square / (bound * bound / 3.0) - 1.0).abs() < 0.06,
            "{init:?}: {square}"
        );
    }
}

#[test]
fn orthogonal_is_orthonormal_to_rounding_in_every_shape_and_gate() {
    for (rows, cols) in [
        (1, 1),
        (2, 2),
        (32, 32),
        (100, 100),
        (40, 7),
        (7, 40),
        (5, 1),
        (1, 5),
    ] {
        for seed in 0..3 {
            let off = skew(&draw(Init::Orthogonal, rows, cols, seed).view());
            assert!(off < 1e-12, "{rows}x{cols}: {off:e}");
        }
    }
    let lstm = Lstm::<f64>::builder(3, 16)
        .w_rec(Init::Orthogonal)
        .build(&mut uniform(4))
        .unwrap();
    for gate in lstm.w_rec.axis_chunks_iter(Axis(0), 16) {
        assert!(skew(&gate) < 1e-12);
    }
    // Uniform over rotations and reflections: for 1x1, both signs come up.
    let signs: f64 = (0..200)
        .map(|seed| draw(Init::Orthogonal, 1, 1, seed)[[0, 0]])
        .sum();
    assert!(signs.abs() < 60.0, "{signs}");
    // Q[0, 0] of a uniform rotation of n dimensions has mean 0 and mean square 1/n.
    let corner: Vec<f64> = (0..400)
        .map(|seed| draw(Init::Orthogonal, 4, 4, seed)[[0, 0]])
        .collect();
    let mean = corner.iter().sum::<f64>() / 400.0;
    let square = corner.iter().map(|x| x * x).sum::<f64>() / 400.0;
    assert!(
        mean.abs() < 0.1 && (square - 0.25).abs() < 0.05,
        "{mean}, {square}"
    );
}

#[test]
fn identity_keeps_a_state() {
    assert_eq!(draw(Init::Identity, 5, 5, 0), Array2::<f64>::eye(5));
    let lstm = Lstm::<f32>::builder(1, 2)
        .w_rec(Init::Identity)
        .build(&mut uniform(0))
        .unwrap();
    for gate in lstm.w_rec.axis_chunks_iter(Axis(0), 2) {
        assert_eq!(gate, Array2::<f32>::eye(2));
    }
}

#[test]
fn sparse_and_scaled_have_the_radius_asked_for() {
    for radius in [1e-8, 0.5, 1.0, 2.5, 1e8] {
        for n in [1, 2, 5, 32, 64] {
            for init in [
                Init::Scaled { radius },
                Init::Sparse {
                    nonzeros: 1,
                    radius,
                },
                Init::Sparse {
                    nonzeros: n.min(15),
                    radius,
                },
                Init::Sparse {
                    nonzeros: n,
                    radius,
                },
            ] {
                let w = draw(init, n, n, n as u64);
                let off = spectral_radius(&w).unwrap() / radius - 1.0;
                assert!(off.abs() < 1e-9, "{init:?}, {n} units: off by {off:e}");
                if let Init::Sparse { nonzeros, .. } = init {
                    let counts = w
                        .rows()
                        .into_iter()
                        .map(|row| row.iter().filter(|x| **x != 0.0).count());
                    assert!(
                        counts.into_iter().all(|count| count == nonzeros),
                        "{init:?}, {n} units"
                    );
                }
            }
        }
    }
    let cell = Rnn::<f32>::builder(1, 32)
        .w_rec(Init::Scaled { radius: 1.5 })
        .build(&mut uniform(8))
        .unwrap();
    assert!((spectral_radius(&cell.w_rec).unwrap() / 1.5 - 1.0).abs() < 1e-6);
}

#[test]
fn sparse_weights_lie_anywhere() {
    // 16 units, 4 weights into each, 200 draws: a place is taken 50 times, with standard deviation 6.1.
    let mut taken = Array2::<usize>::zeros((16, 16));
    for seed in 0..200 {
        let w = draw(
            Init::Sparse {
                nonzeros: 4,
                radius: 1.0,
            },
            16,
            16,
            seed,
        );
        taken += &w.mapv(|x| usize::from(x != 0.0));
    }
    for ((i, j), count) in taken.indexed_iter() {
        assert!((22..78).contains(count), "from {j} to {i}: {count}");
    }
}

#[test]
fn the_same_numbers_give_the_same_weights() {
    for init in ALL {
        let w = draw(init, 12, 12, 3);
        assert_eq!(w, draw(init, 12, 12, 3), "{init:?}");
        assert_eq!(
            w == draw(init, 12, 12, 4),
            init == Init::Identity,
            "{init:?}"
        );
        // An f32 cell gets the same weights, rounded.
        assert_eq!(
            init.matrix::<f32>(12, 12, &mut uniform(3)).unwrap(),
            w.mapv(|x| x as f32)
        );
    }
    let build = || Lstm::<f64>::builder(3, 7).build(&mut uniform(5)).unwrap();
    assert_eq!(build(), build());
}

#[test]
fn the_forget_bias_is_one_unless_set() {
    let bias = |b: steadygrad::recurrent::LstmBuilder<f64>| b.build(&mut uniform(0)).unwrap().bias;
    assert_eq!(
        bias(Lstm::builder(1, 1)).as_slice(),
        Some(&[0.0, 1.0, 0.0, 0.0][..])
    );
    assert_eq!(
        bias(Lstm::builder(1, 1).forget_bias(-2.0)).as_slice(),
        Some(&[0.0, -2.0, 0.0, 0.0][..])
    );
}

#[test]
fn settings_out_of_range_are_refused() {
    let refused = |init: Init, what: &str| match init.matrix::<f32>(4, 4, &mut uniform(0)) {
        Err(Error::Setting { what: found, .. }) => assert_eq!(found, what, "{init:?}"),
        other => panic!("{init:?}: {other:?}"),
    };
    for radius in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        refused(Init::Scaled { radius }, "spectral radius");
        refused(
            Init::Sparse {
                nonzeros: 2,
                radius,
            },
            "spectral radius",
        );
    }
    refused(
        Init::Sparse {
            nonzeros: 0,
            radius: 1.0,
        },
        "nonzeros",
    );
    refused(
        Init::Sparse {
            nonzeros: 5,
            radius: 1.0,
        },
        "nonzeros",
    );
    refused(Init::Scaled { radius: 1e60 }, "weight"); // no f32

    let setting = |result: Result<(), Error>, what: &str| match result {
        Err(Error::Setting { what: found, .. }) => assert_eq!(found, what),
        other => panic!("{what}: {other:?}"),
    };
    setting(
        Rnn::<f32>::builder(2, 0).build(&mut uniform(0)).map(drop),
        "hidden",
    );
    setting(
        Lstm::<f32>::builder(2, 0).build(&mut uniform(0)).map(drop),
        "hidden",
    );
    setting(
        Lstm::<f32>::builder(2, 1)
            .forget_bias(f64::NAN)
            .build(&mut uniform(0))
            .map(drop),
        "forget bias",
    );
    for wrong in [1.0, -0.1, f64::NAN] {
        setting(
            Rnn::<f32>::builder(2, 2).build(&mut || wrong).map(drop),
            "uniform draw",
        );
    }
    // A generator stuck at zero draws the zero matrix, which has no radius to scale.
    let stuck = Init::Scaled { radius: 1.0 }
        .matrix::<f64>(3, 3, &mut || 0.0)
        .map(drop);
    setting(stuck, "spectral radius of the drawn matrix");
}
