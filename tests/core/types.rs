//! The public types, and the programs that a user writes with them.

use core::fmt::Debug;
use std::collections::BTreeMap;

use steadygrad::{
    Action, Ask, Clamped, Edit, Edits, Error, Factor, Guard, Measurement, Needs, Norm, OnNonFinite,
    Op, Plan, Reading, Recovery, Report, SliceMut, SliceRef, Stats, Step, StepView, Tell, Tensor,
    TensorMut, TensorReport, TensorSet, TensorSetMut, Total, Units, Verdict, Wide, Writing, clip,
    detect, keep, penalty, record, set, tensor_set,
};

fn shared<T: Send + Sync + Debug>() {}
fn value<T: Send + Sync + Debug + Clone + PartialEq>() {}
fn shown<T: Debug>() {}

#[test]
fn types_cross_threads_and_can_be_shown() {
    shared::<Guard>();
    shared::<Plan<'_>>();
    shared::<Ask<'_>>();
    shared::<Tell<'_>>();
    shared::<SliceMut<'_>>();
    shared::<Box<dyn clip::Clipper>>();
    shared::<Box<dyn detect::Detector>>();
    shared::<record::Recorder>();
    value::<Edit<'_>>();
    value::<steadygrad::Course>();
    value::<steadygrad::Doubt>();
    value::<steadygrad::Off>();
    #[cfg(feature = "std")]
    {
        value::<steadygrad::checkpoint::Checkpoint>();
        value::<steadygrad::checkpoint::Checkpoints>();
        value::<steadygrad::checkpoint::Resumed>();
        value::<steadygrad::checkpoint::Saved>();
    }
    value::<Edits>();
    value::<Error>();
    value::<Measurement>();
    value::<Report>();
    value::<Total>();
    value::<Factor>();
    value::<Op<'_>>();
    value::<Needs>();
    value::<Units>();
    value::<Clamped>();
    value::<Norm>();
    value::<OnNonFinite>();
    value::<SliceRef<'_>>();
    value::<Stats>();
    value::<TensorReport<'_>>();
    value::<Action>();
    value::<keep::Clones<f64>>();
    value::<keep::Keep>();
    value::<keep::Tensors>();
    value::<Recovery>();
    value::<Verdict>();
    value::<steadygrad::Verdicts>();
    value::<Wide>();
    value::<clip::Clipped>();
    value::<clip::GlobalNorm>();
    value::<clip::TensorNorm>();
    value::<clip::Value>();
    value::<detect::Alarm>();
    value::<detect::NonFinite>();
    value::<detect::NormThreshold>();
    value::<detect::PersistentNorm>();
    value::<detect::Plateau>();
    value::<detect::Spike>();
    value::<detect::Vanishing>();
    value::<detect::UpdateRatio>();
    value::<detect::Any<detect::Spike, detect::NonFinite>>();
    value::<detect::All<detect::Spike, detect::NonFinite>>();
    value::<detect::ForSteps<detect::Spike>>();
    value::<detect::After<detect::Spike>>();
    value::<detect::Every<detect::Spike>>();
    value::<detect::Severity>();
    value::<detect::Relation>();
    value::<detect::Alarms>();
    value::<StepView<'_>>();
    value::<detect::Subject>();
    value::<detect::WeightGrowth>();
    value::<penalty::L1>();
    value::<record::Log>();
    value::<record::Row>();
    value::<record::TensorRow>();
    value::<record::AlarmRow>();
    value::<record::Phase>();
    value::<penalty::L2>();
    value::<penalty::ElasticNet>();
    #[cfg(feature = "plot")]
    {
        use steadygrad::plot;
        value::<plot::Chart>();
        value::<plot::Picture<plot::Page>>();
        value::<plot::Picture<plot::Norms<'_>>>();
        value::<plot::Picture<plot::Weights<'_>>>();
        value::<plot::Picture<plot::Report<'_>>>();
        #[cfg(feature = "ndarray")]
        value::<plot::Picture<plot::Flow>>();
    }
    // These borrow a set of the user's, which may not leave its thread.
    shown::<Step<'_, &mut Vec<f32>>>();
    shown::<steadygrad::TensorRef<'_>>();
    shown::<Reading<'_, '_>>();
    shown::<Writing<'_>>();
}

