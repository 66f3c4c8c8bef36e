//! Random changes of a root, the same for the same seed and the same files.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chownat, lremovexattr,
    lsetxattr, makedev, mknodat, utimensat,
};

use crate::rootfs::files::attributes::Owners;

/// Random numbers that a seed decides (xorshift64*).
pub(super) struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }

    fn of<'l, T>(&mut self, list: &'l [T]) -> Option<&'l T> {
        (!list.is_empty()).then(|| &list[self.below(list.len())])
    }
}

struct Root<'r> {
    path: &'r Path,
    random: Random,
    owners: Owners,
    done: Vec<String>,
}

/// Makes `count` changes, and returns what they are. A change that cannot be made, as one below a pipe, is left out.
pub(super) fn run(root: &Path, seed: u64, count: usize, owners: Owners) -> Vec<String> {
    let mut root = Root { path: root, random: Random::new(seed), owners, done: Vec::new() };
    for _ in 0..count {
        root.step();
    }
    root.done
}

fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
}

fn names(path: &Path) -> u64 {
    let metadata = fs::symlink_metadata(path).ok().filter(|metadata| !metadata.is_dir());
    metadata.map_or(0, |metadata| metadata.nlink())
}

/// All paths below a directory, sorted.
fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        found.push(path.clone());
        if is_directory(&path) {
            walk(&path, found);
        }
    }
}

/// Replaces a file by a copy.
fn renew(file: &Path) -> std::io::Result<()> {
    let mut copy = file.as_os_str().to_owned();
    copy.push(".tmp");
    fs::copy(file, &copy)?;
    fs::rename(&copy, file)
}

/// Copies and removes, as `mv` does between file systems: an overlay cannot rename directories of its lower layers.
fn move_directory(from: &Path, to: &Path) -> std::io::Result<()> {
    crate::rootfs::files::copy::copy(from, to)?;
    fs::remove_dir_all(from)
}

impl Root<'_> {
    fn step(&mut self) {
        let mut all = Vec::new();
        walk(self.path, &mut all);
        let directories: Vec<PathBuf> =
            all.iter().filter(|path| is_directory(path)).cloned().chain([self.path.to_owned()]).collect();
        let files: Vec<PathBuf> = all.iter().filter(|path| is_file(path)).cloned().collect();
        let choice = self.random.below(25);
        let Some(any) = self.random.of(&all).cloned() else { return };
        let Some(file) = self.random.of(&files).cloned() else { return };
        let dir = self.random.of(&directories).cloned().unwrap();
        let new = dir.join(format!("n{}", self.random.below(6)));
        let number = self.random.below(1000);
        let done = self.change(choice, number, &any, &file, &dir, &new);
        let relative = |path: &Path| path.strip_prefix(self.path).unwrap().display().to_string();
        let paths = [&any, &file, &dir, &new].map(|path| relative(path));
        self.done.push(format!("{choice} {number} {paths:?}: {done:?}"));
    }

    fn change(
        &mut self,
        choice: usize,
        number: usize,
        any: &Path,
        file: &Path,
        dir: &Path,
        new: &Path,
    ) -> std::io::Result<()> {
        match choice {
            0 | 1 if !is_directory(new) => {
                let _ = fs::remove_file(new);
                fs::write(new, format!("new {number}"))
            }
            2 => OpenOptions::new().append(true).open(file)?.write_all(b"more"),
            3 => fs::write(file, format!("over {}", number % 3)),
            4 => {
                let file = OpenOptions::new().write(true).open(file)?;
                let modified = file.metadata()?.modified()?;
                file.write_all_at(b"Z", 0)?;
                file.set_modified(modified)
            }
            5 => fs::remove_file(any),
            6 if is_directory(any) => fs::remove_dir_all(any),
            7 => fs::create_dir_all(new.join("sub")),
            8 if is_directory(any) && !new.starts_with(any) && fs::symlink_metadata(new).is_err() => {
                move_directory(any, new)
            }
            // Where both are names of one file, and there is nothing to do, overlayfs fails with ESTALE. It also gives
            // them different inode numbers.
            9 if names(file) == 1 || names(new) < 2 => fs::rename(file, new),
            10 => symlink(format!("to{}", number % 3), new),
            11 | 12 => {
                // In an overlay of a user namespace, a lower file and a link that is made to it have inodes of their
                // own, and one shows a stale size after the other was written. So the file is made again before.
                renew(file)?;
                fs::hard_link(file, new)
            }
            13 => {
                fs::set_permissions(file, fs::Permissions::from_mode([0o600, 0o755, 0o4755, 0][number % 4]))
            }
            14 => fs::set_permissions(
                dir,
                fs::Permissions::from_mode([0o700, 0o755, 0o1777, 0o555][number % 4]),
            ),
            15 | 16 => self.chown(any, number as u32 % 3),
            17 => Ok(lsetxattr(file, "user.k", format!("{}", number % 2).as_bytes(), XattrFlags::empty())?),
            18 => Ok(lremovexattr(any, "user.note")?),
            19 => self.special(new, number),
            20 => {
                let times = Timespec { tv_sec: number as i64, tv_nsec: 5 };
                let times = Timestamps { last_access: times, last_modification: times };
                Ok(utimensat(CWD, any, &times, AtFlags::SYMLINK_NOFOLLOW)?)
            }
            21 if is_directory(any) => {
                fs::remove_dir_all(any)?;
                fs::write(any, "was a directory")
            }
            22 => {
                fs::remove_file(file)?;
                fs::create_dir(file)
            }
            23 if is_directory(any) => {
                let mode = fs::symlink_metadata(any)?.permissions();
                fs::remove_dir_all(any)?;
                fs::create_dir(any)?;
                fs::set_permissions(any, mode)
            }
            // The same file again, with other times.
            24 => renew(file),
            _ => Ok(()),
        }
    }

    fn special(&self, new: &Path, number: usize) -> std::io::Result<()> {
        match number % 4 {
            0 => Ok(mknodat(CWD, new, FileType::Fifo, Mode::RUSR, 0)?),
            1 if self.owners == Owners::Kernel => {
                Ok(mknodat(CWD, new, FileType::CharacterDevice, Mode::RUSR, makedev(1, 7))?)
            }
            2 => {
                let capability = [1, 0, 0, 2, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                let _file = File::create_new(new)?;
                Ok(lsetxattr(new, "security.capability", &capability, XattrFlags::empty())?)
            }
            _ => UnixListener::bind(new).map(drop),
        }
    }

    /// Changes the owner as a program or, with one id, the recorder does.
    fn chown(&self, path: &Path, id: u32) -> std::io::Result<()> {
        match self.owners {
            Owners::Kernel => Ok(chownat(
                CWD,
                path,
                Some(Uid::from_raw(id)),
                Some(Gid::from_raw(id + 1)),
                AtFlags::SYMLINK_NOFOLLOW,
            )?),
            Owners::Recorded if is_file(path) || is_directory(path) => {
                let owner = format!("{id}:{}", id + 1);
                Ok(lsetxattr(path, "user.lbuild.owner", owner.as_bytes(), XattrFlags::empty())?)
            }
            Owners::Recorded => Ok(()),
        }
    }
}
