//! Structs as sets.

/// Makes a struct of tensors (or of sets) a [`TensorSet`](crate::TensorSet), its fields' names the tensors' names.
///
/// Generic parameters, lifetimes among them, go in front, in `impl[..]`. Fields of a tuple struct go by their
/// numbers, raw identifiers by the names they stand for. A field may be a single number, which is a tensor of one,
/// or an `Option`: if it is `None`, it is one empty tensor under the field's name.
///
/// # Examples
///
/// ```
/// use steadygrad::{clip, tensor_set, Element};
///
/// struct Layer<E> { w: Vec<E>, b: [E; 1] }
/// tensor_set!(impl[E: Element] Layer<E> { w, b });
///
/// struct Model { layers: Vec<Layer<f32>>, head: Option<Layer<f64>>, temperature: f32 }
/// tensor_set!(Model { layers, head, temperature });
///
/// let mut grads = Model {
///     layers: vec![Layer { w: vec![3.0, f32::NAN], b: [4.0] }],
///     head: None,
///     temperature: 0.5,
/// };
/// let error = clip::global_norm(&mut grads, 1.0).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "layers.0.w: expected finite numbers, found 1 NaN and 0 infinite, the first at index 1",
/// );
/// ```
///
/// What borrows its gradients, and what has no names:
///
/// ```
/// use steadygrad::{clip, tensor_set, Measurement};
///
/// struct Lent<'a> { r#in: &'a mut [f32], out: &'a mut [f32] }
/// tensor_set!(impl['a] Lent<'a> { r#in, out });
///
/// struct Pair(Vec<f64>, [f64; 1]);
/// tensor_set!(Pair { 0, 1 });
///
/// let (mut w_in, mut w_out) = ([3.0], [4.0]);
/// let lent = &mut Lent { r#in: &mut w_in, out: &mut w_out };
/// assert_eq!(Measurement::of(lent)?.name(0), "in");
/// assert_eq!(clip::global_norm(lent, 2.5)?.before(), 5.0);
/// assert_eq!((w_in, w_out), ([1.5], [2.0]));
/// assert_eq!(Measurement::of(&Pair(vec![3.0], [4.0]))?.name(1), "1");
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[macro_export]
macro_rules! tensor_set {
    // Fields are token trees, since a number is no identifier; and no lifetime of the user's is called `'__set`.
    (impl[$($g:tt)*] $t:ty { $($field:tt),+ $(,)? }) => {
        impl<$($g)*> $crate::TensorSet for $t {
            fn visit<'__set>(
                &'__set self,
                f: &mut $crate::Visitor<'_, '__set>,
            ) -> $crate::Result<()> {
                $(
                    let name = $crate::set::field_name(::core::stringify!($field));
                    $crate::set::visit_under(name, &self.$field, f)?;
                )+
                ::core::result::Result::Ok(())
            }

            fn measure<'__set>(
                &'__set self,
                reading: &mut $crate::Reading<'_, '__set>,
            ) -> $crate::Result<()> {
                $(
                    let name = $crate::set::field_name(::core::stringify!($field));
                    reading.under(name, |reading| {
                        $crate::TensorSet::measure(&self.$field, reading)
                    })?;
                )+
                ::core::result::Result::Ok(())
            }
        }

        impl<$($g)*> $crate::TensorSetMut for $t {
            fn visit_mut(&mut self, f: &mut $crate::VisitorMut<'_>) -> $crate::Result<()> {
                $(
                    let name = $crate::set::field_name(::core::stringify!($field));
                    $crate::set::visit_under_mut(name, &mut self.$field, f)?;
                )+
                ::core::result::Result::Ok(())
            }

            fn carry_out(&mut self, writing: &mut $crate::Writing<'_>) -> $crate::Result<()> {
                $(
                    let name = $crate::set::field_name(::core::stringify!($field));
                    writing.under(name, |writing| {
                        $crate::TensorSetMut::carry_out(&mut self.$field, writing)
                    })?;
                )+
                ::core::result::Result::Ok(())
            }
        }
    };
    ($t:ty { $($field:tt),+ $(,)? }) => {
        $crate::tensor_set!(impl[] $t { $($field),+ });
    };
}
