//! What a command finds in a tree besides the image, where nothing can be mounted: /dev, and files in /etc. It is placed
//! before the command starts, and taken away after it has ended; what the image has there is kept aside meanwhile.

use std::ffi::{CStr, OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::thread::{Gid, Uid};
use tempfile::TempDir;

use super::command::{Bind, BindSource, Failure, Process, source_metadata};
use super::mounts::directories;
use super::system;
use crate::rootfs::files::remove;

/// Names, and numbers of the driver, of the devices of /dev.
pub(super) const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// How /dev gets its devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Devices {
    /// As nodes of the tree.
    Nodes,
    /// As empty files, which something else replaces by the devices of this machine.
    Empty,
}

/// What was placed in a tree.
pub(super) struct Placed {
    /// Beside the tree, on the same file system, so that files are moved there and back.
    aside: TempDir,
    names: Vec<Name>,
}

/// One name in a directory of the tree.
struct Name {
    /// The directory itself: the command may move it, or put a link in its place.
    directory: OwnedFd,
    name: OsString,
    /// The name in `aside` of what the image has.
    kept: Option<String>,
    /// Directories that are not the image's, the topmost first: they go too if they are empty.
    created: Vec<(OwnedFd, OsString)>,
    lent: Option<Lent>,
}

/// A directory or socket of this machine, which goes back when the command has ended.
struct Lent {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Placed {
    /// Places /dev, the files that name hosts, and the binds: files as copies, directories by moving them.
    ///
    /// # Errors
    /// When a file cannot be placed; what was placed before is then taken away.
    pub(super) fn new(tree: &Path, devices: Devices, process: &Process) -> Result<Placed, Failure> {
        let parent = tree.parent().unwrap_or(Path::new("."));
        let aside = tempfile::Builder::new().prefix(".aside-").tempdir_in(parent);
        let aside = aside.map_err(Failure::io("create a directory beside the tree"))?;
        let mut placed = Placed { aside, names: Vec::new() };
        match placed.fill(tree, devices, process) {
            Ok(()) => Ok(placed),
            Err(failure) => {
                // That failure is the cause of what may fail here.
                let _ = placed.remove();
                Err(failure)
            }
        }
    }

    fn fill(&mut self, tree: &Path, devices: Devices, process: &Process) -> Result<(), Failure> {
        let root = open(tree).map_err(|errno| step("open the tree", tree, errno))?;
        self.devices(&root, tree, devices, process).map_err(Failure::io("fill /dev"))?;
        for (name, content) in system::host_files(process).map_err(Failure::io("read the names of hosts"))? {
            let target = Path::new("/etc").join(name);
            let placed = self.file(&root, &target, &content, 0o644);
            placed.map_err(|errno| step("place", &target, errno))?;
        }
        for Bind { source, target, writable: _ } in &process.binds {
            let target = Path::new(target);
            let placed = match source {
                BindSource::Path(path) => {
                    let found = source_metadata(path).map_err(Failure::io("read a file to be bound"))?;
                    match found.file_type().is_dir() || found.file_type().is_socket() {
                        true => self.lend(&root, target, path, &found),
                        false => {
                            let content = fs::read(path).map_err(Failure::io("read a file to be bound"))?;
                            self.file(&root, target, &content, found.mode() & 0o7777).map(drop)
                        }
                    }
                }
                BindSource::Memory { .. } | BindSource::Closed => self.directory(&root, target),
                BindSource::File { content, mode, uid, gid } => {
                    self.file(&root, target, content, *mode).and_then(|file| {
                        let (uid, gid) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
                        // Under proot there is one user.
                        let owned = rustix::fs::fchown(&file, Some(uid), Some(gid));
                        if devices == Devices::Nodes { owned } else { Ok(()) }
                    })
                }
            };
            placed.map_err(|errno| step("place", target, errno))?;
        }
        Ok(())
    }

    /// Moves a directory or a socket of this machine to a path of the image, until the command has ended.
    fn lend(
        &mut self,
        root: &OwnedFd,
        target: &Path,
        source: &Path,
        found: &fs::Metadata,
    ) -> Result<(), Errno> {
        let (directory, name) = self.room(root, target)?;
        rustix::fs::renameat(rustix::fs::CWD, source, &directory, &name)?;
        if let Some(last) = self.names.last_mut() {
            last.lent = Some(Lent { path: source.to_owned(), device: found.dev(), inode: found.ino() });
        }
        Ok(())
    }

    /// Makes an empty directory, which everybody may write to, at a path of the image.
    fn directory(&mut self, root: &OwnedFd, target: &Path) -> Result<(), Errno> {
        let (directory, name) = self.room(root, target)?;
        rustix::fs::mkdirat(&directory, &name, Mode::from_raw_mode(0o755))?;
        rustix::fs::chmodat(&directory, &name, Mode::from_raw_mode(0o1777), AtFlags::empty())
    }

