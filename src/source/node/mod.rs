//! Node packages: from a lock file to a `node_modules` for the image's machine.
//!
//! 1. `lock` reads the lock file: the content that determines the installed files, and the function's own files.
//! 2. This content, the `version` of the package manager, and the image's machine are the identity of the function's
//!    `modules`.
//! 3. If no layer has that identity, `install` runs the package manager in a private copy, and `check` verifies the
//!    result.
//!
//! An install of a Dockerfile (`installation`, `image_install`) does the same with files of the image. There the command
//! says what is installed, and whether `scripts` would run decides if it can be done at all.
//!
//! The installed files are divided into layers of packages (`division`, `package_layer`).
//!
//! npm's major version is part of the identity, because major versions treat optional packages for other machines
//! differently. A machine without npm accepts a layer made with any version, because it cannot make one.

mod arguments;
mod check;
mod division;
mod files;
mod foreign;
mod image_install;
mod install;
mod installation;
mod lock;
mod machine;
mod modules;
mod npmrc;
mod package_json;
mod package_layer;
mod provider;
mod run;
mod scripts;
mod tool;
mod version;
mod yarnrc;

pub(crate) use installation::{NodeFault, NodeInstallation};
#[cfg(fuzzing)]
pub use lock::node_lock;
pub(super) use provider::NodeProvider;
