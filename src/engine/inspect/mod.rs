//! Inspects stored images: the files of their layers, the differences between two images, and the permissions that a
//! push to a registry needs.

pub mod diff;
mod passing;
mod probe;
pub(super) mod scan;
pub(super) mod verified;

pub use diff::Difference;
pub(super) use passing::{Passing, Scanner, scanner};
pub use probe::Probe;
pub(super) use probe::probe;
