//! The names that a module defines for importers, by its source, and the classes in a jar.
//!
//! The source is parsed. Code that may define names that the source does not show gives `*`, which stands for any name.

mod jar;
mod javascript;
mod python;
mod syntax;

pub(super) use jar::has_class;
#[cfg(test)]
pub(super) use jar::jar;
pub(super) use javascript::names as javascript;
pub(super) use python::names as python;
pub(super) use syntax::ANY;