#[test]
fn equal_is_what_does_the_same() {
    let half = Factor::new(0.5).unwrap();
    let halved = |index: usize, count: usize| {
        let mut edits = Edits::for_count(count);
        edits.zero(0);
        edits.scale_units(index, 0, &[half, Factor::ONE]);
        edits
    };
    assert_eq!(halved(1, 2), halved(1, 2));
    assert_ne!(halved(1, 2), halved(0, 2));
    assert_ne!(halved(1, 2), halved(1, 3));
    // Where the factors lie in memory makes no difference.
    let mut behind = Edits::for_count(2);
    behind.scale_units(0, 0, &[Factor::new(9.0).unwrap()]);
    behind.scale_units(1, 0, &[half, Factor::ONE]);
    assert_eq!(halved(1, 2).get(1), behind.get(1));
    assert_ne!(halved(1, 2).get(1), behind.get(0));
    assert_eq!(Edits::for_count(1).get(0), Edit::KEEP);
    assert!(
        Factor::ratio(Wide::ONE, Wide::new(1.0, 3000))
            < Factor::ratio(Wide::ONE, Wide::new(1.0, 2000))
    );
    assert_eq!(Wide::default(), Wide::ZERO);

    let (l1, l2) = (
        penalty::L1::new(0.5).unwrap(),
        penalty::L2::new(0.5).unwrap(),
    );
    assert!(l1 == penalty::L1::new(0.5).unwrap() && l1 != penalty::L1::new(0.25).unwrap());
    assert!(l2 == l2.clone() && l2 != l2.clone().on(|name: &str| name == "w"));
    let net = |a, b| penalty::ElasticNet::new(a, b).unwrap();
    assert!(net(0.5, 1.0) == net(0.5, 1.0) && net(0.5, 1.0) != net(1.0, 0.5));

    let mut guard = Guard::new().detect(detect::NormThreshold::new(1.0).unwrap());
    let mut alarm = |norm: f64| guard.step(&mut [norm]).unwrap().alarms()[0].clone();
    let (first, second) = (alarm(2.0), alarm(2.0));
    assert_eq!(first, first.clone());
    assert_ne!(first, second); // another step
}

#[test]
fn equal_reports_are_of_equal_steps() {
    let chain = || {
        Guard::new()
            .detect(detect::NormThreshold::new(6.0).unwrap())
            .clip(clip::Value::new(3.0).unwrap())
            .clip(clip::GlobalNorm::new(2.5).unwrap())
    };
    let first = |mut guard: Guard, grads: [(&str, [f64; 2]); 2]| {
        let mut grads = grads;
        guard.step(&mut grads).unwrap().clone()
    };
    let grads = [("w", [4.0, 8.0]), ("b", [1.0, 0.0])];
    let report = first(chain(), grads);
    assert_eq!(report, first(chain(), grads));
    let needs = report.measurement().needs();
    assert_eq!(
        *report.measurement(),
        Measurement::with_needs(&grads, needs).unwrap()
    );

    // Another name, a sign that no norm sees, another element, another rule.
    let [w, b] = grads;
    assert_ne!(report, first(chain(), [w, ("c", b.1)]));
    assert_eq!(report, first(chain(), [("w", [4.0, -8.0]), b]));
    assert_ne!(report, first(chain(), [("w", [4.0, 7.0]), b]));
    let also = detect::NormThreshold::new(1.0).unwrap();
    assert_ne!(report, first(chain().detect(also), grads));
    assert_ne!(report, first(Guard::new(), grads));

    // A later step, and a space that held something else before.
    let mut guard = chain();
    let mut other = [[9.0_f64; 7]; 3];
    let _ = guard.step(&mut other).unwrap();
    let second = first(guard, grads);
    assert_ne!(report, second);
    assert!(report.tensors().eq(second.tensors()));
    let lost = || first(chain(), [("w", [f64::NAN, 8.0]), b]);
    assert_ne!(lost(), lost());
}

