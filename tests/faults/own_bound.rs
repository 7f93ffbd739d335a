//! Kind 2: what a rule leaves is within its own bound for every later rule.
