//! Reads the content of a zip archive's members, and checks it against the central directory.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;

use flate2::{Crc, Decompress, FlushDecompress, Status};

use crate::error::{Error, Result};
use crate::tree::{SourceFile, Stat, ZipContent};

/// The number of bytes of an archive read at once.
const INPUT: u64 = 64 << 10;

/// The maximum number of bytes passed on at once.
const OUTPUT: u64 = 128 << 10;

/// Reads a member's content from its beginning, piece by piece, until `each` breaks. Content that is read to its end is
/// checked against size and checksum; no piece goes beyond the size.
///
/// # Errors
/// [`Error::ZipMember`] when the member differs from its description in the central directory, [`Error::SourceChanged`]
/// when the archive has changed since it was opened, [`Error::Read`] when it cannot be read, and the errors of `each`.
pub(crate) fn read_member(
    member: &ZipContent,
    mut each: impl FnMut(&[u8]) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let archive = &*member.archive;
    let file = File::open(&archive.path).map_err(|error| unreadable(archive, error))?;
    let mut checked = Checked::new(member);
    let pass = |bytes: &[u8]| {
        checked.take(bytes)?;
        each(bytes)
    };
    let read = if member.deflated { inflated(&file, member, pass) } else { stored(&file, member, pass) };
    // An archive that changed meanwhile is more likely than a damaged one.
    let stat = Stat::from(&file.metadata().map_err(|error| unreadable(archive, error))?);
    if !archive.is_still(stat) {
        return Err(Error::SourceChanged { path: archive.path.clone() });
    }
    match read? {
        ControlFlow::Break(()) => Ok(()),
        ControlFlow::Continue(()) => checked.finish().map(drop),
    }
}

fn stored(
    file: &File,
    member: &ZipContent,
    mut pass: impl FnMut(&[u8]) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    let mut buffer = vec![0; member.length.min(OUTPUT) as usize];
    let mut read = 0;
    while read < member.length {
        let got = read_at(file, member, read, &mut buffer)?;
        read += got as u64;
        if pass(&buffer[..got])?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn inflated(
    file: &File,
    member: &ZipContent,
    mut pass: impl FnMut(&[u8]) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    let mut inflater = Decompress::new(false);
    let mut input = vec![0; member.length.min(INPUT) as usize];
    // One byte larger than the size, to detect content that is too long.
    let mut output = vec![0; member.size.saturating_add(1).min(OUTPUT) as usize];
    let (mut read, mut begin, mut end) = (0, 0, 0);
    loop {
        if begin == end && read < member.length {
            (begin, end) = (0, read_at(file, member, read, &mut input)?);
            read += end as u64;
        }
        let before = (inflater.total_in(), inflater.total_out());
        let status = inflater.decompress(&input[begin..end], &mut output, FlushDecompress::None);
        let status = status.map_err(|_| broken(member, "it is not a valid deflate stream"))?;
        let used = (inflater.total_in() - before.0) as usize;
        let filled = (inflater.total_out() - before.1) as usize;
        begin += used;
        if filled > 0 && pass(&output[..filled])?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        if status == Status::StreamEnd {
            return match begin == end && read == member.length {
                true => Ok(ControlFlow::Continue(())),
                false => Err(broken(member, "its deflate stream ends before its data ends")),
            };
        }
        if used == 0 && filled == 0 {
            return Err(broken(member, "its deflate stream does not end"));
        }
    }
}

/// Checks content against its description in the central directory.
pub(super) struct Checked<'a> {
    member: &'a ZipContent,
    crc: Crc,
    size: u64,
}

impl<'a> Checked<'a> {
    pub fn new(member: &'a ZipContent) -> Self {
        Checked { member, crc: Crc::new(), size: 0 }
    }

    /// Fails at once if the content is too long, because the header in the layer has the size.
    pub fn take(&mut self, bytes: &[u8]) -> Result<()> {
        self.crc.update(bytes);
        self.size += bytes.len() as u64;
        if self.size > self.member.size {
            return Err(broken(self.member, "it is longer than the archive says"));
        }
        Ok(())
    }

    /// The checksum of the content, which must be the one in the central directory.
    pub fn finish(self) -> Result<Crc> {
        if self.size < self.member.size {
            return Err(broken(self.member, "it is shorter than the archive says"));
        }
        if self.crc.sum() != self.member.crc32 {
            return Err(broken(self.member, "its checksum is not the one in the archive"));
        }
        Ok(self.crc)
    }
}

/// Reads as many bytes of the member as fit into `buffer`, at least one.
pub(super) fn read_at(file: &File, member: &ZipContent, from: u64, buffer: &mut [u8]) -> Result<usize> {
    let wanted = (member.length - from).min(buffer.len() as u64) as usize;
    loop {
        match file.read_at(&mut buffer[..wanted], member.offset + from) {
            Ok(0) => return Err(broken(member, "the archive ends within it")),
            Ok(read) => return Ok(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(&member.archive, error)),
        }
    }
}

pub(super) fn unreadable(archive: &SourceFile, source: io::Error) -> Error {
    Error::Read { path: archive.path.clone(), source }
}

/// The error for a damaged member.
pub(crate) fn broken(member: &ZipContent, fault: &'static str) -> Error {
    let name = String::from_utf8_lossy(&member.name).into_owned();
    Error::ZipMember { archive: member.archive.path.clone(), member: name, fault }
}
