//! Kind 23: gradients of one model beside the variables of another.

use std::collections::BTreeMap;

use steadygrad::{
    Error, Guard, Measurement, Reading, Result, Step, TensorRef, TensorSet, TensorSetMut, Verdict,
    Visitor, VisitorMut, clip,
};

type Store = BTreeMap<&'static str, Vec<f32>>;

/// The gradients of some variables, looked up in a store of more.
struct Of<'s> {
    vars: &'s [&'static str],
    store: &'s mut Store,
}

impl TensorSet for Of<'_> {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.vars.iter().try_for_each(|name| {
            let missing: &[f32; 0] = &[];
            match self.store.get(name) {
                Some(grad) => f(name, TensorRef::Other(grad)),
                None => f(name, TensorRef::Other(missing)),
            }
        })
    }

    fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
        let others = self.store.keys().filter(|name| !self.vars.contains(name));
        reading.unmatched(others.count());
        self.visit(&mut |name, tensor| reading.tensor(name, tensor))
    }
}

impl TensorSetMut for Of<'_> {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        self.vars
            .iter()
            .try_for_each(|name| match self.store.get_mut(name) {
                Some(grad) => f(name, grad),
                None => f(name, &mut [0.0_f32; 0]),
            })
    }
}

fn store(names: &[&'static str]) -> Store {
    names.iter().map(|name| (*name, vec![3.0, 4.0])).collect()
}

const OTHERS: &str = "gradients belong to no tensor of the set";

#[test]
fn a_set_that_matches_nothing_does_not_pass() {
    let mut store = store(&["a", "b", "c"]);
    store.insert("a", vec![f32::NAN]);
    let vars = ["x", "y"];
    let unmatched = Error::Unmatched { found: 3 };
    assert_eq!(
        unmatched.to_string(),
        "expected gradients of the given parameters, found 3 gradients of others"
    );
    // It is refused also where nothing has to be seen, is counted as skipped, and ends a run in the end.
    for make in [Guard::new, || Guard::new().require_gradients()] {
        let mut guard = make()
            .clip(clip::GlobalNorm::new(1.0).unwrap())
            .max_skips(1);
        let mut set = Of {
            vars: &vars,
            store: &mut store,
        };
        assert_eq!(guard.step(&mut set).map(drop), Err(unmatched.clone()));
        assert_eq!(
            guard.report().to_string(),
            format!(
                "step 1: nothing seen, none of 2 tensors has a gradient; skip (1 in a row); 3 {OTHERS}"
            )
        );
        let scaled = guard.step(Step::new(&mut set).scaled_by(8.0)).map(drop);
        let cause = Box::new(unmatched.clone());
        assert_eq!(scaled, Err(Error::Stop { in_a_row: 2, cause }));
        assert_eq!(guard.report().unmatched(), 3);
        assert_eq!(guard.plan(&set).map(drop).unwrap_err().to_string(), {
            let stop = "stop: 3 steps in a row were refused";
            format!("{unmatched}; {stop}")
        });
        assert_eq!(clip::global_norm(&mut set, 1.0), Err(unmatched.clone()));
        assert_eq!(clip::tensor_norm(&mut set, 1.0), Err(unmatched.clone()));
        // Who measures alone may look for himself.
        assert_eq!(Measurement::of(&set).unwrap().unmatched(), 3);
    }
    // With no gradients at all there is nothing that could be others'.
    let mut none = Store::new();
    let mut set = Of {
        vars: &vars,
        store: &mut none,
    };
    let mut guard = Guard::new();
    let report = guard.step(&mut set).unwrap();
    assert!(report.nothing_seen() && report.unmatched() == 0);
}

#[test]
fn some_that_belong_to_none_are_told() {
    for (names, said) in [
        (&["w"][..], String::new()),
        (
            &["w", "k"],
            "; 1 gradient belongs to no tensor of the set".into(),
        ),
        (&["a", "b", "w"], format!("; 2 {OTHERS}")),
    ] {
        for scale in [1.0, 0.5] {
            let mut store = store(names);
            let mut set = Of {
                vars: &["v", "w"],
                store: &mut store,
            };
            let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0).unwrap());
            let report = guard.step(Step::new(&mut set).scaled_by(scale)).unwrap();
            assert_eq!(report.verdict(), Verdict::Apply);
            assert_eq!(report.unmatched(), names.len() - 1);
            assert_eq!(report.measurement().unmatched(), names.len() - 1);
            assert!(
                report.to_string().ends_with(&format!("; apply{said}")),
                "{report}"
            );
            // They are nobody's, and left alone.
            let kept: Vec<_> = names.iter().filter(|name| **name != "w").collect();
            assert!(kept.iter().all(|name| store[**name] == [3.0, 4.0]));
            assert_eq!(store["w"], [0.6, 0.8]);
        }
    }
}

#[test]
fn nested_sets_add_up_and_the_next_step_counts_anew() {
    let (mut policy, mut value) = (store(&["w", "k", "l"]), store(&["q"]));
    let mut guard = Guard::new();
    let mut step = |policy: &mut Store, value: &mut Store| {
        let (vars, others) = (["w"], ["v"]);
        let mut policy = Of {
            vars: &vars,
            store: policy,
        };
        let mut value = Of {
            vars: &others,
            store: value,
        };
        let mut both = [
            ("policy", &mut policy as &mut dyn TensorSetMut),
            ("value", &mut value),
        ];
        let step = guard.step(&mut both);
        step.map(|report| (report.unmatched(), report.measurement().name(1).to_string()))
    };
    // Of one of them none matches, of the other one does: two and one more.
    let value_v = "value.v".to_string();
    assert_eq!(step(&mut policy, &mut value), Ok((3, value_v.clone())));
    value.insert("v", vec![1.0]);
    policy.remove("l");
    assert_eq!(step(&mut policy, &mut value), Ok((2, value_v)));
    // Of neither.
    policy.remove("w");
    value.remove("v");
    assert_eq!(
        step(&mut policy, &mut value),
        Err(Error::Unmatched { found: 2 })
    );
}
