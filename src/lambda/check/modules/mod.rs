//! The names that a module binds for others, by its text, and the classes that an archive of Java has.
//!
//! Parsed, not guessed: whatever could bind more names than can be read off the text gives `*`, which stands for any.

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
