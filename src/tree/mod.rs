//! The files of layers: one model of an entry, shared by all code that reads or writes layers.
//!
//! * [`Entry`]: a file, directory, link, device or deletion, with its mode, owner and extended attributes.
//! * [`FileTree`]: entries by path, for one layer to be written.
//! * [`Member`]: an entry read from a layer's archive, with its path.
//! * `Paths`: the members of a layer by path; `parents`: the directories whose entry is missing or late.
//! * [`View`]: layers laid over each other, with links resolved as in a container.
//!
//! The tar writer and reader, the cache key of a layer, the scan and the view of several layers use this model.

mod code;
mod entry;
mod file_tree;
mod member;
mod parents;
mod path;
mod paths;
mod stat;
mod view;
pub(crate) mod whiteout;
mod xattrs;

pub(crate) use code::{ELF_HEADER, ELF_MAGIC};
pub use code::{Machine, is_library, may_be_code};
pub use entry::{Content, Device, Entry, EntryKind, SourceFile, ZipContent};
pub use file_tree::FileTree;
pub(crate) use file_tree::image_path;
pub use member::Member;
#[cfg(feature = "check")]
pub(crate) use parents::DirectoryFault;
pub(crate) use parents::{MOST_FAULTS, faults_of_directories};
pub use path::ImagePath;
pub(crate) use paths::Paths;
pub use stat::Stat;
pub use view::{Hidden, Resolved, Seen, Target, View, ViewLayer};
pub use xattrs::Xattrs;
