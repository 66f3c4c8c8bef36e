//! Node packages: from a lock file to a `node_modules` for the image's machine.
//!
//! 1. `lock` reads the lock file: the content that determines the installed files, and the function's own files.
//! 2. This content, the `version` of the package manager, and the image's machine are the identity of the function's
//!    `modules`.
//! 3. If no layer has that identity, `install` runs the package manager in a private copy, and `check` verifies the
//!    result.
//!
//! npm's major version is part of the identity, because major versions treat optional packages for other machines
//! differently. A machine without npm accepts a layer made with any version, because it cannot make one.

mod check;
mod files;
mod foreign;
mod install;
mod lock;
mod modules;
mod npmrc;
mod package_json;
mod provider;
mod tool;
mod version;
mod yarnrc;

#[cfg(fuzzing)]
pub use lock::node_lock;
pub(super) use provider::NodeProvider;