#[test]
fn traits_stand_behind_dyn() {
    let mut xs = vec![3.0_f32, 4.0];
    let tensor: &mut dyn TensorMut = &mut xs;
    assert_eq!(clip::global_norm(tensor, 1.0).unwrap().before(), 5.0);
    let tensor: &dyn Tensor = &xs;
    assert_eq!(Measurement::of(tensor).unwrap().total().len(), 2);
    let set: &dyn TensorSet = &xs;
    assert_eq!(Measurement::of(set).unwrap().len(), 1);
    let set: &mut dyn TensorSetMut = &mut xs;
    assert!(!clip::global_norm(set, 10.0).unwrap().is_clipped());
    let mut boxed: Box<dyn TensorSetMut> = Box::new(xs);
    assert!(!clip::value(&mut boxed, 10.0).unwrap().is_clipped());
}

#[test]
fn one_function_takes_every_kind_of_gradients() {
    let half = |before: f64, clipped: steadygrad::Result<clip::Clipped>| {
        let clipped = clipped.unwrap();
        assert_eq!((clipped.before(), clipped.factor()), (before, 0.5));
    };
    let mut vec = vec![3.0_f32, 4.0];
    half(5.0, clip::global_norm(&mut vec, 2.5));
    assert_eq!(vec, [1.5, 2.0]);
    half(2.5, clip::global_norm(vec.as_mut_slice(), 1.25));
    half(1.25, clip::global_norm(&mut &mut vec[..], 0.625));
    let mut array = [3.0_f64, 4.0];
    half(5.0, clip::global_norm(&mut array, 2.5));
    let mut boxed: Box<[f64]> = Box::new([3.0, 4.0]);
    half(5.0, clip::global_norm(&mut *boxed, 2.5));
    let mut option = Some(vec![3.0_f64, 4.0]);
    half(5.0, clip::global_norm(&mut option, 2.5));
    let mut list = vec![vec![3.0_f64], vec![4.0]];
    half(5.0, clip::global_norm(&mut list, 2.5));
    half(2.5, clip::global_norm(&mut list[..], 1.25));
    let mut named = [("w", vec![3.0_f32]), ("b", vec![4.0])];
    half(5.0, clip::global_norm(&mut named, 2.5));
    let mut owned = vec![("w".to_string(), [3.0_f32, 4.0])];
    half(5.0, clip::global_norm(&mut owned, 2.5));
    let mut map = BTreeMap::from([
        ("w".to_string(), vec![3.0_f32]),
        ("b".to_string(), vec![4.0]),
    ]);
    half(5.0, clip::global_norm(&mut map, 2.5));
    assert_eq!(map["b"], [2.0]);
    let (mut w, mut b) = (vec![3.0_f32], [4.0_f64]);
    let mut mixed: [(&str, &mut dyn TensorMut); 2] = [("w", &mut w), ("b", &mut b)];
    half(5.0, clip::global_norm(&mut mixed, 2.5));
    assert_eq!((w, b), (vec![1.5], [2.0]));
    let mut nested = vec![(
        String::from("layers"),
        vec![vec![vec![3.0_f32]], vec![vec![4.0]]],
    )];
    half(5.0, clip::global_norm(&mut nested, 2.5));
}

#[test]
fn plain_buffers_in_any_loop() -> steadygrad::Result<()> {
    let (mut w, mut b) = (vec![30.0_f32, -40.0], vec![0.0_f64]);
    let mut params = vec![1.0_f32, 1.0];
    let mut set: [(&str, &mut dyn TensorMut); 2] = [("w", &mut w), ("b", &mut b)];
    let mut guard = Guard::new()
        .clip(clip::Value::new(5.0)?)
        .clip(clip::GlobalNorm::new(1.0)?)
        .detect(detect::NormThreshold::new(100.0)?)
        .on_non_finite(OnNonFinite::Skip);
    let report = guard.step(&mut set)?;
    if report.verdict().is_apply() {
        // The report borrows the guard, not the gradients.
        params.iter_mut().zip(&w).for_each(|(p, g)| *p -= g);
        println!("{report}");
    }
    let share = 0.5_f32.sqrt();
    assert_eq!(w, [share, -share]);
    assert_eq!(params, [1.0 - share, 1.0 + share]);
    Ok(())
}

#[cfg(feature = "ndarray")]
mod with_arrays {
    use super::*;
    use ndarray::{Array1, Array2, Array3, Axis};
    use steadygrad::penalty::{L2, Penalty};
    use steadygrad::recurrent::{Activation, Init, Layer, Rnn};

    struct Grads {
        w_in: Array2<f32>,
        w_rec: Array2<f32>,
        bias: Array1<f32>,
    }
    tensor_set!(Grads { w_in, w_rec, bias });

