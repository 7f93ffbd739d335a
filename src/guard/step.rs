//! What a guard is given at each step.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::TensorSet;

/// Who made what is not finite, as far as anybody can tell.
pub(super) trait Explain {
    fn explain(&self) -> Option<String>;
}

impl<F: Fn() -> E, E: Explanation> Explain for F {
    fn explain(&self) -> Option<String> {
        self().told()
    }
}

/// What may be answered to the question who made what is not finite: something that can be shown, if there is an answer.
///
/// # Examples
///
/// ```
/// use steadygrad::{Error, Explanation};
///
/// let no_layer: Result<Option<f64>, Error> = Err(Error::Axis { axes: 1, axis: 3 });
/// assert_eq!(Some(17).told().as_deref(), Some("17"));
/// assert_eq!(no_layer.told().as_deref(), Some("nobody knows whom (axis: expected one below 1, found 3)"));
/// ```
pub trait Explanation {
    /// The answer as the report tells it.
    ///
    /// ```
    /// use steadygrad::Explanation;
    /// assert_eq!(None::<&str>.told(), None);
    /// ```
    fn told(self) -> Option<String>;
}

impl<T: fmt::Display> Explanation for Option<T> {
    fn told(self) -> Option<String> {
        self.map(|answer| answer.to_string())
    }
}

/// That an answer was looked for in vain is told too.
impl<T: fmt::Display, E: fmt::Display> Explanation for Result<Option<T>, E> {
    fn told(self) -> Option<String> {
        match self {
            Ok(answer) => answer.told(),
            Err(error) => Some(format!("nobody knows whom ({error})")),
        }
    }
}

/// What is given beside gradients and parameters.
#[derive(Clone)]
pub(super) struct More<'s> {
    pub(super) updates: Option<&'s dyn TensorSet>,
    pub(super) loss: Option<f64>,
    pub(super) signals: Vec<(&'static str, f64)>,
    pub(super) scale: f64,
    pub(super) origin: Option<&'s dyn Explain>,
}

impl More<'_> {
    const NONE: Self = Self {
        updates: None,
        loss: None,
        signals: Vec::new(),
        scale: 1.0,
        origin: None,
    };
}

/// What stands for parameters that were not given.
type NoParams = [f64; 0];

/// Gradients, to be guarded (`&mut`) or planned for (`&`), and what else there is to watch.
///
/// # Examples
///
/// ```
/// use steadygrad::{clip, Guard, Step};
///
/// let (mut grads, params) = (vec![3.0_f32, 4.0], vec![1.0_f32, 2.0]);
/// let mut guard = Guard::new().clip(clip::GlobalNorm::new(1.0)?);
/// let plan = guard.plan(Step::new(&grads).params(&params).loss(0.7_f32))?;   // nothing is written
/// assert_eq!(plan.factor(0), Some(0.2));
/// let report = guard.step(Step::new(&mut grads).params(&params).loss(0.7_f32))?;
/// assert!(report.verdict().is_apply());
/// # Ok::<(), steadygrad::Error>(())
/// ```
///
/// Alone, gradients need none of this: `guard.step(&mut grads)`, `guard.plan(&grads)`. A variable that is a `&mut`
/// already is lent, not given away, by `&mut *grads`.
#[must_use = "a step does nothing until a guard takes it"]
pub struct Step<'s, G, P: ?Sized = NoParams> {
    pub(super) grads: G,
    pub(super) params: Option<&'s P>,
    pub(super) more: More<'s>,
}

impl<G> Step<'_, G> {
    /// The gradients alone.
    ///
    /// ```
    /// use steadygrad::{Guard, Step};
    /// let mut grads = vec![3.0_f32, 4.0];
    /// assert_eq!(Guard::new().plan(Step::new(&grads))?.report().before(), 5.0);
    /// assert_eq!(Guard::new().step(Step::new(&mut grads))?.before(), 5.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn new(grads: G) -> Self {
        Self {
            grads,
            params: None,
            more: More::NONE,
        }
    }
}

