//! The start of each member's data. The data follow a header, and only the header itself declares its length.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::member::ZipMember;
use crate::error::{Error, Result};
use crate::layer::zip_content::broken;
use crate::tree::SourceFile;

/// Length of a header before its name, in bytes.
const HEADER: usize = 30;

/// Replaces the offsets of the members' headers by those of their data. All data must lie before `directory`.
///
/// # Errors
/// [`Error::ZipMember`] for a member that has no data, or shares bytes with another.
pub(super) fn locate(
    file: &File,
    archive: &SourceFile,
    directory: u64,
    members: &mut [ZipMember],
) -> Result<()> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_unstable_by_key(|&index| (members[index].content.offset, index));
    let mut ahead = Ahead { file, begin: 0, filled: 0, bytes: vec![0; AHEAD] };
    let mut free = 0;
    for index in order {
        let content = &mut members[index].content;
        let begin = content.offset;
        if begin < free {
            return Err(broken(content, "it shares bytes with another member"));
        }
        if begin >= directory {
            return Err(broken(content, "its data are not at the offset that the archive declares"));
        }
        let unreadable = |source| Error::Read { path: archive.path.clone(), source };
        let header = ahead.read(begin, HEADER + content.name.len()).map_err(unreadable)?;
        let [b'P', b'K', 3, 4, .., n0, n1, x0, x1] = *header.first_chunk::<HEADER>().unwrap_or(&[0; HEADER])
        else {
            return Err(broken(content, "its data are not at the offset that the archive declares"));
        };
        let name = usize::from(u16::from_le_bytes([n0, n1]));
        if name != content.name.len() || header[HEADER..] != *content.name {
            return Err(broken(content, "the header before its data has another name"));
        }
        let extra = u64::from(u16::from_le_bytes([x0, x1]));
        content.offset = begin + (HEADER + name) as u64 + extra;
        free = content.offset.saturating_add(content.length);
        if free > directory {
            return Err(broken(content, "its data extend into the archive's directory"));
        }
    }
    Ok(())
}

/// Bytes of one read of headers. Most members are small, so one read covers several headers.
const AHEAD: usize = 16 << 10;

/// Reads a file at ascending offsets through a read-ahead buffer.
struct Ahead<'a> {
    file: &'a File,
    /// The position of `bytes[..filled]` in the file.
    begin: u64,
    filled: usize,
    bytes: Vec<u8>,
}

impl Ahead<'_> {
    /// `length` bytes from `begin` on; fewer only at the end of the file.
    fn read(&mut self, begin: u64, length: usize) -> io::Result<&[u8]> {
        let known = begin.checked_sub(self.begin).filter(|&skip| skip + length as u64 <= self.filled as u64);
        if known.is_none() {
            if self.bytes.len() < length {
                self.bytes.resize(length, 0);
            }
            (self.begin, self.filled) = (begin, 0);
            while self.filled < length {
                match self.file.read_at(&mut self.bytes[self.filled..], begin + self.filled as u64) {
                    Ok(0) => break,
                    Ok(read) => self.filled += read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let skip = (begin - self.begin) as usize;
        Ok(&self.bytes[skip..self.filled.min(skip + length)])
    }
}
