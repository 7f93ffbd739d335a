//! Kind 1: a method that forwards to itself.
//!
//! Whoever overrides a method of a trait cannot go back to the trait's default: a call of it, also through
//! `dyn`, is a call of the override. What a whole-set method of a set does must also come through references
//! and boxes. Every container and every method stand in `tests/matrix`; here are the cases that were found.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use steadygrad::{
    Ask, Clamped, Guard, Measurement, Reading, Result, Tell, Tensor, TensorMut, TensorRef,
    TensorSet, TensorSetMut, Visitor, VisitorMut, Writing, clip, set, tensor_set,
};

#[cfg(feature = "ndarray")]
mod arrays {
    use ndarray::{Array2, Array3, ArrayViewMut2, Axis, Slice, s};
    use steadygrad::{Clamped, Edits, Stats, Tell, TensorMut, clip};

    fn counting() -> Array2<f32> {
        Array2::from_shape_fn((4, 6), |(i, j)| i as f32 - j as f32)
    }

    #[test]
    fn a_clip_by_value_of_some_columns_comes_back() {
        let mut a = counting();
        let expected = Array2::from_shape_fn((4, 6), |(i, j)| match j {
            1 | 2 => a[[i, j]].clamp(-0.5, 0.5),
            _ => a[[i, j]],
        });
        let clipped = clip::value(&mut a.slice_mut(s![.., 1..3]), 0.5).unwrap();
        // 1 and 2 taken from 0 to 3: all but the two zeros are clamped.
        assert_eq!(clipped, Clamped::of(8, 6, 0, 0));
        assert_eq!(a, expected);
    }

    #[test]
    fn so_it_does_in_every_layout_that_is_not_contiguous() {
        type Of = fn(&mut Array2<f32>) -> ArrayViewMut2<'_, f32>;
        let layouts: [Of; 4] = [
            |a| a.slice_mut(s![.., ..;2]),
            |a| a.slice_mut(s![..;-2, ..]),
            |a| a.view_mut().reversed_axes().slice_move(s![1.., ..;3]),
            |a| a.slice_mut(s![1..3, 1..5]),
        ];
        for view in layouts {
            let (mut a, mut b) = (counting(), counting());
            let mut expected = view(&mut b).to_owned();
            expected.mapv_inplace(|x| x.clamp(-1.0, 2.0));
            let outside = view(&mut a)
                .iter()
                .filter(|x| !(-1.0..=2.0).contains(*x))
                .count();
            let mut edits = Edits::for_count(1);
            edits.clamp(0, -1.0, 2.0);
            let (mut left, mut counts) = (Stats::EMPTY, Clamped::default());
            let mut tell = Tell::after(&mut left);
            tell.clamped = Some(&mut counts);
            view(&mut a).edit(&edits.get(0), tell).unwrap();
            assert_eq!(view(&mut a), expected);
            assert!(outside > 0);
            assert_eq!(
                counts,
                Clamped::of(expected.len() as u64, outside as u64, 0, 0)
            );
            let squares: f32 = expected.iter().map(|x| x * x).sum();
            assert_eq!(left.l2(), f64::from(squares).sqrt());
        }
    }

    #[test]
    fn nor_does_the_number_of_axes_matter() {
        let mut a = Array3::<f64>::ones((3, 4, 5));
        let mut view = a.view_mut();
        view.slice_axis_inplace(Axis(1), Slice::new(0, None, 3));
        assert!(clip::value(&mut view, 0.25).unwrap().is_clipped());
        assert_eq!(a.sum(), 30.0 + 30.0 * 0.25);
    }
}

/// A set that does all its tensors in one go, as one on a device would, and counts how often it could.
struct AllAtOnce {
    tensors: [Vec<f32>; 2],
    reads: Rc<Cell<usize>>,
    writes: Rc<Cell<usize>>,
}

const NAMES: [&str; 2] = ["w", "b"];

impl TensorSet for AllAtOnce {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        let mut tensors = NAMES.iter().zip(&self.tensors);
        tensors.try_for_each(|(name, tensor)| f(name, TensorRef::Other(tensor)))
    }

    fn measure<'a>(&'a self, reading: &mut Reading<'_, 'a>) -> Result<()> {
        self.reads.set(self.reads.get() + 1);
        for (name, tensor) in NAMES.iter().zip(&self.tensors) {
            let stats = tensor.stats(&mut Ask::default().after(reading.edit(0)))?;
            reading.push(name, tensor.dims(), stats, &[])?;
        }
        Ok(())
    }
}

