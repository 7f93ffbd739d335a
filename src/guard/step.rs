//! What a guard is given at each step.

use crate::TensorSet;

/// What stands for parameters that were not given.
type NoParams = [f64; 0];

/// Gradients to be guarded, and what else there is to watch.
///
/// # Examples
///
/// ```
/// use steadygrad::{Guard, Step};
///
/// let (mut grads, params) = (vec![0.1_f32, 0.2], vec![1.0_f32, 2.0]);
/// let mut guard = Guard::new();
/// let report = guard.step(Step::new(&mut grads).params(&params).loss(0.7_f32))?;
/// assert!(report.verdict().is_apply());
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[must_use = "a step does nothing until a guard takes it"]
pub struct Step<'s, G: ?Sized, P: ?Sized = NoParams> {
    pub(super) grads: &'s mut G,
    pub(super) params: Option<&'s P>,
    pub(super) loss: Option<f64>,
}

/// Gradients to be watched without being changed, and what else there is to watch.
///
/// # Examples
///
/// ```
/// use steadygrad::{clip, Guard, Watch};
///
/// let grads = vec![3.0_f32, 4.0];
/// let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?);
/// let plan = guard.plan(Watch::new(&grads).loss(0.7))?;
/// assert_eq!(plan.factor(0), Some(0.2));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[must_use = "nothing is watched until a guard takes it"]
pub struct Watch<'w, G: ?Sized, P: ?Sized = NoParams> {
    pub(super) grads: &'w G,
    pub(super) params: Option<&'w P>,
    pub(super) loss: Option<f64>,
}

macro_rules! with_more {
    ($name:ident, $l:lifetime, $grads:ty) => {
        impl<$l, G: ?Sized> $name<$l, G> {
            /// The gradients alone.
            ///
            /// ```
            /// use steadygrad::{Guard, Step, Watch};
            /// let mut grads = vec![3.0_f32, 4.0];
            /// assert_eq!(Guard::new().plan(Watch::new(&grads))?.report().before(), 5.0);
            /// assert_eq!(Guard::new().step(Step::new(&mut grads))?.before(), 5.0);
            /// # Ok::<(), steadygrad::Error>(())
            /// ```
            pub fn new(grads: $grads) -> Self {
                Self { grads, params: None, loss: None }
            }
        }

        impl<$l, G: ?Sized, P: ?Sized> $name<$l, G, P> {
            /// The parameters that the gradients belong to, as they are before the step.
            ///
            /// Names, number, sizes and, where both tell them, shapes must be those of the gradients. A gradient
            /// without elements is a missing one and stands for any size; a missing set of gradients stands for
            /// all parameters below its name.
            ///
            /// ```
            /// use steadygrad::{detect::Subject, Guard, Step, Watch};
            /// let (mut grads, params) = ([("w", [0.5_f32])], [("w", [f32::NAN])]);
            /// let mut guard = Guard::new();
            /// let plan = guard.plan(Watch::new(&grads).params(&params))?;
            /// assert_eq!(plan.report().non_finite().unwrap().subject(), Subject::Parameter(0));
            /// let report = guard.step(Step::new(&mut grads).params(&params))?;
            /// assert_eq!(report.non_finite().unwrap().tensor(), Some("w"));
            /// # Ok::<(), steadygrad::Error>(())
            /// ```
            pub fn params<Q: TensorSet + ?Sized>(self, params: &$l Q) -> $name<$l, G, Q> {
                $name { grads: self.grads, params: Some(params), loss: self.loss }
            }

            /// The loss.
            ///
            /// ```
            /// use steadygrad::{Guard, Step, Verdict, Watch};
            /// let (mut grads, mut guard) = ([0.5_f32], Guard::new());
            /// assert_eq!(guard.step(Step::new(&mut grads).loss(0.7_f32))?.verdict(), Verdict::Apply);
            /// assert_eq!(guard.plan(Watch::new(&grads).loss(f32::NAN))?.verdict(), Verdict::Skip);
            /// # Ok::<(), steadygrad::Error>(())
            /// ```
            pub fn loss(self, loss: impl Into<f64>) -> Self {
                Self { loss: Some(loss.into()), ..self }
            }
        }

        impl<$l, G: ?Sized> From<$grads> for $name<$l, G> {
            fn from(grads: $grads) -> Self {
                Self::new(grads)
            }
        }

        impl<G: ?Sized, P: ?Sized> core::fmt::Debug for $name<'_, G, P> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(stringify!($name)).field("loss", &self.loss).finish_non_exhaustive()
            }
        }
    };
}

with_more!(Step, 's, &'s mut G);
with_more!(Watch, 'w, &'w G);
