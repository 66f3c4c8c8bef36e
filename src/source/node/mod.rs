//! Node packages: from a lock file to a `node_modules` for the image's machine.
//!
//! 1. `lock` reads the lock file: the parts that decide the files, and which of them are the function's own.
//! 2. Those parts, the `version` of the program that installs, and the machine give the identity of the function's
//!    `modules`.
//! 3. Only when no layer has that identity, `install` runs the program in a private copy, and `check` verifies the
//!    result.
//!
//! npm's major version is part of the identity, because each treats optional packages for other machines differently.
//! A machine without npm takes the layer of any version: there is no other layer that it could mean.

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

pub(super) use provider::NodeProvider;
