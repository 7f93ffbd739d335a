//! Kind 7: steps without parameters, and norms beyond `f64`.
