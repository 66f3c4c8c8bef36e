//! The rules for the tar headers.
//!
//! USTAR ([POSIX pax, "ustar Interchange
//! Format"](https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html)), with a pax extended header before an
//! entry that has a value which USTAR cannot hold: a long path or target, a large size, time, owner or device number,
//! extended attributes. Owners have no names, and all times are the same. Names are written as bytes, whether UTF-8 or
//! not.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::error::Result;
use crate::tree::{Device, Entry, EntryKind, FileTree, Xattrs, image_path, whiteout};

/// Incremented when a change in this file changes the bytes of layers; part of [`super::WRITER_VERSION`].
#[cfg(test)]
pub(super) const VERSION: u32 = 1;

/// The size of a tar block, in bytes.
pub(super) const BLOCK: usize = 512;

/// The end of an archive: two empty blocks.
pub(super) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// The maximum of an octal field of twelve bytes: 8 GiB less one, or the year 2242.
const OCTAL_MAX: u64 = 0o77_777_777_777;

/// The maximum of an octal field of eight bytes: user, group and device numbers.
const SMALL_OCTAL_MAX: u64 = 0o7_777_777;

/// The prefix of keywords for extended attributes, as star, GNU tar, Go and libarchive write them.
const XATTR: &[u8] = b"SCHILY.xattr.";

/// The entries of an archive in the order of their paths, with the parents that are missing in the tree. A parent's
/// path is a prefix of its children's paths, so it comes before them.
///
/// # Errors
/// [`crate::error::Error::ImagePath`] for an entry below an entry that is not a directory.
pub(crate) fn entries(tree: &FileTree) -> Result<Vec<(&[u8], &Entry)>> {
    let mut missing = BTreeSet::new();
    // The parent directories of an entry usually come directly before it, and are then not looked up in the tree.
    let mut dirs: Vec<&[u8]> = Vec::new();
    for (path, entry) in tree.iter() {
        while dirs.pop_if(|dir| !is_below(path, dir)).is_some() {}
        let (parent, known) = (parent(path), dirs.last().copied().unwrap_or_default());
        for dir in std::iter::successors(Some(parent), |path| Some(self::parent(path))) {
            if dir == known {
                break;
            }
            match tree.get(dir).map(|entry| &entry.kind) {
                Some(EntryKind::Directory | EntryKind::Opaque) => {}
                Some(_) => return Err(image_path(path, "an entry above it is not a directory")),
                None if !missing.insert(dir) => break,
                None => {}
            }
        }
        if parent != known {
            dirs.push(parent);
        }
        if entry.is_directory() {
            dirs.push(path);
        } else if let EntryKind::HardLink(target) = &entry.kind
            && !is_linkable(tree, target, path)
        {
            return Err(image_path(path, "the file that this hard link names does not come before it"));
        }
    }
    Ok(with(tree.iter(), &missing))
}

/// Whether a hard link at `path` can name the entry at `target`, which readers must have extracted before.
fn is_linkable(tree: &FileTree, target: &[u8], path: &[u8]) -> bool {
    let entry = tree.get(target).filter(|_| target < path);
    let kind = entry.map(|entry| &entry.kind);
    matches!(kind, Some(EntryKind::File(_) | EntryKind::Symlink(_) | EntryKind::Device(_)))
}

/// The entries in the order of their paths, with the missing directories inserted. Most trees lack few directories, so
/// a binary search for each is faster than sorting all entries.
fn with<'a>(
    entries: impl ExactSizeIterator<Item = (&'a [u8], &'a Entry)>,
    missing: &BTreeSet<&'a [u8]>,
) -> Vec<(&'a [u8], &'a Entry)> {
    static PARENT: Entry = Entry::directory();
    let mut all = Vec::with_capacity(entries.len() + missing.len());
    all.extend(entries);
    let places: Vec<usize> = missing.iter().map(|dir| all.partition_point(|(path, _)| path < dir)).collect();
    // Inserting from the end moves each entry once.
    let mut end = all.len();
    all.resize(end + missing.len(), (&[][..], &PARENT));
    for (before, (dir, place)) in missing.iter().zip(places).enumerate().rev() {
        all.copy_within(place..end, place + before + 1);
        all[place + before] = (dir, &PARENT);
        end = place;
    }
    all
}

fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|&byte| byte == b'/').map_or(&[], |slash| &path[..slash])
}

fn is_below(path: &[u8], dir: &[u8]) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// The size in bytes of an archive with members of these sizes, without pax extended headers.
pub(crate) fn archive_size(sizes: impl Iterator<Item = u64>) -> u64 {
    let member = |size: u64| (BLOCK + padding(size)) as u64 + size;
    END.len() as u64 + sizes.map(member).sum::<u64>()
}

/// The number of zero bytes after `size` bytes of content.
pub(super) fn padding(size: u64) -> usize {
    (size.next_multiple_of(BLOCK as u64) - size) as usize
}

/// Appends the header of `entry` to `out`, preceded by a pax extended header if it needs one. The header of an opaque
/// directory is followed by the header of its marker. `epoch` is in seconds since 1970.
pub(super) fn header(path: &[u8], entry: &Entry, epoch: u64, out: &mut Vec<u8>) {
    let Entry { kind, mode, uid, gid, xattrs } = entry;
    let (flag, target, size) = match kind {
        EntryKind::File(content) => (b'0', &[][..], content.size()),
        EntryKind::HardLink(target) => (b'1', &target[..], 0),
        EntryKind::Symlink(target) => (b'2', &target[..], 0),
        EntryKind::Device(device) => (type_flag(*device), &[][..], 0),
        EntryKind::Directory | EntryKind::Opaque => (b'5', &[][..], 0),
        EntryKind::Whiteout => (b'0', &[][..], 0),
    };
    let device = match kind {
        EntryKind::Device(Device::Character { major, minor } | Device::Block { major, minor }) => {
            (*major, *minor)
        }
        _ => (0, 0),
    };
    let name = match kind {
        EntryKind::Directory | EntryKind::Opaque => Cow::Owned([path, b"/"].concat()),
        EntryKind::Whiteout => Cow::Owned(whiteout::whiteout_name(path)),
        EntryKind::File(_) | EntryKind::HardLink(_) | EntryKind::Symlink(_) | EntryKind::Device(_) => {
            Cow::Borrowed(path)
        }
    };
    let values = Values { name: &name, target, mode: *mode, uid: *uid, gid: *gid, size, epoch, flag, device };
    values.write(xattrs, out);
    if matches!(kind, EntryKind::Opaque) {
        let marker = whiteout::opaque_name(path);
        Values { name: &marker, flag: b'0', mode: 0o644, ..values }.write(&Xattrs::NONE, out);
    }
}

fn type_flag(device: Device) -> u8 {
    match device {
        Device::Character { .. } => b'3',
        Device::Block { .. } => b'4',
        Device::Fifo => b'6',
        Device::Unknown(flag) => flag,
    }
}

/// The values of a header, whether USTAR can hold them or not.
#[derive(Clone, Copy)]
struct Values<'a> {
    name: &'a [u8],
    target: &'a [u8],
    mode: u32,
    uid: u64,
    gid: u64,
    size: u64,
    epoch: u64,
    flag: u8,
    device: (u32, u32),
}

impl Values<'_> {
    fn write(self, xattrs: &Xattrs, out: &mut Vec<u8>) {
        let Values { name: path, target, mode, uid, gid, size, epoch, flag, device } = self;
        let split = split(path);
        let records = self.records(split.is_none(), xattrs);
        if !records.is_empty() {
            extended(path, &records, epoch, out);
        }
        let (prefix, name) = split.unwrap_or((b"", path));
        let fields = Fields { prefix, name, mode, uid, gid, size, epoch, flag, target, device };
        out.extend_from_slice(&fields.block());
    }

    /// The pax records of all values that USTAR cannot hold, in the order of their keywords.
    fn records(&self, is_long: bool, xattrs: &Xattrs) -> Vec<u8> {
        let mut records = Vec::new();
        large(b"SCHILY.devmajor", self.device.0.into(), SMALL_OCTAL_MAX, &mut records);
        large(b"SCHILY.devminor", self.device.1.into(), SMALL_OCTAL_MAX, &mut records);
        for (name, value) in xattrs.iter() {
            record(&[XATTR, name].concat(), value, &mut records);
        }
        large(b"gid", self.gid, SMALL_OCTAL_MAX, &mut records);
        let not_utf8 = |bytes: &[u8]| std::str::from_utf8(bytes).is_err();
        let long_target = self.target.len() > 100;
        if (is_long && not_utf8(self.name)) || (long_target && not_utf8(self.target)) {
            // Without this record, a pax value must be UTF-8.
            record(b"hdrcharset", b"BINARY", &mut records);
        }
        if long_target {
            record(b"linkpath", self.target, &mut records);
        }
        large(b"mtime", self.epoch, OCTAL_MAX, &mut records);
        if is_long {
            record(b"path", self.name, &mut records);
        }
        large(b"size", self.size, OCTAL_MAX, &mut records);
        large(b"uid", self.uid, SMALL_OCTAL_MAX, &mut records);
        records
    }
}

