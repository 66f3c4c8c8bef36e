//! A zip archive: what its directory says of its members, and where their data are.
//!
//! Of a member only the few bytes before its data are read, which tell where they begin; the data themselves are
//! left to the writer of layers, but for those that are asked for with [`read`].
//!
//! Programs that read zips disagree on archives that contradict themselves, so that one sees what another does not.
//! lbuild refuses such archives: names that lead elsewhere or occur twice, members that share bytes, members that
//! are named otherwise before their data than in the directory.
//!
//! The format: <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>

mod locate;
mod provider;
pub mod tree;

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use rawzip::{CompressionMethod, CreatorSystem, ErrorKind, FileReader, ZipArchive, ZipFileHeaderRecord};

pub(super) use provider::Provider;

use crate::error::{Error, Result};
use crate::image::Digest;
use crate::layer::zip_content::{broken, read_member};
use crate::tree::{SourceFile, Stat, ZipContent};

/// An archive's members.
#[derive(Debug)]
pub(crate) struct Archive {
    /// In the order of the archive's directory.
    pub(crate) members: Vec<ZipMember>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct ZipMember {
    /// Relative, with `/` between its parts and none at the end; no part is empty, `.` or `..`.
    pub(crate) name: String,
    pub(crate) kind: ZipKind,
    /// Whether an execute bit is set. Archives that were not made on a Unix have none.
    pub(crate) executable: bool,
    /// The data: a file's content, or a symlink's target.
    pub(crate) content: ZipContent,
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ZipKind {
    File,
    Directory,
    Symlink,
}

/// Bytes of an archive's directory at most: some 300 000 members. It is kept in memory.
const DIRECTORY_LIMIT: u64 = 32 << 20;

/// Bytes of a member that [`read`] gives at most.
pub(crate) const READ_LIMIT: u64 = 16 << 20;

/// `PATH_MAX` of Linux, with the NUL that it counts.
const PATH_LIMIT: usize = 4096;

/// No deflate stream stands for more than this many bytes a byte.
const DEFLATE_LIMIT: u64 = 1032;

/// Reads the directory of the archive at `path`. `sha256` is the archive's own digest, when it is known; a layer
/// with its members has a key only then.
///
/// # Errors
/// * [`Error::Read`] when there is no such file, or it cannot be read.
/// * [`Error::Zip`] when it is no zip archive, [`Error::ZipEncrypted`], [`Error::ZipMethod`], [`Error::ZipName`] and
///   [`Error::ZipMember`] for the first member that lbuild does not take.
pub(crate) fn open(path: &Path, sha256: Option<Digest>) -> Result<Archive> {
    read_directory(path, sha256, false)
}

/// The same of a file of the cache, whose name is its digest.
///
/// # Errors
/// Those of [`open`].
pub(crate) fn open_blob(path: &Path, sha256: Digest) -> Result<Archive> {
    read_directory(path, Some(sha256), true)
}

fn read_directory(path: &Path, sha256: Option<Digest>, lasting: bool) -> Result<Archive> {
    let unreadable = |source| Error::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let stat = Stat::from(&file.metadata().map_err(unreadable)?);
    let archive = Arc::new(SourceFile { path: path.to_owned(), stat, sha256, lasting });
    let mut buffer = vec![0; rawzip::MAX_CENTRAL_DIRECTORY_RECORD_SIZE];
    let zip = ZipArchive::from_file(file, &mut buffer).map_err(|error| unlisted(path, error))?;
    let directory = zip.directory_offset();
    if zip.eocd_offset().saturating_sub(directory) > DIRECTORY_LIMIT {
        return Err(Error::Zip { archive: path.to_owned(), fault: "its directory is too large" });
    }
    let mut members = settle(list(&zip, &archive, &mut buffer)?)?;
    locate::locate(&zip.into_inner().into_inner(), &archive, directory, &mut members)?;
    Ok(Archive { members })
}

fn unlisted(path: &Path, error: rawzip::Error) -> Error {
    let fault = match error.into_kind() {
        ErrorKind::IO(source) if source.kind() != io::ErrorKind::UnexpectedEof => {
            return Error::Read { path: path.to_owned(), source };
        }
        ErrorKind::MissingEndOfCentralDirectory => "there is no directory at its end",
        ErrorKind::Eof | ErrorKind::IO(_) => "it ends within its directory",
        _ => "its directory is broken",
    };
    Error::Zip { archive: path.to_owned(), fault }
}

/// The members as the directory has them. Their `offset`s are those of the headers before their data.
fn list(
    zip: &ZipArchive<FileReader>,
    archive: &Arc<SourceFile>,
    buffer: &mut [u8],
) -> Result<Vec<ZipMember>> {
    let mut members = Vec::new();
    let mut entries = zip.entries(buffer);
    let mut count = 0u64;
    while let Some(record) = entries.next_entry().map_err(|error| unlisted(&archive.path, error))? {
        count += 1;
        let member = member(&record, archive)?;
        // `./`, as some tools write it, is what everything else goes into
        if !member.name.is_empty() {
            members.push(member);
        }
    }
    // Without the 64-bit extension there are 16 bits for the number, and tools that let it overflow.
    if zip.entries_hint() != count && zip.entries_hint() != count & 0xffff {
        let fault = "its directory has not as many members as it says";
        return Err(Error::Zip { archive: archive.path.clone(), fault });
    }
    Ok(members)
}

fn member(record: &ZipFileHeaderRecord<'_>, archive: &Arc<SourceFile>) -> Result<ZipMember> {
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
    let name = name(raw).map_err(|fault| misnamed(&content, fault))?;
    let mode = mode(record);
    let kind = kind(raw, mode).map_err(|fault| misnamed(&content, fault))?;
    if name.is_empty() && kind != ZipKind::Directory {
        return Err(misnamed(&content, "it has no name"));
    }
    check_sizes(&content, kind).map_err(|fault| broken(&content, fault))?;
    Ok(ZipMember { name, kind, executable: mode & 0o111 != 0, content })
}

/// The path that a member's name stands for; an empty one is that of the archive's own root.
fn name(raw: &[u8]) -> Result<String, &'static str> {
    let name = str::from_utf8(raw).map_err(|_| "its name is not in UTF-8")?;
    // Readers end the name at a NUL, and take a backslash for a separator, or do not.
    if name.contains('\0') {
        return Err("its name has a NUL byte in it");
    }
    if name.contains('\\') {
        return Err("its name has a backslash in it");
    }
    let drive = name.len() >= 2 && name.as_bytes()[0].is_ascii_alphabetic() && name[1..].starts_with(":/");
    if name.starts_with('/') || drive {
        return Err("its name is an absolute path");
    }
    if name.len() >= PATH_LIMIT {
        return Err("its name is longer than a path can be");
    }
    let parts = || name.split('/').filter(|part| !matches!(*part, "" | "."));
    if parts().any(|part| part == "..") {
        return Err("its name has a `..` in it");
    }
    Ok(parts().collect::<Vec<_>>().join("/"))
}

/// The Unix mode, or 0 when the archive was made where there is none.
fn mode(record: &ZipFileHeaderRecord<'_>) -> u32 {
    match record.version_made_by().creator_system() {
        CreatorSystem::UNIX | CreatorSystem::MACOS => record.external_attributes() >> 16,
        _ => 0,
    }
}

fn kind(raw: &[u8], mode: u32) -> Result<ZipKind, &'static str> {
    match mode & 0o170_000 {
        0o040_000 => Ok(ZipKind::Directory),
        // most writers leave the kind out
        0 | 0o100_000 if raw.ends_with(b"/") => Ok(ZipKind::Directory),
        0 | 0o100_000 => Ok(ZipKind::File),
        0o120_000 if !raw.ends_with(b"/") => Ok(ZipKind::Symlink),
        _ => Err("it is neither a file, a directory nor a symbolic link"),
    }
}

