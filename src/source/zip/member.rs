//! One record of an archive's directory.

use std::sync::Arc;

use rawzip::{CompressionMethod, CreatorSystem, ZipFileHeaderRecord};

use super::name::{self, PATH_LIMIT};
use crate::error::{Error, Result};
use crate::layer::zip_content::broken;
use crate::tree::{SourceFile, ZipContent};

/// A member of an archive.
#[derive(Clone, Debug)]
pub(crate) struct ZipMember {
    /// Relative, with `/` between its parts and none at the end; no part is empty, `.` or `..`.
    pub(crate) name: String,
    pub(crate) kind: ZipKind,
    /// Whether an execute bit is set. Archives that were not made on a Unix system have no execute bits.
    pub(crate) executable: bool,
    /// The data: a file's content, or a symlink's target.
    pub(crate) content: ZipContent,
}

/// The kind of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ZipKind {
    File,
    Directory,
    Symlink,
}

/// The largest ratio of a deflate stream's content to its length.
const DEFLATE_LIMIT: u64 = 1032;

impl ZipMember {
    /// Reads one record of the directory.
    pub(super) fn new(record: &ZipFileHeaderRecord<'_>, archive: &Arc<SourceFile>) -> Result<ZipMember> {
        let raw = record.file_path().as_bytes();
        let method = record.compression_method();
        let content = ZipContent {
            archive: Arc::clone(archive),
            name: raw.into(),
            deflated: method == CompressionMethod::DEFLATE,
            offset: record.local_header_offset(),
            length: record.compressed_size_hint(),
            size: record.uncompressed_size_hint(),
            crc32: record.crc32(),
        };
        let shown = || String::from_utf8_lossy(raw).into_owned();
        let flags = record.flags();
        if flags.is_encrypted() || flags.has_strong_encryption() || flags.is_masked() {
            return Err(Error::ZipEncrypted { archive: archive.path.clone(), member: shown() });
        }
        if !content.deflated && method != CompressionMethod::STORE {
            let (archive, method) = (archive.path.clone(), method.as_u16());
            return Err(Error::ZipMethod { archive, member: shown(), method });
        }
        let (name, slash) = name::path(record).map_err(|fault| misnamed(&content, fault))?;
        let mode = mode(record);
        let kind = kind(slash, mode).map_err(|fault| misnamed(&content, fault))?;
        if name.is_empty() && kind != ZipKind::Directory {
            return Err(misnamed(&content, "it has no name"));
        }
        check_sizes(&content, kind).map_err(|fault| broken(&content, fault))?;
        Ok(ZipMember { name, kind, executable: mode & 0o111 != 0, content })
    }
}

/// The Unix mode, or 0 if the archive was made on a system without modes.
fn mode(record: &ZipFileHeaderRecord<'_>) -> u32 {
    match record.version_made_by().creator_system() {
        CreatorSystem::UNIX | CreatorSystem::MACOS => record.external_attributes() >> 16,
        _ => 0,
    }
}

/// The kind by the mode, and by whether the name ends in a slash.
fn kind(slash: bool, mode: u32) -> Result<ZipKind, &'static str> {
    match mode & 0o170_000 {
        0o040_000 => Ok(ZipKind::Directory),
        // Most writers do not set the kind.
        0 | 0o100_000 if slash => Ok(ZipKind::Directory),
        0 | 0o100_000 => Ok(ZipKind::File),
        0o120_000 if !slash => Ok(ZipKind::Symlink),
        _ => Err("it is neither a file, a directory nor a symbolic link"),
    }
}

/// Refuses sizes that contradict each other: such archives would unpack to more than their data hold.
fn check_sizes(content: &ZipContent, kind: ZipKind) -> Result<(), &'static str> {
    let ZipContent { length, size, deflated, .. } = *content;
    if !deflated && length != size {
        Err("it is stored, but its sizes differ")
    } else if deflated && size > length.saturating_mul(DEFLATE_LIMIT) {
        Err("its declared size is more than its data can hold")
    } else if kind == ZipKind::Directory && size > 0 {
        Err("it is a directory, but has content")
    } else if kind == ZipKind::Symlink && size >= PATH_LIMIT as u64 {
        Err("it is a symbolic link to a path that is too long")
    } else {
        Ok(())
    }
}

/// The error for a member whose name or kind lbuild refuses.
pub(super) fn misnamed(member: &ZipContent, fault: &'static str) -> Error {
    let name = String::from_utf8_lossy(&member.name).into_owned();
    Error::ZipName { archive: member.archive.path.clone(), member: name, fault }
}
