//! The detectors that go by a bound, a first value or the best one.

use steadygrad::detect::{NonFinite, NormThreshold, PersistentNorm, Plateau, WeightGrowth};

use super::*;

#[test]
fn non_finite() {
    let mut all = ritual(&|| Box::new(NonFinite));
    all.counts_only_judged_steps = false;
    all.fires("norms", &norms(&[0.0, NAN, INF, 1e300, -INF]), &[2, 3, 5]);
    all.fires("losses", &losses(&[1.0, INF, -1e300, NAN]), &[2, 4]);
    all.fires("weights", &weights(&[[1.0, NAN], [1.0, 1.0]]), &[1]);
    assert_eq!(
        all.says(&weights(&[[1.0, -INF]])),
        [
            "step 1: parameter w_rec has 0 NaN and 1 infinite elements, the first at index 0 (non-finite)"
        ]
    );
}

#[test]
fn norm_threshold() {
    let two = ritual(&|| Box::new(NormThreshold::new(2.0).unwrap()));
    two.fires("none above", &norms(&[0.0, 1.0, 2.0, 1.0]), &[]);
    two.fires("some above", &norms(&[1.0, 2.1, 1.0, 9.0]), &[2, 4]);
    let jump = [of(2.0, 20), of(2.0 + 1e-15, 1), of(2.0, 2)].concat();
    two.fires("a constant, then a jump", &norms(&jump), &[21]);
    // A bound that is given knows no new level: one event that goes on.
    let shift = [of(1.0, 5), of(3.0, 4)].concat();
    two.fires("a shift", &norms(&shift), &[6, 7, 8, 9]);
    let each_of = ritual(&|| Box::new(NormThreshold::new(2.0).unwrap().per_tensor()));
    let series = each(&[[3.0, 0.0], [1.5, 1.5], [0.0, 2.5]]);
    each_of.fires("of one tensor", &series, &[1, 3]);
    assert_eq!(
        each_of.says(&series),
        ["step 3: the norm of gradient w_rec is 2.500, above 2.000 (norm threshold)"]
    );
}

#[test]
fn persistent_norm() {
    let one = ritual(&|| Box::new(PersistentNorm::new(1.0, 3).unwrap()));
    one.fires("never three", &norms(&[2.0, 2.0, 1.0, 2.0, 2.0]), &[]);
    let stays = norms(&[1.0, 2.0, 3.0, 4.0, 5.0, 1.0]);
    one.fires("stays", &stays, &[4, 5]);
    assert_eq!(
        one.says(&stays[..5]),
        [
            "step 5: the norm of the gradients is 5.000, above 1.000 for 4 steps in a row (persistent norm)"
        ]
    );

    let usual = ritual(&|| Box::new(PersistentNorm::relative(5.0, 3).unwrap()));
    let jump = [of(4.0, 12), of(20.1, 2), of(4.0, 1), of(20.0, 9)].concat();
    usual.fires("jumps that do not stay", &norms(&jump), &[]);
    usual.fires("zeros", &norms(&of(0.0, 20)), &[]);
    let levels = [of(4.0, 12), of(21.0, 20), of(4.0, 5), of(300.0, 9)].concat();
    usual.fires("each level once", &norms(&levels), &[15, 40]);
    assert_eq!(
        usual.says(&norms(&levels[..15])),
        [
            "step 15: the norm of the gradients is 21.00, above 20.00 for 3 steps in a row (persistent norm)"
        ]
    );
    let default = ritual(&|| Box::new(PersistentNorm::default()));
    let tenfold = [of(1e-3, 10), of(0.02, 30)].concat();
    default.fires("by default", &norms(&tenfold), &[20]);
}

