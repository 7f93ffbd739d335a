//! Kind 10: a set in which nothing was seen.
