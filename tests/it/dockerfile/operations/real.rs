//! Real commands in a root directory of their own: with chroot for root, else in a user namespace.

use super::snapshot::{self, Snapshot};
use crate::support::image_builder::Tar;
use crate::support::{part, run, tool};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// The programs of coreutils and findutils, and a shell.
const PROGRAMS: [&str; 18] = [
    "cat", "chgrp", "chmod", "chown", "cp", "dash", "echo", "find", "id", "ln", "ls", "mkdir", "mv",
    "printf", "rm", "rmdir", "touch", "true",
];

/// Directories with programs: `gnu` and `busybox`.
pub struct Tools {
    dir: TempDir,
}

/// A root directory with the files of a tar.
pub struct Root {
    dir: TempDir,
    is_root: bool,
}

impl Tools {
    pub fn new() -> Tools {
        let tools = Tools { dir: tempfile::tempdir().unwrap() };
        let gnu = tools.dir.path().join("gnu");
        std::fs::create_dir_all(gnu.join("bin")).unwrap();
        for name in PROGRAMS {
            let program = tool(name);
            tools.add(&program, &gnu);
            std::fs::copy(&program, gnu.join("bin").join(name)).unwrap();
        }
        std::os::unix::fs::symlink("dash", gnu.join("bin/sh")).unwrap();
        tools.add_busybox();
        for name in ["gnu", "busybox"] {
            let dev = tools.dir.path().join(name).join("dev");
            std::fs::create_dir_all(&dev).unwrap();
            if tools.is_root() {
                run(Command::new(tool("mknod")).arg("-m666").arg(dev.join("null")).args(["c", "1", "3"]))
                    .unwrap();
            } else {
                std::fs::write(dev.join("null"), "").unwrap();
            }
        }
        tools
    }

    pub fn is_root(&self) -> bool {
        rustix::process::getuid().is_root()
    }

    /// The libraries of a program, and its loader.
    fn add(&self, program: &Path, root: &Path) {
        let libraries = run(Command::new(tool("ldd")).arg(program)).unwrap();
        for path in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
            let to = root.join(path.trim_start_matches('/'));
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            if !to.exists() {
                std::fs::copy(path, to).unwrap();
            }
        }
    }

    fn add_busybox(&self) {
        let debs = part("debs").join("amd64");
        let is_busybox = |path: &std::path::PathBuf| path.to_string_lossy().contains("busybox-static");
        let mut files = std::fs::read_dir(debs).unwrap().map(|entry| entry.unwrap().path());
        let deb = files.find(is_busybox).expect("the part debs has busybox");
        let unpacked = self.dir.path().join("deb");
        run(Command::new(tool("dpkg-deb")).arg("-x").arg(deb).arg(&unpacked)).unwrap();
        let bin = self.dir.path().join("busybox/bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::copy(unpacked.join("bin/busybox"), bin.join("busybox")).unwrap();
        for name in PROGRAMS.iter().copied().filter(|name| *name != "dash").chain(["sh"]) {
            std::os::unix::fs::symlink("busybox", bin.join(name)).unwrap();
        }
    }
}

impl Root {
    /// With the programs of coreutils or of busybox.
    pub fn new(tools: &Tools, busybox: bool, files: Tar) -> Root {
        let root = Root::empty(files);
        let from = tools.dir.path().join(if busybox { "busybox" } else { "gnu" });
        run(Command::new(tool("cp")).arg("-a").arg(from.join(".")).arg(root.path())).unwrap();
        root
    }

    pub fn empty(files: Tar) -> Root {
        let is_root = rustix::process::getuid().is_root();
        let root = Root { dir: tempfile::tempdir().unwrap(), is_root };
        let archive = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(archive.path(), files.bytes()).unwrap();
        let mut tar = Command::new(tool("tar"));
        tar.args(["--numeric-owner", "-xpf"]).arg(archive.path()).arg("-C").arg(root.path());
        run(&mut tar).unwrap();
        root
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Runs a line as `RUN` does; returns its code and what it reports.
    pub fn run(&self, line: &str) -> (i32, String) {
        let mut command = match self.is_root {
            true => Command::new(tool("chroot")),
            false => {
                let mut command = Command::new(tool("unshare"));
                command.args(["--map-root-user", "chroot"]);
                command
            }
        };
        let script = format!("umask 022; cd /var/task; {line}");
        command.arg(self.path()).args(["/bin/sh", "-c", &script]);
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        let done = command.env("LC_ALL", "C").output().unwrap();
        (done.status.code().unwrap_or(-1), String::from_utf8_lossy(&done.stderr).into_owned())
    }

    /// Runs a line with the programs of this machine, which root can mount.
    pub fn run_mounted(&self, line: &str, epoch: &str) -> (i32, String) {
        let script = "set -e; root=$1; mkdir $root/usr $root/dev; mount --bind /usr $root/usr
for name in bin sbin lib lib64; do ln -s usr/$name $root/$name; done
mknod -m666 $root/dev/null c 1 3
exec chroot $root /bin/sh -c \"umask 022; cd /var/task; $2\"";
        let mut command = Command::new(tool("unshare"));
        command.args(["-m", "sh", "-c", script, "sh"]).arg(self.path()).arg(line);
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        let done = command.env("LC_ALL", "C").env("SOURCE_DATE_EPOCH", epoch).output().unwrap();
        // The mount is gone with its namespace.
        (done.status.code().unwrap_or(-1), String::from_utf8_lossy(&done.stderr).into_owned())
    }

    pub fn snapshot(&self) -> Snapshot {
        snapshot::of_directory(self.path())
    }
}
