//! The set: names, places, groups, accumulation.

use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Distribution, Tensor};
use steadygrad::detect::WeightGrowth;
use steadygrad::{Guard, Measurement, Step, TensorSet, Verdict, clip};
use steadygrad_burn::{BurnGrads, BurnParams};

use crate::ROOM;

#[derive(Module, Debug)]
struct Encoder {
    layer1: Linear,
    layers: Vec<Linear>,
}

#[derive(Module, Debug)]
struct Model {
    encoder: Encoder,
    norm: BatchNorm,
    /// The same parameter as `encoder.layer1.weight`.
    tied: Param<Tensor<2>>,
    frozen: Param<Tensor<1>>,
}

impl Model {
    fn new(device: &Device) -> Self {
        let layer1 = LinearConfig::new(3, 3).init(device);
        Self {
            tied: layer1.weight.clone(),
            encoder: Encoder {
                layer1,
                layers: vec![LinearConfig::new(3, 3).with_bias(false).init(device)],
            },
            norm: BatchNormConfig::new(3).init(device),
            frozen: Param::from_tensor(Tensor::ones([5], device)).set_require_grad(false),
        }
    }

    fn loss(&self, x: Tensor<2>) -> Tensor<1> {
        let x = self.encoder.layer1.forward(x);
        let x = self.norm.forward(x);
        let x = self.encoder.layers[0].forward(x.tanh());
        (x.matmul(self.tied.val()) * self.frozen.val().sum().unsqueeze())
            .square()
            .sum()
    }
}

const NAMES: [&str; 9] = [
    "encoder.layer1.weight",
    "encoder.layer1.bias",
    "encoder.layers.0.weight",
    "norm.gamma",
    "norm.beta",
    "norm.running_mean",
    "norm.running_var",
    "frozen",
    "",
];

fn setup() -> (Model, GradientsParams, Device) {
    let device = Device::flex().autodiff();
    device.seed(7);
    let model = Model::new(&device);
    let x = Tensor::random([4, 3], Distribution::Normal(0.0, 1.0), &device);
    let grads = GradientsParams::from_grads(model.loss(x).backward(), &model);
    (model, grads, device)
}

fn names(set: &impl TensorSet) -> Vec<(String, usize)> {
    let mut names = vec![];
    set.visit(&mut |name, tensor| {
        names.push((name.to_string(), steadygrad::Tensor::len(&tensor)));
        Ok(())
    })
    .unwrap();
    names
}

#[test]
fn names_are_paths_and_shared_parameters_come_once() {
    let (model, mut grads, _) = setup();
    let lens = [9, 3, 9, 3, 3, 3, 3, 5];
    let expected: Vec<_> = NAMES.iter().map(ToString::to_string).zip(lens).collect();
    assert_eq!(names(&BurnParams::new(&model)), expected);
    assert_eq!(names(&BurnParams::new(&model).on_device()), expected);
    // No gradient: no elements, but a place.
    let lens = [9, 3, 9, 3, 3, 0, 0, 0];
    let expected: Vec<_> = NAMES.iter().map(ToString::to_string).zip(lens).collect();
    assert_eq!(names(&BurnGrads::new(&mut grads, &model)), expected);
    assert_eq!(
        names(&BurnGrads::new(&mut grads, &model).on_device()),
        expected
    );
}

/// Everything in `grads`, in the model's order.
fn all(grads: &GradientsParams, model: &Model) -> Vec<f64> {
    let mut all = vec![];
    for id in [
        model.encoder.layer1.weight.id,
        model.encoder.layers[0].weight.id,
    ] {
        all.extend(grads.get::<2>(id).into_iter().flat_map(crate::to_f64));
    }
    for id in [
        model.encoder.layer1.bias.as_ref().unwrap().id,
        model.norm.gamma.id,
        model.norm.beta.id,
    ] {
        all.extend(grads.get::<1>(id).into_iter().flat_map(crate::to_f64));
    }
    all
}

