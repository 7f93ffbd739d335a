//! One rule, once, without a guard.

use alloc::format;
use alloc::string::String;

use crate::after::After;
use crate::bound::ZEROED;
use crate::edits::Edits;
use crate::factor::Factor;
use crate::figures::Figures;
use crate::measurement::Measurement;
use crate::needs::Needs;
use crate::pen::Pen;
use crate::set::{TensorSet, TensorSetMut};
use crate::stats::{Norm, Stats};
use crate::step_view::StepView;
use crate::{Error, Result};

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
    zeroed: bool,
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
        write!(f, "norm {before} -> {after}")?;
        if self.zeroed {
            write!(f, ", {ZEROED}")?;
        }
        Ok(())
    }
}

/// Measures, plans, and writes only if there is something to write.
pub(crate) fn once<G: TensorSetMut + ?Sized>(
    rule: &'static str,
    needs: &Needs,
    norm: Norm,
    grads: &mut G,
    plan: impl FnOnce(&StepView<'_>, &mut Pen<'_>),
) -> Result<Clipped> {
    for (needed, what) in [(needs.params, "parameters"), (needs.loss, "a loss")] {
        if needed {
            return Err(Error::Unfed { rule, what });
        }
    }
    let mut before = if needs.groups.is_empty() {
        Measurement::nameless()
    } else {
        Measurement::default()
    };
    before.read(grads, needs, &Edits::NONE)?;
    before.matched()?;
    if let Some(index) = before.first_non_finite() {
        return Err(non_finite(grads, index, before.tensor(index)));
    }
    let mut edits = Edits::for_count(before.len());
    let mut pen = edits.pen(&before);
    plan(&StepView::new(1, &before), &mut pen);
    let zeroed = pen.said().zeroed;
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
        zeroed,
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
