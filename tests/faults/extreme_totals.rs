//! Kind 11: totals and initialisers at the extremes.
