//! A zip archive: its members as its directory lists them, and the offsets of their data.
//!
//! Besides the directory, only the header before a member's data is read, because it determines where the data begin.
//! The layer writer reads the data themselves; `read` returns the content of single members.
//!
//! Zip readers disagree on archives that contradict themselves: each sees different content. lbuild refuses such
//! archives: names that are absolute, contain `..` or occur twice with different content, members that share bytes,
//! members whose header and directory record have different names.
//!
//! The format: <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>
//!
//! * `archive`: an archive's directory; `member`: one record of it, `name`: its name; `locate`: where the members' data
//!   begin; `repeated`: members that occur twice.
//! * `read`: the content of a small member.
//! * `tree`: an archive as a file tree; `provider`: an archive as a source.

mod archive;
mod locate;
mod member;
mod name;
mod provider;
mod read;
mod repeated;
mod tree;

pub(super) use archive::{Archive, open_blob};
pub(super) use member::{ZipKind, ZipMember};
pub(super) use provider::ZipProvider;
pub(super) use read::{READ_LIMIT, read};
pub(super) use tree::collect_blob;
#[cfg(fuzzing)]
pub(super) use tree::{alone, collect};

#[cfg(test)]
pub(super) mod tests;