#[test]
fn weight_growth() {
    let mut three = ritual(&|| Box::new(WeightGrowth::new(3.0).unwrap()));
    three.fires("grows a little", &weights(&[[1.0, 2.0], [3.0, 6.0]]), &[]);
    let grown = weights(&[[0.0, 2.0], [0.5, 2.0], [1.5, 6.1], [1.6, 6.2], [1.0, 1.0]]);
    three.fires("grows", &grown, &[3, 4]);
    assert_eq!(
        three.says(&grown[..4]),
        [
            "step 4: the norm of parameter w_in is 1.600, above 1.500 (weight growth)",
            "step 4: the norm of parameter w_rec is 6.200, above 6.000 (weight growth)",
        ]
    );
    let jump = [vec![[1.0, 1.0]; 20], vec![[1.0, 3.1], [1.0, 1.0]]].concat();
    three.fires("a constant, then a jump", &weights(&jump), &[21]);
    // Against the first value there is no new level.
    let shift = [vec![[1.0, 1.0]; 3], vec![[4.0, 1.0]; 3]].concat();
    three.fires("a shift", &weights(&shift), &[4, 5, 6]);
    three.make = &|| Box::new(WeightGrowth::new(INF).unwrap().per_step(0.5, 2).unwrap());
    // Steps that are not judged go by and count.
    three.counts_only_judged_steps = false;
    let steep = [[1.0, 1.0], [1.2, 1.5], [1.4, 2.0], [1.6, 3.0], [1.8, 3.1]];
    three.fires("grows by more than half a step", &weights(&steep), &[4, 5]);
    three.make = &|| Box::new(WeightGrowth::default());
    three.fires("by default", &weights(&[[1.0, 1.0], [10.0, 10.1]]), &[2]);
}

#[test]
fn plateau() {
    let three = ritual(&|| Box::new(Plateau::new(0.1, 3).unwrap()));
    three.fires("falls", &losses(&[5.0, 4.0, 3.0, 3.5, 2.0, 1.0]), &[]);
    let rests = losses(&[5.0, 4.0, 3.95, 4.5, 4.0, 3.0]);
    three.fires("rests", &rests, &[5]);
    assert_eq!(
        three.says(&rests[..5]),
        ["step 5: the value of the loss is 4.000, not below 3.900 for 3 steps in a row (plateau)"]
    );
    let jump = [of(2.0, 3), of(50.0, 1), of(1.8, 1)].concat();
    three.fires("a constant, then a jump", &losses(&jump), &[4]);
    let shift: Vec<f64> = (0..9).map(|i| 50.0 - f64::from(i)).collect();
    let shift = [of(0.1, 2), shift].concat();
    three.fires("a shift is told once", &losses(&shift), &[4]);

    let relative = ritual(&|| Box::new(Plateau::relative(0.1, 3).unwrap()));
    for scale in [1.0, 1e-9, 1e9] {
        let scaled = |parts: [f64; 4]| losses(&parts.map(|part| part * scale));
        relative.fires("falls by fifths", &scaled([1.0, 0.8, 0.6, 0.4]), &[]);
        relative.fires(
            "falls by less than a tenth",
            &scaled([1.0, 0.95, 0.92, 0.91]),
            &[4],
        );
        relative.fires("falls below 0", &scaled([-1.0, -1.2, -1.5, -1.8]), &[]);
        relative.fires("rests below 0", &scaled([-1.0, -1.05, -1.08, -1.09]), &[4]);
    }
    relative.fires("of zero", &losses(&of(0.0, 8)), &[4, 7]);
    let default = ritual(&|| Box::new(Plateau::default()));
    default.fires("not yet", &losses(&of(1.0, 30)), &[]);
    let baseline = ritual(&|| Box::new(Plateau::new(0.0, 2).unwrap().baseline(2.0).unwrap()));
    let poor = losses(&[5.0, 4.0, 3.0, 1.0]);
    baseline.fires("worse than a guess", &poor, &[2]);
    assert_eq!(
        baseline.says(&poor[..2]),
        [
            "step 2: the value of the loss is 4.000, worse than the baseline 2.000 for 2 steps in a row (plateau)"
        ]
    );
}
