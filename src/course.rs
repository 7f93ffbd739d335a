//! How a run has been going.

use alloc::vec::Vec;
use core::fmt;

use crate::detect::robust::Robust;
use crate::figures::Short;
use crate::keep::Health;
use crate::{Report, Result, State, math};

/// How a run has been going: how many healthy steps there were in a row, and the robust centre of the last 64 losses
/// and norms of gradients.
///
/// ```text
/// centre: the median;   one deviation: d = max(MAD of log₂ x, log₂ 1.1)   over the last 64 healthy steps
/// x is off by           (log₂ x − log₂ median) / d
/// ```
///
/// Where one of the values is 0 or below, they are compared themselves, with d = max(MAD of x, 0.1·|median|). With
/// fewer than 10 values nothing is off. A step is healthy as [`Keep`](crate::keep::Keep) has it; one that is skipped is
/// left out, and any other ends the row.
///
/// A [`Recovery`](crate::Recovery) has [one](crate::Recovery::course); a loop without notes each report in one of its own.
///
/// # Examples
///
/// ```
/// use steadygrad::{Course, Guard, Step};
///
/// let (mut guard, mut course) = (Guard::new(), Course::default());
/// for step in 0..30 {
///     let loss = 2.0 + 0.1 * f64::from(step % 3);
///     course.note(guard.step(Step::new(&mut [0.5]).loss(loss))?.report());
/// }
/// assert_eq!((course.healthy_steps(), course.usual_loss()), (30, Some(2.1)));
/// assert!(course.doubt(20).is_none());
///
/// course.note(guard.step(Step::new(&mut [0.5]).loss(9.0))?.report());      // taken, but far off
/// assert_eq!(
///     course.doubt(20).unwrap().to_string(),
///     "the loss is 9.000, 15.27 deviations above its usual 2.100",
/// );
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    healthy: u64,
    /// How often the row ended.
    lost: u64,
    usual: [Robust; 2],
    last: [Option<f64>; 2],
}

/// Steps whose values are known.
const WINDOW: usize = 64;
/// With fewer there is no centre.
const FEW: usize = 10;
/// No deviation is smaller than this part.
const FLOOR: f64 = 0.1;
/// What is off by more is not as it was.
pub(crate) const FAR: f64 = 6.0;

/// The two numbers that are followed.
const KINDS: [Kind; 2] = [Kind::Loss, Kind::Norm];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Loss,
    Norm,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Norm => "norm of the gradients",
        }
    }
}

/// Why what a run has come to may not be good.
///
/// # Examples
///
/// ```
/// use steadygrad::Course;
/// assert_eq!(
///     Course::default().doubt(20).unwrap().to_string(),
///     "0 healthy steps in a row, fewer than 20",
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Doubt {
    /// Something was wrong a short while ago, or the run has only begun.
    Young {
        /// How many healthy steps there were in a row.
        steps: u64,
        /// How many there should have been.
        of: u64,
    },
    /// The last loss or norm lies far from its centre.
    Off(Off),
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Young { steps, of } => {
                write!(f, "{steps} healthy steps in a row, fewer than {of}")
            }
            Self::Off(off) => write!(f, "the {off}"),
        }
    }
}

/// A loss or a norm that is not what it was.
///
/// # Examples
///
/// ```
/// use steadygrad::{checkpoint::Resumed, Course, Error, Guard};
///
/// let (mut guard, mut course) = (Guard::new(), Course::default());
/// for _ in 0..10 {
///     course.note(guard.step(&mut [0.5])?.report());
/// }
/// let mut resumed = Resumed::after(&course).over(1)?;
/// let Err(Error::Discontinued { off, .. }) = resumed.check(guard.step(&mut [0.05])?.report()) else { panic!() };
/// assert_eq!(off.to_string(), "norm of the gradients is 0.05000, 24.16 deviations below its usual 0.5000");
/// assert_eq!((off.found, off.usual), (0.05, 0.5));
/// # Ok::<(), steadygrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Off {
    /// Which of them.
    pub what: &'static str,
    /// What it is.
    pub found: f64,
    /// Its centre.
    pub usual: f64,
    /// How far above the centre it is, in robust deviations; negative if it is below.
    pub deviations: f64,
}

impl fmt::Display for Off {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what, found, usual, ..
        } = *self;
        let side = if self.deviations < 0.0 {
            "below"
        } else {
            "above"
        };
        let by = Short(self.deviations.abs());
        write!(
            f,
            "{what} is {}, {by} deviations {side} its usual {}",
            Short(found),
            Short(usual)
        )
    }
}

impl Default for Course {
    /// Of a run that has not begun.
    fn default() -> Self {
        Self {
            healthy: 0,
            lost: 0,
            usual: [Robust::new(WINDOW), Robust::new(WINDOW)],
            last: [None; 2],
        }
    }
}

