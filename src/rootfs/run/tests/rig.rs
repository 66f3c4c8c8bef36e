//! An image with busybox, and commands in it.

use std::cell::RefCell;
use std::ffi::CString;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use tempfile::TempDir;

use crate::rootfs::run::command::{Bind, Exit, Failure, Files, Process, User};
use crate::rootfs::run::exec::run;
use crate::rootfs::run::ids::Ids;
use crate::rootfs::run::mode::{Mode, Way};
use crate::rootfs::run::owners;
use crate::rootfs::run::probe::namespaces;
use crate::rootfs::run::within::within;

/// Tells a test that runs again as another user which ids it must find.
pub(super) const AGAIN: &str = "LBUILD_TEST_IDS";

/// As whom each test runs: the ids that a probe finds, an account, and a capability that is taken away first. Without
/// CAP_SYS_ADMIN, root has a user namespace with all ids, as in a container.
const USERS: [(&str, &[&str]); 4] = [
    ("real", &[]),
    ("all", &["--bounding-set=-sys_admin"]),
    ("ranges", &["--reuid=lbuild-tests", "--regid=lbuild-tests", "--clear-groups"]),
    ("single", &["--reuid=nobody", "--regid=nogroup", "--clear-groups"]),
];

/// Runs `body` as each user in each mode. `name` is that of the test.
pub(super) fn everywhere(name: &str, body: fn(&Rig)) {
    match std::env::var(AGAIN) {
        Ok(ids) => {
            for mode in [Mode::Namespaces, Mode::Copy] {
                let rig = Rig::new(mode);
                let all = rig.way.userns && rig.way.ids == Ids::Real;
                assert_eq!(if all { "all" } else { rig.ids() }, ids);
                body(&rig);
            }
        }
        Err(_) => USERS.iter().for_each(|(ids, user)| passes(&mut command_again(name, ids, user, None), ids)),
    }
}

/// Runs a test in a process of the user that has `ids`.
pub(super) fn again(name: &str, ids: &str) {
    let (_, user) = USERS.iter().find(|(known, _)| *known == ids).unwrap();
    passes(&mut command_again(name, ids, user, None), ids);
}

/// As [`everywhere`] for all but the machine's root, in a mount namespace in which `mask` has run before.
pub(super) fn behind(mask: &str, name: &str, body: fn(&Rig)) {
    match std::env::var(AGAIN) {
        Ok(_) => everywhere(name, body),
        Err(_) => USERS[1..].iter().for_each(|(ids, user)| {
            passes(&mut command_again(name, ids, user, Some(mask)), ids);
        }),
    }
}

fn passes(command: &mut Command, ids: &str) {
    let output = command.output().unwrap();
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success() && text.contains("test result: ok. 1 passed"), "{ids} ids:\n{text}");
}

/// The command for that. The account may not be able to enter the directory of the test program, so the program is
/// standard input.
fn command_again(name: &str, ids: &str, user: &[&str], mask: Option<&str>) -> Command {
    let root = rustix::process::geteuid().is_root();
    let mut command = Command::new(if root { "env" } else { "sudo" });
    if !root {
        // Fails if it needs a password: no test is left out in silence.
        command.args(["-n", "env"]);
    }
    // The account may not write to another temporary directory.
    command.args(["-u", "TMPDIR", &format!("{AGAIN}={ids}")]);
    if let Some(mask) = mask {
        command.args(["unshare", "--mount", "sh", "-ec", &format!("{mask}\nexec \"$@\""), "sh"]);
    }
    command.arg("setpriv").args(user);
    command.args(["/proc/self/fd/0", "--exact", "--nocapture", "--test-threads=1", name]);
    command.stdin(File::open(std::env::current_exe().unwrap()).unwrap());
    command
}

/// An image, and a way to run commands in it.
pub(super) struct Rig {
    pub(super) way: Way,
    dir: TempDir,
    binds: RefCell<Vec<Bind>>,
}

/// How a command ended, and what it wrote.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) result: Result<Exit, Failure>,
    pub(super) output: String,
}

impl Ran {
    /// The output of a command that must have succeeded.
    pub(super) fn text(self) -> String {
        assert!(matches!(self.result, Ok(Exit::Code(0))), "{self:?}");
        self.output
    }
}

impl Rig {
    fn new(mode: Mode) -> Rig {
        let dir = tempfile::Builder::new().prefix("rootfs-").tempdir().unwrap();
        let way = namespaces(mode, dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "the probe left something");
        let rig = Rig { way, dir, binds: RefCell::default() };
        image(&rig.path("lower"));
        furnish(&rig.path("lower"));
        rig
    }

