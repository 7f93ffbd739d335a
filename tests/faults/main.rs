//! Faults that were found by trying the crate, one kind a file: the right value is the test.

mod absurd_sizes;
mod another_power;
mod biases;
mod bound_of_zero;
mod boxed_rules;
mod endless_rollback;
mod exact_norm;
mod extreme_totals;
mod forwards_to_itself;
mod gradients_of_others;
mod growth_over_steps;
mod half_told_plan;
mod hidden_growth;
mod ignored_verdict;
mod nothing_seen;
#[cfg(feature = "ndarray")]
mod overflowing_rule;
mod own_bound;
mod policy_overruled;
mod random;
mod struct_sets;
mod told_numbers;
mod unfed_detector;
mod unlike_bounds;
mod unpaired_sets;
