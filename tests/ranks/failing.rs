//! A rank that cannot go on, or does not go with the others, is an error of all, and no rank waits.

use crate::sentences;