    /// Moves aside what the image has at a path. Returns the directory of the path and the name in it.
    fn room(&mut self, root: &OwnedFd, target: &Path) -> Result<(OwnedFd, OsString), Errno> {
        let mut created = Vec::new();
        let directory = parent(root, target, &mut created)?;
        let name = target.file_name().ok_or(Errno::ISDIR)?.to_owned();
        let at = directory.try_clone().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        self.make_room(directory, name.clone(), created)?;
        Ok((at, name))
    }

    fn devices(
        &mut self,
        root: &OwnedFd,
        tree: &Path,
        devices: Devices,
        process: &Process,
    ) -> io::Result<()> {
        self.make_room(root.try_clone()?, "dev".into(), Vec::new())?;
        rustix::fs::mkdirat(root, "dev", Mode::from_raw_mode(0o755))?;
        let dev = rustix::fs::openat(root, "dev", directory(), Mode::empty())?;
        rustix::fs::chmodat(root, "dev", Mode::from_raw_mode(0o755), AtFlags::empty())?;
        for (name, major, minor) in DEVICES {
            match devices {
                Devices::Nodes => device(&dev, name, rustix::fs::makedev(major, minor))?,
                Devices::Empty => empty(&dev, name)?,
            }
        }
        for (name, target) in LINKS {
            rustix::fs::symlinkat(target, &dev, name)?;
        }
        let dev = tree.join("dev");
        if process.shared_memory {
            fs::create_dir(dev.join("shm"))?;
            fs::set_permissions(dev.join("shm"), permissions(0o1777))?;
        }
        files_below(&dev, devices, process)
    }

    /// Puts a file at a path of the image, whose links are followed, except for the last.
    fn file(&mut self, root: &OwnedFd, target: &Path, content: &[u8], mode: u32) -> Result<fs::File, Errno> {
        let (directory, name) = self.room(root, target)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&directory, &name, flags, Mode::from_raw_mode(0o600))?;
        let file = fs::File::from(file);
        let write = io::Write::write_all(&mut &file, content);
        write.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
        Ok(file)
    }

    /// Moves what has a name aside.
    fn make_room(
        &mut self,
        directory: OwnedFd,
        name: OsString,
        created: Vec<(OwnedFd, OsString)>,
    ) -> Result<(), Errno> {
        let kept = self.names.len().to_string();
        let moved = rustix::fs::renameat(&directory, &name, rustix::fs::CWD, self.aside.path().join(&kept));
        let kept = match moved {
            Err(Errno::NOENT) => None,
            result => result.map(|()| Some(kept))?,
        };
        self.names.push(Name { directory, name, kept, created, lent: None });
        Ok(())
    }

    /// Takes away what was placed, and puts back what the image has. No process may be left in the tree.
    ///
    /// # Errors
    /// When something cannot be removed or put back; the rest still is.
    pub(super) fn remove(self) -> io::Result<()> {
        let mut result = Ok(());
        for (index, name) in self.names.iter().enumerate().rev() {
            result = result.and(name.restore(self.aside.path(), index));
        }
        result.and(self.aside.close())
    }
}

impl Name {
    /// Does this with the right to change the directory, which the command may have taken away.
    fn opened<T>(&self, change: impl Fn() -> Result<T, Errno>) -> io::Result<Result<T, Errno>> {
        let first = change();
        if !matches!(first, Err(Errno::ACCESS)) {
            return Ok(first);
        }
        let mode = Mode::from_raw_mode(rustix::fs::fstat(&self.directory)?.st_mode & 0o7777);
        rustix::fs::fchmod(&self.directory, mode | Mode::RWXU)?;
        let second = change();
        rustix::fs::fchmod(&self.directory, mode)?;
        Ok(second)
    }

    /// Gives back what was lent, and removes anything else: the command may have put a link to files of this machine in its
    /// place.
    fn give_back(&self, taken: &Path) -> io::Result<()> {
        let found = taken.symlink_metadata()?;
        match &self.lent {
            Some(Lent { path, device, inode }) if (found.dev(), found.ino()) == (*device, *inode) => {
                fs::rename(taken, path)
            }
            _ if found.is_dir() => remove(taken),
            _ => fs::remove_file(taken),
        }
    }

    fn restore(&self, aside: &Path, index: usize) -> io::Result<()> {
        // Moved first: a path leads to it then, and a directory that the command has removed does not matter.
        let taken = aside.join(format!("{index}-placed"));
        match self.opened(|| rustix::fs::renameat(&self.directory, &self.name, rustix::fs::CWD, &taken))? {
            Ok(()) => self.give_back(&taken)?,
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        if let Some(kept) = &self.kept {
            let back =
                || rustix::fs::renameat(rustix::fs::CWD, aside.join(kept), &self.directory, &self.name);
            match self.opened(back)? {
                // The directory was removed, with what the image has in it.
                Err(Errno::NOENT) => {}
                result => result?,
            }
        }
        for (parent, name) in self.created.iter().rev() {
            match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
                Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                result => result?,
            }
        }
        Ok(())
    }
}

