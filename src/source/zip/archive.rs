//! The directory of an archive: its members, checked for contradictions.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rawzip::{ErrorKind, FileReader, ZipArchive};

use super::locate::locate;
use super::member::ZipMember;
use super::repeated::{remove_copies, settle};
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::tree::{SourceFile, Stat};

/// An archive's members.
#[derive(Debug)]
pub(crate) struct Archive {
    /// In the order of the archive's directory.
    pub(crate) members: Vec<ZipMember>,
}

/// Upper bound on the bytes of an archive's directory, which is kept in memory: about 300 000 members.
const DIRECTORY_LIMIT: u64 = 32 << 20;

/// Reads the directory of the archive at `path`. `sha256` is the archive's own digest, if it is known; without it, a
/// layer with the archive's members has no key.
///
/// # Errors
/// * [`Error::Read`] when the file does not exist or cannot be read.
/// * [`Error::Zip`] when it is not a zip archive, [`Error::ZipEncrypted`], [`Error::ZipMethod`], [`Error::ZipName`] and
///   [`Error::ZipMember`] for the first member that lbuild does not accept.
pub(crate) fn open(path: &Path, sha256: Option<Digest>) -> Result<Archive> {
    read_directory(path, sha256, false)
}

/// Reads the directory of an archive in the cache, where the file's name is its digest.
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
    let mut members = list(&zip, &archive, &mut buffer)?;
    let has_copies = settle(&mut members)?;
    locate(&zip.into_inner().into_inner(), &archive, directory, &mut members)?;
    if has_copies {
        remove_copies(&mut members)?;
    }
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

/// The members as the directory lists them. Their `offset`s are those of the headers before their data.
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
        let member = ZipMember::new(&record, archive)?;
        // Some tools write `./` for the root.
        if !member.name.is_empty() {
            members.push(member);
        }
    }
    // Without the 64-bit extension the number has 16 bits, and some tools let it overflow.
    if zip.entries_hint() != count && zip.entries_hint() != count & 0xffff {
        let fault = "its directory does not have the number of members that it declares";
        return Err(Error::Zip { archive: archive.path.clone(), fault });
    }
    Ok(members)
}
