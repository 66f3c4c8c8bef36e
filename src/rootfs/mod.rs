//! Directories with the files of images, in which commands run: without Docker, a daemon or root, on Linux.
//!
//! * [`files`]: layers are unpacked into a directory, and the difference that a command made becomes the files of a layer.
//! * [`discard()`]: removes such directories.
//! * [`UnpackedImage`]: the files of a whole image, for its programs.
//! * [`run`]: a process gets such a directory as its root, by the means that this machine allows.

mod discard;
mod files;
mod image;
mod run;

pub(crate) use discard::{FILES, TREE, discard};
pub(crate) use files::{
    Form, Index, IndexUpdate, NOISE_VERSION, Node, Owners, Settings, Settled, Snapshot, copy, link,
    make_own_root, make_root, restore, set_access, settle_overlay, settle_tree, unpack,
};
pub use image::UnpackedImage;
pub(crate) use image::{OwnDirectory, Parts as UnpackedParts};
pub(crate) use run::{
    Bind, BindSource, Cgroup, Control, Exit, Failure, Files, Ids, Limits, Mode, NO_EMULATOR, NO_NAMESPACE,
    Obstacle, Other, Place, Process, Programs, Service, Told, User, Way, environment, has_one_user,
    memory_below, probe, protects, run, serve, with_programs, within,
};
