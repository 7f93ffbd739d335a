//! Structs as sets.

/// Makes a struct of tensors (or of sets) a [`TensorSet`](crate::TensorSet), its fields' names the tensors' names.
///
/// Generic parameters go in front, in `impl[..]`.
///
/// # Examples
///
/// ```
/// use steadygrad::{clip, tensor_set, Element};
///
/// struct Layer<E> { w: Vec<E>, b: [E; 1] }
/// tensor_set!(impl[E: Element] Layer<E> { w, b });
///
/// struct Model { layers: Vec<Layer<f32>>, head: Option<Vec<f64>> }
/// tensor_set!(Model { layers, head });
///
/// let mut grads = Model {
///     layers: vec![Layer { w: vec![3.0, f32::NAN], b: [4.0] }],
///     head: None,
/// };
/// let error = clip::global_norm(&mut grads, 1.0).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "layers.0.w: expected finite numbers, found 1 NaN and 0 infinite, the first at index 1",
/// );
/// ```
#[macro_export]
macro_rules! tensor_set {
    (impl[$($g:tt)*] $t:ty { $($field:ident),+ $(,)? }) => {
        impl<$($g)*> $crate::TensorSet for $t {
            fn visit<'a>(&'a self, f: &mut $crate::set::Visitor<'_, 'a>) -> $crate::Result<()> {
                $($crate::set::visit_under(::core::stringify!($field), &self.$field, f)?;)+
                ::core::result::Result::Ok(())
            }
        }

        impl<$($g)*> $crate::TensorSetMut for $t {
            fn visit_mut(&mut self, f: &mut $crate::set::VisitorMut<'_>) -> $crate::Result<()> {
                $($crate::set::visit_under_mut(::core::stringify!($field), &mut self.$field, f)?;)+
                ::core::result::Result::Ok(())
            }
        }

        impl<$($g)*> $crate::set::Member for $t {
            fn visit_list<'a>(list: &'a [Self], f: &mut $crate::set::Visitor<'_, 'a>) -> $crate::Result<()> {
                $crate::set::visit_numbered(list, f)
            }
        }

        impl<$($g)*> $crate::set::MemberMut for $t {
            fn visit_list_mut(list: &mut [Self], f: &mut $crate::set::VisitorMut<'_>) -> $crate::Result<()> {
                $crate::set::visit_numbered_mut(list, f)
            }
        }
    };
    ($t:ty { $($field:ident),+ $(,)? }) => {
        $crate::tensor_set!(impl[] $t { $($field),+ });
    };
}
