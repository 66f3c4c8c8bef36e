//! Docker archives: the tar that `docker save` makes and `docker load` and `podman load` take.

mod index;
mod read;
mod write;

pub(crate) use read::Archive;
pub(crate) use write::write;
