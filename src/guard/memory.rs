//! What a guard remembers, saved, restored and forgotten.

use alloc::string::String;
use alloc::vec::Vec;

use super::Guard;
use super::chain::Link;
use crate::{Error, GuardState, Result, State};

impl Guard {
    /// What it remembers: how far it is, and the state of every rule.
    ///
    /// Thresholds are no part of it: they stand in the code that makes the guard. A plan that was dropped is settled
    /// as not taken.
    ///
    /// ```
    /// use steadygrad::{detect::Plateau, Guard, Step};
    /// let mut guard = Guard::new().detect(Plateau::new(0.0, 3)?);
    /// assert!(guard.step(Step::new(&mut [1.0]).loss(0.5))?.verdict().is_apply());
    /// let state = guard.state();
    /// assert_eq!((state.step, state.rules[0].0.as_str()), (1, "plateau"));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// With the feature `serde`, beside the weights that a run is continued from:
    ///
    #[cfg_attr(feature = "serde", doc = "```")]
    #[cfg_attr(not(feature = "serde"), doc = "```ignore")]
    /// use steadygrad::{prelude::*, clip, detect, Guard, Step};
    ///
    /// let make = || Ok::<_, steadygrad::Error>(Guard::new()
    ///     .clip(clip::GlobalNorm::new(1.0)?.on("policy."))
    ///     .detect(detect::PersistentNorm::new(1.0, 2)?.on("value.")));
    /// let mut guard = make()?;
    /// let (mut policy_grads, mut value_grads) = ([("w", [3.0, 4.0])], [("w", vec![2.0_f32])]);
    /// let mut both = [("policy", &mut policy_grads as &mut dyn TensorSetMut), ("value", &mut value_grads)];
    /// assert!(guard.step(Step::new(&mut both).loss(0.5))?.alarms().is_empty());
    /// let text = serde_json::to_string(&guard.state())?;
    ///
    /// let mut again = make()?;
    /// again.restore(&serde_json::from_str(&text)?)?;
    /// assert_eq!(again.step(Step::new(&mut both).loss(0.4))?.alarms().len(), 1);   // the second in a row
    /// assert_eq!(policy_grads[0].1.map(|x| (x * 10.0_f64).round()), [6.0, 8.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn state(&mut self) -> GuardState {
        self.settle_what_was_dropped();
        let rule = |link: &Link| (String::from(link.rule.name()), link.state());
        GuardState {
            format: GuardState::FORMAT,
            step: self.at,
            skips: self.in_a_row[0],
            rollbacks: self.in_a_row[1],
            rules: self.links.iter().map(rule).collect(),
            fed: self.links.iter().map(|link| link.fed).collect(),
        }
    }

    /// What it remembered before its first step.
    pub(crate) fn state_at_first(&self) -> GuardState {
        let rule = |link: &Link| (String::from(link.rule.name()), link.fresh().clone());
        GuardState {
            format: GuardState::FORMAT,
            step: 0,
            skips: 0,
            rollbacks: 0,
            rules: self.links.iter().map(rule).collect(),
            fed: self.links.iter().map(|_| false).collect(),
        }
    }

    /// Goes back to where it was itself, but for the row of what was not taken, which a loop without an end would
    /// never finish otherwise. The report goes on telling of the step that led here.
    pub(crate) fn rewind(&mut self, state: &GuardState) -> Result<()> {
        let in_a_row = self.in_a_row;
        self.restore(state)?;
        self.in_a_row = in_a_row;
        Ok(())
    }

    /// Goes on from where another guard of the same rules was: every later decision is the same, bit for bit. Alarms
    /// that were going on are told as [new](crate::detect::Alarm::is_new) once more.
    ///
    /// ```
    /// use steadygrad::{detect::{PersistentNorm, Plateau}, Guard};
    /// let mut guard = Guard::new().detect(PersistentNorm::new(1.0, 2)?);
    /// assert!(guard.step(&mut [2.0])?.alarms().is_empty());
    /// let saved = guard.state();
    ///
    /// let mut again = Guard::new().detect(PersistentNorm::new(1.0, 2)?);
    /// again.restore(&saved)?;
    /// assert_eq!(again.step(&mut [2.0])?.alarms().len(), 1);
    ///
    /// let error = Guard::new().detect(Plateau::new(0.0, 2)?).restore(&saved).unwrap_err();
    /// assert_eq!(error.to_string(), "state: expected rule 0 to be \"plateau\", found \"persistent norm\"");
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::State`] if the state is of another form, of other rules or of another number of them, or if a rule
    /// does not take its own; nothing is changed then.
    pub fn restore(&mut self, state: &GuardState) -> Result<()> {
        self.settle_what_was_dropped();
        let differs = |expected: String, found: String| Err(Error::State { expected, found });
        if state.format != GuardState::FORMAT {
            let expected = alloc::format!("format {}", GuardState::FORMAT);
            return differs(expected, alloc::format!("{}", state.format));
        }
        for found in [state.rules.len(), state.fed.len()] {
            if found != self.links.len() {
                let expected = alloc::format!("{} rules", self.links.len());
                return differs(expected, alloc::format!("{found}"));
            }
        }
        for (place, (link, (name, _))) in self.links.iter().zip(&state.rules).enumerate() {
            if link.rule.name() != name {
                let expected = alloc::format!("rule {place} to be {:?}", link.rule.name());
                return differs(expected, alloc::format!("{name:?}"));
            }
        }
        let now: Vec<State> = self.links.iter().map(Link::state).collect();
        let links = self.links.iter_mut();
        let loaded: Result<()> = links
            .zip(&state.rules)
            .try_for_each(|(link, (_, state))| link.load(state));
        if let Err(error) = loaded {
            for (link, state) in self.links.iter_mut().zip(&now) {
                link.load(state)?;
            }
            return Err(error);
        }
        for (link, fed) in self.links.iter_mut().zip(&state.fed) {
            link.fed = *fed;
        }
        self.begin_at(state.step, state.skips, state.rollbacks);
        Ok(())
    }

    /// Begins anew, as if no step had been taken.
    ///
    /// ```
    /// use steadygrad::{detect::PersistentNorm, Guard};
    /// let mut guard = Guard::new().detect(PersistentNorm::new(1.0, 2)?);
    /// assert!(guard.step(&mut [2.0])?.alarms().is_empty());
    /// guard.reset()?;
    /// let report = guard.step(&mut [2.0])?;
    /// assert_eq!((report.step(), report.alarms().len()), (1, 0));
    /// # Ok::<(), steadygrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What a rule of one's own gives that does not take the state that it wrote when it was added.
    pub fn reset(&mut self) -> Result<()> {
        self.settle_what_was_dropped();
        for link in &mut self.links {
            link.reset()?;
        }
        self.begin_at(0, 0, 0);
        Ok(())
    }

    fn begin_at(&mut self, step: u64, skips: u32, rollbacks: u32) {
        self.at = step;
        self.in_a_row = [skips, rollbacks];
        self.events.clear();
    }
}
