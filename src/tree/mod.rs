//! Files as layers hold them: the one model of an entry that all code which reads or writes layers shares.
//!
//! * [`Entry`]: a file, directory, link, device or deletion, with its mode, owner and extended attributes.
//! * [`FileTree`]: entries by path, for one layer that is to be written.
//! * [`Member`]: an entry at its place in a layer's archive, as it was read.
//! * [`View`]: layers laid over each other, with links resolved as in a container.
//!
//! The tar writer and reader, the key of a layer, the scan and the view of several layers all speak it.

mod code;
mod entry;
mod file_tree;
mod member;
mod path;
mod view;
pub(crate) mod whiteout;
mod xattrs;

pub(crate) use code::{ELF_HEADER, ELF_MAGIC};
pub use code::{Machine, is_library, may_be_code};
pub use entry::{Content, Device, Entry, EntryKind, SourceFile, Stat, ZipContent};
pub use file_tree::FileTree;
pub(crate) use file_tree::image_path;
pub use member::Member;
pub use path::ImagePath;
pub use view::{Hidden, Resolved, Seen, Target, View, ViewLayer};
pub use xattrs::Xattrs;