/// What can be told from the sizes alone: archives that would unpack to more than their data hold.
fn check_sizes(content: &ZipContent, kind: ZipKind) -> Result<(), &'static str> {
    let ZipContent { length, size, deflated, .. } = *content;
    if !deflated && length != size {
        Err("it is stored, but its sizes differ")
    } else if deflated && size > length.saturating_mul(DEFLATE_LIMIT) {
        Err("it is said to be longer than its data can be")
    } else if kind == ZipKind::Directory && size > 0 {
        Err("it is a directory, but has content")
    } else if kind == ZipKind::Symlink && size >= PATH_LIMIT as u64 {
        Err("it is a symbolic link to a path that is too long")
    } else {
        Ok(())
    }
}

/// Leaves a directory that is named again out, and fails when two members are in one place, or one is below
/// another that is no directory.
fn settle(mut members: Vec<ZipMember>) -> Result<Vec<ZipMember>> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    // Part by part, so that what is below a member follows it.
    order.sort_by(|&a, &b| members[a].name.split('/').cmp(members[b].name.split('/')));
    let mut again = HashSet::new();
    for pair in order.windows(2) {
        let (before, after) = (&members[pair[0]], &members[pair[1]]);
        let directory = before.kind == ZipKind::Directory;
        let below = after.name.strip_prefix(before.name.as_str());
        match below {
            Some("") if directory && after.kind == ZipKind::Directory => drop(again.insert(pair[1])),
            Some("") => return Err(misnamed(&after.content, "another member has the same name")),
            Some(below) if below.starts_with('/') && !directory => {
                return Err(misnamed(&after.content, "it is below a member that is no directory"));
            }
            _ => {}
        }
    }
    let mut indices = 0..;
    members.retain(|_| !indices.next().is_some_and(|index| again.contains(&index)));
    Ok(members)
}

/// The content of a member, held to the size and the checksum in its archive's directory. It may have 16 MiB
/// ([`READ_LIMIT`]) at most: this is for metadata and the targets of links, and layers are written without it.
///
/// # Errors
/// [`Error::ZipMember`] when it is larger, or not what the directory says; [`Error::SourceChanged`] when the
/// archive is no longer the one that was opened.
pub(crate) fn read(member: &ZipContent) -> Result<Vec<u8>> {
    if member.size.max(member.length) > READ_LIMIT {
        return Err(broken(member, "it is too large for what it should be"));
    }
    let mut content = Vec::with_capacity(member.size as usize);
    read_member(member, |piece| {
        content.extend_from_slice(piece);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(content)
}

fn misnamed(member: &ZipContent, fault: &'static str) -> Error {
    let name = String::from_utf8_lossy(&member.name).into_owned();
    Error::ZipName { archive: member.archive.path.clone(), member: name, fault }
}

#[cfg(test)]
pub(in crate::source) mod tests;
