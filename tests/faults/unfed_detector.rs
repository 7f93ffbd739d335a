//! Kind 13: a detector that is not fed.
