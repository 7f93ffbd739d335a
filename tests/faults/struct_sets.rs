//! Kind 17: structs that the macro could not make sets of.

use std::borrow::Cow;
use std::collections::BTreeMap;

use steadygrad::{
    Clamped, Guard, Measurement, Needs, Result, TensorMut, TensorSet, TensorSetMut, Units, Visitor,
    VisitorMut, clip, tensor_set,
};

/// Names and sizes, in the order in which the set gives them.
fn told(set: &(impl TensorSetMut + ?Sized)) -> Vec<(String, u64)> {
    let seen = Measurement::of(set).unwrap();
    let told = (0..seen.len()).map(|i| (seen.name(i).to_string(), seen.tensor(i).len()));
    told.collect()
}

fn named<const N: usize>(expected: [(&str, u64); N]) -> Vec<(String, u64)> {
    expected.map(|(name, len)| (name.to_string(), len)).to_vec()
}

struct Layer {
    w: Vec<f32>,
    b: [f32; 1],
}
tensor_set!(Layer { w, b });

fn layer() -> Layer {
    Layer {
        w: vec![3.0, 0.0],
        b: [4.0],
    }
}

#[test]
fn a_lifetime_may_have_any_name() {
    struct Lent<'a> {
        w: &'a mut [f32],
        layers: Vec<&'a mut Layer>,
    }
    tensor_set!(impl['a] Lent<'a> { w, layers });
    struct Generic<'f, 'visit, T> {
        w: &'f mut T,
        b: &'visit mut T,
    }
    tensor_set!(impl['f, 'visit, T: TensorSetMut] Generic<'f, 'visit, T> { w, b });

    let (mut w, mut one) = ([12.0_f32], layer());
    let mut lent = Lent {
        w: &mut w,
        layers: vec![&mut one],
    };
    let expected = named([("w", 1), ("layers.0.w", 2), ("layers.0.b", 1)]);
    assert_eq!(told(&lent), expected);
    assert_eq!(clip::global_norm(&mut lent, 6.5).unwrap().before(), 13.0);
    assert_eq!((w, one.w, one.b), ([6.0], vec![1.5, 0.0], [2.0]));

    let (mut w, mut b) = ([3.0_f64], [4.0]);
    let mut both = Generic {
        w: &mut w,
        b: &mut b,
    };
    assert_eq!(clip::global_norm(&mut both, 2.5).unwrap().before(), 5.0);
    assert_eq!((w, b), ([1.5], [2.0]));
}

