//! Arithmetic over sets: what is missing, what does not fit, and the rounding. Every container and every layout
//! stands in `tests/matrix`.

use steadygrad::{Error, Result, set, tensor_set};

#[derive(Clone, Debug, PartialEq)]
struct Layer {
    w: Vec<f32>,
    b: [f32; 2],
}
tensor_set!(Layer { w, b });

fn layer(x: f32) -> Layer {
    Layer {
        w: vec![x, -x, 0.5],
        b: [x, 7.0],
    }
}

#[test]
fn what_has_no_gradient_stays_as_it_is() {
    type Grads = [(&'static str, Option<Layer>); 2];
    type Params = [(&'static str, Layer); 2];
    let grads: Grads = [("first", None), ("second", Some(layer(2.0)))];
    let params: Params = [("first", layer(1.0)), ("second", layer(8.0))];
    let stepped = |step: &dyn Fn(&Grads, &mut Params) -> Result<()>| {
        let mut ys = params.clone();
        assert_eq!(step(&grads, &mut ys), Ok(()));
        assert_eq!(ys[0], params[0]);
        ys[1].1.clone()
    };
    let left = stepped(&|x, y| set::axpy(-0.5, x, y));
    assert_eq!((left.w, left.b), (vec![7.0, -7.0, 0.25], [7.0, 3.5]));
    let sum = stepped(&|x, y| set::accumulate(x, y));
    assert_eq!((sum.w, sum.b), (vec![10.0, -10.0, 1.0], [10.0, 14.0]));

    // A copy is of everything.
    let mut ys = params.clone();
    assert!(set::copy(&grads, &mut ys).is_err());
    assert_eq!(ys, params);
    // Missing on both sides it is in its place.
    let (x, mut y) = ([Some([1.0_f64]), None], [Some([0.0_f32]), None]);
    assert_eq!(set::copy(&x, &mut y), Ok(()));
    assert_eq!(set::accumulate(&x, &mut y), Ok(()));
    assert_eq!(y, [Some([2.0]), None]);
    // What is to be changed has nothing that could be.
    let full = [[1.0_f64], [2.0]];
    assert!(set::accumulate(&full, &mut y).is_err());
    assert_eq!(y, [Some([2.0]), None]);
}

#[test]
fn sets_that_do_not_fit_change_nothing() {
    let start = || [("w", vec![1.0_f32, 2.0]), ("b", vec![3.0])];
    let refused = |x: &dyn steadygrad::TensorSet| {
        let mut y = start();
        let errors = [
            set::axpy(1.0, x, &mut y).unwrap_err(),
            set::accumulate(x, &mut y).unwrap_err(),
            set::copy(x, &mut y).unwrap_err(),
        ];
        assert_eq!(y, start());
        assert_eq!(errors[0], errors[1]);
        let kind = std::mem::discriminant(&errors[0]);
        assert_eq!(kind, std::mem::discriminant(&errors[2]));
        errors[0].clone()
    };
    let other_name = refused(&[("w", vec![1.0, 2.0]), ("c", vec![3.0])]);
    assert!(
        matches!(other_name, Error::Name { index: 1, .. }),
        "{other_name}"
    );
    let longer = refused(&[("w", vec![1.0, 2.0]), ("b", vec![3.0, 4.0])]);
    assert!(
        matches!(
            longer,
            Error::Count {
                expected: 1,
                found: 2,
                ..
            }
        ),
        "{longer}"
    );
    let fewer = refused(&[("w", vec![1.0, 2.0])]);
    assert!(
        matches!(
            fewer,
            Error::Count {
                expected: 2,
                found: 1,
                ..
            }
        ),
        "{fewer}"
    );
    let more = refused(&[("w", vec![1.0, 2.0]), ("b", vec![3.0]), ("c", vec![4.0])]);
    assert!(
        matches!(
            more,
            Error::Count {
                expected: 2,
                found: 3,
                ..
            }
        ),
        "{more}"
    );
    #[cfg(feature = "ndarray")]
    {
        let (x, mut y) = (
            ndarray::Array2::<f32>::ones((2, 3)),
            ndarray::Array2::<f32>::zeros((3, 2)),
        );
        let error = set::accumulate(&x, &mut y).unwrap_err();
        assert!(matches!(error, Error::Shape { .. }), "{error}");
        assert_eq!(y, ndarray::Array2::<f32>::zeros((3, 2)));
    }
}

#[test]
fn each_element_is_reckoned_in_f64_and_rounded_once() {
    // 1 + 2⁻²⁴ is half-way for an f32; what f64 knows behind it decides.
    let half = 2_f64.powi(-24);
    let (x, mut y) = ([half, half * (1.0 + 1e-6), half * 1.5], [1.0_f32; 3]);
    set::accumulate(&x, &mut y).unwrap();
    assert_eq!(y, [1.0, 1.0 + f32::EPSILON, 1.0 + f32::EPSILON]);
    // A factor is not rounded to the type of the elements.
    let mut y = [3.0_f32];
    set::scale(&mut y, 0.1).unwrap();
    assert_eq!(y[0].to_bits(), ((3.0 * 0.1_f64) as f32).to_bits());
    let mut y = [0.0_f32];
    set::axpy(0.1, &[3.0_f32], &mut y).unwrap();
    assert_eq!(y[0].to_bits(), ((0.1_f64 * 3.0) as f32).to_bits());
}

#[test]
fn a_copy_keeps_every_bit_and_a_zero_is_positive() {
    let odd = [
        f32::from_bits(0x7fc1_2345),
        -0.0,
        f32::from_bits(1),
        f32::NEG_INFINITY,
    ];
    let mut copy = [7.0_f32; 4];
    set::copy(&odd, &mut copy).unwrap();
    assert_eq!(copy.map(f32::to_bits), odd.map(f32::to_bits));
    set::zero(&mut copy).unwrap();
    assert_eq!(copy.map(f32::to_bits), [0; 4]);
    // Into a narrower type it is rounded once, into a wider one not at all.
    let mut narrow = [0.0_f32; 2];
    set::copy(&[0.1_f64, 1e300], &mut narrow).unwrap();
    assert_eq!(narrow, [0.1, f32::INFINITY]);
    let mut wide = [0.0_f64];
    set::copy(&[0.1_f32], &mut wide).unwrap();
    assert_eq!(wide, [f64::from(0.1_f32)]);
}
