//! Arrays of zero to six axes in every layout.

use ndarray::{
    ArcArray, Array0, Array1, Array2, ArrayD, ArrayViewMutD, Axis, CowArray, IxDyn, Slice, s,
};
use steadygrad::TensorMut;

use crate::container::Len::{Any, Just};
use crate::container::{Container, Len, Lent, Number, Order, borrowed, owned, read_only};
use crate::numbers::bits;

/// How an array lies in the memory around it.
#[derive(Clone, Copy)]
struct Layout {
    name: &'static str,
    /// The order of the axes in memory, from the slowest to the fastest.
    axes: Axes,
    /// From one element to the next along each axis.
    step: isize,
    /// Places that are left over at the end of each axis.
    margin: usize,
}

#[derive(Clone, Copy)]
enum Axes {
    Straight,
    Reversed,
    Rotated,
}

#[rustfmt::skip]
const LAYOUTS: &[Layout] = &[
    Layout { name: "C", axes: Axes::Straight, step: 1, margin: 0 },
    Layout { name: "F", axes: Axes::Reversed, step: 1, margin: 0 },
    Layout { name: "permuted", axes: Axes::Rotated, step: 1, margin: 0 },
    Layout { name: "backwards", axes: Axes::Straight, step: -1, margin: 0 },
    Layout { name: "backwards in F order", axes: Axes::Reversed, step: -1, margin: 0 },
    Layout { name: "cut out", axes: Axes::Straight, step: 1, margin: 1 },
    Layout { name: "cut out of F order", axes: Axes::Reversed, step: 1, margin: 2 },
    Layout { name: "strided", axes: Axes::Straight, step: 2, margin: 0 },
    Layout { name: "strided backwards", axes: Axes::Rotated, step: -3, margin: 1 },
];

/// So many elements on so many axes.
fn shape(axes: usize, n: usize) -> Vec<usize> {
    match axes {
        0 => vec![],
        1 => vec![n],
        2 => vec![n / 6, 6],
        3 => vec![3, n / 12, 4],
        4 => vec![n / 12, 3, 2, 2],
        5 => vec![2, 3, n / 24, 2, 2],
        _ => vec![2, n / 24, 1, 3, 2, 2],
    }
}

const EMPTY: &[&[usize]] = &[&[0], &[0, 3], &[3, 0], &[2, 0, 3], &[0, 0, 0, 0, 0, 0]];

pub(crate) fn all<E: Number>() -> Vec<Container<E>> {
    let mut all = arrays();
    for layout in LAYOUTS {
        for axes in 0..=6 {
            let len = if axes == 0 { Just(1) } else { Any };
            let name = format!("{axes} axes, {}", layout.name);
            all.push(layout.container(name, len, move |n| shape(axes, n)));
        }
        for &empty in EMPTY {
            let name = format!("{empty:?}, {}", layout.name);
            all.push(layout.container(name, Just(0), move |_| empty.to_vec()));
        }
    }
    all
}

#[rustfmt::skip]
fn arrays<E: Number>() -> Vec<Container<E>> {
    vec![
        owned("Array0", &[("", Just(1))], |t| Array0::from_elem((), t[0][0]), |a| vec![a.iter().copied().collect()]),
        owned("Array1", ONE, |t| Array1::from_vec(t[0].clone()), |a| vec![a.to_vec()]),
        owned("Array2", ONE, |t| matrix(&t[0]), |a| vec![elements(&a)]),
        owned("Some(Array2)", ONE, |t| Some(matrix(&t[0])), |a| a.iter().map(elements).collect()),
        owned("Box<Array2>", ONE, |t| Box::new(matrix(&t[0])), |a| vec![elements(&a)]),
        owned("list of Array2", &[("0", Any), ("1", Just(6))], |t| vec![matrix(&t[0]), matrix(&t[1])], |a| a.iter().map(elements).collect()),
        owned("borrowed or owned array", ONE, |t| CowArray::from(matrix(&t[0])), |a| vec![elements(&a.into_owned())]),
        borrowed("named list of dyn TensorMut, a view of every second row", &[("v", Any), ("w", Any)], |t, f| {
            let mut wide = Array2::from_elem((t[0].len() / 3, 6), t[0].first().copied().unwrap_or_default());
            let mut rows = wide.slice_mut(s![..;2, ..]);
            rows.iter_mut().zip(&t[0]).for_each(|(to, x)| *to = *x);
            f(&mut vec![("v", &mut rows as &mut dyn TensorMut), ("w", &mut t[1])]);
            t[0] = rows.iter().copied().collect();
        }),
        Container::new("shared array", ONE, Order::RowMajor, |t, _, f| {
            let mut array = ArcArray::from(matrix(&t[0]));
            let other = array.clone();
            f(Lent::Write(&mut array));
            assert_eq!(bits(&elements(&other.to_owned())), bits(&t[0]), "whoever shares it sees an edit");
            t[0] = elements(&array.to_owned());
        }),
        read_only("view", ONE, |t, f| f(&matrix(&t[0]).view())),
        // Numbers that repeat, as those of a broadcast array must.
        read_only("broadcast rows", ONE, |t, f| {
            let row = Array1::from_vec(t[0][..6].to_vec());
            f(&row.broadcast((t[0].len() / 6, 6)).unwrap());
        }).fit(|t| repeat(&mut t[0], |i| i % 6)),
        read_only("broadcast columns", ONE, |t, f| {
            let column: Vec<E> = t[0].iter().step_by(6).copied().collect();
            let column = Array2::from_shape_vec((column.len(), 1), column).unwrap();
            f(&column.broadcast((t[0].len() / 6, 6)).unwrap());
        }).fit(|t| repeat(&mut t[0], |i| i - i % 6)),
        read_only("one element, broadcast", ONE, |t, f| {
            f(&Array0::from_elem((), t[0][0]).broadcast((t[0].len() / 6, 2, 3)).unwrap());
        }).fit(|t| repeat(&mut t[0], |_| 0)),
    ]
}

