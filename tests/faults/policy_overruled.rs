//! Kind 15: a policy that a detector overrules.
