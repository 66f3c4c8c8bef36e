//! Directories with the files of images, in which commands run: without Docker, a daemon or root, on Linux.
//!
//! * [`files`]: layers are unpacked into a directory, and the difference that a command made becomes the files of a layer.
//! * [`discard()`]: removes such directories.
//! * [`run`]: a process gets such a directory as its root, by the means that this machine allows.

mod discard;
mod files;
mod run;

pub(crate) use discard::{FILES, TREE, discard};
pub(crate) use files::{
    Form, Index, IndexUpdate, NOISE_VERSION, Node, Owners, Settings, Settled, Snapshot, copy, make_own_root,
    make_root, restore, set_access, settle_overlay, settle_tree, unpack,
};
pub(crate) use run::{
    Bind, BindSource, Exit, Failure, Files, Ids, Mode, NO_EMULATOR, NO_NAMESPACE, Obstacle, Process,
    Programs, User, Way, environment, probe, run, with_programs, within,
};
