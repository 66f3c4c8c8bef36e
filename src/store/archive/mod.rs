//! Docker archives: the tar that `docker save` writes, and `docker load` and `podman load` read.

mod index;
mod read;
mod write;

pub(crate) use read::Archive;
pub(crate) use write::write;