fn norm(xs: &[f64]) -> f64 {
    xs.iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[test]
fn the_norm_is_global_and_every_gradient_comes_back() {
    for on_device in [false, true] {
        let (model, mut grads, _) = setup();
        let before = all(&grads, &model);
        assert_eq!(before.len(), 27);
        let mut set = BurnGrads::new(&mut grads, &model);
        if on_device {
            set = set.on_device();
        }
        let clipped = clip::global_norm(&mut set, 0.5).unwrap();
        drop(set);
        // On a device as near as is stated, in the host's memory to the last places.
        let (room, unit) = if on_device { (ROOM, 1.5) } else { (1e-12, 1.0) };
        assert!((clipped.before() / norm(&before) - 1.0).abs() < room);
        let after = all(&grads, &model);
        assert_eq!(grads.len(), 5);
        for (x, y) in before.iter().zip(&after) {
            assert!((x * clipped.factor() - y).abs() <= y.abs() * unit * 1.2e-7);
        }
    }
}

#[test]
fn accumulated_gradients_are_clipped_as_one() {
    let (model, first, device) = setup();
    let mut accumulator = GradientsAccumulator::new();
    let x = Tensor::random([4, 3], Distribution::Normal(0.0, 1.0), &device);
    let second = GradientsParams::from_grads(model.loss(x).backward(), &model);
    let sum: Vec<f64> = all(&first, &model)
        .iter()
        .zip(all(&second, &model))
        .map(|(x, y)| f64::from((x + y) as f32))
        .collect();
    accumulator.accumulate(&model, first);
    accumulator.accumulate(&model, second);
    let mut grads = accumulator.grads();
    let clipped = clip::global_norm(&mut BurnGrads::new(&mut grads, &model), 1.0).unwrap();
    assert!((clipped.before() / norm(&sum) - 1.0).abs() < 1e-12);
    assert!((norm(&all(&grads, &model)) - 1.0).abs() < 1e-6);

    // Clipped gradients can be accumulated again.
    accumulator.accumulate(&model, grads);
    assert_eq!(accumulator.grads().len(), 5);
}

#[test]
fn parameter_groups_make_one_set() {
    let (model, whole, device) = setup();
    drop(whole);
    let x = Tensor::random([4, 3], Distribution::Normal(0.0, 1.0), &device);
    let mut gradients = model.loss(x).backward();
    let ids = [model.encoder.layer1.weight.id, model.norm.gamma.id];
    let mut decayed = GradientsParams::from_params(&mut gradients, &model, &ids);
    let mut rest = GradientsParams::from_module(&mut gradients, &model);
    let before = norm(&[all(&decayed, &model), all(&rest, &model)].concat());
    assert_eq!((decayed.len(), rest.len()), (2, 3));

    let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0).unwrap());
    let report = guard
        .step(&mut [
            ("decayed", BurnGrads::new(&mut decayed, &model)),
            ("rest", BurnGrads::new(&mut rest, &model)),
        ])
        .unwrap();
    assert!((report.before() / before - 1.0).abs() < 1e-12);
    assert_eq!(
        report.measurement().name(0),
        "decayed.encoder.layer1.weight"
    );
    let after = norm(&[all(&decayed, &model), all(&rest, &model)].concat());
    assert!((after - 1.0).abs() < 1e-6);
    assert_eq!((decayed.len(), rest.len()), (2, 3));
}

#[test]
fn a_guard_watches_parameters_and_loss() {
    let (model, mut grads, _) = setup();
    // Vectors too, of which the one that grows is.
    let growth = WeightGrowth::new(2.0).unwrap().on("");
    let mut guard = Guard::new().detect_with(Verdict::Stop, growth);
    let mut set = BurnGrads::new(&mut grads, &model);
    let params = BurnParams::new(&model);
    let report = guard
        .step(Step::new(&mut set).params(&params).loss(1.0_f32))
        .unwrap();
    assert_eq!(report.verdict(), Verdict::Apply);

    let mut grown = model.clone();
    grown.frozen = Param::initialized(model.frozen.id, model.frozen.val() * 100.0);
    let params = BurnParams::new(&grown);
    let report = guard.step(Step::new(&mut set).params(&params)).unwrap();
    assert_eq!(report.verdict(), Verdict::Stop);

    let report = guard.step(Step::new(&mut set).loss(f32::NAN)).unwrap();
    assert_eq!(report.verdict(), Verdict::Skip);
}