const ONE: &[(&str, Len)] = &[("", Any)];

fn matrix<E: Number>(xs: &[E]) -> Array2<E> {
    Array2::from_shape_vec((xs.len() / 6, 6), xs.to_vec()).unwrap()
}

fn elements<E: Number>(array: &Array2<E>) -> Vec<E> {
    array.iter().copied().collect()
}

fn repeat<E: Copy>(xs: &mut [E], from: impl Fn(usize) -> usize) {
    for i in 0..xs.len() {
        xs[i] = xs[from(i)];
    }
}

impl Layout {
    fn container<E: Number>(
        self,
        name: String,
        len: Len,
        shape: impl Fn(usize) -> Vec<usize> + 'static,
    ) -> Container<E> {
        let contiguous = self.step.abs() == 1 && self.margin == 0;
        let order = if contiguous {
            Order::Memory
        } else {
            Order::RowMajor
        };
        Container::new(name, &[("", len)], order, move |t, lay, f| {
            let shape = shape(t[0].len());
            let outside = E::narrow(-77.0);
            let mut around = self.around(&shape, outside);
            if lay == Order::Memory && contiguous {
                around.iter_mut().zip(&t[0]).for_each(|(to, x)| *to = *x);
                f(Lent::Write(&mut self.view(&mut around, &shape)));
                t[0] = around.iter().copied().collect();
                return;
            }
            let fill = |view: ArrayViewMutD<'_, E>, xs: &[E]| {
                view.into_iter().zip(xs).for_each(|(to, x)| *to = *x);
            };
            fill(self.view(&mut around, &shape), &t[0]);
            f(Lent::Write(&mut self.view(&mut around, &shape)));
            let count = t[0].len();
            t[0] = self.view(&mut around, &shape).iter().copied().collect();
            // What is not part of the view is as it was.
            fill(self.view(&mut around, &shape), &vec![outside; count]);
            assert!(
                around.iter().all(|x| *x == outside),
                "an edit went beyond the view"
            );
        })
    }

    /// The places of the axes in memory.
    fn places(self, axes: usize) -> Vec<usize> {
        match self.axes {
            Axes::Straight => (0..axes).collect(),
            Axes::Reversed => (0..axes).rev().collect(),
            Axes::Rotated => (0..axes).map(|axis| (axis + 1) % axes).collect(),
        }
    }

    fn around<E: Number>(self, shape: &[usize], outside: E) -> ArrayD<E> {
        let mut sizes = vec![0; shape.len()];
        for (place, len) in self.places(shape.len()).into_iter().zip(shape) {
            sizes[place] = len * self.step.unsigned_abs() + self.margin;
        }
        ArrayD::from_elem(IxDyn(&sizes), outside)
    }

    fn view<'a, E>(self, around: &'a mut ArrayD<E>, shape: &[usize]) -> ArrayViewMutD<'a, E> {
        let places = self.places(shape.len());
        let mut view = around.view_mut().permuted_axes(places);
        for (axis, len) in shape.iter().enumerate() {
            let end = (len * self.step.unsigned_abs()) as isize;
            view.slice_axis_inplace(Axis(axis), Slice::new(0, Some(end), self.step));
        }
        assert_eq!(view.shape(), shape);
        view
    }
}
