//! Kind 11: totals and initial weights at the ends of what can be counted.

use steadygrad::{Error, Measurement, Norm, Stats, Total, Wide};

/// A total whose every limb is as large as one can be.
fn fullest(place: f64) -> Total {
    let mut maxima = Total::default().maxima();
    maxima[1..4].fill(place);
    let mut limbs = Total::default().limbs(&maxima);
    // All but the seal, which is that of one shard.
    let sums = limbs.len() - 3;
    limbs[4..7].fill(0);
    limbs[7..sums].fill(i64::MAX);
    Total::from_parts(&maxima, &limbs).unwrap()
}

#[test]
fn totals_at_the_extremes_neither_panic_nor_tell_another_number() {
    for place in [-8e15, -70.0, 0.0, 70.0, 8e15] {
        let one = fullest(place);
        let known = one.stats();
        assert!(known.norm(Norm::L1).is_finite(), "{place}");
        // Twice that still fits, and is twice as much.
        let mut two = one.clone();
        two.merge(&one);
        let sum = two.stats().norm(Norm::L1);
        assert_eq!(sum, known.norm(Norm::L1) * Wide::from(2.0), "{place}");
        assert_eq!(two, two.clone());
        // Three times does not: then the sum is unknown, and is no smaller number.
        let mut three = two.clone();
        three.merge(&one);
        assert!(three.stats().l1().is_nan(), "{place}");
        assert!(three.stats().l2().is_nan(), "{place}");
        // What no integer of a wire holds is unknown behind it.
        let maxima = two.maxima();
        let limbs = two.limbs(&maxima);
        assert!(limbs.iter().all(|&limb| limb >= 0), "{place}");
        let arrived = Total::from_parts(&maxima, &limbs).unwrap();
        assert!(arrived.stats().l1().is_nan(), "{place}");
        // Summands that meet a full counter.
        let mut more = two.clone();
        let top = Wide::new(1.999_999, 32 * place as i64 + 31);
        for _ in 0..4 {
            more.add(&Stats::from_sums(1, 1.0, top, top));
        }
        let _ = (more.stats(), more == two, more.limbs(&more.maxima()));
        // Far apart, the higher one alone is left.
        let mut apart = fullest(-8e15);
        apart.merge(&one);
        let _ = (apart.stats(), apart.limbs(&apart.maxima()));
    }
}

/// What two shards send, each placed by maxima of its own choice.
fn sent(shards: [&Total; 2], maxima: [&[f64]; 2]) -> Vec<i64> {
    let limbs = |i: usize| shards[i].limbs(maxima[i].try_into().unwrap());
    limbs(0).iter().zip(limbs(1)).map(|(a, b)| a + b).collect()
}

#[test]
fn limbs_placed_by_maxima_that_were_not_reduced_are_refused() {
    let shards = [vec![3.0, 1e300], vec![4e-300, 2.0]];
    let [a, b] = shards
        .each_ref()
        .map(|shard| Measurement::of(shard).unwrap().exact().clone());
    let (own, other) = (a.maxima(), b.maxima());
    let mut reduced = own;
    for (max, x) in reduced.iter_mut().zip(other) {
        *max = max.max(x);
    }
    let whole = *Measurement::of(&shards).unwrap().total();
    let right = sent([&a, &b], [&reduced, &reduced]);
    assert_eq!(Total::from_parts(&reduced, &right).unwrap().stats(), whole);

    let mut beyond = reduced;
    beyond[2] += 1.0;
    let wrong: [(&[f64], &[f64]); 6] = [
        (&own, &other),
        (&reduced, &other),
        // Maxima below a shard's own are none, even if all agree on them.
        (&other, &other),
        (&beyond, &reduced),
        (&reduced, &beyond),
        (&beyond, &beyond),
    ];
    for (first, second) in wrong {
        let limbs = sent([&a, &b], [first, second]);
        for maxima in [&reduced, &other] {
            let read = Total::from_parts(maxima, &limbs);
            assert!(
                matches!(read, Err(Error::Setting { .. })),
                "{first:?}, {second:?}: {read:?}"
            );
        }
    }
    // The largest magnitude, too, is one for all.
    let mut smaller = reduced;
    smaller[0] = 1.0;
    assert!(Total::from_parts(&smaller, &right).is_err());
    // Of as many shards as one likes.
    let (mut limbs, mut all) = (a.limbs(&reduced), a.clone());
    for _ in 0..1000 {
        limbs
            .iter_mut()
            .zip(b.limbs(&reduced))
            .for_each(|(sum, x)| *sum += x);
        all.merge(&b);
    }
    assert_eq!(Total::from_parts(&reduced, &limbs).unwrap(), all);
    assert!(Total::from_parts(&reduced, &[0; Total::LIMBS]).is_err());
}

#[cfg(feature = "ndarray")]
mod weights {
    use steadygrad::recurrent::{Init, Lstm, Real, Rnn};
    use steadygrad::spectral::spectral_radius;
    use steadygrad::{Error, Result};

    fn uniform() -> impl FnMut() -> f64 {
        let mut bits = 7_u64;
        move || {
            bits = bits
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (bits >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    /// The spectral radius of what is drawn, relative to what was asked for.
    fn drawn<A: Real>(init: Init, radius: f64) -> Result<f64> {
        let w = init.matrix::<A>(8, 8, &mut uniform())?;
        spectral_radius(&w.mapv(|x| x.widen() / radius))
    }

    fn of_radius(radius: f64) -> [Init; 2] {
        [
            Init::Scaled { radius },
            Init::Sparse {
                nonzeros: 3,
                radius,
            },
        ]
    }

    #[test]
    fn weights_too_small_for_their_type_are_refused() {
        for radius in [1e-60, 1e-45, 1e-40] {
            for init in of_radius(radius) {
                let refused = drawn::<f32>(init, radius);
                assert!(
                    matches!(refused, Err(Error::Setting { .. })),
                    "{init:?}: {refused:?}"
                );
                let off = drawn::<f64>(init, radius).unwrap() - 1.0;
                assert!(off.abs() < 1e-9, "{init:?}: {off:e}");
            }
        }
        for radius in [5e-324, 1e-320] {
            for init in of_radius(radius) {
                assert!(
                    init.matrix::<f64>(8, 8, &mut uniform()).is_err(),
                    "{init:?}"
                );
            }
        }
        for init in of_radius(1e-36) {
            let off = drawn::<f32>(init, 1e-36).unwrap() - 1.0;
            assert!(off.abs() < 1e-5, "{init:?}: {off:e}");
        }
    }

    #[test]
    fn cells_refuse_them_too() {
        let tiny = Init::Scaled { radius: 1e-60 };
        let rnn = Rnn::<f32>::builder(1, 4).w_rec(tiny).build(&mut uniform());
        let lstm = Lstm::<f32>::builder(1, 4).w_rec(tiny).build(&mut uniform());
        for error in [rnn.unwrap_err(), lstm.unwrap_err()] {
            assert!(
                error
                    .to_string()
                    .starts_with("largest weight: expected a normal number"),
                "{error}"
            );
        }
    }
}
