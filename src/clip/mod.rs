//! Rules that shrink gradients: by value, by the norm of each tensor, by the norm of all together.
//!
//! A rule sees a [`Measurement`], never a tensor, and pushes edits. So a rule of
//! your own is a few lines, runs on every kind of tensor, and is tested without any.
//!
//! The functions [`value()`], [`tensor_norm()`] and [`global_norm()`] do one such thing at once. They have no
//! policy for NaN and infinities: a norm clip of non-finite gradients is an error that leaves them
//! untouched. For policies, chains and reports there is the [`Guard`](crate::Guard).
//!
//! # Examples
//!
//! ```
//! use steadygrad::clip;
//!
//! let grads = [[6.0_f64, 8.0], [0.0, 24.0]];
//! let (mut by_value, mut by_tensor, mut together) = (grads, grads, grads);
//! clip::value(&mut by_value, 5.0)?;
//! clip::tensor_norm(&mut by_tensor, 5.0)?;
//! assert_eq!(by_value, [[5.0, 5.0], [0.0, 5.0]]);
//! assert_eq!(by_tensor, [[3.0, 4.0], [0.0, 5.0]]);
//! let clipped = clip::global_norm(&mut together, 13.0)?;
//! assert_eq!((clipped.factor(), together), (0.5, [[3.0, 4.0], [0.0, 12.0]]));   // the direction stays
//! # Ok::<(), steadygrad::Error>(())
//! ```

mod global_norm;
mod tensor_norm;
mod value;

pub use global_norm::{GlobalNorm, global_norm};
pub use tensor_norm::{TensorNorm, tensor_norm};
pub use value::{Value, value};

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::fmt::Debug;

use crate::StepView;
use crate::after::After;
use crate::edits::Held;
use crate::figures::Figures;
use crate::{
    Edits, Error, Factor, Measurement, Needs, Norm, Result, Stats, TensorSet, TensorSetMut, Wide,
};

/// A rule that turns a measurement into edits.
///
/// # Examples
///
/// Halve every gradient while the loss is above 1:
///
/// ```
/// use steadygrad::{clip::Clipper, StepView, Edits, Factor, Guard, Step};
///
/// #[derive(Debug)]
/// struct Careful { half: Factor }
///
/// impl Clipper for Careful {
///     fn plan(&mut self, step: &StepView<'_>, edits: &mut Edits) {
///         if step.loss.is_some_and(|loss| loss > 1.0) {
///             edits.scale_all(self.half);
///         }
///     }
/// }
///
/// let mut grads = [8.0_f32];
/// let mut guard = Guard::new().clip(Careful { half: Factor::new(0.5)? });
/// assert_eq!(guard.step(Step::new(&mut grads).loss(3.0))?.after(), 4.0);
/// assert_eq!(guard.step(Step::new(&mut grads).loss(0.3))?.after(), 4.0);
/// assert_eq!(grads, [4.0]);
/// # Ok::<(), steadygrad::Error>(())
/// ```
pub trait Clipper: Send + Sync + Debug {
    /// What must be measured: what every read gives, unless said otherwise.
    ///
    /// ```
    /// use steadygrad::{clip::{Clipper, GlobalNorm, Value}, Needs, Norm};
    /// assert_eq!(GlobalNorm::new(1.0)?.norm(Norm::P(3.0))?.needs().power, Some(3.0));
    /// assert_eq!(Value::new(1.0)?.needs(), Needs::norms());   // the maximum is enough
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// What a report calls this rule.
    ///
    /// ```
    /// use steadygrad::clip::{Clipper, TensorNorm, Value};
    /// assert_eq!((Value::new(1.0)?.name(), TensorNorm::new(1.0)?.name()), ("value clip", "tensor norm clip"));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn name(&self) -> &'static str {
        "clipper"
    }

    /// Pushes what is to be done to the gradients that `step` describes. A rule that cannot decide,
    /// because what it looks at is not finite, calls [`Edits::abstain`].
    ///
    /// A rule is tried without any tensor:
    ///
    /// ```
    /// use steadygrad::{clip::{Clipper, GlobalNorm}, StepView, Edits, Factor, Measurement};
    ///
    /// let (grads, mut edits) = (Measurement::of(&[3.0, 4.0])?, Edits::for_count(1));
    /// let step = StepView { number: 1, grads: &grads, params: None, loss: None };
    /// GlobalNorm::new(2.5)?.plan(&step, &mut edits);
    /// assert_eq!(edits.common_factor(), Some(Factor::new(0.5)?));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    fn plan(&mut self, step: &StepView<'_>, edits: &mut Edits);
}

