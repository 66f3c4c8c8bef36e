//! Secrets: their forms, the names of settings that hold them, and the files that hold them.
//!
//! This module reports only the kind of a secret and the prefix that all of its kind share, because findings are
//! printed and stored on disk.

mod content;
mod file;
mod form;
mod name;
mod placeholder;
mod redact;
mod secret;

pub(super) use content::{Logins, logins};
pub(super) use file::{Kind, has_tests, in_function, is_packaged, is_secret_file, parents};
pub(super) use form::find;
pub(super) use name::{assignment, in_shell, is_public, named, option};
pub use redact::{is_secret, without_secrets};
pub(super) use secret::Secret;