    pub(super) fn ids(&self) -> &'static str {
        match self.way.ids {
            Ids::Real => "real",
            Ids::Ranges { .. } => "ranges",
            Ids::Single { .. } => "single",
            Ids::Unmapped => "unmapped",
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// From here, commands have these binds.
    pub(super) fn with_binds(&self, binds: Vec<Bind>) -> &Rig {
        self.binds.replace(binds);
        self
    }

    /// The owner of a file of the image.
    pub(super) fn owner(&self, path: &Path) -> (u32, u32) {
        let single = matches!(self.way.ids, Ids::Single { .. });
        within(&self.way.ids, &[], || {
            let found = fs::metadata(path)?;
            let mut text = [0; 64];
            match rustix::fs::getxattr(path, owners::XATTR, &mut text) {
                Ok(length) if single => {
                    let text = String::from_utf8_lossy(&text[..length]);
                    let (uid, gid) = text.split_once(':').unwrap();
                    Ok((uid.parse().unwrap(), gid.parse().unwrap()))
                }
                _ => Ok((found.uid(), found.gid())),
            }
        })
        .unwrap()
    }

    /// Runs a script of the shell.
    pub(super) fn shell(&self, script: &str) -> Ran {
        self.run(&process(&["/bin/sh", "-c", script]))
    }

    pub(super) fn run(&self, process: &Process) -> Ran {
        self.run_in(&[self.path("lower")], process)
    }

    pub(super) fn run_in(&self, lowers: &[PathBuf], process: &Process) -> Ran {
        self.run_until(lowers, process, &AtomicBool::new(false))
    }

    /// Runs a command. Its changes are in `upper` or `tree` then.
    pub(super) fn run_until(&self, lowers: &[PathBuf], process: &Process, stop: &AtomicBool) -> Ran {
        let mut output = Vec::new();
        let mut take = |chunk: &[u8]| output.extend_from_slice(chunk);
        let result = self.with_files(lowers, |files| {
            let process = Process { binds: self.binds.borrow().clone(), ..process.clone() };
            run(&self.way, files, &process, &mut take, stop)
        });
        Ran { result, output: String::from_utf8_lossy(&output).into_owned() }
    }

    /// Calls `work` with fresh files.
    pub(super) fn with_files<T>(&self, lowers: &[PathBuf], work: impl FnOnce(&Files<'_>) -> T) -> T {
        let (upper, worked, tree) = (self.path("upper"), self.path("work"), self.path("tree"));
        for path in [&upper, &worked, &tree] {
            remove(&self.way.ids, path);
        }
        if self.way.mode == Mode::Copy {
            let copied = Command::new("cp").arg("-a").arg(&lowers[0]).arg(&tree).status().unwrap();
            assert!(copied.success());
            return work(&Files::Tree(&tree));
        }
        fs::create_dir(&upper).unwrap();
        fs::create_dir(&worked).unwrap();
        work(&Files::Overlay { lowers, upper: &upper, work: &worked })
    }

    /// Where a file of the image is after a command that changed it.
    pub(super) fn changed(&self, path: &str) -> PathBuf {
        self.path(if self.way.mode == Mode::Copy { "tree" } else { "upper" }).join(path)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        remove(&self.way.ids, self.dir.path());
    }
}

/// The smallest process.
pub(super) fn process(arguments: &[&str]) -> Process {
    let strings = |texts: &[&str]| texts.iter().map(|text| CString::new(*text).unwrap()).collect::<Vec<_>>();
    Process {
        shared_memory: true,
        programs: strings(&arguments[..1]),
        arguments: strings(arguments),
        environment: strings(&["PATH=/bin"]),
        directory: c"/".to_owned(),
        user: User::default(),
        binds: Vec::new(),
        files: Vec::new(),
        network: true,
        hostname: "builder".to_owned(),
    }
}

/// A root with busybox under all its names, and nothing else.
pub(super) fn image(root: &Path) {
    let bin = root.join("bin");
    fs::create_dir_all(&bin).unwrap();
    fs::set_permissions(root, Permissions::from_mode(0o755)).unwrap();
    fs::copy("/bin/busybox", bin.join("busybox")).expect("run tests/run first: busybox-static");
    let list = Command::new(bin.join("busybox")).arg("--list").output().unwrap();
    for name in String::from_utf8(list.stdout).unwrap().lines().filter(|name| *name != "busybox") {
        symlink("busybox", bin.join(name)).unwrap();
    }
}

/// Adds what most images have.
fn furnish(root: &Path) {
    for name in ["dev", "etc", "proc", "sys", "tmp"] {
        fs::create_dir(root.join(name)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\napp:x:1000:1001::/:/bin/sh\n").unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\napp:x:1001:\n").unwrap();
}

/// Removes a directory with files of other ids, and with directories that forbid it.
fn remove(ids: &Ids, path: &Path) {
    if !path.exists() {
        return;
    }
    within(ids, &[], || {
        allow(path)?;
        fs::remove_dir_all(path)
    })
    .unwrap();
}

fn allow(dir: &Path) -> io::Result<()> {
    fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            allow(&entry.path())?;
        }
    }
    Ok(())
}
