//! Kind 4: a bound of exactly the norm.
