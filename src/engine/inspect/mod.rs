//! Looks at images that are stored: what their layers hold, why two differ, and what a registry would let a push do.

pub mod diff;
mod probe;
pub(super) mod scan;

pub use diff::Difference;
pub use probe::Probe;
pub(super) use probe::probe;
