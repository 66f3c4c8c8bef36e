//! [`Entry`]: the kind and metadata of one file in a layer, without its path.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::path::as_text;
use super::stat::Stat;
use super::xattrs::Xattrs;
use crate::image::Digest;

/// A file, directory, link, device or deletion, with its metadata. `C` describes a regular file's content: the location
/// of its bytes ([`Content`], for a layer to be written), or the facts that a scan found.
///
/// Times are missing on purpose: in a layer that lbuild writes, all entries have the same time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry<C = Content> {
    /// The kind of entry.
    #[serde(rename = "k")]
    pub kind: EntryKind<C>,
    /// Permission bits with set-user-id, set-group-id and sticky bit, for example `0o644`.
    #[serde(rename = "m")]
    pub mode: u32,
    /// The owner's user id.
    #[serde(rename = "u", default, skip_serializing_if = "is_zero")]
    pub uid: u64,
    /// The owner's group id.
    #[serde(rename = "g", default, skip_serializing_if = "is_zero")]
    pub gid: u64,
    /// Extended attributes.
    #[serde(rename = "x", default, skip_serializing_if = "Xattrs::is_empty")]
    pub xattrs: Xattrs,
}

/// The kind of an [`Entry`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind<C = Content> {
    /// A regular file.
    File(C),
    /// A directory; its contents are separate entries.
    Directory,
    /// A symbolic link to this target, which may be dangling.
    Symlink(#[serde(with = "as_text")] Vec<u8>),
    /// Another name of the entry at this path of the same layer.
    HardLink(#[serde(with = "as_text")] Vec<u8>),
    /// A device, a named pipe, or another special file.
    Device(Device),
    /// The path is deleted: lower layers' entries at it and below it are hidden.
    ///
    /// <https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts>
    Whiteout,
    /// A directory that hides all entries of lower layers below it.
    ///
    /// <https://github.com/opencontainers/image-spec/blob/main/layer.md#opaque-whiteout>
    Opaque,
}

/// A special file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Device {
    /// A character device.
    Character {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    Block {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
    /// A member with this type flag, which no tar standard defines.
    Unknown(u8),
}

/// The location of a file's bytes.
#[derive(Clone, Debug)]
pub enum Content {
    /// In memory.
    Bytes(Arc<[u8]>),
    /// On disk, to be read when the layer is written.
    File(SourceFile),
    /// In a zip archive on disk. Deflated content goes into the layer without being compressed again.
    Zip(ZipContent),
}

/// The content of a member of a zip archive, as the archive's directory describes it. The writer refuses a
/// member that differs.
#[derive(Clone, Debug)]
pub struct ZipContent {
    /// The archive; its members share it.
    pub archive: Arc<SourceFile>,
    /// The member's name, for messages.
    pub name: Box<[u8]>,
    /// Whether the data are a deflate stream, rather than the content itself.
    pub deflated: bool,
    /// The offset of the data, in bytes from the start of the archive.
    pub offset: u64,
    /// The length of the data, in bytes.
    pub length: u64,
    /// The size of the content, in bytes.
    pub size: u64,
    /// The content's CRC-32, as in gzip.
    pub crc32: u32,
}

/// A file on disk, with its metadata when it was found.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Its path.
    pub path: PathBuf,
    /// Its metadata when it was found; the writer refuses a file whose metadata differ after reading.
    pub stat: Stat,
    /// The digest of its content, when it is known; the writer refuses other content.
    pub sha256: Option<Digest>,
    /// Whether its name is its digest. Such a file is never rewritten, and its times only record its last use.
    pub lasting: bool,
}

impl SourceFile {
    /// Whether a file with this metadata is unchanged since it was found. The device number may differ: it can change
    /// when a file system is mounted again.
    pub fn is_still(&self, now: Stat) -> bool {
        let known = Stat { dev: now.dev, ..self.stat };
        match self.lasting {
            true => (known.size, known.ino) == (now.size, now.ino),
            false => known == now,
        }
    }
}

impl<C> Entry<C> {
    /// An entry owned by root, without extended attributes.
    pub const fn new(kind: EntryKind<C>, mode: u32) -> Entry<C> {
        Entry { kind, mode, uid: 0, gid: 0, xattrs: Xattrs::NONE }
    }

    /// A regular file: 0755 if executable, else 0644.
    pub fn file(content: C, executable: bool) -> Entry<C> {
        Entry::new(EntryKind::File(content), if executable { 0o755 } else { 0o644 })
    }

    /// A directory, 0755.
    pub const fn directory() -> Entry<C> {
        Entry::new(EntryKind::Directory, 0o755)
    }

    /// A symbolic link. Its mode is never used; Linux shows 0777.
    pub fn symlink(target: impl Into<Vec<u8>>) -> Entry<C> {
        Entry::new(EntryKind::Symlink(target.into()), 0o777)
    }

    /// Whether entries may exist below it.
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, EntryKind::Directory | EntryKind::Opaque)
    }
}

impl<C> EntryKind<C> {
    /// The same kind, with another description of a file's content.
    pub fn map_content<D>(&self, content: impl FnOnce(&C) -> D) -> EntryKind<D> {
        let Ok(kind) = self.try_map_content(|known| Ok::<D, Infallible>(content(known)));
        kind
    }

    /// The same kind, with another description of a file's content.
    ///
    /// # Errors
    /// Those of `content`.
    pub fn try_map_content<D, E>(
        &self,
        content: impl FnOnce(&C) -> std::result::Result<D, E>,
    ) -> std::result::Result<EntryKind<D>, E> {
        Ok(match self {
            EntryKind::File(known) => EntryKind::File(content(known)?),
            EntryKind::Directory => EntryKind::Directory,
            EntryKind::Symlink(target) => EntryKind::Symlink(target.clone()),
            EntryKind::HardLink(target) => EntryKind::HardLink(target.clone()),
            EntryKind::Device(device) => EntryKind::Device(*device),
            EntryKind::Whiteout => EntryKind::Whiteout,
            EntryKind::Opaque => EntryKind::Opaque,
        })
    }
}

impl Content {
    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::File(file) => file.stat.size,
            Content::Zip(member) => member.size,
        }
    }
}

pub(super) fn is_zero(number: &u64) -> bool {
    *number == 0
}
