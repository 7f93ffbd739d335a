//! Kind 12: a verdict that nobody looks at.
