//! Kind 8: which tensors a penalty leaves out.
