//! Real commands in a root directory of their own: with chroot for root, else in a user namespace.

use super::snapshot::{self, OF_TOOLS, Snapshot};
use crate::support::image_builder::Tar;
use crate::support::{part, run, tool};
use std::path::Path;
use std::process::Command;
use tempfile::{NamedTempFile, TempDir};

/// The programs of coreutils and findutils, and a shell.
const PROGRAMS: [&str; 19] = [
    "cat", "chgrp", "chmod", "chown", "cp", "dash", "echo", "find", "id", "install", "ln", "ls", "mkdir",
    "mv", "printf", "rm", "rmdir", "touch", "true",
];

/// Directories with programs, by the names of [`Programs`].
pub struct Tools {
    dir: TempDir,
}

/// The programs of a root directory, which have the name of its base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Programs {
    /// dash, coreutils and findutils.
    Dash,
    /// The same with bash as `sh`, as on Amazon Linux.
    Bash,
    Busybox,
}

impl Programs {
    /// The base of the tests that lbuild takes for an image with these programs.
    pub fn base(self) -> &'static str {
        match self {
            Programs::Dash | Programs::Bash => "base",
            Programs::Busybox => "busybox",
        }
    }

    fn directory(self) -> &'static str {
        match self {
            Programs::Dash => "dash",
            Programs::Bash => "bash",
            Programs::Busybox => "busybox",
        }
    }
}

/// A root directory with the files of a tar.
pub struct Root {
    dir: TempDir,
    files: NamedTempFile,
    is_root: bool,
}

impl Tools {
    pub fn new() -> Tools {
        let tools = Tools { dir: tempfile::tempdir().unwrap() };
        for (directory, shell) in [("dash", "dash"), ("bash", "bash")] {
            let root = tools.dir.path().join(directory);
            std::fs::create_dir_all(root.join("bin")).unwrap();
            for name in PROGRAMS.iter().copied().filter(|name| *name != "dash").chain([shell]) {
                let program = tool(name);
                tools.add(&program, &root);
                std::fs::copy(&program, root.join("bin").join(name)).unwrap();
            }
            std::os::unix::fs::symlink(shell, root.join("bin/sh")).unwrap();
        }
        tools.add_busybox();
        for programs in [Programs::Dash, Programs::Bash, Programs::Busybox] {
            let dev = tools.dir.path().join(programs.directory()).join("dev");
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
    pub fn new(tools: &Tools, programs: Programs, files: Tar) -> Root {
        let root = Root::empty(files);
        let from = tools.dir.path().join(programs.directory());
        run(Command::new(tool("cp")).arg("-a").arg(from.join(".")).arg(root.path())).unwrap();
        root
    }

    pub fn empty(files: Tar) -> Root {
        let is_root = rustix::process::getuid().is_root();
        let root = Root { dir: tempfile::tempdir().unwrap(), files: NamedTempFile::new().unwrap(), is_root };
        std::fs::write(root.files.path(), files.bytes()).unwrap();
        root.reset();
        root
    }

    /// Restores the files of the tar.
    pub fn reset(&self) {
        let script = format!(
            "cd \"$1\" && find . -mindepth 1 -maxdepth 1 ! -name {} -exec rm -rf {{}} + && tar --numeric-owner -xpf \"$2\"",
            OF_TOOLS.join(" ! -name ")
        );
        let mut command = self.as_root("sh");
        command.args(["-c", &script, "sh"]).arg(self.path()).arg(self.files.path());
        run(&mut command).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A program of this machine as root, perhaps of a user namespace.
    fn as_root(&self, program: &str) -> Command {
        if self.is_root {
            return Command::new(tool(program));
        }
        let mut command = Command::new(tool("unshare"));
        command.arg("--map-root-user").arg(tool(program));
        command
    }

    /// Runs a line as `RUN` does; returns its code and what it reports.
    pub fn run(&self, line: &str) -> (i32, String) {
        self.run_with(line, &[])
    }

    /// The same, with variables. The line is an argument of its own, so that nothing stands before it in its shell.
    pub fn run_with(&self, line: &str, variables: &[(&str, &str)]) -> (i32, String) {
        let mut command = self.as_root("timeout");
        command.args(["10", "chroot"]).arg(self.path());
        command.args(["/bin/sh", "-c", "umask 022; cd /var/task; exec /bin/sh -c \"$0\"", line]);
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("LC_ALL", "C").envs(variables.iter().copied());
        let done = command.output().unwrap();
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
