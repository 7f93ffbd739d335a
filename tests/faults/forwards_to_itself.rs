//! Kind 1: a method that forwards to itself.
//!
//! Whoever overrides a method of a trait cannot go back to the trait's default: a call of it, also through
//! `dyn`, is a call of the override. What a whole-set method of a set does must also come through references
//! and boxes. Every container and every method stand in `tests/matrix`; here are the cases that were found.

use steadygrad::set::clamp_apart;
use steadygrad::{Result, TensorSet, TensorSetMut, Total, Visitor, VisitorMut, clip};

#[cfg(feature = "ndarray")]
mod arrays {
    use ndarray::{Array2, Array3, ArrayViewMut2, Axis, Slice, s};
    use steadygrad::{TensorMut, Total, clip};

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
        assert!(clipped.is_clipped());
        // 1 and 2 taken from 0 to 3: squares of 1, 0, 1, 4 and 4, 1, 0, 1; six of them are clamped.
        assert_eq!(
            (clipped.before(), clipped.after()),
            (12_f64.sqrt(), 1.5_f64.sqrt())
        );
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
            let mut totals = [Total::default(), Total::default()];
            view(&mut a)
                .clamp_and_measure(-1.0, 2.0, &mut totals)
                .unwrap();
            assert_eq!(view(&mut a), expected);
            let squares: f32 = expected.iter().map(|x| x * x).sum();
            assert_eq!(totals[1].stats().l2(), f64::from(squares).sqrt());
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
#[derive(Default)]
struct AllAtOnce {
    tensors: Vec<Vec<f32>>,
    clamps: usize,
}

impl TensorSet for AllAtOnce {
    fn visit<'a>(&'a self, f: &mut Visitor<'_, 'a>) -> Result<()> {
        self.tensors.visit(f)
    }
}

impl TensorSetMut for AllAtOnce {
    fn visit_mut(&mut self, f: &mut VisitorMut<'_>) -> Result<()> {
        self.tensors.visit_mut(f)
    }

    fn clamp_and_total(&mut self, min: f64, max: f64) -> Result<[Total; 2]> {
        self.clamps += 1;
        clamp_apart(self, min, max)
    }
}

#[test]
fn a_set_that_clamps_all_at_once_does_so_behind_references_and_boxes() {
    fn clip<G: TensorSetMut + ?Sized>(grads: &mut G) {
        assert!(clip::value(grads, 0.5).unwrap().is_clipped());
    }
    let set = || AllAtOnce {
        tensors: vec![vec![1.0], vec![-2.0]],
        clamps: 0,
    };
    let mut grads = set();
    clip(&mut grads);
    assert_eq!(grads.clamps, 1);
    let mut grads = set();
    clip(&mut &mut grads);
    assert_eq!(grads.clamps, 1, "behind a reference");
    let mut grads = Box::new(set());
    clip(&mut grads);
    assert_eq!(grads.clamps, 1, "in a box");
    let mut grads = set();
    clip::<Box<dyn TensorSetMut + '_>>(&mut (Box::new(&mut grads) as _));
    assert_eq!(grads.clamps, 1, "in a box of unknown type");
    assert_eq!(grads.tensors, [[0.5], [-0.5]]);
}
