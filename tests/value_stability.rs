//! Numbers that stay as they are: whoever changes one of them says so in the CHANGELOG, under *Value-breaking*.
//!
//! Every number is pinned to its last bit: a decimal of Rust's names one float, and no other. A hash stands for many of
//! them. What needs an elementary function (a power, an exponential, a logarithm) has the last bits of the platform's,
//! so that is pinned on one platform, and elsewhere is within a few units in the last place of it.

use steadygrad::clip::Clipper;
use steadygrad::detect::{Detector, NormThreshold, PersistentNorm, Plateau, WeightGrowth};
use steadygrad::penalty::{ElasticNet, Penalty};
use steadygrad::{
    Element, Guard, Measurement, Needs, Norm, Result, Step, TensorSetMut, Total, Verdict, clip,
};

/// Where the platform's elementary functions are those of the pins.
const HERE: bool = cfg!(all(
    feature = "std",
    target_arch = "x86_64",
    target_os = "linux",
    target_env = "gnu"
));

/// Compares with what is pinned, and tells all that moved at once.
fn pinned(pins: &[(&str, f64, f64)]) {
    told(pins, |found, pin| found.to_bits() == pin.to_bits());
}

/// The same, of what comes from an elementary function.
fn pinned_here(pins: &[(&str, f64, f64)]) {
    told(pins, |found, pin| {
        found.to_bits() == pin.to_bits() || !HERE && (found - pin).abs() <= 1e-14 * pin.abs()
    });
}

fn told(pins: &[(&str, f64, f64)], same: impl Fn(f64, f64) -> bool) {
    let moved = pins.iter().filter(|(_, found, pin)| !same(*found, *pin));
    let moved: Vec<String> = moved
        .map(|(name, found, pin)| format!("{name}: {found:e} is not {pin:e}"))
        .collect();
    assert!(moved.is_empty(), "\n{}", moved.join("\n"));
}

