//! Random sets of mixed ranks and types: the same bits as slices give.

use burn::module::Param;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Element, Tensor, TensorData, bf16, f16};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use steadygrad::{Guard, Measurement, Needs, OnNonFinite, TensorMut, TensorSet, clip};
use steadygrad_burn::BurnGrads;

use crate::{Mixed, ROOM};

/// A tensor to be: its type, shape and values; without values there is no gradient.
#[derive(Clone, Debug)]
struct Plan {
    dtype: DType,
    dims: Vec<usize>,
    values: Option<Vec<f64>>,
    transposed: bool,
}

fn values(len: usize) -> impl Strategy<Value = Vec<f64>> {
    let number = prop_oneof![
        8 => -4.0..4.0_f64,
        1 => Just(0.0),
        1 => Just(-0.0),
    ];
    (
        prop::collection::vec(number, len),
        -140..120_i32,
        0..50_u8,
        any::<prop::sample::Index>(),
    )
        .prop_map(|(mut values, exponent, odd, at)| {
            // Most sets near 1, some anywhere in the range.
            if odd < 20 {
                let scale = f64::from(exponent).exp2();
                values.iter_mut().for_each(|x| *x *= scale);
            }
            if odd >= 48 && !values.is_empty() {
                let at = at.index(values.len());
                values[at] = if odd == 48 {
                    f64::NAN
                } else {
                    f64::NEG_INFINITY
                };
            }
            values
        })
}

fn plan() -> impl Strategy<Value = Plan> {
    let dtype = prop_oneof![
        3 => Just(DType::F32),
        1 => Just(DType::F64),
        1 => Just(DType::F16),
        1 => Just(DType::BF16),
    ];
    let dims = prop_oneof![
        prop::collection::vec(0..600_usize, 1),
        prop::collection::vec(1..30_usize, 2),
        prop::collection::vec(1..10_usize, 3),
        prop::collection::vec(1..6_usize, 4),
    ];
    (dtype, dims, any::<bool>()).prop_flat_map(|(dtype, dims, transposed)| {
        let len = dims.iter().product();
        prop::option::weighted(0.9, values(len)).prop_map(move |values| Plan {
            dtype,
            dims: dims.clone(),
            values,
            transposed,
        })
    })
}

fn narrowed<E: Element>(plan: &Plan, narrow: impl Fn(f64) -> E) -> (TensorData, Vec<E>) {
    let values: Vec<E> = plan.values.iter().flatten().map(|&x| narrow(x)).collect();
    let dims = if plan.values.is_some() {
        plan.dims.clone()
    } else {
        vec![0; plan.dims.len()]
    };
    (TensorData::new(values.clone(), dims), values)
}

/// The plan as a tensor and as a slice.
fn built(plan: &Plan) -> (TensorData, Box<dyn TensorMut>) {
    fn boxed<E: Element + steadygrad::Element>(
        (data, values): (TensorData, Vec<E>),
    ) -> (TensorData, Box<dyn TensorMut>) {
        (data, Box::new(values))
    }
    match plan.dtype {
        DType::F64 => boxed(narrowed(plan, |x| x)),
        DType::F16 => boxed(narrowed(plan, f16::from_f64)),
        DType::BF16 => boxed(narrowed(plan, bf16::from_f64)),
        _ => boxed(narrowed(plan, |x| x as f32)),
    }
}

fn add<const D: usize>(
    data: &TensorData,
    plan: &Plan,
    grads: &mut GradientsParams,
    params: &mut Vec<Param<Tensor<D>>>,
) {
    let options = (&Device::flex(), plan.dtype);
    let mut grad = Tensor::<D>::from_data(data.clone(), options);
    if plan.transposed && D > 1 && plan.values.is_some() {
        // The same values in another order in memory.
        let dims = grad.dims();
        let mut axes = [0; D];
        axes.iter_mut()
            .enumerate()
            .for_each(|(i, axis)| *axis = D - 1 - i);
        let flat = grad.permute(axes).reshape([dims.iter().product::<usize>()]);
        let mut back = dims;
        back.reverse();
        grad = flat.reshape(back).permute(axes);
    }
    let param = Param::from_tensor(grad.zeros_like());
    if plan.values.is_some() {
        grads.register(param.id, grad);
    }
    params.push(param);
}

/// Named slices.
type Slices = Vec<(String, Box<dyn TensorMut>)>;

fn module(plans: &[Plan]) -> (Mixed, GradientsParams, Slices) {
    let (mut model, mut grads) = (Mixed::empty(), GradientsParams::new());
    let mut lists = [vec![], vec![], vec![], vec![]];
    for plan in plans {
        let (data, slice) = built(plan);
        let rank = plan.dims.len();
        match rank {
            1 => add(&data, plan, &mut grads, &mut model.vectors),
            2 => add(&data, plan, &mut grads, &mut model.matrices),
            3 => add(&data, plan, &mut grads, &mut model.cubes),
            _ => add(&data, plan, &mut grads, &mut model.images),
        }
        let list: &mut Slices = &mut lists[rank - 1];
        let field = ["vectors", "matrices", "cubes", "images"][rank - 1];
        list.push((format!("{field}.{}", list.len()), slice));
    }
    (model, grads, lists.into_iter().flatten().collect())
}

