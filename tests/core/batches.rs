//! Slices are measured in batches, other tensors one by one; nobody can tell from what comes out.

use steadygrad::{
    Ask, Edits, Error, Guard, Measurement, Needs, Result, SliceRef, Stats, Tensor, TensorRef,
    TensorSet, TensorSetMut, Visitor, VisitorMut, clip, tensor_set,
};

/// A tensor that lends no slice.
struct Foreign(Vec<f32>);

impl Tensor for Foreign {
    fn stats(&self, ask: &mut Ask<'_>) -> Result<Stats> {
        self.0.stats(ask)
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn read(&self, start: usize, out: &mut [f64]) -> Result<()> {
        self.0.read(start, out)
    }
}

/// Slices, and every so often something else.
struct Mixed {
    tensors: Vec<Foreign>,
    every: usize,
}

impl TensorSet for Mixed {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        for (i, tensor) in self.tensors.iter().enumerate() {
            let tensor = if i % self.every == self.every - 1 {
                TensorRef::Other(tensor)
            } else {
                TensorRef::Slice(SliceRef::F32(&tensor.0))
            };
            f(&format!("t{i}"), tensor)?;
        }
        Ok(())
    }
}

fn tensors(count: usize) -> Vec<Foreign> {
    let values = |i: usize| (0..i % 90).map(move |j| ((i * 131 + j * 17) % 1009) as f32 - 500.0);
    (0..count).map(|i| Foreign(values(i).collect())).collect()
}

#[test]
fn batches_keep_order_names_and_bits() {
    for count in [0, 1, 31, 32, 33, 64, 543, 544, 545, 2500] {
        for every in [1, 2, 37, 5000] {
            let set = Mixed {
                tensors: tensors(count),
                every,
            };
            for needs in [
                Needs::norms(),
                Needs::norms().of_magnitudes(),
                Needs::norms().of_magnitudes().of_power(3.0).of_range(),
            ] {
                let seen = Measurement::with_needs(&set, &needs).unwrap();
                assert_eq!(seen.len(), count);
                for (i, tensor) in set.tensors.iter().enumerate() {
                    let mut ask = Ask::least();
                    ask.magnitudes = needs.magnitudes;
                    (ask.power, ask.range) = (needs.power, needs.range);
                    assert_eq!(*seen.tensor(i), tensor.stats(&mut ask).unwrap());
                    assert_eq!(seen.name(i), format!("t{i}"));
                }
            }
        }
    }
}

#[test]
fn a_measurement_can_be_used_again_for_another_set() {
    let mut seen = Measurement::of(&Mixed {
        tensors: tensors(100),
        every: 3,
    })
    .unwrap();
    let small = vec![vec![3.0_f32, 4.0], vec![]];
    seen.fill(&Needs::norms(), &Edits::default(), |reading| {
        small.measure(reading)
    })
    .unwrap();
    assert_eq!((seen.len(), seen.tensors().len()), (2, 2));
    assert_eq!((seen.tensor(0).l2(), seen.total().l2()), (5.0, 5.0));
    assert_eq!((seen.name(1), seen.name(2)), ("1", ""));
    assert_eq!(
        seen,
        Measurement::with_needs(&small, &Needs::norms()).unwrap()
    );
}

#[test]
fn nested_sets_are_measured_like_a_flat_list() {
    struct Layer {
        w: Vec<f32>,
        b: Option<Vec<f32>>,
        scale: f32,
    }
    tensor_set!(Layer { w, b, scale });

    let flat: Vec<Vec<f32>> = tensors(10_002).into_iter().map(|tensor| tensor.0).collect();
    let layers = flat.chunks_exact(3).enumerate().map(|(i, three)| Layer {
        w: three[0].clone(),
        b: (i % 2 == 0).then(|| three[1].clone()),
        scale: i as f32,
    });
    let layers: Vec<Layer> = layers.collect();
    let flat: Vec<Vec<f32>> = layers
        .iter()
        .flat_map(|layer| {
            let b = layer.b.clone().unwrap_or_default();
            [layer.w.clone(), b, vec![layer.scale]]
        })
        .collect();
    let mut layers = layers.into_iter().peekable();
    let mut nested: Vec<(String, Vec<Layer>)> = vec![];
    while layers.peek().is_some() {
        let name = format!("block{}", nested.len());
        nested.push((name, layers.by_ref().take(7).collect()));
    }
    for needs in [
        Needs::norms(),
        Needs::norms().of_magnitudes().of_power(3.0).of_range(),
    ] {
        let expected = Measurement::with_needs(&flat, &needs).unwrap();
        let seen = Measurement::with_needs(&nested, &needs).unwrap();
        assert_eq!(seen.len(), 10_002);
        assert!(seen.tensors() == expected.tensors() && seen.exact() == expected.exact());
        assert_eq!(seen.name(10_001), "block476.1.scale");
    }
}

/// A set that fails after some of its tensors.
struct Failing {
    tensors: Vec<Vec<f32>>,
    fails: bool,
}

impl TensorSet for Failing {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.tensors.visit(f)?;
        if self.fails {
            return Err(Error::Count {
                what: "tensors of the test",
                expected: 0,
                found: self.tensors.len(),
            });
        }
        Ok(())
    }
}

impl TensorSetMut for Failing {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        self.tensors.visit_mut(f)
    }
}

#[test]
fn what_was_handed_over_before_an_error_is_there() {
    for count in [1, 5, 32, 40, 600] {
        let mut set = Failing {
            tensors: vec![vec![3.0, 4.0]; count],
            fails: true,
        };
        let mut seen = Measurement::default();
        let norm = 5.0 * (count as f64).sqrt();
        let is_norm = |l2: f64| (l2 / norm - 1.0).abs() < 1e-15;
        let read = seen.fill(&Needs::norms(), &Edits::default(), |reading| {
            set.measure(reading)
        });
        assert!(read.is_err());
        assert_eq!(seen.len(), count);
        assert!(seen.tensors().iter().all(|stats| stats.l2() == 5.0));
        // Of what was read it is finished all the same.
        assert!(is_norm(seen.total().l2()));

        let mut guard = Guard::new().clip(clip::GlobalNorm::new(1e9).unwrap());
        assert!(guard.step(&mut set).is_err());
        assert_eq!(guard.report().tensors().count(), count);
        set.fails = false;
        let before = guard.step(&mut set).unwrap().before();
        assert!(is_norm(before), "{before} {norm}");
    }
}

#[test]
fn an_odd_one_among_many_is_named() {
    let mut grads: Vec<Vec<f32>> = vec![vec![1.0; 3]; 1500];
    grads[1203][2] = f32::NAN;
    let Error::NonFinite {
        what,
        nan: 1,
        inf: 0,
        index: 2,
    } = clip::global_norm(&mut grads, 1.0).unwrap_err()
    else {
        panic!("another error")
    };
    assert_eq!(what, "1203");
    assert_eq!(grads[0], [1.0; 3]);
    // Without a name it is called what it is.
    let error = clip::global_norm(&mut [1.0, f64::INFINITY], 1.0).unwrap_err();
    assert!(
        matches!(error, Error::NonFinite { what, nan: 0, inf: 1, index: 1 } if what == "gradient")
    );
}
