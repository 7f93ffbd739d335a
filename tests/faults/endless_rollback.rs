//! Kind 14: a rollback that never ends.
