//! A tensor is what its copy is, however it lies in memory.

use ndarray::{
    Array, Array1, Array2, Array3, ArrayD, ArrayViewD, ArrayViewMutD, Axis, IxDyn, Slice,
};
use proptest::prelude::*;
use steadygrad::{
    Ask, Edits, Error, Factor, Guard, Measurement, OnNonFinite, Stats, Tell, Tensor, TensorMut,
    clip,
};

use crate::numbers::{Format, for_each_type};

/// How a view lies in a larger array: the order of its axes, then for each axis a step and a margin.
#[derive(Clone, Debug)]
struct Layout {
    shape: Vec<usize>,
    order: Vec<usize>,
    steps: Vec<(isize, usize)>,
}

fn layout() -> impl Strategy<Value = Layout> {
    let axes = prop::collection::vec(
        (
            0..7_usize,
            prop_oneof![Just(1), Just(-1), Just(2), Just(-3)],
            0..2_usize,
        ),
        0..5,
    );
    (axes, any::<u64>()).prop_map(|(axes, seed)| {
        let mut order: Vec<usize> = (0..axes.len()).collect();
        let mut random = crate::numbers::Random(seed);
        for i in (1..order.len()).rev() {
            order.swap(i, random.between(0, i as i64) as usize);
        }
        Layout {
            shape: axes.iter().map(|a| a.0).collect(),
            order,
            steps: axes.iter().map(|a| (a.1, a.2)).collect(),
        }
    })
}

impl Layout {
    /// The array around the view, filled with `outside`.
    fn around<T: Format>(&self, outside: T) -> ArrayD<T> {
        let sizes = self.order.iter().map(|&axis| {
            let (step, margin) = self.steps[axis];
            self.shape[axis] * step.unsigned_abs() + margin
        });
        ArrayD::from_elem(IxDyn(&sizes.collect::<Vec<_>>()), outside)
    }

    /// The axes in the view's order.
    fn places(&self) -> Vec<usize> {
        let mut places = vec![0; self.order.len()];
        for (place, &axis) in self.order.iter().enumerate() {
            places[axis] = place;
        }
        places
    }

    fn slices(&self) -> impl Iterator<Item = (Axis, Slice)> {
        self.steps
            .iter()
            .zip(&self.shape)
            .enumerate()
            .map(|(axis, (&(step, _), &len))| {
                let end = (len * step.unsigned_abs()) as isize;
                (Axis(axis), Slice::new(0, Some(end), step))
            })
    }

    fn view<'a, T: Format>(&self, array: &'a ArrayD<T>) -> ArrayViewD<'a, T> {
        let mut view = array.view().permuted_axes(self.places());
        self.slices()
            .for_each(|(axis, slice)| view.slice_axis_inplace(axis, slice));
        assert_eq!(view.shape(), self.shape);
        view
    }

    fn view_mut<'a, T: Format>(&self, array: &'a mut ArrayD<T>) -> ArrayViewMutD<'a, T> {
        let mut view = array.view_mut().permuted_axes(self.places());
        self.slices()
            .for_each(|(axis, slice)| view.slice_axis_inplace(axis, slice));
        view
    }
}

/// Fills a view with numbers, some of them not finite.
fn fill<T: Format>(mut view: ArrayViewMutD<'_, T>, strange: u64) {
    let mut random = crate::numbers::Random(strange);
    for x in &mut view {
        *x = match random.bits() % 40 {
            0 if strange & 1 == 1 => T::narrow(f64::NAN),
            1 if strange & 2 == 2 => T::narrow(f64::INFINITY),
            2 if strange & 4 == 4 => T::narrow(f64::NEG_INFINITY),
            3 => T::narrow(-0.0),
            _ => T::narrow(random.unit() * 4.0),
        };
    }
}