/// A boxed rule is the rule: what a training run uses may be chosen when it starts.
///
/// ```
/// use steadygrad::{clip::{Clipper, GlobalNorm, Value}, Guard};
/// let by_value = std::env::args().any(|flag| flag == "--by-value");
/// let clipper: Box<dyn Clipper> =
///     if by_value { Box::new(Value::new(1.0)?) } else { Box::new(GlobalNorm::new(1.0)?) };
/// assert_eq!(Guard::new().clip(clipper).step(&mut [3.0_f32, 4.0])?.after(), 1.0);
/// # Ok::<(), steadygrad::Error>(())
/// ```
impl<C: Clipper + ?Sized> Clipper for Box<C> {
    fn needs(&self) -> Needs {
        (**self).needs()
    }

    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn plan(&mut self, step: &StepView<'_>, edits: &mut Edits) {
        (**self).plan(step, edits);
    }
}

/// What a one-line clip did. There is nothing to be decided by it, so it need not be looked at.
///
/// # Examples
///
/// ```
/// use steadygrad::clip;
///
/// let mut grads = [3.0_f32, 4.0];
/// let clipped = clip::global_norm(&mut grads, 1.0)?;
/// assert!(clipped.is_clipped());
/// assert_eq!((clipped.before(), clipped.after(), clipped.factor()), (5.0, 1.0, 0.2));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clipped {
    before: f64,
    after: f64,
    factor: f64,
    changed: bool,
    seen: bool,
}

impl Clipped {
    /// The norm of all gradients before.
    ///
    /// ```
    /// use steadygrad::clip;
    /// assert_eq!(clip::global_norm(&mut [3.0_f32, 4.0], 9.0)?.before(), 5.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn before(&self) -> f64 {
        self.before
    }

    /// The norm of all gradients after. Where gradients were only scaled it follows by arithmetic; each
    /// element was then rounded to its type.
    ///
    /// ```
    /// use steadygrad::clip;
    /// assert_eq!(clip::global_norm(&mut [1.0_f32, 2.0, 3.0], 0.1)?.after(), 0.1);   // by arithmetic
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn after(&self) -> f64 {
        self.after
    }

    /// The smallest factor by which a tensor was scaled: 1 for one that was kept, 0 for one that was zeroed.
    ///
    /// ```
    /// use steadygrad::clip;
    /// assert_eq!(clip::tensor_norm(&mut [[0.5_f32], [2.0], [4.0]], 1.0)?.factor(), 0.25);
    /// assert_eq!(clip::global_norm(&mut [4.0_f32], 0.0)?.factor(), 0.0);
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// Whether any gradient was to be changed.
    ///
    /// ```
    /// use steadygrad::clip;
    /// let mut grads = [3.0_f32, 4.0];
    /// assert!(!clip::global_norm(&mut grads, 5.0)?.is_clipped());   // equality is not above
    /// assert!(clip::global_norm(&mut grads, 4.9)?.is_clipped());
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn is_clipped(&self) -> bool {
        self.changed
    }

    /// Whether there was nothing to be seen: no tensor, or none that has a gradient.
    ///
    /// ```
    /// use steadygrad::clip;
    /// assert!(clip::global_norm(&mut None::<Vec<f32>>, 1.0)?.nothing_seen());
    /// assert!(!clip::global_norm(&mut [0.0_f32], 1.0)?.nothing_seen());   // a zero is something
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn nothing_seen(&self) -> bool {
        !self.seen
    }
}

