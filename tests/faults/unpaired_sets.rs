//! Kind 9: two sets that do not belong together.
