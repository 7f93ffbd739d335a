//! Kind 20: numbers and names in messages.
