//! Circles of imports that are left, each for a reason.

/// Files of a room that import each other in circles all the same: the room, the files below it, the reason.
pub const EXCEPTIONS: &[(&str, &[&str], &str)] = &[];
