//! Whether training goes on as it was.

use alloc::vec::Vec;

use crate::course::{Course, FAR};
use crate::{Error, Report, Result};

/// Compares the first steps after a resume with how the run was going when it was saved.
///
/// The medians of their losses and of their norms are held against the centres that were saved: more than 6 robust
/// deviations off, above or below, is an error that says by how much ([`Course`] says what a deviation is). So weights
/// that were not read, other data, or a loss that is now summed show within a few steps.
///
/// # Examples
///
/// ```
/// use steadygrad::{checkpoint::Resumed, Course, Guard, Step};
///
/// let (mut guard, mut course) = (Guard::new(), Course::default());
/// for _ in 0..30 {
///     course.note(guard.step(Step::new(&mut [0.5]).loss(0.25))?.report());
/// }
/// // Saved, and read again; but the weights were not.
/// let mut resumed = Resumed::after(&course).over(3)?;
/// let mut errors = vec![];
/// for loss in [2.2, 0.25, 2.4, 2.3] {
///     let report = guard.step(Step::new(&mut [0.5]).loss(loss))?;
///     errors.extend(resumed.check(&report).err());
/// }
/// assert_eq!(errors.len(), 1);
/// assert_eq!(
///     errors[0].to_string(),
///     "resumed: in the first 3 steps the loss is 2.200, 22.82 deviations above its usual 0.2500",
/// );
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Resumed {
    before: Course,
    steps: usize,
    seen: [Vec<f64>; 2],
    count: usize,
}

impl Resumed {
    /// With how it was going, over 5 steps.
    #[must_use]
    pub fn after(before: &Course) -> Self {
        Self {
            before: before.clone(),
            steps: 5,
            seen: [Vec::new(), Vec::new()],
            count: 0,
        }
    }

    /// Looks at so many steps.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if it is 0.
    pub fn over(self, steps: usize) -> Result<Self> {
        if steps == 0 {
            return Err(Error::Setting {
                what: "steps after a resume",
                expected: "at least 1",
                found: 0.0,
            });
        }
        Ok(Self { steps, ..self })
    }

    /// Takes in the next step; on the last of the first few it says whether they are as before. Afterwards it has
    /// nothing to say.
    ///
    /// # Errors
    ///
    /// [`Error::Discontinued`], once, if the loss or the norm is not what it was.
    pub fn check(&mut self, report: &Report) -> Result<()> {
        if self.count >= self.steps {
            return Ok(());
        }
        self.count += 1;
        for (seen, x) in self.seen.iter_mut().zip(Course::told(report)) {
            // What is not finite is above everything.
            seen.extend(x.map(|x| if x.is_finite() { x } else { f64::INFINITY }));
        }
        if self.count < self.steps {
            return Ok(());
        }
        let middle = |seen: &mut Vec<f64>| {
            seen.sort_by(f64::total_cmp);
            let last = seen.len().checked_sub(1)?;
            Some(f64::midpoint(seen[last / 2], seen[last.div_ceil(2)]))
        };
        let [losses, norms] = &mut self.seen;
        let found = [middle(losses), middle(norms)];
        let off = self.before.off(found, |deviations| deviations.abs() > FAR);
        off.map_or(Ok(()), |off| {
            Err(Error::Discontinued {
                steps: self.steps,
                off,
            })
        })
    }
}
