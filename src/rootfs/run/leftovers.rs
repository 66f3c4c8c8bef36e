//! Ends what commands without namespaces have left in a tree.
//!
//! The keeper of a command ends all of its processes, also after lbuild itself was killed. If the keeper was killed with
//! it, they go on. They are found by the tree, which is a directory of lbuild's alone: their root is the tree, which
//! they cannot leave, or, under proot, the code that they execute lies in it. Numbers of processes would have to be
//! noted before every fork to be complete, and could be those of other processes later.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// How long processes may take to end. One that hangs in the kernel, in a network file system for example, does not.
const PATIENCE: Duration = Duration::from_secs(10);

/// Kills the processes that live in `tree`, and returns their number. Only the tree of an abandoned directory may be
/// passed, or that of a command that has ended; it must not have been removed yet.
///
/// # Errors
/// When the tree or /proc cannot be read, or a process does not end.
pub(crate) fn end(tree: &Path) -> io::Result<usize> {
    let lived = Tree::new(tree)?;
    let start = Instant::now();
    let mut killed = 0;
    // Those that were created meanwhile are found in the next round.
    loop {
        let found = lived.kill()?;
        if found == 0 {
            remove_files_of_proot(tree)?;
            return Ok(killed);
        }
        killed += found;
        if start.elapsed() > PATIENCE {
            let message = format!("{found} processes of a command do not end");
            return Err(io::Error::new(io::ErrorKind::TimedOut, message));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Notes beside `tree` that proot runs in it, by its number: when it is killed, it leaves files in /tmp.
pub(super) fn note_proot(tree: &Path, proot: u32) -> io::Result<()> {
    fs::write(note(tree), proot.to_string())
}

fn note(tree: &Path) -> PathBuf {
    let mut name = tree.file_name().unwrap_or_default().to_owned();
    name.push(".proot");
    tree.with_file_name(name)
}

/// Removes the loader and the directories that a killed proot has left, and the note about it.
fn remove_files_of_proot(tree: &Path) -> io::Result<()> {
    let note = note(tree);
    let Ok(proot) = fs::read_to_string(&note) else { return Ok(()) };
    let prefixes = [format!("prooted-{proot}-"), format!("proot-{proot}-")];
    let is_of_proot = |name: &OsStr| {
        let name = name.as_encoded_bytes();
        !proot.is_empty() && prefixes.iter().any(|prefix| name.starts_with(prefix.as_bytes()))
    };
    for entry in fs::read_dir("/tmp")? {
        let entry = entry?;
        if is_of_proot(&entry.file_name()) {
            let (path, directory) = (entry.path(), entry.file_type()?.is_dir());
            let removed = if directory { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            match removed {
                // Those of another user, whose proot had the same number, in another container with the same /tmp.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => result?,
            }
        }
    }
    fs::remove_file(note)
}

struct Tree {
    device: u64,
    inode: u64,
    /// Absolute, without links, with a slash at its end.
    path: Vec<u8>,
}

impl Tree {
    fn new(tree: &Path) -> io::Result<Tree> {
        let found = fs::metadata(tree)?;
        let mut path = tree.canonicalize()?.into_os_string().into_encoded_bytes();
        path.push(b'/');
        Ok(Tree { device: found.dev(), inode: found.ino(), path })
    }

    /// Kills the processes that are there now.
    fn kill(&self) -> io::Result<usize> {
        let own = std::process::id();
        let mut found = 0;
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(number) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            if number == own || !self.holds(number) {
                continue;
            }
            let Some(pid) = i32::try_from(number).ok().and_then(Pid::from_raw) else { continue };
            // The number may be another process's by now. With the descriptor, it can no longer change.
            let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
            if self.holds(number) && pidfd_send_signal(&process, Signal::KILL).is_ok() {
                found += 1;
            }
        }
        Ok(found)
    }

    /// Whether a process lives in the tree. What cannot be read is of another user, and thus not of lbuild. A process
    /// that has ended, but that nobody has waited for, has neither root nor code.
    fn holds(&self, process: u32) -> bool {
        let is_root = fs::metadata(format!("/proc/{process}/root"))
            .is_ok_and(|root| (root.dev(), root.ino()) == (self.device, self.inode));
        is_root || fs::read(format!("/proc/{process}/maps")).is_ok_and(|maps| self.has_code(&maps))
    }

    /// Whether a file of the tree is mapped: "address perms offset device inode path". The code of an emulated program
    /// is data to its emulator, and nobody but commands uses the files of the tree.
    fn has_code(&self, maps: &[u8]) -> bool {
        maps.split(|byte| *byte == b'\n').any(|line| {
            let path = line.splitn(6, |byte| *byte == b' ').nth(5);
            path.is_some_and(|path| path.trim_ascii_start().starts_with(&self.path))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in ["bin", "dev"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("dev/null"), "").unwrap();
        fs::copy("/bin/busybox", dir.path().join("bin/busybox")).unwrap();
        dir
    }

    #[test]
    fn processes_with_code_of_the_tree_end_and_others_do_not() {
        let (dir, other) = (tree(), tree());
        let start = |dir: &tempfile::TempDir| {
            let mut command = Command::new(dir.path().join("bin/busybox"));
            command.args(["sleep", "1000"]).current_dir("/").spawn().unwrap()
        };
        let (mut child, mut foreign) = (start(&dir), start(&other));
        // A shell of the user in the directory.
        let mut shell = Command::new("sleep").arg("1000").current_dir(dir.path()).spawn().unwrap();
        assert_eq!(end(dir.path()).unwrap(), 1);
        assert!(!child.wait().unwrap().success());
        assert!(foreign.try_wait().unwrap().is_none() && shell.try_wait().unwrap().is_none());
        assert_eq!(end(other.path()).unwrap(), 1);
        foreign.wait().unwrap();
        shell.kill().unwrap();
        shell.wait().unwrap();
        assert_eq!(end(dir.path()).unwrap(), 0);
    }

    /// A daemon that has left its parent, its session and its working directory.
    #[test]
    fn processes_whose_root_is_the_tree_end() {
        if !rustix::process::geteuid().is_root() {
            // Only root can chroot; `tests/run` runs as root too.
            return processes_with_code_of_the_tree_end_and_others_do_not();
        }
        let dir = tree();
        let root = dir.path().to_owned();
        let mut command = Command::new("/bin/busybox");
        let script = "(busybox setsid busybox sh -c 'busybox sleep 1000 & busybox sleep 1000' &)";
        command.args(["sh", "-c", script]).env_clear().env("PATH", "/bin").stdout(Stdio::null());
        unsafe {
            command.pre_exec(move || {
                rustix::process::chroot(&root)?;
                Ok(rustix::process::chdir("/")?)
            });
        }
        assert!(command.status().unwrap().success());
        let start = Instant::now();
        let mut killed = 0;
        // The daemon may not have got that far.
        while killed < 3 && start.elapsed() < PATIENCE {
            killed += end(dir.path()).unwrap();
        }
        assert!(killed >= 1);
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(end(dir.path()).unwrap(), 0);
    }
}
