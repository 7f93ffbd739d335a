//! Kind 5: a norm of another p than was measured.
