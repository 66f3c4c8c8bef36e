//! Accepted cycles of imports, each with its reason.

/// Files of a module that may import each other in cycles: the module, the files below it, the reason.
pub const EXCEPTIONS: &[(&str, &[&str], &str)] = &[];
