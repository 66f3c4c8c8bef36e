//! The root of a command, as steps: the files of the image, and what an image does not have: /proc, /sys, /dev, the
//! names of hosts, and binds.
//!
//! The steps first make a tmpfs the root, and keep the caller's root below it at `/old`. No path of the caller is hidden
//! then, wherever the new root is put together, and what is made for that vanishes with the namespace.

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::mount::MountFlags;
use rustix::thread::{Gid, Uid};

use super::command::{Bind, BindSource, Files, source_metadata};
use super::place::Kind;
use super::place::Placing;
use super::restriction::Restriction;
use super::steps::{Call, Step};

/// The root of the image while it is put together.
pub(super) const ROOT: &CStr = c"/root";

/// Steps in order.
#[derive(Debug, Default)]
pub(super) struct Steps(pub(super) Vec<Step>);

impl Steps {
    pub(super) fn add(&mut self, name: &'static str, about: &str, call: Call) {
        self.0.push(Step { name, about: about.to_owned(), call });
    }

    pub(super) fn directory(&mut self, path: &str) -> io::Result<()> {
        let call = Call::MakeDirectory { path: CString::new(path)?, mode: 0o755 };
        self.add("create a directory", path, call);
        Ok(())
    }

    pub(super) fn file(&mut self, path: &str, content: &[u8], mode: u32) -> io::Result<()> {
        let call = Call::Write { path: CString::new(path)?, content: content.to_vec(), mode };
        self.add("write", path, call);
        Ok(())
    }

    pub(super) fn symlink(&mut self, to: &[u8], path: &str) -> io::Result<()> {
        let call = Call::Symlink { to: CString::new(to)?, path: CString::new(path)? };
        self.add("create a link", path, call);
        Ok(())
    }

    /// Mounts a new file system.
    pub(super) fn mount(
        &mut self,
        name: &'static str,
        kind: &'static CStr,
        target: &str,
        flags: MountFlags,
        data: &str,
    ) -> io::Result<()> {
        let call = Call::Mount { kind, target: CString::new(target)?, flags, data: CString::new(data)? };
        self.add(name, target, call);
        Ok(())
    }

    pub(super) fn bind(
        &mut self,
        name: &'static str,
        source: &[u8],
        target: &str,
        restriction: Restriction,
    ) -> io::Result<()> {
        let target_c = CString::new(target)?;
        self.add(name, target, Call::Bind { source: CString::new(source)?, target: target_c.clone() });
        if restriction != Restriction::default() {
            self.add("restrict", target, Call::Restrict { target: target_c, restriction });
        }
        Ok(())
    }

    pub(super) fn change_directory(&mut self, path: CString) {
        let about = path.to_string_lossy().into_owned();
        self.add("enter", &about, Call::ChangeDirectory(path));
    }

    /// Enters the working directory of a command. If the image does not have it, it is made for the command's user, as
    /// BuildKit does; `owner` is that user, unless all files are made as that user.
    pub(super) fn enter_working_directory(&mut self, path: &CStr, owner: Option<(Uid, Gid)>) {
        let paths = directories(path);
        self.add(
            "make the working directory",
            &path.to_string_lossy(),
            Call::MakeDirectories { paths, owner },
        );
        self.change_directory(path.to_owned());
    }

    /// Mounts something at a path of the image.
    pub(super) fn place(&mut self, name: &'static str, placing: Placing) {
        let about = String::from_utf8_lossy(&placing.target).into_owned();
        self.add(name, &about, Call::Place { root: ROOT.to_owned(), placing });
    }

    /// Moves a mount that was prepared at `source` to a path of the image.
    pub(super) fn place_own(&mut self, name: &'static str, source: &CStr, target: &str) {
        let (source, target) = (source.to_owned(), target.as_bytes().to_vec());
        let restriction = Restriction::default();
        self.place(name, Placing { source, target, kind: Kind::Directory, moves: true, restriction });
    }
}

/// The directories of an absolute path, the topmost first, with the last of them.
pub(super) fn directories(path: &CStr) -> Vec<CString> {
    let path = path.to_bytes();
    let ends = (1..=path.len()).filter(|&end| end == path.len() || path[end] == b'/');
    ends.filter(|&end| path[end - 1] != b'/').filter_map(|end| CString::new(&path[..end]).ok()).collect()
}

/// The path of a file of the caller, as the child sees it.
pub(super) fn old(path: &Path) -> io::Result<Vec<u8>> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let path = path.canonicalize().map_err(named)?;
    Ok([b"/old", path.as_os_str().as_bytes()].concat())
}

