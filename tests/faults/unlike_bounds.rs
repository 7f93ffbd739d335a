//! Kind 3: bounds that are not alike on both sides.
