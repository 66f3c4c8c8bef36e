//! The calling process: its memory, and files as it would open them.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::calls::Target;

/// `PATH_MAX`, with the terminating zero.
const PATH_MAX: usize = 4096;
/// The number of symbolic links that the kernel follows.
const MAX_LINKS: usize = 40;
const PAGE: u64 = 4096;

type Result<T> = std::result::Result<T, Errno>;

/// A thread of the command, by its number.
pub(super) struct Process {
    thread: u32,
    memory: File,
}

impl Process {
    pub(super) fn open(thread: u32) -> io::Result<Process> {
        let memory = File::open(format!("/proc/{thread}/mem"))?;
        Ok(Process { thread, memory })
    }

    /// A string that ends with a zero, of at most `max` bytes with it.
    pub(super) fn string(&self, address: u64, max: usize, too_long: Errno) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        let mut buffer = [0; PAGE as usize];
        while text.len() < max {
            let at = address + text.len() as u64;
            // The page after the string's end may not exist.
            let room = ((PAGE - at % PAGE) as usize).min(max - text.len());
            let got = self.read(&mut buffer[..room], at)?;
            if let Some(end) = buffer[..got].iter().position(|byte| *byte == 0) {
                text.extend(&buffer[..end]);
                return Ok(text);
            }
            text.extend(&buffer[..got]);
        }
        Err(too_long)
    }

    pub(super) fn bytes(&self, address: u64, size: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; size];
        let got = self.read(&mut bytes, address)?;
        if got < size { Err(Errno::FAULT) } else { Ok(bytes) }
    }

    fn read(&self, buffer: &mut [u8], address: u64) -> Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        // Offsets above the signed range are addresses of the kernel.
        match self.memory.read_at(buffer, address) {
            Ok(0) | Err(_) => Err(Errno::FAULT),
            Ok(got) => Ok(got),
        }
    }

    /// Opens the file that a call names, as `O_PATH`.
    pub(super) fn file(&self, target: Target) -> Result<OwnedFd> {
        match target {
            Target::Descriptor(number) => self.descriptor(number, false),
            Target::Path { dir, path, follow, may_be_empty } => {
                // Linux 6.11 and later take a null address for an empty path.
                let null = may_be_empty && path == 0;
                let path = if null { Vec::new() } else { self.string(path, PATH_MAX, Errno::NAMETOOLONG)? };
                match path.is_empty() {
                    true if !may_be_empty => Err(Errno::NOENT),
                    true if dir == libc::AT_FDCWD => self.link("cwd"),
                    true => self.descriptor(dir, true),
                    false => self.walk(dir, path, follow),
                }
            }
        }
    }

    /// The file of a descriptor. `fchown` refuses one of the kind `O_PATH`.
    fn descriptor(&self, number: i32, any: bool) -> Result<OwnedFd> {
        let name = format!("fd/{number}");
        if !any {
            // The link's own mode says whether the descriptor is for reading and for writing (proc_pid_fd(5)). Only
            // O_PATH is for neither.
            let link = rustix::fs::lstat(format!("/proc/{}/{name}", self.thread));
            if link.map_err(|_| Errno::BADF)?.st_mode & 0o600 == 0 {
                return Err(Errno::BADF);
            }
        }
        self.link(&name).map_err(|error| if error == Errno::NOENT { Errno::BADF } else { error })
    }

    /// Opens what a link of the process's directory in /proc leads to, even if no path leads there.
    fn link(&self, name: &str) -> Result<OwnedFd> {
        rustix::fs::open(
            format!("/proc/{}/{name}", self.thread),
            OFlags::PATH | OFlags::CLOEXEC,
            Mode::empty(),
        )
    }

    /// Resolves a path in the process's root. The kernel resolves all but the last component, so that no link leads to
    /// a file outside of the root.
    fn walk(&self, dir: i32, mut path: Vec<u8>, follow: bool) -> Result<OwnedFd> {
        let mut base = None;
        if !path.starts_with(b"/") {
            let dir = if dir == libc::AT_FDCWD { self.link("cwd")? } else { self.descriptor(dir, true)? };
            base = Some(dir);
        }
        for _ in 0..=MAX_LINKS {
            if let Some(number) = named_descriptor(&path).filter(|_| follow) {
                return self.descriptor(number, true);
            }
            let file = match &base {
                Some(dir) if !path.starts_with(b"/") => self.beneath(dir, &path)?,
                _ => self.in_root(&path)?,
            };
            if !follow || FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::Symlink {
                return Ok(file);
            }
            let target = rustix::fs::readlinkat(&file, "", Vec::new())?.into_bytes();
            path = if target.starts_with(b"/") { target } else { [parent(&path), &target].concat() };
        }
        Err(Errno::LOOP)
    }

    fn in_root(&self, path: &[u8]) -> Result<OwnedFd> {
        open_in(&self.link("root")?, path, ResolveFlags::IN_ROOT)
    }

    /// Resolves a relative path that may leave its directory, by `..` or by an absolute link.
    fn beneath(&self, dir: &OwnedFd, path: &[u8]) -> Result<OwnedFd> {
        match open_in(dir, path, ResolveFlags::BENEATH) {
            // The path's text then decides. In a mount namespace, the text of a link in /proc starts at the
            // namespace's own root; in a chroot, at the root of lbuild.
            Err(Errno::XDEV) => {
                let directory = text(dir)?;
                let root = text(&self.link("root")?)?;
                let inside =
                    if root == b"/" { Some(&directory[..]) } else { directory.strip_prefix(&root[..]) };
                self.in_root(&[inside.ok_or(Errno::NOENT)?, b"/", path].concat())
            }
            result => result,
        }
    }
}

fn open_in(dir: impl AsFd, path: &[u8], resolve: ResolveFlags) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // EAGAIN: a rename elsewhere made it uncertain whether ".." stays inside.
    loop {
        match rustix::fs::openat2(&dir, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
}

fn text(file: &OwnedFd) -> Result<Vec<u8>> {
    use std::os::fd::AsRawFd;
    Ok(rustix::fs::readlink(format!("/proc/self/fd/{}", file.as_raw_fd()), Vec::new())?.into_bytes())
}

/// The part of a path up to the last component, with its slash.
fn parent(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    path[..end].iter().rposition(|byte| *byte == b'/').map_or(b"", |slash| &path[..=slash])
}

/// The descriptor that a path of /proc or /dev names, as `/dev/stdout` does. These links mean the process that follows
/// them, which would be lbuild.
fn named_descriptor(path: &[u8]) -> Option<i32> {
    let number = match path {
        b"/dev/stdin" => return Some(0),
        b"/dev/stdout" => return Some(1),
        b"/dev/stderr" => return Some(2),
        _ => path.strip_prefix(b"/proc/self/fd/").or_else(|| path.strip_prefix(b"/dev/fd/"))?,
    };
    std::str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_of_a_path() {
        let cases = [("/a/b", "/a/"), ("a", ""), ("a/b", "a/"), ("/a", "/"), ("a/b/", "a/"), ("/", "")];
        for (path, dir) in cases {
            assert_eq!(parent(path.as_bytes()), dir.as_bytes(), "{path}");
        }
    }

    #[test]
    fn paths_that_name_descriptors() {
        assert_eq!(named_descriptor(b"/dev/stdout"), Some(1));
        assert_eq!(named_descriptor(b"/proc/self/fd/17"), Some(17));
        assert_eq!(named_descriptor(b"/dev/fd/17/x"), None);
        assert_eq!(named_descriptor(b"/dev/fd"), None);
    }
}
