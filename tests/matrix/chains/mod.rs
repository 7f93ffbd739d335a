//! Random chains of rules in a guard, fed with anything: the promises that hold for every one of them.

mod counted;
mod exact;
mod oracle;
mod promises;
mod random;
mod rules;
mod run;