impl core::fmt::Display for Clipped {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.nothing_seen() {
            return f.write_str("nothing seen");
        }
        let [before, after] = Figures::apart(self.before, self.after);
        write!(f, "norm {before} -> {after}")
    }
}

/// One rule by a norm, once: measure, plan, and write only if there is something to write.
fn once<R, G>(mut rule: R, norm: Norm, grads: &mut G) -> Result<Clipped>
where
    R: Clipper,
    G: TensorSetMut + ?Sized,
{
    let mut before = Measurement::nameless();
    before.read(grads, &rule.needs(), &Edits::NONE)?;
    if let Some(index) = before.first_non_finite() {
        return Err(non_finite(grads, index, before.tensor(index)));
    }
    let mut edits = Edits::for_count(before.len());
    rule.plan(
        &StepView {
            number: 1,
            grads: &before,
            params: None,
            loss: None,
        },
        &mut edits,
    );
    let mut total = match edits.common_factor() {
        Some(Factor::ONE) => *before.total(),
        Some(factor) => {
            edits.apply(grads)?;
            before.total().scaled(factor)
        }
        None => {
            let mut after = After::default();
            after.foresee(&before, &edits);
            after.carry_out(grads, &before, &edits)?;
            after.total().unwrap_or(*before.total())
        }
    };
    edits.settle_total(&mut total);
    Ok(Clipped {
        before: before.total().norm(norm).to_f64(),
        after: total.norm(norm).to_f64(),
        factor: edits.least_factor(),
        changed: !edits.is_keep(),
        seen: !before.total().is_empty(),
    })
}

/// An error that names the tensor, since it has elements that are not finite.
fn non_finite<G: TensorSet + ?Sized>(grads: &G, index: usize, stats: &Stats) -> Error {
    let (mut what, mut at, mut of_this_name) = (String::new(), 0, 0);
    let mut found = grads.visit(&mut |name, _| {
        if at == index {
            what.push_str(name);
        }
        at += 1;
        Ok(())
    });
    found = found.and_then(|()| {
        grads.visit(&mut |name, _| {
            of_this_name += usize::from(name == what);
            Ok(())
        })
    });
    if what.is_empty() {
        what.push_str("gradient");
    }
    if of_this_name > 1 {
        what = format!("{what} (tensor {index})");
    }
    found.err().unwrap_or(Error::NonFinite {
        what,
        nan: stats.nan(),
        inf: stats.inf(),
        index: stats.first_non_finite().unwrap_or(0),
    })
}

/// At most so large, by this norm.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bound {
    max: f64,
    norm: Norm,
}

/// What brings elements within a bound.
enum Shrink {
    Keep,
    Zero,
    Scale(Factor),
    /// There is no norm to speak of.
    Unknown,
}

impl Bound {
    fn l2(max: f64) -> Result<Self> {
        if max >= 0.0 {
            // The magnitude, since a negative zero would print as one.
            Ok(Self {
                max: max.abs(),
                norm: Norm::L2,
            })
        } else {
            Err(Error::Setting {
                what: "max norm",
                expected: "a number ≥ 0",
                found: max,
            })
        }
    }

    fn by(self, norm: Norm) -> Result<Self> {
        Ok(Self {
            norm: norm.checked()?,
            ..self
        })
    }

    fn needs(self) -> Needs {
        match self.norm {
            Norm::L2 | Norm::Max => Needs::norms(),
            Norm::L1 => Needs::norms().of_magnitudes(),
            Norm::P(p) => Needs::norms().of_power(p),
        }
    }

    /// Tells the rules behind that this bound is kept, by the whole or by each tensor.
    fn hold(self, each: bool, edits: &mut Edits) {
        edits.hold(Held {
            each,
            norm: self.norm,
            max: self.max,
        });
    }

    fn shrink(self, stats: &Stats) -> Shrink {
        let size = stats.norm(self.norm);
        if !size.is_finite() {
            Shrink::Unknown
        } else if !stats.exceeds(self.norm, self.max) {
            Shrink::Keep
        } else if self.max == 0.0 {
            Shrink::Zero
        } else {
            Shrink::Scale(Factor::ratio(Wide::from(self.max), size))
        }
    }
}