impl<'s, G, P: ?Sized> Step<'s, G, P> {
    /// The parameters that the gradients belong to, as they are before the step.
    ///
    /// Names, number, sizes and, where both tell them, shapes must be those of the gradients. A gradient
    /// without elements is a missing one and stands for any size; a missing set of gradients stands for
    /// all parameters below its name.
    ///
    /// ```
    /// use steadygrad::{detect::Subject, Guard, Step};
    /// let (mut grads, params) = ([("w", [0.5_f32])], [("w", [f32::NAN])]);
    /// let mut guard = Guard::new();
    /// let plan = guard.plan(Step::new(&grads).params(&params))?;
    /// assert_eq!(plan.report().non_finite().unwrap().subject(), Subject::Parameter(0));
    /// let report = guard.step(Step::new(&mut grads).params(&params))?;
    /// assert_eq!(report.non_finite().unwrap().tensor(), Some("w"));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn params<Q: TensorSet + ?Sized>(self, params: &'s Q) -> Step<'s, G, Q> {
        Step {
            grads: self.grads,
            params: Some(params),
            more: self.more,
        }
    }

    /// The loss.
    ///
    /// ```
    /// use steadygrad::{Guard, Step, Verdict};
    /// let (mut grads, mut guard) = ([0.5_f32], Guard::new());
    /// assert_eq!(guard.step(Step::new(&mut grads).loss(0.7_f32))?.verdict(), Verdict::Apply);
    /// assert_eq!(guard.plan(Step::new(&grads).loss(f32::NAN))?.verdict(), Verdict::Skip);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn loss(self, loss: impl Into<f64>) -> Self {
        let loss = Some(loss.into());
        Self {
            more: More { loss, ..self.more },
            ..self
        }
    }

    /// What was added to the parameters in the step before, under their names: for rules that compare it with
    /// them.
    ///
    /// ```
    /// use steadygrad::{Guard, Step};
    /// let (mut grads, params, updates) = ([0.5_f32], [2.0_f32], [-0.002_f32]);
    /// let mut guard = Guard::new();
    /// let report = guard.step(Step::new(&mut grads).params(&params).updates(&updates))?;
    /// let ratio = report.updates().unwrap().total().l2() / report.params().unwrap().total().l2();
    /// assert!((ratio - 1e-3).abs() < 1e-9);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn updates(self, updates: &'s dyn TensorSet) -> Self {
        let updates = Some(updates);
        Self {
            more: More {
                updates,
                ..self.more
            },
            ..self
        }
    }

    /// A number that the loop tells, for rules that know the name. Each step that gives any allocates once.
    ///
    /// ```
    /// use steadygrad::{Guard, Step};
    /// let mut guard = Guard::new();
    /// let report = guard.step(Step::new(&mut [0.5_f32]).signal("alignment", 0.25))?;
    /// assert_eq!(report.signals(), [("alignment", 0.25)]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn signal(mut self, name: &'static str, value: f64) -> Self {
        self.more.signals.push((name, value));
        self
    }

    /// That the loss was multiplied by this before the backward pass, so that the gradients are. They are
    /// divided by it before the first rule, in the same write as all else, and what is reported is
    /// true gradients.
    ///
    /// ```
    /// use steadygrad::{clip, Guard, Step};
    /// let (mut guard, mut grads) = (Guard::new().clip(clip::GlobalNorm::new(1.0)?), [3.0_f32 * 1024.0, 4.0 * 1024.0]);
    /// let report = guard.step(Step::new(&mut grads).scaled_by(1024.0))?;
    /// assert_eq!((report.before(), report.after(), report.factor()), (5.0, 1.0, 0.2));
    /// assert_eq!(grads, [0.6, 0.8]);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// A scale that is not above 0 and finite is an error of the step.
    pub fn scaled_by(self, scale: f64) -> Self {
        Self {
            more: More { scale, ..self.more },
            ..self
        }
    }

    /// Asked, only if something is not finite, who made it; the [report](crate::Report::origin) tells.
    ///
    /// A recurrent layer knows: `.explained_by(&|| rnn.origin(&pass, d_outputs.view()))`, as in
    #[cfg_attr(
        feature = "ndarray",
        doc = "[`recurrent::origin`](mod@crate::recurrent::origin)."
    )]
    #[cfg_attr(not(feature = "ndarray"), doc = "`recurrent::origin`.")]
    ///
    /// ```
    /// use steadygrad::{Guard, Step};
    /// let mut guard = Guard::new();
    /// let origin = || Some("layer 3, time 17".to_string());
    /// let report = guard.step(Step::new(&mut [f32::NAN]).explained_by(&origin))?;
    /// assert_eq!(report.origin(), Some("layer 3, time 17"));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn explained_by<E: Explanation>(self, origin: &'s impl Fn() -> E) -> Self {
        let origin: Option<&dyn Explain> = Some(origin);
        Self {
            more: More {
                origin,
                ..self.more
            },
            ..self
        }
    }
}

impl<'s, G: ?Sized> From<&'s G> for Step<'s, &'s G> {
    fn from(grads: &'s G) -> Self {
        Self::new(grads)
    }
}

impl<'s, G: ?Sized> From<&'s mut G> for Step<'s, &'s mut G> {
    fn from(grads: &'s mut G) -> Self {
        Self::new(grads)
    }
}

impl<G, P: ?Sized> fmt::Debug for Step<'_, G, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step")
            .field("loss", &self.more.loss)
            .finish_non_exhaustive()
    }
}