/// The bits of each gradient, in the model's order.
fn bits(model: &Mixed, grads: &GradientsParams) -> Vec<Vec<u8>> {
    fn of<const D: usize>(
        params: &[Param<Tensor<D>>],
        grads: &GradientsParams,
        all: &mut Vec<Vec<u8>>,
    ) {
        for param in params {
            let grad = grads.get::<D>(param.id);
            all.push(grad.map_or(vec![], |grad| grad.into_data().as_bytes().to_vec()));
        }
    }
    let mut all = vec![];
    of(&model.vectors, grads, &mut all);
    of(&model.matrices, grads, &mut all);
    of(&model.cubes, grads, &mut all);
    of(&model.images, grads, &mut all);
    all
}

fn slice_bits(tensor: &mut dyn TensorMut) -> Vec<u8> {
    use steadygrad::SliceMut::{BF16, F16, F32, F64};
    match tensor.as_slice_mut_ref() {
        Some(F32(xs)) => xs.iter().flat_map(|x| x.to_ne_bytes()).collect(),
        Some(F64(xs)) => xs.iter().flat_map(|x| x.to_ne_bytes()).collect(),
        Some(F16(xs)) => xs.iter().flat_map(|x| x.to_ne_bytes()).collect(),
        Some(BF16(xs)) => xs.iter().flat_map(|x| x.to_ne_bytes()).collect(),
        _ => panic!("expected a slice"),
    }
}

fn guard(max: f64, bound: f64, policy: OnNonFinite) -> Guard {
    Guard::new()
        .clip(clip::Value::new(bound).unwrap())
        .clip(clip::TensorNorm::new(2.0 * max).unwrap())
        .clip(clip::GlobalNorm::new(max).unwrap())
        .on_non_finite(policy)
}

fn policy() -> impl Strategy<Value = OnNonFinite> {
    prop_oneof![
        2 => Just(OnNonFinite::Skip),
        1 => Just(OnNonFinite::ZeroTensor),
        1 => Just(OnNonFinite::Propagate),
    ]
}

#[test]
fn the_same_bits_as_slices() {
    let mut runner = TestRunner::new(Config {
        cases: 1500,
        failure_persistence: None,
        max_shrink_iters: 300,
        ..Config::default()
    });
    let sets = prop::collection::vec(plan(), 0..7);
    let inputs = (sets, 0.0..4.0_f64, 0.1..6.0_f64, policy());
    let result = runner.run(&inputs, |(plans, max, bound, policy)| {
        let (model, mut grads, mut slices) = module(&plans);
        let needs = Needs::norms().of_magnitudes().of_power(3.0);
        {
            let set = BurnGrads::new(&mut grads, &model);
            let seen = Measurement::with_needs(&set, &needs).unwrap();
            let expected = Measurement::with_needs(&slices, &needs).unwrap();
            prop_assert_eq!(seen.tensors(), expected.tensors());
            prop_assert_eq!(seen.total(), expected.total());
            prop_assert_eq!(set.transfers(), 0);
        }
        let (mut ours, mut theirs) = (guard(max, bound, policy), guard(max, bound, policy));
        let a = ours.step(&mut BurnGrads::new(&mut grads, &model)).unwrap();
        let b = theirs.step(&mut slices).unwrap();
        prop_assert_eq!(a.verdict(), b.verdict());
        prop_assert_eq!(a.factor().to_bits(), b.factor().to_bits());
        prop_assert_eq!(a.to_string(), b.to_string());
        let expected: Vec<_> = slices
            .iter_mut()
            .map(|(_, x)| slice_bits(&mut **x))
            .collect();
        prop_assert_eq!(bits(&model, &grads), expected);

        let clipped = clip::value(&mut BurnGrads::new(&mut grads, &model), bound / 8.0).unwrap();
        let the_same = clip::value(&mut slices, bound / 8.0).unwrap();
        prop_assert_eq!(clipped, the_same);
        let expected: Vec<_> = slices
            .iter_mut()
            .map(|(_, x)| slice_bits(&mut **x))
            .collect();
        prop_assert_eq!(bits(&model, &grads), expected);
        Ok(())
    });
    result.unwrap();
}

/// One unit in the last place, relative and at least.
fn last_place(dtype: DType) -> (f64, f64) {
    let (bits, least) = match dtype {
        DType::F64 => (48, 0.0),
        DType::F16 => (10, 2_f64.powi(-24)),
        DType::BF16 => (7, 2_f64.powi(-133)),
        _ => (23, 2_f64.powi(-149)),
    };
    (2_f64.powi(-bits), least)
}

