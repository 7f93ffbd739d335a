//! Initialisers.

use ndarray::{Array2, Array3, ArrayView2, Axis, Slice};
use steadygrad::Error;
use steadygrad::recurrent::{Activation, Gru, Init, Layer, Lstm, Rnn};
use steadygrad::spectral::spectral_radius;

use crate::common::uniform;

const ALL: [Init; 9] = [
    Init::Uniform,
    Init::Xavier,
    Init::Kaiming,
    Init::Orthogonal,
    Init::ScaledOrthogonal { gain: 1.1 },
    Init::Identity,
    Init::ScaledIdentity { scale: 0.01 },
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
fn uniform_xavier_and_kaiming_fill_their_interval() {
    for (init, rows, cols, bound) in [
        (Init::Uniform, 64, 100, 1.0 / 8.0),
        (Init::Xavier, 64, 100, (6.0_f64 / 164.0).sqrt()),
        (Init::Kaiming, 64, 100, (6.0_f64 / 100.0).sqrt()),
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

/// What the rule is for: a `ReLU` layer hands on the mean square of its inputs.
#[test]
fn kaiming_keeps_the_mean_square_through_a_relu() {
    let mut draw = uniform(31);
    let mut gaussian =
        || (-2.0 * (1.0 - draw()).ln()).sqrt() * (std::f64::consts::TAU * draw()).cos();
    let xs = Array2::from_shape_simple_fn((400, 300), || f64::max(gaussian(), 0.0));
    let mean_square = |xs: &Array2<f64>| xs.mapv(|x| x * x).mean().unwrap();
    let zs = xs.dot(&draw_of(Init::Kaiming, 300, 300).t());
    let ratio = mean_square(&zs.mapv(|z| f64::max(z, 0.0))) / mean_square(&xs);
    assert!((ratio - 1.0).abs() < 0.1, "{ratio}");
}

fn draw_of(init: Init, rows: usize, cols: usize) -> Array2<f64> {
    draw(init, rows, cols, 32)
}

#[test]
fn a_gain_stretches_an_orthogonal_matrix_and_nothing_else() {
    for (rows, cols) in [(32, 32), (40, 7), (7, 40)] {
        let (plain, stretched) = (
            draw_of(Init::Orthogonal, rows, cols),
            draw_of(Init::ScaledOrthogonal { gain: 1.7 }, rows, cols),
        );
        assert_eq!(stretched, &plain * 1.7);
        assert!(skew(&(stretched / 1.7).view()) < 1e-12);
    }
    // Each gate by itself, and the spectral radius is the gain.
    let builder = Lstm::<f64>::builder(3, 16).w_rec(Init::ScaledOrthogonal { gain: 0.9 });
    let mut gates = Vec::new();
    gates.push(builder.clone().build(&mut uniform(4)).unwrap().w_rec);
    gates.push(builder.coupled().build(&mut uniform(4)).unwrap().cell.w_rec);
    for (w_rec, number) in gates.iter().zip([4, 3]) {
        assert_eq!(w_rec.nrows(), number * 16);
        for gate in w_rec.axis_chunks_iter(Axis(0), 16) {
            assert!(skew(&(&gate / 0.9).view()) < 1e-12);
            assert!((spectral_radius(&gate).unwrap() / 0.9 - 1.0).abs() < 1e-12);
        }
    }
}

#[test]
fn an_irnn_adds_up_and_a_scaled_one_forgets() {
    // Identity, ReLU and a zero bias: what comes in is added up (Le, Jaitly and Hinton's IRNN).
    for (init, expected) in [
        (Init::Identity, 5.0),
        (Init::ScaledIdentity { scale: 0.5 }, 1.9375),
    ] {
        let irnn = Rnn::<f64>::builder(1, 3)
            .activation(Activation::Relu)
            .w_rec(init)
            .build(&mut uniform(0));
        let mut irnn = irnn.unwrap();
        irnn.w_in.fill(1.0);
        let xs = Array3::ones((5, 1, 1));
        let pass = irnn.forward(xs.view(), &irnn.zero_state(1)).unwrap();
        assert_eq!(pass.final_state().h, Array2::from_elem((1, 3), expected));
    }
    let scaled = draw_of(Init::ScaledIdentity { scale: 0.01 }, 4, 6);
    assert_eq!(scaled, draw_of(Init::Identity, 4, 6) * 0.01);
}

#[test]
fn chrono_spreads_memories_over_all_lengths() {
    let longest = 50_usize;
    let lstm = Lstm::<f64>::builder(1, 4000)
        .w_rec(Init::Identity)
        .projection(1)
        .chrono(longest)
        .build(&mut uniform(6));
    let bias = lstm.unwrap().cell.bias;
    let gate = |k: usize| bias.slice_axis(Axis(0), Slice::from(k * 4000..(k + 1) * 4000));
    let [b_i, b_f, b_g, b_o] = [0, 1, 2, 3].map(gate);
    assert_eq!(b_i, -&b_f);
    assert!(b_g.iter().chain(b_o).all(|&b| b == 0.0));
    // e^b is uniform between 1 and 49: mean 25, with standard deviation 0.22; variance 48²/12 = 192.
    let u = b_f.mapv(f64::exp);
    assert!(u.iter().all(|&u| (1.0 - 1e-12..=49.0 + 1e-12).contains(&u)));
    let mean = u.mean().unwrap();
    let variance = u.mapv(|u| (u - mean).powi(2)).mean().unwrap();
    assert!((mean - 25.0).abs() < 1.0, "{mean}");
    assert!((variance / 192.0 - 1.0).abs() < 0.05, "{variance}");
    let (least, most) = u.iter().fold((50.0, 0.0), |(least, most), &u| {
        (f64::min(least, u), f64::max(most, u))
    });
    assert!(least < 1.1 && most > 48.9, "{least}, {most}");
}

#[test]
fn chrono_leaves_the_weights_as_they_are_drawn() {
    let builder = || Lstm::<f32>::builder(3, 5).w_rec(Init::Orthogonal);
    let plain = builder().build(&mut uniform(5)).unwrap();
    let chrono = builder().chrono(20).build(&mut uniform(5)).unwrap();
    assert_eq!((chrono.w_in, chrono.w_rec), (plain.w_in, plain.w_rec));
    // The shortest there is: every gate half open.
    let shortest = builder().chrono(2).build(&mut uniform(5)).unwrap();
    assert!(shortest.bias.iter().all(|&b| b == 0.0));
    // Coupled gates have no input gate's bias; the last word counts.
    let coupled = builder().coupled().forget_bias(3.0).chrono(20);
    let coupled = coupled.build(&mut uniform(5)).unwrap().cell;
    assert_eq!(coupled.bias.len(), 15);
    assert!(
        coupled
            .bias
            .iter()
            .take(5)
            .all(|&b| b > 0.0 && b < 19_f32.ln())
    );
    assert!(coupled.bias.iter().skip(5).all(|&b| b == 0.0));
    let fixed = builder()
        .chrono(20)
        .forget_bias(3.0)
        .build(&mut uniform(5))
        .unwrap();
    assert!(fixed.bias.iter().skip(5).take(5).all(|&b| b == 3.0));
}

#[test]
fn a_gru_keeps_by_its_update_gate_and_chrono_spreads_that() {
    let builder = || Gru::<f64>::builder(3, 400).w_rec(Init::Identity);
    let plain = builder().build(&mut uniform(5)).unwrap();
    assert!(plain.bias.iter().chain(&plain.bias_rec).all(|&b| b == 0.0));
    let chrono = builder().chrono(50).build(&mut uniform(5)).unwrap();
    assert_eq!((chrono.w_in, chrono.w_rec), (plain.w_in, plain.w_rec));
    assert_eq!(chrono.bias_rec, plain.bias_rec);
    let gate = |k: usize| {
        let rows = Slice::from(k * 400..(k + 1) * 400);
        chrono.bias.slice_axis(Axis(0), rows)
    };
    assert!(gate(0).iter().chain(gate(2)).all(|&b| b == 0.0));
    // e^b is uniform between 1 and 49: mean 25, with standard deviation 0.7.
    let u = gate(1).mapv(f64::exp);
    assert!(u.iter().all(|&u| (1.0 - 1e-12..=49.0 + 1e-12).contains(&u)));
    assert!((u.mean().unwrap() - 25.0).abs() < 2.8);
    // The last word counts.
    let fixed = builder().chrono(20).update_bias(3.0);
    let fixed = fixed.build(&mut uniform(5)).unwrap().bias;
    assert!(fixed.iter().skip(400).take(400).all(|&b| b == 3.0));
    assert_eq!(fixed.sum(), 1200.0);

    // Each gate's block is drawn by itself: three orthogonal ones, and none like another.
    let gru = Gru::<f64>::builder(3, 16).w_rec(Init::Orthogonal);
    let gru = gru.build(&mut uniform(4)).unwrap();
    let gates: Vec<_> = gru.w_rec.axis_chunks_iter(Axis(0), 16).collect();
    assert!(gates.iter().all(|gate| skew(gate) < 1e-12));
    assert!(gates[0] != gates[1] && gates[1] != gates[2] && gates[0] != gates[2]);
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
fn sparse_weights_are_gaussian_before_they_are_scaled() {
    // Relative to their root mean square: a share of 0.683 within one, a fourth moment of 3 (uniform ones: 0.577, 1.8).
    let (mut within, mut fourth, mut count) = (0, 0.0, 0.0);
    for seed in 0..20 {
        let init = Init::Sparse {
            nonzeros: 15,
            radius: 1.1,
        };
        let w = draw(init, 64, 64, seed);
        let weights: Vec<f64> = w.into_iter().filter(|&w| w != 0.0).collect();
        assert_eq!(weights.len(), 15 * 64);
        let square = weights.iter().map(|w| w * w).sum::<f64>() / 960.0;
        within += weights.iter().filter(|w| **w * **w < square).count();
        fourth += weights
            .iter()
            .map(|w| (w * w / square).powi(2))
            .sum::<f64>();
        count += 960.0;
    }
    // 19200 weights: standard deviations of 0.0034 and 0.07.
    let (share, fourth) = (within as f64 / count, fourth / count);
    assert!(
        (share - 0.683).abs() < 0.015 && (fourth - 3.0).abs() < 0.3,
        "{share}, {fourth}"
    );
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
            matches!(init, Init::Identity | Init::ScaledIdentity { .. }),
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
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        refused(Init::ScaledOrthogonal { gain: wrong }, "gain");
        refused(Init::ScaledIdentity { scale: wrong }, "scale");
    }
    refused(Init::ScaledIdentity { scale: 1e60 }, "weight");
    refused(Init::ScaledOrthogonal { gain: 1e-60 }, "largest weight");

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
    setting(
        Gru::<f32>::builder(2, 0).build(&mut uniform(0)).map(drop),
        "hidden",
    );
    for wrong in [f64::INFINITY, f64::NAN, 1e60] {
        let builder = Gru::<f32>::builder(2, 1).update_bias(wrong);
        setting(builder.build(&mut uniform(0)).map(drop), "update bias");
    }
    for longest in [0, 1] {
        let builder = Gru::<f32>::builder(2, 1).chrono(longest);
        setting(
            builder.build(&mut uniform(0)).map(drop),
            "longest dependency",
        );
        let builder = Lstm::<f32>::builder(2, 1).chrono(longest);
        setting(
            builder.build(&mut uniform(0)).map(drop),
            "longest dependency",
        );
    }
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