#[test]
fn a_gradient_that_belongs_to_a_graph_is_taken_by_its_value() {
    let (model, mut grads, device) = setup();
    let id = model.norm.gamma.id;
    let tracked = Tensor::<1>::from_floats([3.0, 0.0, 4.0], &device).require_grad();
    let mut only = GradientsParams::new();
    only.register(id, tracked * 2.0);
    clip::global_norm(&mut BurnGrads::new(&mut only, &model), 5.0).unwrap();
    assert_eq!(
        crate::to_f64(only.remove::<1>(id).unwrap()),
        [3.0, 0.0, 4.0]
    );

    // An empty set is no error, and a set is Debug.
    let set = BurnGrads::new(&mut only, &model);
    assert_eq!(Measurement::of(&set).unwrap().total().l2(), 0.0);
    assert!(format!("{set:?}").contains("Missing"));
    drop(set);
    assert!(format!("{:?}", BurnGrads::new(&mut grads, &model)).contains("Host"));
}

#[test]
fn a_params_snapshot_does_not_follow_updates() {
    let (model, _, _) = setup();
    let params = BurnParams::new(&model);
    let before = Measurement::of(&params).unwrap().total().l2();
    let twice = model.clone();
    let frozen = Param::initialized(model.frozen.id, model.frozen.val() * 2.0);
    let twice = Model { frozen, ..twice };
    assert_eq!(Measurement::of(&params).unwrap().total().l2(), before);
    assert!(
        Measurement::of(&BurnParams::new(&twice))
            .unwrap()
            .total()
            .l2()
            > before
    );
}

#[test]
fn gradients_of_another_module_are_an_error_and_of_a_larger_one_are_counted() {
    let (model, mut grads, device) = setup();
    let other = LinearConfig::new(3, 2).init(&device);
    let error = clip::global_norm(&mut BurnGrads::new(&mut grads, &other), 1.0).unwrap_err();
    assert!(
        matches!(error, steadygrad::Error::Unmatched { found: 5 }),
        "{error}"
    );
    let mut guard = Guard::new();
    let error = guard
        .step(&mut BurnGrads::new(&mut grads, &other))
        .unwrap_err();
    assert!(
        matches!(error, steadygrad::Error::Unmatched { found: 5 }),
        "{error}"
    );
    let error = clip::value(&mut BurnGrads::new(&mut grads, &other), 1.0).unwrap_err();
    assert!(
        matches!(error, steadygrad::Error::Unmatched { found: 5 }),
        "{error}"
    );
    let error = BurnGrads::new(&mut grads, &other).global_norm_deferred(1.0);
    assert!(
        matches!(error, Err(steadygrad::Error::Unmatched { found: 5 })),
        "{error:?}"
    );
    // One part of the model that the gradients are of.
    let report = guard
        .step(&mut BurnGrads::new(&mut grads, &model.encoder))
        .unwrap();
    assert!(
        report.unmatched() > 0 && report.verdict().is_apply(),
        "{}",
        report.report()
    );
    assert_eq!(grads.len(), 5);
}

#[test]
fn a_filter_leaves_the_others_alone_and_must_find_something() {
    let (model, mut grads, _) = setup();
    let (before, count) = (all(&grads, &model), grads.len());
    let mut guard = Guard::new().clip(clip::GlobalNorm::new(1e-3).unwrap());
    let mut set = BurnGrads::filtered(&mut grads, &model, "encoder.layers.");
    let names = names(&set);
    assert_eq!(names, [("encoder.layers.0.weight".to_owned(), 9)]);
    let report = guard.step(&mut set).unwrap();
    assert_eq!((report.unmatched(), report.is_clipped()), (0, true));
    drop(set);
    assert_eq!(grads.len(), count);
    let changed = all(&grads, &model)
        .iter()
        .zip(&before)
        .filter(|(now, before)| now != before)
        .count();
    assert_eq!(changed, 9);

    let mut none = BurnGrads::filtered(&mut grads, &model, "encodr.");
    let error = Guard::new().step(&mut none).unwrap_err();
    assert!(
        matches!(error, steadygrad::Error::Unmatched { .. }),
        "{error}"
    );
}
