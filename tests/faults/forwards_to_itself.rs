//! Kind 1: a method that forwards to itself.
