//! Python packages: from a lock file, or requirements, to wheels, and from wheels to the trees of layers.
//!
//! 1. Requirements become packages: `lock` reads the complete locks, and uv or pip `resolve`s everything else.
//!    `markers` are evaluated for the `target`.
//! 2. `choice` chooses one wheel of each package. `pin` finds the size and sha256 if the lock leaves them out, with the
//!    `credentials` of its index, and checks the `hashes`. The result is the pinned list.
//! 3. The list alone determines which wheels share a `layer`, and the layer's identity, before anything is fetched.
//! 4. Only a layer that is not in any cache is fetched: its `wheel`s, or their `bytecode`, become a tree. A package
//!    without wheels is built from its `sdist` or its `directory`.
//! 5. An `install` does this for a command of an image: for requirements, or for what is `locked`; perhaps in a virtual
//!    `environment`.

mod bytecode;
mod choice;
mod credentials;
mod directory;
mod environment;
#[cfg(fuzzing)]
mod fuzzing;
mod hashes;
mod image_files;
mod install;
mod installed;
mod interpreter;
mod layer;
mod listed;
mod lock;
mod locked;
mod markers;
mod pin;
mod provider;
mod removal;
mod resolve;
mod sdist;
mod settings;
mod settled;
mod size;
mod target;
mod wheel;

#[cfg(fuzzing)]
pub use fuzzing::python_lock;
pub(crate) use image_files::Contents;
pub(crate) use install::{InstallPlan, PythonInstallation};
pub(crate) use interpreter::ImageLibc;
pub(crate) use lock::export as export_lock;
pub(super) use provider::PythonProvider;
pub(crate) use removal::deletions;
pub(crate) use settings::InstallSurroundings;
