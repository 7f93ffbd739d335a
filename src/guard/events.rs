//! Alarms that go on are one event, which begins and ends.

use alloc::vec::Vec;

use crate::detect::{Alarm, Alarms};
use crate::verdicts::Verdicts;

/// What was told of the last step, beside what is told of this one.
#[derive(Debug, Default)]
pub(super) struct Events {
    before: Vec<Event>,
    now: Vec<Event>,
    /// Where in `before` the next alarm is likely to go on from, since rules tell of tensors in order.
    next: usize,
}

#[derive(Debug)]
struct Event {
    /// The place of the rule in the chain.
    rule: usize,
    alarm: Alarm,
    goes_on: bool,
}

impl Event {
    fn new(rule: usize, alarm: Alarm) -> Self {
        Self {
            rule,
            alarm,
            goes_on: false,
        }
    }

    fn is(&self, rule: usize, alarm: &Alarm) -> bool {
        self.rule == rule && alarm.goes_on_from(&self.alarm)
    }
}

impl Events {
    /// Of a step of which nothing is told yet. One that ended in an error told nothing and ended nothing.
    pub(super) fn begin(&mut self) {
        self.now.clear();
        self.next = 0;
        self.before
            .iter_mut()
            .for_each(|event| event.goes_on = false);
    }

    /// Takes what a rule said, and tells it with the step since when it is so and with what it is to decide.
    pub(super) fn tell(
        &mut self,
        rule: usize,
        raised: &Alarms,
        verdicts: Verdicts,
        told: &mut Vec<Alarm>,
    ) {
        if raised.is_held() {
            self.hold(rule);
        }
        for alarm in raised {
            let verdict = verdicts.of(alarm.how_severe());
            let mut alarm = alarm.clone().deciding(verdict);
            if !alarm.is_once() {
                if let Some(since) = self.old(rule, &alarm) {
                    alarm = alarm.begun(since);
                }
                self.now.push(Event::new(rule, alarm.clone()));
            }
            told.push(alarm);
        }
    }

    /// Keeps the events of a rule that did not judge the step.
    pub(super) fn hold(&mut self, rule: usize) {
        for event in self.before.iter_mut().filter(|event| event.rule == rule) {
            event.goes_on = true;
            self.now.push(Event::new(rule, event.alarm.clone()));
        }
    }

    /// Since when it is so, if it was so in the step before.
    fn old(&mut self, rule: usize, alarm: &Alarm) -> Option<u64> {
        let from = self.next.min(self.before.len());
        let mut places = (from..self.before.len()).chain(0..from);
        let place = places.find(|&place| self.before[place].is(rule, alarm))?;
        self.next = place + 1;
        self.before[place].goes_on = true;
        Some(self.before[place].alarm.since())
    }

    /// Tells what has ended; the step is over.
    pub(super) fn end(&mut self, ended: &mut Vec<Alarm>) {
        let now = &self.now;
        // The same may have been said twice before, and once now.
        let goes_on =
            |event: &Event| event.goes_on || now.iter().any(|new| event.is(new.rule, &new.alarm));
        let before = self.before.drain(..).filter(|event| !goes_on(event));
        ended.extend(before.map(|event| event.alarm));
        core::mem::swap(&mut self.before, &mut self.now);
    }

    /// Makes room for so many alarms in one step.
    pub(super) fn make_room(&mut self, alarms: usize) {
        reserve(&mut self.before, alarms);
        reserve(&mut self.now, alarms);
    }

    pub(super) fn clear(&mut self) {
        self.before.clear();
        self.now.clear();
    }
}

/// Makes room for so many in all.
pub(super) fn reserve<T>(space: &mut Vec<T>, len: usize) {
    space.reserve(len.saturating_sub(space.len()));
}
