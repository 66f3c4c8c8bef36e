//! Mounts at paths of the image. A path that the image does not have gets a stub: an empty file or directory, which the
//! parent is told of, and removes when the command has ended.

use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;

use rustix::fs::{self, AtFlags, CWD, FileType, OFlags};
use rustix::io::{Errno, Result};

use super::calls;
use super::restriction::Restriction;

/// A mount at a path of the image.
#[derive(Debug)]
pub(super) struct Placing {
    pub(super) source: CString,
    /// Bytes of a path in the image.
    pub(super) target: Vec<u8>,
    pub(super) kind: Kind,
    /// The source is a mount of the child's own, which moves.
    pub(super) moves: bool,
    pub(super) restriction: Restriction,
}

/// As the kernel's own limit.
const MOST_LINKS: usize = 40;
const PATH_MAX: usize = 4096;

/// What a mount's target must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
}

/// Receives the path of each stub, from the root of the image, as it is without links.
pub(super) type Stubs<'s> = dyn FnMut(&[u8]) -> Result<()> + 's;

/// A path in a buffer of fixed size, always with room for a final NUL.
struct Buffer {
    bytes: [u8; PATH_MAX],
    len: usize,
}

impl Buffer {
    fn new(start: &[u8]) -> Result<Buffer> {
        let mut buffer = Buffer { bytes: [0; PATH_MAX], len: 0 };
        buffer.push(start)?;
        Ok(buffer)
    }

    fn push(&mut self, more: &[u8]) -> Result<()> {
        let end = self.len + more.len();
        let free = self.bytes.get_mut(self.len..end).filter(|_| end < PATH_MAX);
        free.ok_or(Errno::NAMETOOLONG)?.copy_from_slice(more);
        self.len = end;
        self.bytes[end] = 0;
        Ok(())
    }

    fn truncate(&mut self, len: usize) {
        self.len = len;
        self.bytes[len] = 0;
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn as_c_str(&self) -> Result<&CStr> {
        CStr::from_bytes_with_nul(&self.bytes[..=self.len]).map_err(|_| Errno::INVAL)
    }
}

/// Mounts at `placing.target` below `root`.
pub(super) fn place(root: &CStr, placing: &Placing, stubs: &mut Stubs<'_>) -> Result<()> {
    let resolved = resolve(root, &placing.target, placing.kind, stubs)?;
    let target = resolved.as_c_str()?;
    if placing.moves {
        rustix::mount::mount_move(&*placing.source, target)?;
    } else {
        rustix::mount::mount_bind_recursive(&*placing.source, target)?;
    }
    calls::restrict(target, placing.restriction)
}

/// The path of `target` without links, and below `root`. Creates what does not exist. No path of the result leads
/// outside of `root`, since each step follows a name that is no link.
fn resolve(root: &CStr, target: &[u8], kind: Kind, stubs: &mut Stubs<'_>) -> Result<Buffer> {
    let mut resolved = Buffer::new(root.to_bytes())?;
    let start = resolved.len;
    let mut rest = Buffer::new(target)?;
    let mut links = 0;
    let mut directory = open(CWD, root)?;
    while let Some((name, after)) = next_name(rest.as_bytes()) {
        if name == b"." || (name == b".." && resolved.len == start) {
            rest = Buffer::new(after)?;
            continue;
        }
        let name_only = Buffer::new(name)?;
        if name == b".." {
            let parent = resolved.as_bytes().iter().rposition(|byte| *byte == b'/').ok_or(Errno::NOENT)?;
            resolved.truncate(parent.max(start));
            directory = open(&directory, c"..")?;
            rest = Buffer::new(after)?;
            continue;
        }
        let last = next_name(after).is_none();
        let expected = if last { kind } else { Kind::Directory };
        match fs::statat(&directory, name_only.as_c_str()?, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Errno::LOOP);
                }
                let (link, absolute) = read_link(&directory, name_only.as_c_str()?, after)?;
                if absolute {
                    directory = open(CWD, root)?;
                    resolved.truncate(start);
                }
                rest = link;
                continue;
            }
            Ok(stat) => fits(FileType::from_raw_mode(stat.st_mode), expected)?,
            Err(Errno::NOENT) => create(&directory, name_only.as_c_str()?, expected)
                .and_then(|()| resolved_stub(&resolved, start, name, stubs))?,
            Err(errno) => return Err(errno),
        }
        resolved.push(b"/")?;
        resolved.push(name)?;
        if !last {
            directory = open(&directory, name_only.as_c_str()?)?;
        }
        rest = Buffer::new(after)?;
    }
    Ok(resolved)
}

/// The first name of a path, and the rest after it.
fn next_name(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = path.iter().position(|byte| *byte != b'/')?;
    let path = &path[start..];
    let end = path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
    Some(path.split_at(end))
}

fn open(directory: impl std::os::fd::AsFd, name: &CStr) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(directory, name, flags, fs::Mode::empty())
}

/// The target of a link followed by the rest of the path, and whether it is absolute.
fn read_link(directory: &OwnedFd, name: &CStr, after: &[u8]) -> Result<(Buffer, bool)> {
    let mut buffer = [0; PATH_MAX];
    let len = fs::readlinkat_raw(directory, name, &mut buffer[..])?;
    let target = &buffer[..len];
    let mut rest = Buffer::new(target)?;
    rest.push(after)?;
    Ok((rest, target.first() == Some(&b'/')))
}

fn fits(found: FileType, expected: Kind) -> Result<()> {
    match (found, expected) {
        (FileType::Directory, Kind::Directory) => Ok(()),
        (_, Kind::Directory) => Err(Errno::NOTDIR),
        (FileType::Directory, Kind::File) => Err(Errno::ISDIR),
        _ => Ok(()),
    }
}

fn create(directory: &OwnedFd, name: &CStr, kind: Kind) -> Result<()> {
    match kind {
        Kind::Directory => fs::mkdirat(directory, name, fs::Mode::from_raw_mode(0o755)),
        Kind::File => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            fs::openat(directory, name, flags, fs::Mode::from_raw_mode(0o644)).map(drop)
        }
    }
}

fn resolved_stub(resolved: &Buffer, start: usize, name: &[u8], stubs: &mut Stubs<'_>) -> Result<()> {
    let mut path = Buffer::new(&resolved.as_bytes()[start..])?;
    path.push(b"/")?;
    path.push(name)?;
    stubs(path.as_bytes())
}