    struct Model {
        layers: Vec<Grads>,
        head: (),
        scale: [f64; 1],
    }
    tensor_set!(Model { layers, scale });

    fn grads() -> Grads {
        Grads {
            w_in: Array2::ones((2, 3)),
            w_rec: Array2::ones((2, 2)),
            bias: Array1::from_vec(vec![f32::NAN, 1.0]),
        }
    }

    #[test]
    fn names_of_a_struct_reach_the_report() {
        let mut set = grads();
        let mut guard = Guard::new();
        let report = guard.step(&mut set).unwrap();
        assert_eq!(
            report.tensors().map(|t| t.name).collect::<Vec<_>>(),
            ["w_in", "w_rec", "bias"]
        );
        assert_eq!(report.non_finite().unwrap().tensor(), Some("bias"));

        let mut model = Model {
            layers: vec![grads(), grads()],
            head: (),
            scale: [1.0],
        };
        let () = model.head;
        let report = guard.step(&mut model).unwrap();
        let names: Vec<_> = report.tensors().map(|t| t.name).collect();
        assert_eq!(
            names[2..5],
            ["layers.0.bias", "layers.1.w_in", "layers.1.w_rec"]
        );
        assert_eq!(names[6..], ["scale"]);
    }

    fn uniform() -> impl FnMut() -> f64 {
        let mut random = crate::numbers::Random(1);
        move || f64::midpoint(random.unit(), 1.0)
    }

    fn mse(outputs: &ndarray::ArrayView3<'_, f32>, targets: &Array3<f32>) -> (f64, Array3<f32>) {
        let apart = outputs - targets;
        let loss = apart.iter().map(|x| f64::from(x * x)).sum::<f64>() / apart.len() as f64;
        let count = apart.len() as f32;
        (loss, apart.mapv(|x| 2.0 * x / count))
    }

    #[test]
    fn a_cell_of_ours_with_everything_watched() -> steadygrad::Result<()> {
        let (inputs, hidden, batch, rate) = (2, 5, 3, 0.05);
        let mut random = uniform();
        let mut rnn = Rnn::<f32>::builder(inputs, hidden)
            .activation(Activation::Tanh)
            .w_rec(Init::Orthogonal)
            .build(&mut random)?;
        let decay = L2::new(1e-4)?;
        let mut guard = Guard::new()
            .clip(clip::GlobalNorm::new(0.5)?)
            .detect(detect::WeightGrowth::new(10.0)?)
            .detect_with(Verdict::Rollback, detect::Plateau::new(0.0, 3)?);
        let last_good = rnn.clone();
        let mut verdicts = vec![];
        let mut losses = vec![];
        for step in 0..60 {
            let xs = Array3::from_shape_fn((4, batch, inputs), |_| random() as f32);
            let sums = xs.sum_axis(Axis(2));
            let targets = Array3::from_shape_fn((4, batch, hidden), |(t, b, h)| {
                sums[[t, b]] / (h + 3) as f32
            });
            let pass = rnn.forward(xs.view(), &rnn.zero_state(batch))?;
            let (loss, d_outputs) = mse(&pass.outputs(), &targets);
            let mut back = rnn.backward(&pass, d_outputs.view())?;
            let loss = loss + decay.apply(&rnn, &mut back.grads)?;
            losses.push(loss);
            let loss = if step == 30 { f64::NAN } else { loss };
            let report = guard.step(Step::new(&mut back.grads).params(&rnn).loss(loss))?;
            assert!(report.after() <= 0.5 * (1.0 + 1e-7));
            verdicts.push(report.verdict());
            match report.verdict() {
                Verdict::Apply => set::axpy(-rate, &back.grads, &mut rnn)?,
                Verdict::Skip => (),
                Verdict::Rollback => rnn = last_good.clone(),
                Verdict::Stop => {
                    eprintln!("{report}");
                    break;
                }
            }
        }
        assert_eq!(verdicts[30], Verdict::Skip);
        assert_eq!(verdicts.iter().filter(|&&v| v == Verdict::Skip).count(), 1);
        assert!(
            losses[59] < losses[0] / 2.0 || verdicts.contains(&Verdict::Rollback),
            "{losses:?}"
        );
        Ok(())
    }
}
