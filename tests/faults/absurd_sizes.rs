//! Kind 19: sizes that no memory can hold.
