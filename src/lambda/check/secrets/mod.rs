//! Secrets: what they look like, which names tell them, and which files hold them.
//!
//! Nothing of a secret leaves this directory but its kind and what all of its kind begin with: what is said of one is
//! printed, and kept on disk.

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
