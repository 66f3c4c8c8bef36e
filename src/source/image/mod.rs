//! Files of an earlier stage, or of any other image, as a source.
//!
//! * [`select`]: selects the entries in the view of all layers, and follows links.
//! * [`read`]: reads the members of layers, and the contents of the selected members.

mod provider;
mod read;
mod select;

pub(super) use provider::ImageProvider;
pub(super) use read::{contents, contents_of, members, members_of};
pub(crate) use read::{contents_at, file_of};
pub(super) use select::{ImageView, Selection};