impl TensorSetMut for AllAtOnce {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        let mut tensors = NAMES.iter().zip(&mut self.tensors);
        tensors.try_for_each(|(name, tensor)| f(name, tensor))
    }

    fn carry_out(&mut self, writing: &mut Writing<'_>) -> Result<()> {
        self.writes.set(self.writes.get() + 1);
        for (name, tensor) in NAMES.iter().zip(&mut self.tensors) {
            let edit = writing.next(name)?;
            let tell = writing.clamped().map_or_else(Tell::nothing, Tell::clamped);
            tensor.edit(&edit, tell)?;
        }
        writing.left(|reading| self.measure(reading))
    }
}

struct Holder<T> {
    set: T,
}
tensor_set!(impl[T: TensorSetMut] Holder<T> { set });

/// Puts a set into another, and lends it.
type Wrap = fn(AllAtOnce, &mut dyn FnMut(&mut dyn TensorSetMut));

#[rustfmt::skip]
const WRAPS: [(&str, &str, Wrap); 13] = [
    ("alone", "", |mut set, f| f(&mut set)),
    ("behind a reference", "", |mut set, f| f(&mut &mut set)),
    ("in a box", "", |set, f| f(&mut Box::new(set))),
    ("in a box of unknown type", "", |mut set, f| f(&mut (Box::new(&mut set) as Box<dyn TensorSetMut + '_>))),
    ("in an option", "", |set, f| f(&mut Some(set))),
    ("in a struct", "set.", |set, f| f(&mut Holder { set })),
    ("in a list", "0.", |set, f| f(&mut vec![set])),
    ("in an array", "0.", |set, f| f(&mut [set])),
    ("in a slice", "0.", |set, f| f(&mut &mut [set][..])),
    ("named", "net.", |set, f| f(&mut ("net", set))),
    ("in a list of pairs", "net.", |set, f| f(&mut [("net", set)])),
    ("in a map", "net.", |set, f| f(&mut BTreeMap::from([("net", set)]))),
    ("in all of them", "0.net.set.", |set, f| f(&mut vec![Some(("net", Box::new(Holder { set: Some(set) })))])),
];

/// Each place in which a set may stand; what its tensors' names begin with there; and a function that says how
/// often it was read and written since the last call.
fn in_every_place(
    mut f: impl FnMut(&str, &str, &mut dyn TensorSetMut, &dyn Fn() -> (usize, usize)),
) {
    for (place, path, wrap) in WRAPS {
        let (reads, writes) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let set = AllAtOnce {
            tensors: [vec![3.0, f32::NEG_INFINITY], vec![-4.0, 0.25, f32::NAN]],
            reads: reads.clone(),
            writes: writes.clone(),
        };
        wrap(set, &mut |set| {
            f(place, path, set, &|| (reads.take(), writes.take()));
        });
    }
}

#[test]
fn a_set_that_does_all_at_once_does_so_wherever_it_stands() {
    in_every_place(|place, path, grads, told| {
        let clamped = clip::value(grads, 0.5).unwrap();
        assert_eq!(told(), (0, 1), "a clip by value, {place}");
        assert_eq!(clamped, Clamped::of(5, 3, 1, 1), "{place}");

        let seen = Measurement::of(&*grads).unwrap();
        assert_eq!(told(), (1, 0), "a measurement, {place}");
        let names = [seen.name(0), seen.name(1)];
        assert_eq!(names, NAMES.map(|name| format!("{path}{name}")), "{place}");
        assert_eq!((seen.tensor(0).l1(), seen.tensor(1).nan()), (1.0, 1));

        set::zero(grads).unwrap();
        let start: [(&str, &dyn Tensor); 2] = [(names[0], &[3.0, 0.0]), (names[1], &[0.0; 3])];
        set::accumulate(&start, grads).unwrap();
        assert_eq!(clip::global_norm(grads, 1.5).unwrap().before(), 3.0);
        assert_eq!(told(), (1, 1), "a clip by norm, {place}");

        // What a clamp leaves is read in one go as well.
        let mut guard = Guard::new().clip(clip::Value::new(0.75).unwrap());
        assert_eq!(guard.step(grads).unwrap().after(), 0.75);
        assert_eq!(told(), (2, 1), "a step, {place}");
    });
}