/// Counts agree; sums do to their last places, since memory order may be another order.
fn alike(a: &Stats, b: &Stats) -> Result<(), TestCaseError> {
    prop_assert_eq!(
        (
            a.len(),
            a.nan(),
            a.pos_inf(),
            a.neg_inf(),
            a.first_non_finite()
        ),
        (
            b.len(),
            b.nan(),
            b.pos_inf(),
            b.neg_inf(),
            b.first_non_finite()
        )
    );
    for (x, y) in [
        (a.l1(), b.l1()),
        (a.l2(), b.l2()),
        (a.max_abs(), b.max_abs()),
    ] {
        prop_assert!(
            x == y || x.is_nan() && y.is_nan() || (x / y - 1.0).abs() < 1e-15,
            "{} and {}",
            x,
            y
        );
    }
    Ok(())
}

fn run<S: Strategy>(n: u32, strategy: &S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = ProptestConfig {
        cases: n,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    if let Err(error) = runner.run(strategy, test) {
        panic!("{error}");
    }
}

#[test]
fn a_view_measures_like_its_copy() {
    fn check<T: Format>() {
        run(400, &(layout(), any::<u64>()), |(layout, strange)| {
            let mut array = layout.around(T::narrow(f64::NAN));
            fill(layout.view_mut(&mut array), strange);
            let view = layout.view(&array);
            let copy: Vec<T> = view.iter().copied().collect();
            let seen = view.stats(&mut Ask::default()).unwrap();
            alike(&seen, &copy.stats(&mut Ask::default()).unwrap())?;
            // Fortran order says the same.
            let turned = view.t().as_standard_layout().into_owned();
            alike(&turned.t().stats(&mut Ask::default()).unwrap(), &seen)?;
            // What is read lies in row-major order.
            let (start, mut out) = (copy.len() / 3, vec![0.0; copy.len() - copy.len() / 3]);
            view.read(start, &mut out).unwrap();
            let expected: Vec<u64> = copy[start..].iter().map(|x| x.widen().to_bits()).collect();
            prop_assert_eq!(
                out.iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
                expected
            );
            let too_far = view.read(start + 1, &mut out);
            let refused = matches!(too_far, Err(Error::Count { .. }));
            prop_assert!(refused || out.is_empty() && start == copy.len());
            Ok(())
        });
    }
    for_each_type!(check);
}

#[test]
fn each_unit_of_a_view_is_a_tensor() {
    fn check<T: Format>() {
        run(200, &(layout(), any::<u64>()), |(layout, strange)| {
            let mut array = layout.around(T::narrow(f64::NAN));
            fill(layout.view_mut(&mut array), strange);
            let view = layout.view(&array);
            for axis in 0..view.ndim() {
                let mut units = vec![];
                view.stats(&mut Ask::default().units(axis, &mut units))
                    .unwrap();
                prop_assert_eq!(units.len(), view.len_of(Axis(axis)));
                for (unit, part) in units.iter().zip(view.axis_iter(Axis(axis))) {
                    let copy: Vec<T> = part.iter().copied().collect();
                    alike(unit, &copy.stats(&mut Ask::default()).unwrap())?;
                }
            }
            let beyond = view.ndim();
            let mut units = vec![];
            let found = view.stats(&mut Ask::default().units(beyond, &mut units));
            prop_assert_eq!(
                found,
                Err(Error::Axis {
                    axes: beyond,
                    axis: beyond
                })
            );
            Ok(())
        });
    }
    for_each_type!(check);
}

#[test]
fn an_edit_reaches_a_view_as_it_reaches_its_copy_and_nothing_else() {
    fn check<T: Format>() {
        run(
            300,
            &(layout(), any::<u64>(), 0..5_usize),
            |(layout, strange, axis)| {
                let outside = T::narrow(7.5);
                let mut array = layout.around(outside);
                fill(layout.view_mut(&mut array), strange);
                let axis = axis.min(layout.shape.len().saturating_sub(1));
                let mut edits = Edits::for_count(1);
                edits.scale(0, Factor::new(0.75).unwrap());
                // An array of no axes has no units.
                if let Some(&units) = layout.shape.get(axis) {
                    let factor = |i| Factor::new(0.5 + i as f64).unwrap();
                    let factors: Vec<Factor> = (0..units).map(factor).collect();
                    edits.scale_units(0, axis, &factors);
                }
                edits.clamp(0, -1.5, 2.0);
                let edit = edits.get(0);

                let mut copy = layout.view(&array).as_standard_layout().into_owned();
                let foreseen = layout
                    .view(&array)
                    .stats(&mut Ask::default().after(edit))
                    .unwrap();
                copy.edit(&edit, Tell::nothing()).unwrap();
                let mut left = Stats::EMPTY;
                let mut tell = Tell::after(&mut left);
                tell.magnitudes = true;
                layout.view_mut(&mut array).edit(&edit, tell).unwrap();
                let bits =
                    |xs: ArrayViewD<'_, T>| -> Vec<u64> { xs.iter().map(|x| x.bits()).collect() };
                prop_assert_eq!(bits(layout.view(&array)), bits(copy.view()));
                alike(&foreseen, &copy.stats(&mut Ask::default()).unwrap())?;
                alike(&left, &foreseen)?;

                // By hand.
                let inside: f64 = copy
                    .iter()
                    .map(|x| x.widen())
                    .filter(|x| x.is_finite())
                    .sum();
                let all: f64 = array
                    .iter()
                    .map(|x| x.widen())
                    .filter(|x| x.is_finite())
                    .sum();
                let around = (array.len() - copy.len()) as f64 * 7.5;
                prop_assert!((all - inside - around).abs() <= 1e-9 * (1.0 + around));

                let values: Vec<f64> = (0..copy.len()).map(|i| i as f64).collect();
                let start = values.len() / 2;
                let mut flat: Vec<T> = copy.iter().copied().collect();
                flat.add(start, &values[start..]).unwrap();
                layout
                    .view_mut(&mut array)
                    .add(start, &values[start..])
                    .unwrap();
                let flat_bits = |flat: &[T]| flat.iter().map(|x| x.bits()).collect::<Vec<_>>();
                prop_assert_eq!(bits(layout.view(&array)), flat_bits(&flat));
                flat.write(start / 2, &values[..start]).unwrap();
                layout
                    .view_mut(&mut array)
                    .write(start / 2, &values[..start])
                    .unwrap();
                prop_assert_eq!(bits(layout.view(&array)), flat_bits(&flat));
                Ok(())
            },
        );
    }
    for_each_type!(check);
}

#[test]
fn memory_that_is_not_contiguous_is_summed_in_row_major_order() {
    // So its sums are those of its copy, bit for bit, at every length of a run.
    for (rows, columns) in [
        (1, 300_000),
        (3, 70_001),
        (700, 333),
        (100_000, 3),
        (257, 1),
    ] {
        let array = Array2::from_shape_fn((rows, 2 * columns), |(i, j)| {
            ((i * 31 + j * 17) % 1009) as f64 / 7.0
        });
        let view = array.slice_axis(Axis(1), Slice::new(0, None, 2));
        let copy: Vec<f64> = view.iter().copied().collect();
        let mut ask = Ask::default().power(3.0);
        assert_eq!(
            view.stats(&mut ask).unwrap(),
            copy.stats(&mut ask).unwrap(),
            "{rows} × {columns}"
        );
    }
}

#[test]
fn the_first_that_is_not_finite_is_found_far_away_in_every_layout() {
    let (rows, columns) = (300, 257);
    for bad in [(0, 0), (0, 256), (1, 0), (150, 77), (299, 256)] {
        let mut plain = Array2::<f32>::ones((rows, columns));
        plain[bad] = f32::NAN;
        if bad != (299, 256) {
            plain[(299, 256)] = f32::INFINITY;
        }
        let place = (bad.0 * columns + bad.1) as u64;
        let expected = Some(place);
        let first = |tensor: &dyn Tensor| {
            tensor
                .stats(&mut Ask::default())
                .unwrap()
                .first_non_finite()
        };
        assert_eq!(first(&plain), expected);
        let turned = plain.t().as_standard_layout().into_owned();
        assert_eq!(first(&turned.t()), expected);
        let mut reversed = plain.clone();
        reversed.invert_axis(Axis(0));
        let reversed = reversed.as_standard_layout().into_owned();
        let mut back = reversed.view();
        back.invert_axis(Axis(0));
        assert_eq!(first(&back), expected);
        let mut wide = Array2::<f32>::from_elem((rows, 3 * columns), f32::NAN);
        let mut every_third = wide.view_mut();
        every_third.slice_axis_inplace(Axis(1), Slice::new(0, None, 3));
        every_third.assign(&plain);
        assert_eq!(first(&every_third), expected);
        // The guard's words count the same way.
        let mut guard = Guard::new();
        let report = guard.step(&mut every_third).unwrap();
        let said = report.to_string();
        assert!(
            said.contains(&format!("the first at index {place}")),
            "{said}"
        );
    }
}

#[test]
fn a_broadcast_view_counts_each_element_as_often_as_it_is_seen() {
    let row = Array1::from_vec(vec![3.0_f32, 4.0]);
    let many = row.broadcast((9, 2)).unwrap();
    let seen = many.stats(&mut Ask::default()).unwrap();
    assert_eq!((seen.len(), seen.l2(), seen.l1()), (18, 15.0, 63.0));
    let mut units = vec![];
    many.stats(&mut Ask::default().units(1, &mut units))
        .unwrap();
    assert_eq!(units.iter().map(Stats::l2).collect::<Vec<_>>(), [9.0, 12.0]);
}

#[test]
fn a_guard_clips_views_of_every_kind_in_place() {
    let whole = Array3::from_shape_fn((4, 5, 6), |(i, j, k)| (i * 30 + j * 6 + k) as f64);
    let mut arrays = [whole.clone(), whole.clone()];
    let norm = Measurement::of(&whole).unwrap().total().l2();
    let [a, b] = &mut arrays;
    let mut odd = a.view_mut();
    odd.slice_axis_inplace(Axis(1), Slice::new(1, None, 2));
    odd.swap_axes(0, 2);
    let mut back = b.view_mut();
    back.invert_axis(Axis(0));
    back.invert_axis(Axis(2));
    let mut set = [("odd", odd), ("back", back)];
    let before = Measurement::of(&set).unwrap().total().l2();
    let mut guard = Guard::new().clip(clip::GlobalNorm::new(norm / 2.0).unwrap());
    let report = guard.step(&mut set).unwrap();
    assert_eq!(report.before(), before);
    let factor = report.factor();
    for (index, x) in arrays[0].indexed_iter() {
        assert_eq!(
            *x,
            if index.1 % 2 == 1 {
                whole[index] * factor
            } else {
                whole[index]
            }
        );
    }
    assert_eq!(arrays[1], whole * factor);
}

#[test]
fn zeroing_reaches_strided_memory_and_leaves_plus_zero() {
    for policy in [OnNonFinite::ZeroTensor, OnNonFinite::ZeroAll] {
        let mut array = Array2::from_elem((6, 6), -0.0_f64);
        array[[2, 2]] = f64::NAN;
        let mut view = array.view_mut();
        view.slice_axis_inplace(Axis(0), Slice::new(0, None, 2));
        view.slice_axis_inplace(Axis(1), Slice::new(0, None, -1));
        let _ = Guard::new().on_non_finite(policy).step(&mut view).unwrap();
        for ((i, _), x) in array.indexed_iter() {
            assert_eq!(
                x.to_bits(),
                if i % 2 == 0 { 0 } else { (-0.0_f64).to_bits() }
            );
        }
    }
}

#[test]
fn arrays_of_any_number_of_axes() {
    for axes in 0..8 {
        let shape = vec![2; axes];
        let mut array = Array::<f32, _>::from_elem(IxDyn(&shape), 2.0);
        let mut view = array.view_mut();
        for axis in 0..axes {
            view.invert_axis(Axis(axis));
        }
        let mut view = view.reversed_axes();
        let len = 1_u64 << axes;
        let clipped = clip::global_norm(&mut view, 1.0).unwrap();
        assert_eq!(clipped.before(), 2.0 * (len as f64).sqrt());
        let expected = f64::from((1.0 / (len as f64).sqrt()) as f32);
        assert!(array.iter().all(|&x| f64::from(x) == expected));
    }
}
