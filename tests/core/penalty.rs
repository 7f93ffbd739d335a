//! Penalties against PyTorch's numbers and against central differences.

use approx::assert_relative_eq;
use steadygrad::penalty::{ElasticNet, L1, L2, Penalty};
use steadygrad::{Error, TensorMut};

/// `tests/oracle/recurrent.py` wrote these in float64.
const ORACLE: &str = include_str!("../oracle/penalty.txt");

fn numbers<'a>(words: impl Iterator<Item = &'a str>) -> Vec<f64> {
    words.map(|word| word.parse().unwrap()).collect()
}

/// Either of the three, so that a table can hold them.
#[derive(Clone, Debug)]
enum Any {
    L1(L1),
    L2(L2),
    ElasticNet(ElasticNet),
}

impl Penalty for Any {
    fn at(&self, w: f64) -> (f64, f64) {
        match self {
            Self::L1(p) => p.at(w),
            Self::L2(p) => p.at(w),
            Self::ElasticNet(p) => p.at(w),
        }
    }
}

#[test]
fn values_and_gradients_are_pytorchs() {
    let mut weights = vec![];
    let mut cases = 0;
    for line in ORACLE.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let kind = words.next().unwrap();
        let row = numbers(words);
        if kind == "weights" {
            weights = row;
            continue;
        }
        let &[l1, l2, value, ref slopes @ ..] = row.as_slice() else {
            panic!("{line}")
        };
        let penalty = match kind {
            "l1" => Any::L1(L1::new(l1).unwrap()),
            "l2" => Any::L2(L2::new(l2).unwrap()),
            _ => Any::ElasticNet(ElasticNet::new(l1, l2).unwrap()),
        };
        assert_relative_eq!(
            penalty.value(&weights).unwrap(),
            value,
            max_relative = 1e-14
        );
        let mut grads = vec![0.0; weights.len()];
        let found = penalty.apply(&weights, &mut grads).unwrap();
        assert_eq!(found, penalty.value(&weights).unwrap());
        for (g, slope) in grads.iter().zip(slopes) {
            assert_relative_eq!(g, slope, max_relative = 1e-14);
        }
        // Added to what is there.
        let mut more = vec![1.0; weights.len()];
        assert_eq!(penalty.apply(&weights, &mut more).unwrap(), found);
        for (g, slope) in more.iter().zip(slopes) {
            assert_relative_eq!(*g, 1.0 + slope, max_relative = 1e-14);
        }
        cases += 1;
    }
    assert_eq!(cases, 6);
}

#[test]
fn gradients_are_the_slopes_of_the_value() {
    let penalties = [
        Any::L1(L1::new(0.3).unwrap()),
        Any::L2(L2::new(0.7).unwrap()),
        Any::ElasticNet(ElasticNet::new(0.2, 0.9).unwrap()),
    ];
    // Enough of them for whole blocks, rows and a rest; away from the kink of |w| at 0.
    let weights: Vec<f64> = (0..1300)
        .map(|i| f64::from(i % 97 - 48) / 16.0 + 0.03)
        .collect();
    for penalty in penalties {
        let mut grads = vec![0.0; weights.len()];
        penalty.apply(&weights, &mut grads).unwrap();
        for i in (0..weights.len()).step_by(37).chain([1279, 1280, 1299]) {
            let h = 1e-3;
            let at = |w: f64| {
                let mut moved = weights.clone();
                moved[i] = w;
                penalty.value(&moved).unwrap()
            };
            // Quadratic and piecewise linear: central differences are exact up to rounding.
            let slope = (at(weights[i] + h) - at(weights[i] - h)) / (2.0 * h);
            assert_relative_eq!(grads[i], slope, epsilon = 1e-9);
        }
    }
}

#[test]
fn at_zero_the_slope_is_zero_and_nothing_moves() {
    let weights = [0.0_f32, -0.0];
    let mut grads = [0.25_f32, -0.0];
    assert_eq!(L1::new(3.0).unwrap().apply(&weights, &mut grads), Ok(0.0));
    assert_eq!(grads, [0.25, 0.0]);
    let mut grads = [0.25_f32, 1.0];
    assert_eq!(
        L2::new(0.0).unwrap().apply(&[5.0_f32, 6.0], &mut grads),
        Ok(0.0)
    );
    assert_eq!(grads, [0.25, 1.0]);
}

#[test]
fn a_small_strength_keeps_a_large_square_within_range() {
    let weights = [1e200_f64, -1e200];
    let mut grads = [0.0; 2];
    let value = L2::new(1e-300)
        .unwrap()
        .apply(&weights, &mut grads)
        .unwrap();
    assert_relative_eq!(value, 1e100, max_relative = 1e-15);
    assert_relative_eq!(grads[1], -1e-100, max_relative = 1e-15);
}