/// Makes a tmpfs the root. `anchor` is any directory.
pub(super) fn enter(steps: &mut Steps, anchor: &Path) -> io::Result<()> {
    steps.add("make mounts private", "", Call::Private);
    let anchor = anchor.canonicalize()?;
    let path = CString::new(anchor.as_os_str().as_bytes())?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let (target, data) = (path.clone(), c"mode=755".to_owned());
    let about = anchor.to_string_lossy().into_owned();
    steps.add("mount a tmpfs", &about, Call::Mount { kind: c"tmpfs", target, flags, data });
    steps.change_directory(path);
    for name in ["old", "root", "mnt", "links"] {
        steps.directory(name)?;
    }
    steps.add("change the root", "", Call::EnterRoot { old: c"old".to_owned() });
    Ok(())
}

/// Mounts the files of the image at [`ROOT`].
pub(super) fn image(steps: &mut Steps, files: &Files<'_>) -> io::Result<()> {
    match files {
        Files::Overlay { lowers, upper, work } => overlay(steps, lowers, &old(upper)?, &old(work)?),
        Files::Fixed(lower) => {
            // For stubs of mounts. The file system is the one that vanishes with the namespace.
            steps.directory("/upper")?;
            steps.directory("/work")?;
            overlay(steps, &[lower.to_path_buf()], b"/upper", b"/work")
        }
        Files::Tree(tree) | Files::FixedTree(tree) => {
            // A command of the machine's root can create device nodes, and an image can have some.
            let restriction = Restriction { devices: true, ..Restriction::default() };
            steps.bind("bind the tree", &old(tree)?, "/root", restriction)
        }
    }
}

/// The data of a mount is limited to a page: the directories get short names. That also allows commas and colons in
/// their paths.
fn overlay(steps: &mut Steps, lowers: &[PathBuf], upper: &[u8], work: &[u8]) -> io::Result<()> {
    let mut names = Vec::new();
    for (index, lower) in lowers.iter().enumerate() {
        names.push((index + 1).to_string());
        steps.symlink(&old(lower)?, &format!("/links/{}", index + 1))?;
    }
    if lowers.is_empty() {
        steps.directory("/links/0")?;
        names.push("0".to_owned());
    }
    steps.symlink(upper, "/links/upper")?;
    steps.symlink(work, "/links/work")?;
    steps.change_directory(c"/links".to_owned());
    // Without `userxattr`, an overlay in a user namespace fails later, with EIO. `index` would keep hard links of lower
    // directories; a system may have it on.
    let lowers = names.join(":");
    let data = format!("userxattr,volatile,index=off,lowerdir={lowers},upperdir=upper,workdir=work");
    steps.mount("mount an overlay", c"overlay", "/root", MountFlags::NODEV, &data)?;
    steps.change_directory(c"/".to_owned());
    Ok(())
}

/// Mounts what the command sees at paths of the image. `owns` says whether files can be given to other users.
pub(super) fn binds(steps: &mut Steps, binds: &[Bind], owns: bool) -> io::Result<()> {
    for (number, Bind { source, target, writable }) in binds.iter().enumerate() {
        let own = format!("/mnt/{number}");
        let restriction = Restriction { writes: !writable, devices: true, alone: false };
        let bytes = target.as_bytes().to_vec();
        match source {
            BindSource::Path(path) => {
                let is_dir = source_metadata(path)?.is_dir();
                let kind = if is_dir { Kind::Directory } else { Kind::File };
                let source = CString::new(old(path)?)?;
                steps.place("bind", Placing { source, target: bytes, kind, moves: false, restriction });
            }
            BindSource::Memory { size } => {
                steps.directory(&own)?;
                let size = size.map_or(String::new(), |size| format!(",size={size}"));
                let (flags, data) = (MountFlags::NOSUID | MountFlags::NODEV, format!("mode=1777{size}"));
                steps.mount("mount a tmpfs", c"tmpfs", &own, flags, &data)?;
                steps.place_own("mount a tmpfs", &CString::new(own)?, target);
            }
            BindSource::Closed => {
                let call = Call::MakeDirectory { path: CString::new(own.as_str())?, mode: 0 };
                steps.add("create a directory", &own, call);
                let (source, kind) = (CString::new(own)?, Kind::Directory);
                steps.place("bind", Placing { source, target: bytes, kind, moves: false, restriction });
            }
            BindSource::File { content, mode, uid, gid } => {
                steps.file(&own, content, *mode)?;
                if owns {
                    let (uid, gid) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
                    let path = CString::new(own.as_str())?;
                    steps.add("give a file to its user", target, Call::Own { path, uid, gid });
                }
                let (source, kind) = (CString::new(own)?, Kind::File);
                steps.place("bind", Placing { source, target: bytes, kind, moves: false, restriction });
            }
        }
    }
    Ok(())
}

/// Forbids changes of the image's files, but not of what is mounted on them.
pub(super) fn fix(steps: &mut Steps) {
    let restriction = Restriction { writes: true, devices: true, alone: true };
    steps.add("forbid changes", "/", Call::Restrict { target: ROOT.to_owned(), restriction });
}

/// Leaves the caller's root for the image's.
pub(super) fn leave(steps: &mut Steps) {
    steps.change_directory(ROOT.to_owned());
    steps.add("leave the old root", "", Call::LeaveRoot);
}
