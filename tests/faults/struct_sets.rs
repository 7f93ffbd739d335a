//! Kind 17: structs that the macro could not make sets of.