impl Course {
    /// Takes in what became of a step.
    ///
    /// ```
    /// use steadygrad::{Course, Guard};
    /// let (mut guard, mut course) = (Guard::new(), Course::default());
    /// course.note(guard.step(&mut [3.0, 4.0])?.report());
    /// course.note(guard.step(&mut [f64::NAN, 4.0])?.report());        // skipped: it says nothing of the run
    /// assert_eq!((course.healthy_steps(), course.usual_norm()), (1, Some(5.0)));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    pub fn note(&mut self, report: &Report) {
        match Health::of(report) {
            Health::Good => {
                self.healthy = self.healthy.saturating_add(1);
                self.last = Self::told(report);
                for (usual, last) in self.usual.iter_mut().zip(self.last) {
                    last.into_iter().for_each(|x| usual.push(x));
                }
            }
            Health::Unknown => (),
            Health::Bad => self.lose(),
        }
    }

    /// The row of healthy steps ends.
    pub(crate) fn lose(&mut self) {
        self.healthy = 0;
        self.lost = self.lost.saturating_add(1);
    }

    /// What a report tells of loss and norm.
    pub(crate) fn told(report: &Report) -> [Option<f64>; 2] {
        [report.loss(), Some(report.before())]
    }

    /// How many healthy steps there were in a row.
    #[must_use]
    pub fn healthy_steps(&self) -> u64 {
        self.healthy
    }

    /// How often a row of healthy steps ended.
    #[cfg(feature = "std")]
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// The median of the last losses; `None` if there was none.
    #[must_use]
    pub fn usual_loss(&self) -> Option<f64> {
        self.usual[0].median()
    }

    /// The median of the last norms of gradients, before they were clipped.
    #[must_use]
    pub fn usual_norm(&self) -> Option<f64> {
        self.usual[1].median()
    }

    /// Why what there is now may not be good: fewer than so many healthy steps in a row behind it, or its loss or norm
    /// more than 6 deviations above the centre.
    ///
    /// ```
    /// use steadygrad::{Course, Guard};
    /// let (mut guard, mut course) = (Guard::new(), Course::default());
    /// for norm in [1.0, 1.1].repeat(10) {
    ///     course.note(guard.step(&mut [norm])?.report());
    /// }
    /// assert_eq!(course.doubt(20), None);
    /// assert_eq!(course.doubt(30).unwrap().to_string(), "20 healthy steps in a row, fewer than 30");
    /// course.note(guard.step(&mut [50.0])?.report());
    /// assert!(course.doubt(20).unwrap().to_string().starts_with("the norm of the gradients is 50.00, "));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    #[must_use]
    pub fn doubt(&self, steps: u64) -> Option<Doubt> {
        if self.healthy < steps {
            return Some(Doubt::Young {
                steps: self.healthy,
                of: steps,
            });
        }
        self.off(self.last, |deviations| deviations > FAR)
            .map(Doubt::Off)
    }

    /// The first of these that lies too far from its centre.
    pub(crate) fn off(
        &self,
        values: [Option<f64>; 2],
        is_far: impl Fn(f64) -> bool,
    ) -> Option<Off> {
        let mut each = KINDS.into_iter().zip(&self.usual).zip(values);
        each.find_map(|((kind, usual), found)| {
            let found = found?;
            let deviations = apart(usual, found)?;
            is_far(deviations).then(|| Off {
                what: kind.name(),
                found,
                usual: usual.median().unwrap_or(f64::NAN),
                deviations,
            })
        })
    }

    pub(crate) fn save(&self, state: &mut State) {
        state.put("healthy", &[self.healthy, self.lost][..]);
        self.usual[0].save("losses", state);
        self.usual[1].save("norms", state);
        let last: Vec<f64> = self.last.iter().map(|x| x.unwrap_or(f64::NAN)).collect();
        state.put("last", &last[..]);
    }

    pub(crate) fn loaded(state: &State) -> Result<Self> {
        let new = Self::default();
        let [healthy, last] = [state.get::<Vec<u64>>("healthy")?, state.get("last")?];
        let one = |list: &[u64], i: usize| list.get(i).copied().unwrap_or(0);
        let known = |i: usize| {
            let x = f64::from_bits(one(&last, i));
            (!x.is_nan()).then_some(x)
        };
        Ok(Self {
            healthy: one(&healthy, 0),
            lost: one(&healthy, 1),
            usual: [
                new.usual[0].loaded("losses", state)?,
                new.usual[1].loaded("norms", state)?,
            ],
            last: [known(0), known(1)],
        })
    }
}

/// How many deviations `x` lies above the centre, if there is one.
fn apart(usual: &Robust, x: f64) -> Option<f64> {
    if usual.len() < FEW {
        return None;
    }
    let (least, median) = (usual.least()?, usual.median()?);
    let (apart, deviation) = if least > 0.0 && x > 0.0 {
        let deviation = usual.deviation(math::log2)?;
        let floor = math::log2(1.0 + FLOOR);
        (math::log2(x) - math::log2(median), deviation.max(floor))
    } else {
        let deviation = usual.deviation(|x| x)?;
        (x - median, deviation.max(FLOOR * median.abs()))
    };
    // What is NaN is as far off as anything.
    Some(if apart == 0.0 {
        0.0
    } else if apart.is_nan() {
        f64::INFINITY
    } else {
        apart / deviation
    })
}