/// The plans in the order that the module has the tensors.
fn in_order(plans: &[Plan]) -> Vec<&Plan> {
    let mut plans: Vec<_> = plans.iter().collect();
    plans.sort_by_key(|plan| plan.dims.len());
    plans
}

fn values_of(set: &impl TensorSet) -> Vec<Vec<f64>> {
    let mut all = vec![];
    set.visit(&mut |_, tensor| {
        let mut values = vec![0.0; steadygrad::Tensor::len(&tensor)];
        steadygrad::Tensor::read(&tensor, 0, &mut values)?;
        all.push(values);
        Ok(())
    })
    .unwrap();
    all
}

/// `x` to `y`, as near as is stated of sums on a device.
fn near(x: f64, y: f64) -> bool {
    x == y || x.is_nan() && y.is_nan() || (x / y - 1.0).abs() <= ROOM
}

#[test]
fn on_a_device_the_same_decisions() {
    let mut runner = TestRunner::new(Config {
        cases: 1000,
        failure_persistence: None,
        max_shrink_iters: 300,
        ..Config::default()
    });
    let sets = prop::collection::vec(plan(), 0..6);
    let inputs = (sets, 0.0..4.0_f64, 0.1..6.0_f64, policy());
    let result = runner.run(&inputs, |(plans, max, bound, policy)| {
        let (model, mut grads, mut slices) = module(&plans);
        let has_elements = plans
            .iter()
            .any(|plan| plan.values.as_ref().is_some_and(|v| !v.is_empty()));
        {
            let set = BurnGrads::new(&mut grads, &model).on_device();
            let needs = Needs::norms().of_magnitudes().of_power(3.0);
            let seen = Measurement::with_needs(&set, &needs).unwrap();
            let expected = Measurement::with_needs(&slices, &needs).unwrap();
            let non_finite = expected.first_non_finite().is_some();
            // One more for what is not finite, and one for what is far out in the range.
            prop_assert!(set.transfers() >= usize::from(has_elements) + usize::from(non_finite));
            prop_assert!(set.transfers() <= 3);
            for (a, b) in seen.tensors().iter().zip(expected.tensors()) {
                prop_assert_eq!(a.len(), b.len());
                prop_assert_eq!(
                    (a.nan(), a.pos_inf(), a.neg_inf()),
                    (b.nan(), b.pos_inf(), b.neg_inf())
                );
                prop_assert_eq!(a.first_non_finite(), b.first_non_finite());
                prop_assert!(near(a.max_abs(), b.max_abs()));
                prop_assert!(
                    near(a.l1(), b.l1()) && near(a.l2(), b.l2()),
                    "{:?} {:?}",
                    a,
                    b
                );
                let p = steadygrad::Norm::P(3.0);
                prop_assert!(
                    near(a.norm(p).to_f64(), b.norm(p).to_f64()),
                    "{:?} {:?}",
                    a,
                    b
                );
            }
        }
        let (mut ours, mut theirs) = (guard(max, bound, policy), guard(max, bound, policy));
        let a = ours
            .step(&mut BurnGrads::new(&mut grads, &model).on_device())
            .unwrap();
        let b = theirs.step(&mut slices).unwrap();
        prop_assert_eq!(a.verdict(), b.verdict());
        prop_assert_eq!(a.is_clipped(), b.is_clipped());
        prop_assert!(near(a.before(), b.before()));
        // Halves after an edit may be rounded twice, which their sums show.
        let halves = plans
            .iter()
            .filter(|plan| matches!(plan.dtype, DType::F16 | DType::BF16));
        let unit = halves
            .map(|plan| last_place(plan.dtype).0)
            .fold(0.0, f64::max);
        prop_assert!(near(a.after(), b.after()) || (a.after() / b.after() - 1.0).abs() <= unit);
        // The same numbers to one unit in the last place (burn's casts to halves round twice).
        let plans = in_order(&plans);
        let ours = values_of(&BurnGrads::new(&mut grads, &model));
        for ((ours, theirs), plan) in ours.iter().zip(values_of(&slices)).zip(plans) {
            prop_assert_eq!(ours.len(), theirs.len());
            let (own, least) = last_place(plan.dtype);
            // A factor that was measured after a clamp of halves is as near as they are.
            let unit = own.max(unit);
            for (x, y) in ours.iter().zip(theirs) {
                let same = x.to_bits() == y.to_bits() || x.is_nan() && y.is_nan();
                prop_assert!(
                    same || (x - y).abs() <= (2.0 * unit + ROOM) * y.abs() + least,
                    "{} {}",
                    x,
                    y
                );
            }
        }
        Ok(())
    });
    result.unwrap();
}
