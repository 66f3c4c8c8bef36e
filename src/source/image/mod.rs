//! Files of another image as a source: of an earlier stage, or of any image.
//!
//! * [`select`]: the wanted entries, in the view of all layers, with links followed.
//! * [`read`]: the members of layers, and the contents of the wanted ones.

mod provider;
mod read;
mod select;

pub(super) use provider::ImageProvider;
