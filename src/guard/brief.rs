//! A guard in a few words, however many tensors it has seen.

use core::fmt::{self, Write};

use super::Guard;
use super::chain::{Link, Rule};

/// What its rules are, what it does with what is not finite, and how far it is; nothing for each tensor.
///
/// ```
/// use steadygrad::{clip, detect, Guard, Verdict};
/// let mut guard = Guard::new()
///     .clip(clip::Value::new(5.0)?)
///     .detect_with(Verdict::Skip, detect::NormThreshold::new(1e3)?);
/// assert!(guard.step(&mut vec![[f32::NAN]; 1000])?.verdict() == Verdict::Skip);
/// assert_eq!(
///     format!("{guard:?}"),
///     "Guard { rules: [value clip: Value { min: -5.0, max: 5.0 }, \
///      norm threshold, skip: NormThreshold { max: 1000.0, per_tensor: false }], \
///      on_non_finite: Skip, step: 1, skips: 1, rollbacks: 0, .. }",
/// );
/// # Ok::<(), steadygrad::Error>(())
/// ```
impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("rules", &self.links)
            .field("on_non_finite", &self.on_non_finite)
            .field("step", &self.at)
            .field("skips", &self.in_a_row[0])
            .field("rollbacks", &self.in_a_row[1])
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rule.name())?;
        let mut out = Brief {
            out: f,
            left: LONGEST,
        };
        match &self.rule {
            Rule::Clip(clipper) => write!(out, ": {clipper:?}"),
            Rule::Detect(verdicts, detector) if verdicts.is_apply() => {
                write!(out, ": {detector:?}")
            }
            Rule::Detect(verdicts, detector) => write!(out, ", {verdicts}: {detector:?}"),
            Rule::Tap(_) => Ok(()),
        }
    }
}

/// So many bytes of a rule are shown, since one of somebody else's may hold something for each tensor.
const LONGEST: usize = 200;

/// Writes what there is room for.
struct Brief<'f, 'o> {
    out: &'f mut fmt::Formatter<'o>,
    left: usize,
}

impl Write for Brief<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() <= self.left {
            self.left -= text.len();
            return self.out.write_str(text);
        }
        let end = (0..=self.left)
            .rev()
            .find(|&end| text.is_char_boundary(end));
        let rest = text.get(..end.unwrap_or(0)).filter(|_| self.left > 0);
        self.left = 0;
        rest.map_or(Ok(()), |rest| write!(self.out, "{rest}…"))
    }
}
