//! A zip archive: its members as its directory lists them, and the places of their data.
//!
//! Only the few bytes before a member's data are read, because they say where the data begin. The data themselves are
//! left to the writer of layers, except for members that are asked for with `read`.
//!
//! Programs that read zips disagree on archives that contradict themselves: each sees other content. lbuild refuses
//! such archives: names that lead elsewhere or occur twice, members that share bytes, members whose name before their
//! data differs from the one in the directory.
//!
//! The format: <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>
//!
//! * `archive`: an archive's directory; `member`: one record of it; `locate`: where the members' data begin.
//! * `read`: the content of a small member.
//! * `tree`: an archive as a file tree; `provider`: an archive as a source.

mod archive;
mod locate;
mod member;
mod provider;
mod read;
mod tree;

pub(super) use archive::{Archive, open_blob};
pub(super) use member::{ZipKind, ZipMember};
pub(super) use provider::ZipProvider;
pub(super) use read::{READ_LIMIT, read};

#[cfg(test)]
pub(super) mod tests;
