//! Kind 16: plans that say too much, and steps that fail half-way.

use steadygrad::StepView;
use steadygrad::clip::{self, Clipper};
use steadygrad::set::{Visitor, VisitorMut};
use steadygrad::{
    Ask, Edit, Error, Factor, Guard, Needs, Pen, Result, Stats, Tell, Tensor, TensorMut, TensorRef,
    TensorSet, TensorSetMut, Units, Verdict, detect,
};

fn global(max: f64) -> clip::GlobalNorm {
    clip::GlobalNorm::new(max).unwrap()
}

#[test]
fn a_plan_has_no_factor_for_what_is_not_to_be_done() {
    let threshold = detect::NormThreshold::new(50.0).unwrap();
    for verdict in [Verdict::Skip, Verdict::Rollback, Verdict::Stop] {
        let mut guard = Guard::new()
            .detect_with(verdict, threshold)
            .clip(global(1.0));
        let plan = guard.plan(&[60.0]).unwrap();
        assert_eq!((plan.verdict(), plan.factor(0)), (verdict, None));
    }
    let mut guard = Guard::new().clip(global(1.0));
    assert_eq!(guard.plan(&[f64::NAN]).unwrap().factor(0), None);
    assert_eq!(guard.plan(&[4.0]).unwrap().factor(0), Some(0.25));
    // There is a tensor 1, no tensor 2, and none of an empty set.
    let plan = guard.plan(&[[0.25], [0.25]]).unwrap();
    let factors = [0, 1, 2, usize::MAX].map(|index| plan.factor(index));
    assert_eq!(factors, [Some(1.0), Some(1.0), None, None]);
    assert_eq!(guard.plan(&Vec::<[f64; 1]>::new()).unwrap().factor(0), None);
}

/// Clamps the first tensor, and scales the units of one.
#[derive(Debug)]
struct ScalesUnits {
    units: Option<Units>,
    factors: Vec<Factor>,
    of: usize,
}

impl Clipper for ScalesUnits {
    fn name(&self) -> &'static str {
        "scales units"
    }

    fn needs(&self) -> Needs {
        match &self.units {
            Some(units) => Needs::norms().of_units(units.clone()),
            None => Needs::norms(),
        }
    }

    fn plan(&mut self, _step: &StepView<'_>, pen: &mut Pen<'_>) {
        pen.clamp(0, -1.0, 1.0);
        pen.scale_units(self.of, &self.factors);
    }
}

#[test]
fn units_that_do_not_fit_are_found_before_anything_is_written() {
    let grads = || vec![vec![3.0, 4.0], vec![5.0], vec![6.0]];
    let half = Factor::new(0.5).unwrap();
    for of in 0..3 {
        for units in [
            None,
            Some(Units::First),
            Some(Units::Axis(7)),
            Some(Units::Examples),
        ] {
            let len = match units {
                Some(Units::Examples) => grads()[of].len(),
                _ => 1,
            };
            let rule = |count| ScalesUnits {
                units: units.clone(),
                factors: vec![half; count],
                of,
            };
            for count in [0, len + 1] {
                let context = format!("{:?}", rule(count));
                let (mut guard, mut written) = (Guard::new().clip(rule(count)), grads());
                let error = guard.step(&mut written).map(|_| ()).unwrap_err();
                assert!(
                    matches!(error, Error::Count { expected, found, .. } if (expected, found) == (len, count)),
                    "{context}: {error}"
                );
                assert_eq!(written, grads(), "{context}: half of it was written");
                let report = guard.report();
                assert_eq!((report.verdict(), report.skips()), (Verdict::Skip, 1));
                assert!(guard.plan(&written).is_err(), "{context}");
            }
            // Those that fit are carried out.
            let mut found = grads();
            assert!(Guard::new().clip(rule(len)).step(&mut found).is_ok());
            let halved = if of == 0 { 0.5 } else { grads()[of][0] / 2.0 };
            assert_eq!(found[of][0], halved);
        }
    }
}

#[cfg(feature = "ndarray")]
#[test]
fn a_plan_for_another_shape_of_the_same_size_writes_nothing() {
    use ndarray::{Array2, array};
    let grads = || vec![array![[9.0_f64]], array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]];
    let rule = ScalesUnits {
        units: Some(Units::First),
        factors: [0.5, 2.0].map(|x| Factor::new(x).unwrap()).to_vec(),
        of: 1,
    };
    let mut guard = Guard::new().clip(rule);
    let turned = || vec![array![[9.0]], Array2::ones((3, 2))];
    let mut other = turned();
    let plan = guard.plan(&grads()).unwrap();
    let error = plan.apply(&mut other).map(|_| ()).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("expected shape [2, 3], found [3, 2]"),
        "{error}"
    );
    assert_eq!(other, turned());
    // Flat ones fit any shape, but have no such units.
    let mut flat = vec![vec![9.0], vec![1.0; 6]];
    assert!(guard.plan(&grads()).unwrap().apply(&mut flat).is_err());
    assert_eq!(flat, [vec![9.0], vec![1.0; 6]]);
    let mut right = grads();
    assert!(guard.plan(&right).unwrap().apply(&mut right).is_ok());
    assert_eq!(right[1], array![[0.5, 1.0, 1.5], [8.0, 10.0, 12.0]]);
}

