//! Publishes an image: blobs first, several at once, then the manifest, and the tags last.
//!
//! * [`push`]: a push to one destination, started before the image is complete.
//! * [`delivery`]: the delivery of one blob. [`upload`]: its upload to a registry.
//! * [`remote`]: a registry, and the images that its tags name now. [`manifest`]: the manifest that moves the tags.
//! * [`failure`]: the first failure, which aborts the push.

mod delivery;
mod failure;
mod manifest;
mod push;
mod remote;
mod upload;

pub use push::Published;
pub(super) use push::{Push, registry_source};
pub(super) use remote::{ImageBlobs, Remote, TaggedImages};