#[test]
fn a_raw_identifier_is_named_without_its_mark() {
    struct Gate {
        r#in: [f32; 2],
        r#loop: Layer,
    }
    tensor_set!(Gate { r#in, r#loop });
    let mut gate = Gate {
        r#in: [0.0, f32::NAN],
        r#loop: layer(),
    };
    let expected = named([("in", 2), ("loop.w", 2), ("loop.b", 1)]);
    assert_eq!(told(&gate), expected);
    let mut guard = Guard::new();
    let report = guard.step(&mut gate).unwrap();
    assert_eq!(report.non_finite().unwrap().tensor(), Some("in"));
}

#[test]
fn a_tuple_struct_goes_by_numbers() {
    struct Pair(Vec<f64>, Layer);
    tensor_set!(Pair { 0, 1 });
    struct Only<T>(T);
    tensor_set!(impl[T: TensorSetMut] Only<T> { 0 });

    let mut pair = Pair(vec![12.0], layer());
    assert_eq!(told(&pair), named([("0", 1), ("1.w", 2), ("1.b", 1)]));
    assert_eq!(clip::global_norm(&mut pair, 6.5).unwrap().before(), 13.0);
    assert_eq!((pair.0, pair.1.b), (vec![6.0], [2.0]));
    assert_eq!(told(&Only(Only([1.0_f32]))), named([("0.0", 1)]));
}

#[test]
fn a_missing_set_is_one_empty_tensor_under_its_own_name() {
    struct Model {
        first: Option<Layer>,
        head: Option<Box<Layer>>,
        more: Vec<Option<Layer>>,
    }
    tensor_set!(Model { first, head, more });
    let mut model = Model {
        first: Some(layer()),
        head: None,
        more: vec![None, Some(layer())],
    };
    let expected = [
        ("first.w", 2),
        ("first.b", 1),
        ("head", 0),
        ("more.0", 0),
        ("more.1.w", 2),
        ("more.1.b", 1),
    ];
    assert_eq!(told(&model), named(expected));

    // Whatever is asked of it: a missing set is one unit without elements, and no example.
    for units in [Units::First, Units::Last, Units::Axis(1)] {
        let needs = Needs::norms().of_units(units);
        let seen = Measurement::with_needs(&model, &needs).unwrap();
        let missing = *seen.tensor(2);
        assert_eq!((seen.units(2), seen.unit_axis(2)), (&[missing][..], None));
        assert_eq!((missing.len(), missing.l2()), (0, 0.0));
    }
    let examples = Needs::norms().of_units(Units::Examples);
    let seen = Measurement::with_needs(&model, &examples).unwrap();
    assert_eq!((seen.units(0).len(), seen.units(2).len()), (2, 0));
    let mut guard = Guard::new()
        .clip(clip::Value::new(3.5).unwrap())
        .clip(clip::GlobalNorm::new(1.0).unwrap());
    let report = guard.step(&mut model).unwrap();
    assert_eq!(report.before(), 50_f64.sqrt());
    assert!((report.after() - 1.0).abs() < 1e-7);
    let left = Measurement::of(&model).unwrap();
    assert_eq!(left.tensor(0), left.tensor(4));
    assert!((left.total().l2() - 1.0).abs() < 1e-7);
}

#[test]
fn a_number_is_a_tensor_of_one() {
    struct Sharp {
        w: Vec<f32>,
        temperature: f32,
        scale: Option<f64>,
    }
    tensor_set!(Sharp {
        w,
        temperature,
        scale
    });
    let mut sharp = Sharp {
        w: vec![3.0],
        temperature: -4.0,
        scale: Some(12.0),
    };
    let expected = named([("w", 1), ("temperature", 1), ("scale", 1)]);
    assert_eq!(told(&sharp), expected);
    assert_eq!(clip::global_norm(&mut sharp, 6.5).unwrap().before(), 13.0);
    assert_eq!(
        (&sharp.w[..], sharp.temperature, sharp.scale),
        (&[1.5][..], -2.0, Some(6.0))
    );

    let mut alone = 4.0_f64;
    assert_eq!(
        clip::value(&mut alone, 1.0).unwrap(),
        Clamped::of(1, 1, 0, 0)
    );
    assert_eq!(alone, 1.0);
    #[cfg(feature = "half")]
    {
        let mut halves = (half::f16::from_f32(3.0), half::bf16::from_f32(4.0));
        let mut both: [(&str, &mut dyn TensorSetMut); 2] =
            [("f16", &mut halves.0), ("bf16", &mut halves.1)];
        assert_eq!(clip::global_norm(&mut both, 2.5).unwrap().before(), 5.0);
        assert_eq!((halves.0.to_f32(), halves.1.to_f32()), (1.5, 2.0));
    }
}

/// A set of one's own stands in lists, options, pairs and maps without another line.
struct Own([f32; 2]);

impl TensorSet for Own {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.0.visit(f)
    }
}

impl TensorSetMut for Own {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        self.0.visit_mut(f)
    }
}

#[test]
fn a_set_of_ones_own_stands_wherever_a_set_may() {
    let own = || Own([3.0, 4.0]);
    assert_eq!(told(&vec![own(), own()]), named([("0", 2), ("1", 2)]));
    assert_eq!(told(&[Some(own()), None]), named([("0", 2), ("1", 0)]));
    assert_eq!(
        told(&[("a", own()), ("b", own())]),
        named([("a", 2), ("b", 2)])
    );
    assert_eq!(told(&("alone", own())), named([("alone", 2)]));
    assert_eq!(told(&("net", layer())), named([("net.w", 2), ("net.b", 1)]));
    assert_eq!(told(&("net", ("head", [1.0]))), named([("net.head", 1)]));
    let map = BTreeMap::from([
        (Cow::Borrowed("cow"), own()),
        (Cow::Owned("calf".into()), own()),
    ]);
    assert_eq!(told(&map), named([("calf", 2), ("cow", 2)]));
}

/// Whatever can be read as a `str` names a tensor.
#[test]
fn names_are_of_any_kind() {
    enum Gate {
        Forget,
        Input,
    }
    impl AsRef<str> for Gate {
        fn as_ref(&self) -> &str {
            match self {
                Self::Forget => "forget",
                Self::Input => "input",
            }
        }
    }
    let gates = [(Gate::Forget, [1.0]), (Gate::Input, [2.0])];
    assert_eq!(told(&gates), named([("forget", 1), ("input", 1)]));
    let boxed: [(Box<str>, [f64; 1]); 1] = [("w".into(), [1.0])];
    assert_eq!(told(&boxed), named([("w", 1)]));
}

#[test]
fn tensors_behind_dyn_are_the_tensors_they_were() {
    let (mut w, mut b) = (vec![3.0_f32, f32::NAN], [4.0_f64]);
    let mut mixed: [&mut dyn TensorMut; 2] = [&mut w, &mut b];
    assert_eq!(told(&mixed), named([("0", 2), ("1", 1)]));
    let seen = Measurement::of(&mixed).unwrap();
    assert_eq!(seen.tensor(0).first_non_finite(), Some(1));
    assert_eq!(
        clip::value(&mut mixed, 1.0).unwrap(),
        Clamped::of(3, 2, 1, 0)
    );
    assert_eq!((w[0], b), (1.0, [1.0]));
}