/// A tensor whose storage takes no writes.
#[derive(Debug)]
struct ReadOnly(Vec<f64>);

impl Tensor for ReadOnly {
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

impl TensorMut for ReadOnly {
    fn edit(&mut self, _edit: &Edit<'_>, _tell: Tell<'_>) -> Result<()> {
        Err(Error::Storage("read only".into()))
    }

    fn write(&mut self, _start: usize, _values: &[f64]) -> Result<()> {
        Err(Error::Storage("read only".into()))
    }

    fn add(&mut self, _start: usize, _values: &[f64]) -> Result<()> {
        Err(Error::Storage("read only".into()))
    }
}

/// Three tensors, of which the storage in the middle may fail.
#[derive(Debug)]
struct Three {
    first: Vec<f64>,
    middle: ReadOnly,
    last: Vec<f64>,
}

impl TensorSet for Three {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        f("first", TensorRef::Other(&self.first))?;
        f("middle", TensorRef::Other(&self.middle))?;
        f("last", TensorRef::Other(&self.last))
    }
}

impl TensorSetMut for Three {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        f("first", &mut self.first)?;
        f("middle", &mut self.middle)?;
        f("last", &mut self.last)
    }
}

#[test]
fn a_storage_that_fails_half_way_leaves_what_the_docs_say() {
    let rules: [fn() -> Guard; 2] = [
        || Guard::new().clip(global(6.5)),
        // With a look at what is left.
        || Guard::new().clip(clip::Value::new(1.5).unwrap()),
    ];
    for (rule, first) in rules.into_iter().zip([1.5, 1.5]) {
        let mut guard = rule().max_skips(2);
        for row in 1..=3 {
            let mut grads = Three {
                first: vec![3.0],
                middle: ReadOnly(vec![4.0]),
                last: vec![12.0],
            };
            let error = guard.step(&mut grads).map(|_| ()).unwrap_err();
            let told = error.to_string();
            assert!(told.starts_with("tensor storage: read only"), "{told}");
            assert_eq!(
                told.ends_with("stop: 3 steps in a row were refused"),
                row == 3
            );
            // What comes before it is edited, what comes behind it is not.
            assert_eq!((grads.first[0], grads.last[0]), (first, 12.0));
            assert_eq!(grads.middle.0, [4.0]);
            let report = guard.report();
            assert_eq!((report.before(), report.skips()), (13.0, row));
            assert!(report.after().is_nan() && !report.verdict().is_apply());
            assert!(report.tensors().all(|tensor| tensor.after.is_none()));
        }
        // And the guard goes on.
        let mut good = [("first", [0.5])];
        let report = guard.step(&mut good).unwrap();
        assert_eq!((report.after(), report.skips()), (0.5, 0));
    }
}

/// A set whose first tensor can be read.
#[derive(Debug)]
struct Lost;
impl TensorSet for Lost {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        f("w", TensorRef::Other(&[2.0]))?;
        Err(Error::Storage("gone".into()))
    }
}

#[test]
fn a_report_of_what_could_not_be_read_says_nothing_of_another_step() {
    let mut guard = Guard::new();
    assert_eq!(guard.step(&mut [3.0, 4.0]).unwrap().before(), 5.0);
    assert!(guard.plan(&Lost).is_err());
    let report = guard.report();
    // The one that was read.
    assert_eq!((report.step(), report.before()), (2, 2.0));
    assert!(report.after().is_nan() && !report.nothing_seen());
    assert_eq!(report.verdict(), Verdict::Skip);
    assert_eq!(
        report.to_string(),
        "step 2: norm not measured; skip (1 in a row)"
    );
    assert_eq!(guard.step(&mut [3.0, 4.0]).unwrap().before(), 5.0);
}

#[test]
fn a_plan_is_a_step_whether_it_is_carried_out_or_not() {
    let mut guard = Guard::new().max_skips(1);
    let first = guard.plan(&[f64::NAN]).unwrap();
    assert_eq!((first.report().step(), first.report().skips()), (1, 1));
    let mut grads = [f64::NAN];
    let report = guard.step(&mut grads).unwrap();
    assert_eq!((report.step(), report.verdict()), (2, Verdict::Stop));
    // To apply what is to be skipped changes nothing, and counts no second time.
    let mut guard = Guard::new();
    let plan = guard.plan(&grads).unwrap();
    assert_eq!(plan.apply(&mut grads).unwrap().skips(), 1);
    assert!(grads[0].is_nan());
}