/// A path as USTAR holds it: a prefix of at most 155 bytes and a name of at most 100, without the `/` between them. The
/// prefix is empty if possible, else as long as possible.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= 100 {
        return Some((b"", path));
    }
    // The `/` at the end of a directory's path is part of its name.
    let slash = path[..path.len() - 1].iter().take(156).rposition(|&byte| byte == b'/')?;
    let (prefix, name) = (&path[..slash], &path[slash + 1..]);
    (name.len() <= 100).then_some((prefix, name))
}

/// The pax record of a number that is too large for its field.
fn large(keyword: &[u8], value: u64, max: u64, records: &mut Vec<u8>) {
    if value > max {
        record(keyword, value.to_string().as_bytes(), records);
    }
}

/// A pax record: its own length in decimal, the keyword, the value.
fn record(keyword: &[u8], value: &[u8], records: &mut Vec<u8>) {
    let rest = " =\n".len() + keyword.len() + value.len();
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(format!("{length} ").as_bytes());
    records.extend_from_slice(keyword);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

/// A pax extended header. Readers without pax extract it as a file below `PaxHeaders`.
fn extended(path: &[u8], records: &[u8], epoch: u64, out: &mut Vec<u8>) {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let base = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let name = [b"PaxHeaders/", &base[..base.len().min(89)]].concat();
    let size = records.len() as u64;
    let fields = Fields {
        prefix: b"",
        name: &name,
        mode: 0o644,
        uid: 0,
        gid: 0,
        size,
        epoch,
        flag: b'x',
        target: b"",
        device: (0, 0),
    };
    out.extend_from_slice(&fields.block());
    out.extend_from_slice(records);
    out.resize(out.len() + padding(size), 0);
}

/// The fields that differ between headers. A value that a field cannot hold is truncated or 0; a pax record holds it.
struct Fields<'a> {
    prefix: &'a [u8],
    name: &'a [u8],
    mode: u32,
    uid: u64,
    gid: u64,
    size: u64,
    epoch: u64,
    flag: u8,
    target: &'a [u8],
    device: (u32, u32),
}

impl Fields<'_> {
    fn block(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        text(&mut block[0..100], self.name);
        octal(&mut block[100..108], u64::from(self.mode & 0o7777));
        octal(&mut block[108..116], self.uid);
        octal(&mut block[116..124], self.gid);
        octal(&mut block[124..136], self.size);
        octal(&mut block[136..148], self.epoch);
        block[156] = self.flag;
        text(&mut block[157..257], self.target);
        block[257..265].copy_from_slice(b"ustar\x0000");
        // 265..297 and 297..329, the names of user and group, are empty.
        octal(&mut block[329..337], self.device.0.into());
        octal(&mut block[337..345], self.device.1.into());
        text(&mut block[345..500], self.prefix);

        // The sum of all bytes, computed with spaces in its place: six digits, NUL and space.
        block[148..156].fill(b' ');
        let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
        octal(&mut block[148..155], sum);
        block
    }
}

fn text(field: &mut [u8], value: &[u8]) {
    let length = value.len().min(field.len());
    field[..length].copy_from_slice(&value[..length]);
}

/// Writes octal digits up to the last byte of the field, which is NUL.
fn octal(field: &mut [u8], value: u64) {
    let (end, digits) = field.split_last_mut().expect("a field has bytes");
    *end = 0;
    let mut rest = if value >> (3 * digits.len()) == 0 { value } else { 0 };
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest & 7) as u8;
        rest >>= 3;
    }
}

#[cfg(test)]
mod tests;