#[test]
fn what_is_not_finite_reaches_the_loss() {
    for bad in [f64::NAN, f64::INFINITY] {
        for penalty in [
            Any::L1(L1::new(0.1).unwrap()),
            Any::L2(L2::new(0.1).unwrap()),
        ] {
            let weights = vec![vec![1.0_f64; 300], vec![bad, 2.0]];
            let mut grads = vec![vec![0.0_f64; 300], vec![0.0; 2]];
            let value = penalty.apply(&weights, &mut grads).unwrap();
            assert!(
                if bad.is_nan() {
                    value.is_nan()
                } else {
                    value == bad
                },
                "{value}"
            );
            let expected = penalty.at(bad).1;
            assert_eq!(grads[1][0].to_bits() << 1, expected.to_bits() << 1);
        }
    }
}

#[test]
fn the_value_of_many_small_terms_is_not_worn_away() {
    // Sequential f32 sums stall at 2^24; a sum in lanes of f64 with errors kept does not.
    let weights = vec![1.0_f32; 1_000_000];
    let mut grads = vec![0.0_f32; 1_000_000];
    assert_eq!(
        L1::new(0.5).unwrap().apply(&weights, &mut grads),
        Ok(500_000.0)
    );
    assert_eq!(
        L2::new(0.5).unwrap().apply(&weights, &mut grads),
        Ok(250_000.0)
    );
    assert!(grads.iter().all(|&g| g == 1.0));
}

#[test]
fn biases_are_left_out_and_the_choice_is_the_users() {
    let set = || {
        [
            ("layers.0.w_rec", vec![2.0_f64]),
            ("layers.0.bias", vec![3.0]),
        ]
    };
    let zeros = || {
        [
            ("layers.0.w_rec", vec![0.0_f64]),
            ("layers.0.bias", vec![0.0]),
        ]
    };
    let mut grads = zeros();
    assert_eq!(L2::new(1.0).unwrap().apply(&set(), &mut grads), Ok(2.0));
    assert_eq!(
        grads,
        [("layers.0.w_rec", vec![2.0]), ("layers.0.bias", vec![0.0])]
    );
    let mut grads = zeros();
    let all = L1::new(1.0).unwrap().on(|_: &str| true);
    assert_eq!(all.apply(&set(), &mut grads), Ok(5.0));
    assert_eq!(
        grads,
        [("layers.0.w_rec", vec![1.0]), ("layers.0.bias", vec![1.0])]
    );
    let biases = ElasticNet::new(1.0, 1.0)
        .unwrap()
        .on(|name: &str| name.ends_with("bias"));
    assert_eq!(biases.value(&set()), Ok(7.5));
}

#[test]
fn strengths_are_checked() {
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        for (error, what) in [
            (L1::new(bad).unwrap_err(), "strength of L1"),
            (L2::new(bad).unwrap_err(), "strength of L2"),
            (
                ElasticNet::new(bad, 0.0).unwrap_err(),
                "L1 strength of an elastic net",
            ),
            (
                ElasticNet::new(0.0, bad).unwrap_err(),
                "L2 strength of an elastic net",
            ),
        ] {
            let Error::Setting { what: found, .. } = error else {
                panic!("{error}")
            };
            assert_eq!(found, what);
        }
    }
}

/// A tensor that lends no slice, as one on a device does.
#[derive(Debug)]
struct Foreign(Vec<f32>);

impl steadygrad::Tensor for Foreign {
    fn stats(&self, ask: &mut steadygrad::Ask<'_>) -> steadygrad::Result<steadygrad::Stats> {
        self.0.stats(ask)
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn read(&self, start: usize, out: &mut [f64]) -> steadygrad::Result<()> {
        self.0.read(start, out)
    }
}

impl TensorMut for Foreign {
    fn edit(
        &mut self,
        edit: &steadygrad::Edit<'_>,
        tell: steadygrad::Tell<'_>,
    ) -> steadygrad::Result<()> {
        self.0.edit(edit, tell)
    }

    fn write(&mut self, start: usize, values: &[f64]) -> steadygrad::Result<()> {
        self.0.write(start, values)
    }

    fn add(&mut self, start: usize, values: &[f64]) -> steadygrad::Result<()> {
        self.0.add(start, values)
    }
}

#[test]
fn foreign_tensors_get_the_same_bits() {
    let weights: Vec<f32> = (0..3000).map(|i| (i % 41) as f32 / 8.0 - 2.0).collect();
    let start: Vec<f32> = (0..3000).map(|i| (i % 13) as f32 / 4.0).collect();
    let penalty = ElasticNet::new(0.25, 0.5).unwrap();
    let mut plain = start.clone();
    let value = penalty.apply(&weights, &mut plain).unwrap();
    let mut foreign = Foreign(start);
    let tensor: &mut dyn TensorMut = &mut foreign;
    let found = penalty.apply(&[&weights], &mut [tensor]).unwrap();
    assert_eq!((found, foreign.0), (value, plain));
}