fn step(step: &'static str, about: &Path, errno: Errno) -> Failure {
    Failure::Step { step, about: about.display().to_string(), errno }
}

fn permissions(mode: u32) -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(mode)
}

fn directory() -> OFlags {
    OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC
}

pub(super) fn open(tree: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(tree, directory(), Mode::empty())
}

/// Makes the directories of a path of the image that do not exist yet.
pub(super) fn make_directories(tree: &Path, path: &CStr) -> Result<(), Failure> {
    let root = open(tree).map_err(|errno| step("open the tree", tree, errno))?;
    for dir in directories(path) {
        let dir = Path::new(OsStr::from_bytes(dir.to_bytes()));
        let (above, name) = (dir.parent().unwrap_or(dir), dir.file_name().unwrap_or_default());
        let made = rustix::fs::openat2(&root, above, directory(), Mode::empty(), ResolveFlags::IN_ROOT)
            .and_then(|above| rustix::fs::mkdirat(&above, name, Mode::from_raw_mode(0o755)));
        match made {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(step("make the working directory", dir, errno)),
        }
    }
    Ok(())
}

/// A device. Without the right to create it (in a user namespace for instance), or on a file system without devices, an
/// empty file serves as /dev/null; the others do not exist then, so that a command fails instead of reading nothing.
fn device(dev: &OwnedFd, name: &str, number: u64) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(0o666);
    let made = rustix::fs::mknodat(dev, name, FileType::CharacterDevice, mode, number).and_then(|()| {
        rustix::fs::chmodat(dev, name, mode, AtFlags::empty())?;
        match rustix::fs::openat(dev, name, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())
        {
            // No terminal is there, but the device is.
            Ok(_) | Err(Errno::NXIO) => Ok(()),
            Err(errno) => rustix::fs::unlinkat(dev, name, AtFlags::empty()).and(Err(errno)),
        }
    });
    match made {
        Err(Errno::PERM | Errno::ACCESS) if name == "null" => empty(dev, name),
        Err(Errno::PERM | Errno::ACCESS) => Ok(()),
        result => result,
    }
}

fn empty(dev: &OwnedFd, name: &str) -> Result<(), Errno> {
    let (flags, mode) = (OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::from_raw_mode(0o666));
    rustix::fs::openat(dev, name, flags, mode)?;
    rustix::fs::chmodat(dev, name, mode, AtFlags::empty())
}

/// Puts the files that the caller names, and lbuild's own, below a directory for /dev. apt needs settings where there
/// is only one user, as there are no nodes.
fn files_below(dev: &Path, devices: Devices, process: &Process) -> io::Result<()> {
    let certificates = system::host_ca_bundle().map(fs::read).transpose()?;
    let own = certificates.map(|content| (system::CA_BUNDLE.to_owned(), content, 0o644));
    let apt = (system::APT_CONFIG.to_owned(), system::APT_SETTINGS.to_vec(), 0o644);
    let own = own.into_iter().chain((devices == Devices::Empty).then_some(apt));
    let named = process.files.iter().map(|(name, content, mode)| (name.clone(), content.clone(), *mode));
    for (name, content, mode) in named.chain(own) {
        let name = name.strip_prefix("/dev/").unwrap_or(&name);
        let path = dev.join(plain(Path::new(name)).ok_or(io::ErrorKind::InvalidInput)?);
        fs::create_dir_all(path.parent().unwrap_or(dev))?;
        fs::write(&path, content)?;
        fs::set_permissions(&path, permissions(mode))?;
    }
    Ok(())
}

/// A path that stays below where it starts.
fn plain(path: &Path) -> Option<&Path> {
    path.components().all(|component| matches!(component, Component::Normal(_))).then_some(path)
}

/// The directory of a path of the image. Those that do not exist are made, and added to `created`, the topmost first.
fn parent(root: &OwnedFd, target: &Path, created: &mut Vec<(OwnedFd, OsString)>) -> Result<OwnedFd, Errno> {
    let path = target.parent().unwrap_or(Path::new("/"));
    let at = |path: &Path| rustix::fs::openat2(root, path, directory(), Mode::empty(), ResolveFlags::IN_ROOT);
    match at(path) {
        Err(Errno::NOENT) => {}
        found => return found,
    }
    let name = path.file_name().ok_or(Errno::NOENT)?;
    let above = parent(root, path, created)?;
    rustix::fs::mkdirat(&above, name, Mode::from_raw_mode(0o755))?;
    rustix::fs::chmodat(&above, name, Mode::from_raw_mode(0o755), AtFlags::empty())?;
    let made = rustix::fs::openat(&above, name, directory() | OFlags::NOFOLLOW, Mode::empty())?;
    created.push((above, name.to_owned()));
    Ok(made)
}
