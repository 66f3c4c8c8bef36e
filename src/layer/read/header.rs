//! The fields of a member's header.

use std::io;

use tar::{EntryType, Header};

use crate::error::{Error, Result};

/// The size of a tar block, in bytes.
pub(super) const BLOCK: usize = 512;

/// A name as a path in the image, without empty and `.` components: `./a//b/` is `a/b`. A `..` is kept; readers must
/// not follow it.
pub(super) fn plain(name: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> =
        name.split(|&byte| byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    parts.join(&b'/')
}

/// The numbers of a device; 0 if the header lacks them, as in old tars.
pub(super) fn device_numbers(header: &Header, extended: (Option<u32>, Option<u32>)) -> (u32, u32) {
    let own = |number: io::Result<Option<u32>>| number.ok().flatten();
    let major = extended.0.or_else(|| own(header.device_major()));
    let minor = extended.1.or_else(|| own(header.device_minor()));
    (major.unwrap_or_default(), minor.unwrap_or_default())
}

pub(super) fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The size of the content, according to the header.
pub(super) fn size_of(header: &Header) -> Result<u64> {
    let field = &header.as_old().size;
    // A binary number; the crate would silently truncate one of more than 64 bits.
    let fits = field[0] & 0x80 == 0 || (field[0] == 0x80 && field[1..4] == [0; 3]);
    header.entry_size().ok().filter(|_| fits).and_then(sane).ok_or_else(no_size)
}

/// Refuses sizes above `i64::MAX`, so that adding to a size cannot overflow.
pub(super) fn sane(size: u64) -> Option<u64> {
    (size <= i64::MAX as u64).then_some(size)
}

pub(super) fn no_size() -> Error {
    broken("a member has no valid size")
}

/// Whether a type flag is unknown. All tar standards define such a member as a file with content.
pub(super) fn is_unknown(kind: EntryType) -> bool {
    !matches!(
        kind,
        EntryType::Link
            | EntryType::Symlink
            | EntryType::Char
            | EntryType::Block
            | EntryType::Directory
            | EntryType::Fifo
    )
}

pub(super) fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

/// GNU tar ends names with a NUL.
pub(super) fn trimmed(mut name: Vec<u8>) -> Vec<u8> {
    if let Some(end) = name.iter().position(|&byte| byte == 0) {
        name.truncate(end);
    }
    name
}

pub(super) fn broken(fault: &'static str) -> Error {
    failed(io::Error::new(io::ErrorKind::InvalidData, fault))
}

pub(super) fn failed(source: io::Error) -> Error {
    Error::LayerRead { source }
}
