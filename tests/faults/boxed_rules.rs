//! Kind 18: boxed rules, unsized parameters.
