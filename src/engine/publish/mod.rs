//! Brings an image to destinations: blobs first and several at once, the manifest when all are there, the tags last.
//!
//! * [`push`]: a push to one destination, begun before the image is complete.
//! * [`delivery`]: one blob on its way. [`upload`]: its upload to a registry.
//! * [`remote`]: a registry, and what its tags name now. [`manifest`]: the manifest that moves them.
//! * [`gate`]: blobs wait there until they may be sent. [`failure`]: the first failure, which ends the push.

mod delivery;
mod failure;
mod gate;
mod manifest;
mod push;
mod remote;
mod upload;

pub(super) use gate::Gate;
pub use push::Published;
pub(super) use push::{Push, registry_source};
pub(super) use remote::{ImageBlobs, Remote, TaggedImages};