/// Numbers uniform in [0, 1) (`SplitMix64`).
fn uniform(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A thousand elements of both signs, of sizes from 2^-7 to 2^6.
fn sample<E: Element>(seed: u64) -> Vec<E> {
    let mut draw = uniform(seed);
    let element = |i: i32| E::narrow((draw() - 0.5) * 2_f64.powi(i % 13 - 6));
    (0..1000).map(element).collect()
}

/// FNV-1a of the elements' bits as `f64`: 32 bits of it, which a pin can hold.
fn hash<E: Element>(xs: &[E]) -> f64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in xs.iter().flat_map(|x| x.widen().to_bits().to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    f64::from((hash >> 32) as u32)
}

fn power<E: Element>(xs: &Vec<E>, p: f64) -> f64
where
    Vec<E>: steadygrad::TensorSet,
{
    let needs = Needs::norms().of_power(p);
    let seen = Measurement::with_needs(xs, &needs).unwrap();
    seen.total().norm(Norm::P(p)).to_f64()
}

/// L1, L2 and max; the 3-norm; and what a clip of the sample to 1 leaves, and one by value before another by norm.
fn of_type<E: Element>(exact: [f64; 5], cubes: f64)
where
    Vec<E>: TensorSetMut,
{
    let mut xs = sample::<E>(7);
    let seen = Measurement::of(&xs).unwrap();
    let total = *seen.total();
    let third = power(&xs, 3.0);
    clip::global_norm(&mut xs, 1.0).unwrap();
    let mut twice = sample::<E>(8);
    let mut guard = Guard::new().clip(clip::Value::new(5.0).unwrap());
    guard = guard.clip(clip::GlobalNorm::new(7.0).unwrap());
    assert!(guard.step(&mut twice).unwrap().verdict().is_apply());
    pinned(&[
        ("L1", total.l1(), exact[0]),
        ("L2", total.l2(), exact[1]),
        ("max", total.max_abs(), exact[2]),
        ("clipped to 1", hash(&xs), exact[3]),
        ("clipped twice", hash(&twice), exact[4]),
    ]);
    pinned_here(&[("p = 3", third, cubes)]);
}

#[test]
fn f64_elements() {
    of_type::<f64>(
        [
            2_476.779_820_890_644,
            187.101_089_584_187_58,
            31.716_573_814_107_385,
            662_421_027.0,
            1_602_986_671.0,
        ],
        89.210_075_731_095_87,
    );
}

#[test]
fn f32_elements() {
    of_type::<f32>(
        [
            2_476.779_816_515_853,
            187.101_088_893_983_33,
            31.716_573_715_209_96,
            3_342_798_881.0,
            1_472_322_542.0,
        ],
        89.210_075_305_577_32,
    );
}

#[test]
#[cfg(feature = "half")]
fn f16_elements() {
    use steadygrad::half::f16;
    of_type::<f16>(
        [
            2_476.804_848_253_727,
            187.104_024_450_309,
            31.71875,
            2_340_639_737.0,
            2_964_833_489.0,
        ],
        89.212_007_653_871_82,
    );
}

#[test]
#[cfg(feature = "half")]
fn bf16_elements() {
    use steadygrad::half::bf16;
    of_type::<bf16>(
        [
            2_476.819_360_256_195,
            187.113_221_089_900_8,
            31.75,
            3_850_141_704.0,
            1_934_598_558.0,
        ],
        89.221_292_080_322_68,
    );
}

#[test]
fn elements_at_the_ends_of_the_range() -> Result<()> {
    let mut huge = [1e25_f32, 1e25, 1.0];
    let mut tiny = [1e-25_f32, 1e-25];
    let mut largest = [f64::MAX, f64::MAX];
    let mut smallest = [5e-324_f64, 1e-323];
    let before = clip::global_norm(&mut huge, 1.0)?.before();
    clip::global_norm(&mut tiny, 1e-26)?;
    clip::global_norm(&mut largest, 1e-300)?;
    let subnormal = clip::global_norm(&mut smallest, 1.0)?.before();
    pinned(&[
        ("norm of 1e25", before, 1.414_213_500_433_868_1e25),
        ("1e25", huge[0].into(), 0.707_106_769_084_930_4),
        ("1.0 beside it", huge[2].into(), 7.071_068_122_703_665e-26),
        ("1e-25", tiny[0].into(), 7.071_067_968_629_27e-27),
        ("MAX", largest[0], 7.071_067_811_865_475e-301),
        ("norm of subnormals", subnormal, 1e-323),
    ]);
    Ok(())
}

#[test]
fn clips_of_other_kinds() -> Result<()> {
    let (mut clamped, mut cubed, mut each) = (
        sample::<f32>(8),
        sample::<f64>(8),
        [sample::<f64>(8), sample::<f64>(9)],
    );
    clip::value(&mut clamped, 0.1)?;
    clip::GlobalNorm::new(1.0)?
        .norm(Norm::P(3.0))?
        .apply(&mut cubed)?;
    clip::tensor_norm(&mut each, 1.0)?;
    pinned(&[
        ("by value", hash(&clamped), 3_178_033_828.0),
        ("the first of each tensor", hash(&each[0]), 2_351_341_355.0),
        ("the second of each tensor", hash(&each[1]), 256_974_224.0),
    ]);
    pinned_here(&[("by the 3-norm", cubed[0], 2.213_339_410_898_328_8e-5)]);
    Ok(())
}

/// The sum over shards is exact, so it has one value.
#[test]
fn totals() -> Result<()> {
    let shards = [1, 2, 3].map(sample::<f64>);
    let mut total = Total::default();
    for shard in &shards {
        total.merge(Measurement::of(shard)?.exact());
    }
    let (stats, maxima) = (total.stats(), total.maxima());
    let limbs = total.limbs(&maxima);
    let words: Vec<f64> = limbs.iter().map(|&limb| limb as f64).collect();
    pinned(&[
        ("L1", stats.l1(), 7_109.422_520_849_295),
        ("L2", stats.l2(), 311.616_283_171_406_8),
        ("limbs", hash(&words), 890_609_054.0),
        ("number of limbs", limbs.len() as f64, 430.0),
    ]);
    Ok(())
}

/// The steps of alarms, as the bits of a number: step 1 is 2.
fn alarms(detector: impl Detector + 'static, at: impl Fn(u64) -> (f64, f64, f64)) -> f64 {
    let mut guard = Guard::new().detect(detector);
    (1..=40)
        .filter(|&step| {
            let (g, w, loss) = at(step);
            let mut grads = [g];
            let report = guard.step(Step::new(&mut grads).params(&[w]).loss(loss));
            !report.unwrap().alarms().is_empty()
        })
        .map(|step| 2_f64.powi(step as i32))
        .sum()
}

#[test]
fn decisions() -> Result<()> {
    let mut draw = uniform(5);
    let noise: Vec<f64> = (0..=40).map(|_| draw()).collect();
    // Losses fall and stay; weights grow and run away; gradients are noisy, and one step is NaN.
    let at = |step: u64| {
        let (x, t) = (noise[step as usize], step as f64);
        let gradient = if step == 20 { f64::NAN } else { 4.0 * x };
        (gradient, 1.0 + t * t / 64.0, 8.0 / t + x / 8.0)
    };
    let mut guard = Guard::new()
        .clip(clip::GlobalNorm::new(1.0)?)
        .max_skips(2)
        .detect_with(Verdict::Skip, NormThreshold::new(0.75)?);
    let verdicts = (1..=40).map(|step| {
        let mut grads = [at(step).0];
        let verdict = guard.step(&mut grads).unwrap().verdict();
        4.0 * f64::from(u8::from(verdict == Verdict::Stop))
            + f64::from(u8::from(verdict.is_apply()))
    });
    pinned(&[
        (
            "norm threshold",
            alarms(NormThreshold::new(3.0)?, at),
            22_089_420_866.0,
        ),
        (
            "persistent norm",
            alarms(PersistentNorm::new(1.0, 3)?, at),
            258_772_027_264.0,
        ),
        (
            "growth",
            alarms(WeightGrowth::new(10.0)?, at),
            2_198_989_701_120.0,
        ),
        (
            "growth per step",
            alarms(WeightGrowth::new(1e9)?.per_step(0.75, 4)?, at),
            2_198_889_037_824.0,
        ),
        (
            "plateau",
            alarms(Plateau::new(0.05, 4)?, at),
            36_574_330_880.0,
        ),
        (
            "plateau over a baseline",
            alarms(Plateau::new(0.0, 3)?.baseline(1.0)?, at),
            17_179_869_256.0,
        ),
        (
            "verdicts",
            hash(&verdicts.collect::<Vec<f64>>()),
            93_192_458.0,
        ),
    ]);
    Ok(())
}

#[test]
fn penalties() -> Result<()> {
    let weights = [("w", sample::<f32>(3))];
    let mut grads = [("w", sample::<f32>(4))];
    let value = ElasticNet::new(0.25, 0.5)?.apply(&weights, &mut grads)?;
    pinned(&[
        ("value of an elastic net", value, 8_587.966_578_805_66),
        ("its gradient", hash(&grads[0].1), 2_951_911_462.0),
    ]);
    Ok(())
}

#[cfg(feature = "ndarray")]
mod recurrent {
    use steadygrad::Result;
    use steadygrad::ndarray::{Array, Array1, Array2, Array3, Dimension};
    use steadygrad::recurrent::{self, Activation, Gru, Init, Layer, Lstm, Real, Rnn};
    use steadygrad::spectral::spectral_norm;

    use super::{hash, pinned, pinned_here, sample, uniform};

    /// Powers of two, whose products with anything are exact: a fused multiplication and addition rounds like one
    /// after the other, so the bits do not depend on the processor.
    fn weights(rows: usize, cols: usize) -> Array2<f64> {
        Array2::from_shape_fn((rows, cols), |(i, j)| {
            let sign = if (i + 2 * j) % 3 == 0 { -1.0 } else { 1.0 };
            sign * 0.5_f64.powi(((i * 5 + j * 3) % 4) as i32)
        })
    }

    fn inputs() -> Array3<f64> {
        Array3::from_shape_fn((5, 2, 3), |(t, b, i)| {
            ((t * 7 + b * 5 + i * 3) % 11) as f64 / 8.0 - 0.5
        })
    }

    fn all<D: Dimension>(array: Array<f64, D>) -> f64 {
        hash(&array.into_iter().collect::<Vec<f64>>())
    }

    #[test]
    fn cells() -> Result<()> {
        let bias = |len: usize| Array1::from_shape_fn(len, |i| i as f64 / 8.0 - 0.25);
        let xs = inputs();
        let relu = Rnn::new(weights(4, 3), weights(4, 4), bias(4), Activation::Relu)?;
        let pass = relu.forward(xs.view(), &relu.zero_state(2))?;
        let outputs = all(pass.outputs().to_owned());
        let back = relu.backward(&pass, Array3::ones((5, 2, 4)).view())?;

        let tanh = Rnn::new(weights(4, 3), weights(4, 4), bias(4), Activation::Tanh)?;
        let after = tanh.forward(xs.view(), &tanh.zero_state(2))?.final_state();
        let lstm = Lstm::new(weights(16, 3), weights(16, 4), bias(16))?;
        let pass = lstm.forward(xs.view(), &lstm.zero_state(2))?;
        let (state, d) = (
            pass.final_state(),
            lstm.backward(&pass, Array3::ones((5, 2, 4)).view())?,
        );
        let gru = Gru::new(weights(12, 3), weights(12, 4), bias(12), bias(4))?;
        let pass = gru.forward(xs.view(), &gru.zero_state(2))?;
        let (h, d_gru) = (
            pass.final_state().h,
            gru.backward(&pass, Array3::ones((5, 2, 4)).view())?,
        );
        pinned(&[
            ("outputs of an RNN with ReLU", outputs, 3_315_879_000.0),
            (
                "its gradient of w_rec",
                all(back.grads.w_rec),
                184_342_868.0,
            ),
            (
                "its gradient of the inputs",
                all(back.d_inputs),
                960_034_089.0,
            ),
        ]);
        pinned_here(&[
            (
                "state of an RNN with tanh",
                after.h[[1, 2]],
                0.327_878_688_604_423_54,
            ),
            ("h of an LSTM", state.h[[1, 2]], 0.591_401_266_693_629_4),
            ("c of an LSTM", state.c[[1, 2]], 1.126_939_681_008_585_2),
            (
                "gradient of an LSTM's bias",
                d.grads.bias[9],
                2.210_023_912_255_544,
            ),
            ("h of a GRU", h[[1, 2]], 0.649_874_483_006_051_7),
            (
                "gradient of a GRU's bias",
                d_gru.grads.bias[9],
                2.849_805_806_178_418,
            ),
            (
                "that of its bias_rec",
                d_gru.grads.bias_rec[1],
                1.390_289_014_768_047_8,
            ),
        ]);
        Ok(())
    }

    /// Of arithmetic alone, so that no platform has a say in it.
    #[test]
    fn functions() {
        fn hashes<A: Real>() -> [f64; 3] {
            let functions: [fn(&mut [A]); 3] =
                [recurrent::exp, recurrent::tanh, recurrent::sigmoid];
            functions.map(|function| {
                let mut xs = sample::<A>(12);
                xs.extend([-88.0, -100.0, -700.0, -720.0].map(A::narrow));
                function(&mut xs);
                hash(&xs)
            })
        }
        let ([exp, tanh, sigmoid], [exp_64, tanh_64, sigmoid_64]) =
            (hashes::<f32>(), hashes::<f64>());
        pinned(&[
            ("exp of f32", exp, 3_314_500_751.0),
            ("tanh of f32", tanh, 211_198_494.0),
            ("sigmoid of f32", sigmoid, 16_499_597.0),
            ("exp of f64", exp_64, 2_945_268_720.0),
            ("tanh of f64", tanh_64, 850_578_795.0),
            ("sigmoid of f64", sigmoid_64, 296_980_759.0),
        ]);
    }

    #[test]
    fn initialisers() -> Result<()> {
        let drawn = |init: Init| init.matrix::<f64>(6, 6, &mut uniform(11));
        pinned(&[
            ("uniform", all(drawn(Init::Uniform)?), 661_186_581.0),
            ("Xavier", all(drawn(Init::Xavier)?), 2_422_491_983.0),
            ("Kaiming", all(drawn(Init::Kaiming)?), 591_202_507.0),
            ("identity", all(drawn(Init::Identity)?), 852_801_760.0),
        ]);
        let chrono = Lstm::<f64>::builder(1, 3)
            .chrono(100)
            .build(&mut uniform(11))?;
        let [orthogonal, scaled, sparse] = [
            Init::Orthogonal,
            Init::Scaled { radius: 1.5 },
            Init::Sparse {
                nonzeros: 3,
                radius: 1.5,
            },
        ]
        .map(|init| drawn(init).unwrap());
        pinned_here(&[
            ("orthogonal", orthogonal[[2, 3]], 0.192_268_863_459_973_85),
            ("scaled", scaled[[2, 3]], 0.146_983_916_624_821_4),
            ("sparse", sparse.sum(), 2.853_350_997_422_478),
            ("a chrono bias", chrono.bias[4], 3.452_613_457_588_594),
            (
                "norm of the scaled one",
                spectral_norm(&scaled)?,
                1.979_742_892_639_106_7,
            ),
        ]);
        Ok(())
    }
}
