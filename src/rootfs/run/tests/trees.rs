//! Commands in a chroot of a tree, by root: of the machine, and of containers with fewer rights.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use tempfile::TempDir;

use super::rig::{Ran, image, process};
use crate::rootfs::run::command::{Bind, Exit, Failure, Files, Process};
use crate::rootfs::run::mode::Mode;
use crate::rootfs::run::{chroot, leftovers, ways};

const AGAIN: &str = "LBUILD_TEST_CONTAINER";

/// The capabilities of a container, as `setpriv` takes them.
const DOCKER: &str = "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,\
    +net_bind_service,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap";
const RESTRICTED: &str = "-all,+chown,+dac_override,+fowner,+setgid,+setuid,+sys_chroot";

/// Runs `body` as root of the machine, of an ordinary container, of one with the fewest capabilities, and of one whose
/// root is not the machine's.
pub(super) fn everywhere(name: &str, body: fn(&Tree)) {
    in_containers(name, &["machine", "docker", "restricted", "remapped"], || body(&Tree::new()));
}

fn in_containers(name: &str, containers: &[&str], body: impl Fn()) {
    if std::env::var_os(AGAIN).is_some() {
        return body();
    }
    if !rustix::process::geteuid().is_root() {
        // Fails if it needs a password: no test is left out in silence.
        let mut command = Command::new("sudo");
        command.args(["-n", "env", "-u", "TMPDIR", "/proc/self/fd/0"]);
        return passes(command, name, "root");
    }
    for container in containers {
        passes(again(container), name, container);
    }
}

fn passes(mut command: Command, name: &str, container: &str) {
    command.args(["--exact", "--nocapture", "--test-threads=1", name]);
    let output = command.stdin(File::open(std::env::current_exe().unwrap()).unwrap()).output().unwrap();
    let text = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
    assert!(output.status.success() && text.contains("test result: ok. 1 passed"), "{container}:\n{text}");
}

/// A command that runs the test program as root of a container. The program is its standard input, because that root
/// may not be able to enter the directory of it.
fn again(container: &str) -> Command {
    let bounds = match container {
        "restricted" => RESTRICTED,
        "without" => "-sys_chroot",
        "machine" => "+all",
        _ => DOCKER,
    };
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set", bounds, "/proc/self/fd/0"]);
    command.env_remove("TMPDIR").env(AGAIN, container);
    if container == "remapped" {
        // SAFETY: makes system calls and allocates, which the C library's fork allows.
        unsafe { command.pre_exec(new_user_namespace) };
    }
    command
}

/// A namespace with as many ids as the containers of Docker's `userns-remap` have, mapped by a process outside.
fn new_user_namespace() -> std::io::Result<()> {
    let (told, tell) = std::io::pipe()?;
    let process = std::process::id();
    // SAFETY: the child writes two files, and leaves by `_exit`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        drop(tell);
        let waited = std::io::Read::read(&mut &told, &mut [0]);
        let map = |kind| fs::write(format!("/proc/{process}/{kind}_map"), "0 0 65536");
        let done = waited.and_then(|_| map("gid")).and_then(|()| map("uid"));
        unsafe { libc::_exit(i32::from(done.is_err())) };
    }
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWUSER)? };
    drop(tell);
    let mut status = 1;
    unsafe { libc::waitpid(child, &mut status, 0) };
    if status == 0 { Ok(()) } else { Err(std::io::ErrorKind::PermissionDenied.into()) }
}

fn container() -> String {
    std::env::var(AGAIN).unwrap()
}

/// A tree with busybox.
pub(super) struct Tree {
    pub(super) dir: TempDir,
    pub(super) binds: Vec<Bind>,
}

impl Tree {
    fn new() -> Tree {
        let dir = tempfile::Builder::new().prefix("rootfs-").tempdir().unwrap();
        chroot::probe(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "the probe left something");
        let tree = Tree { dir, binds: Vec::new() };
        image(&tree.path(""));
        tree
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join("tree").join(path)
    }

    pub(super) fn shell(&self, script: &str) -> Ran {
        self.run(&process(&["/bin/sh", "-c", script]))
    }

    fn run(&self, process: &Process) -> Ran {
        self.run_until(process, &AtomicBool::new(false))
    }

    fn run_until(&self, process: &Process, stop: &AtomicBool) -> Ran {
        let mut output = Vec::new();
        let mut take = |chunk: &[u8]| output.extend_from_slice(chunk);
        let (path, way) = (self.path(""), ways::probe(Mode::Chroot, self.dir.path()).unwrap());
        let process = &Process { binds: self.binds.clone(), ..process.clone() };
        let result = ways::run(&way, &Files::Tree(&path), process, &mut take, stop);
        assert_eq!(leftovers::end(&self.path("")).unwrap(), 0);
        assert_eq!(fs::read_dir(self.dir.path()).unwrap().count(), 1, "something is left beside the tree");
        Ran { result, output: String::from_utf8_lossy(&output).into_owned() }
    }

    /// What decides a layer, and the number of the file: a file that was put back is the same one.
    fn entries(&self) -> BTreeMap<PathBuf, (u64, u32, u32, u64)> {
        fn add(dir: &Path, entries: &mut BTreeMap<PathBuf, (u64, u32, u32, u64)>) {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let found = path.symlink_metadata().unwrap();
                if found.is_dir() {
                    add(&path, entries);
                }
                let size = if found.is_dir() { 0 } else { found.len() };
                entries.insert(path, (found.ino(), found.mode(), found.uid(), size));
            }
        }
        let mut entries = BTreeMap::new();
        add(&self.path(""), &mut entries);
        entries
    }
}

#[test]
fn ends_and_output() {
    everywhere("rootfs::run::tests::trees::ends_and_output", |tree| {
        for code in [0, 1, 42, 255] {
            let ran = tree.shell(&format!("exit {code}"));
            assert!(matches!(ran.result, Ok(Exit::Code(found)) if found == code), "{ran:?}");
        }
        let ran = tree.shell("kill -TERM $$");
        assert!(matches!(ran.result, Ok(Exit::Signal(libc::SIGTERM))), "{ran:?}");
        let script = "for n in 1 2 3; do echo out $n; echo err $n >&2; done; read x || echo no input";
        let text = "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\nno input\n";
        assert_eq!(tree.shell(script).text(), text);
    });
}

#[test]
fn candidates_and_failures() {
    everywhere("rootfs::run::tests::trees::candidates_and_failures", |tree| {
        let strings = |paths: &[&str]| paths.iter().map(|path| CString::new(*path).unwrap()).collect();
        let mut process = process(&["echo", "found"]);
        process.programs = strings(&["/none/echo", "/bin/none/echo", "/bin/echo"]);
        assert_eq!(tree.run(&process).text(), "found\n");
        process.programs = strings(&["/none"]);
        let ran = tree.run(&process);
        let missing =
            |found: &Failure| matches!(found, Failure::Exec { errno: Errno::NOENT, exists: false, .. });
        assert!(ran.result.as_ref().is_err_and(missing), "{ran:?}");
        fs::write(tree.path("text"), "text").unwrap();
        fs::set_permissions(tree.path("text"), Permissions::from_mode(0o755)).unwrap();
        process.programs = strings(&["/text"]);
        let ran = tree.run(&process);
        assert!(matches!(ran.result, Err(Failure::Exec { errno: Errno::NOEXEC, .. })), "{ran:?}");
        process.directory = c"/text/none".to_owned();
        let ran = tree.run(&process);
        let step = "make the working directory";
        let is_step = |found: &Failure| matches!(found, Failure::Step { step: name, errno: Errno::NOTDIR, .. } if *name == step);
        assert!(ran.result.as_ref().is_err_and(is_step), "{ran:?}");
    });
}

#[test]
fn the_working_directory_is_made() {
    everywhere("rootfs::run::tests::trees::the_working_directory_is_made", |tree| {
        let mut process = process(&["/bin/pwd"]);
        process.directory = c"/etc/new/work".to_owned();
        for _ in 0..2 {
            assert_eq!(tree.run(&process).text(), "/etc/new/work\n");
            for dir in ["etc/new", "etc/new/work"] {
                assert_eq!(fs::metadata(tree.path(dir)).unwrap().permissions().mode(), 0o40755, "{dir}");
            }
        }
    });
}

#[test]
fn nothing_leads_out() {
    everywhere("rootfs::run::tests::trees::nothing_leads_out", |tree| {
        let outside = File::open("/").unwrap();
        rustix::io::fcntl_setfd(&outside, rustix::io::FdFlags::empty()).unwrap();
        // In a shell that is root: a second chroot, and the usual ways.
        let text = tree.shell(
            "chroot / true 2>&1; mount -t tmpfs x / 2>&1; cd ../../..; ls /; ls /proc; env | sort; \
             umask; ulimit -c >/dev/null; pwd; id -u; ls -l /dev/fd",
        );
        let expected = "chroot: can't change root directory to '/': Operation not permitted\n\
            mount: permission denied (are you root?)\nbin\ndev\netc\n";
        let text = text.text();
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("\nPATH=/bin\nPWD=/\nSHLVL=1\n0022\n/\n0\n"), "{text}");
        // The command has no descriptor but its streams: a program without a shell shows them.
        let mut process = process(&[
            "/bin/sh",
            "-c",
            "for n in 3 4 5 6 7 8 9 10 11 12; do eval \": <&$n\" && echo $n; done",
        ]);
        process.environment.clear();
        let ran = tree.run(&process);
        assert!(!ran.output.lines().any(|line| line.parse::<u32>().is_ok()), "{ran:?}");
        // Numbers of processes are shared, but there is no /proc to look into.
        let script =
            format!("kill -0 {} && echo alive; cat /proc/{}/environ", std::process::id(), std::process::id());
        let ran = tree.shell(&script);
        assert!(ran.output.starts_with("alive\ncat: can't open"), "{ran:?}");
    });
}

#[test]
fn capabilities_and_users() {
    everywhere("rootfs::run::tests::trees::capabilities_and_users", |tree| {
        // A file in the place of /proc/self/status does not exist here: the calls themselves show the rights.
        let script = "touch f && chown 12:34 f && stat -c %u:%g f && mknod block b 7 0 && echo device; \
            su 2>/dev/null; setpriv --dump 2>&1 | grep -i -E 'bounding|no_new'";
        let text = tree.shell(script).output;
        assert!(text.starts_with("12:34\n"), "{text}");
        // Only a container's rules keep root from the machine's devices.
        assert_eq!(text.contains("device"), container() == "docker", "{text}");
        // Without CAP_SETPCAP the bounding set stays, and exec gives nothing of it.
        let bounded = !text.contains("sys_chroot") && !text.contains("net_raw");
        assert!(bounded != text.contains("no_new_privs: 1"), "{text}");
        assert_eq!(bounded, container() != "restricted", "{text}");
        let mut process = process(&["/bin/sh", "-c", "id -u; id -g; id -G; touch /x 2>&1"]);
        process.user.uid = 1000;
        process.user.gid = 1001;
        process.user.groups = vec![27, 28];
        let ran = tree.run(&process);
        assert_eq!(ran.output, "1000\n1001\n1001 27 28\ntouch: /x: Permission denied\n");
        assert!(matches!(ran.result, Ok(Exit::Code(1))), "{ran:?}");
    });
}

#[test]
fn devices_and_files_are_there_and_go_again() {
    everywhere("rootfs::run::tests::trees::devices_and_files_are_there_and_go_again", |tree| {
        fs::create_dir_all(tree.path("dev/own")).unwrap();
        fs::write(tree.path("dev/own/file"), "kept").unwrap();
        fs::create_dir(tree.path("real")).unwrap();
        symlink("/real", tree.path("etc")).unwrap();
        symlink("../run/resolv.conf", tree.path("real/resolv.conf")).unwrap();
        fs::write(tree.path("real/hosts"), "of the image").unwrap();
        let before = tree.entries();
        let mut process = process(&[
            "/bin/sh",
            "-c",
            "echo x >/dev/null; cat /etc/hosts; cat /dev/pipes/EOF; \
            ls -l /dev/pipes/EOF | cut -c1-10; ls /dev; readlink /dev/stdout; echo mine >/etc/hosts; \
            head -c 8 /dev/urandom | wc -c; rm /etc/resolv.conf; echo new >/dev/new; ls -ld /dev/shm | cut -c1-10",
        ]);
        process.files = vec![("pipes/EOF".to_owned(), b"#!/bin/sh\n".to_vec(), 0o750)];
        let output = tree.run(&process).text();
        assert!(output.contains("127.0.0.1 builder\n#!/bin/sh\n-rwxr-x---\n"), "{output}");
        assert!(output.contains("\nnull\n") && output.contains("\n/proc/self/fd/1\n"), "{output}");
        // Without devices, reading fails rather than ending at once.
        let random = matches!(&*container(), "machine" | "docker");
        assert_eq!(output.contains("\n8\n"), random, "{output}");
        assert!(output.ends_with("drwxrwxrwt\n"), "{output}");
        assert_eq!(tree.entries(), before);
        assert_eq!(fs::read_to_string(tree.path("real/hosts")).unwrap(), "of the image");
    });
}

#[test]
fn an_image_without_these_directories_still_has_none() {
    everywhere("rootfs::run::tests::trees::an_image_without_these_directories_still_has_none", |tree| {
        let before = tree.entries();
        assert!(tree.shell("cat /etc/hostname; echo $?").text().ends_with("builder\n0\n"));
        assert_eq!(tree.entries(), before);
        // What the command adds stays; what it removes does not stand in the way.
        tree.shell("echo mine >/etc/mine; rm -r /dev").text();
        let etc: Vec<_> =
            fs::read_dir(tree.path("etc")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(etc, ["mine"]);
        tree.shell("rm -r /etc; ln -s /tmp /etc; ln -s / /dev/x").text();
        assert_eq!(fs::read_link(tree.path("etc")).unwrap(), Path::new("/tmp"));
        assert!(!tree.path("dev").exists() && !Path::new("/tmp/hosts").exists());
    });
}

#[test]
fn a_link_of_the_image_leads_to_no_file_of_the_machine() {
    everywhere("rootfs::run::tests::trees::a_link_of_the_image_leads_to_no_file_of_the_machine", |tree| {
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), tree.path("etc")).unwrap();
        let ran = tree.shell("true");
        let refused =
            |found: &Failure| matches!(found, Failure::Step { step: "place", errno: Errno::EXIST, .. });
        assert!(ran.result.as_ref().is_err_and(refused), "{ran:?}");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        fs::remove_file(tree.path("etc")).unwrap();
        symlink(outside.path(), tree.path("dev")).unwrap();
        tree.shell("echo x >/dev/null").text();
        assert_eq!(fs::read_link(tree.path("dev")).unwrap(), outside.path());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    });
}

const DAEMON: &str = "(setsid sh -c 'sleep 1000 & setsid nohup sleep 1000 & sleep 1000' >/dev/null 2>&1 &); ";

#[test]
fn daemons_end_with_the_command() {
    everywhere("rootfs::run::tests::trees::daemons_end_with_the_command", |tree| {
        let start = Instant::now();
        assert_eq!(tree.shell(&format!("{DAEMON} sleep 0.2; echo done")).text(), "done\n");
        // The daemon holds the output as well.
        assert_eq!(tree.shell("sleep 1000 & sleep 1000 & echo done").text(), "done\n");
        // Many orphans, which the keeper waits for.
        assert_eq!(
            tree.shell("for n in 1 2 3 4 5 6 7 8; do (sleep 0 &); (sleep 1000 &); done; echo done").text(),
            "done\n"
        );
        assert!(start.elapsed() < Duration::from_secs(20));
    });
}

#[test]
fn a_command_that_kills_its_keeper_is_ended() {
    everywhere("rootfs::run::tests::trees::a_command_that_kills_its_keeper_is_ended", |tree| {
        let ran = tree.shell(&format!("{DAEMON} sleep 0.2; kill -KILL $PPID; sleep 1000"));
        assert!(matches!(ran.result, Err(Failure::Killed)), "{ran:?}");
    });
}

#[test]
fn a_command_is_stopped() {
    everywhere("rootfs::run::tests::trees::a_command_is_stopped", |tree| {
        let stop = AtomicBool::new(false);
        let ran = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(300));
                stop.store(true, Ordering::Relaxed);
            });
            tree.run_until(
                &process(&["/bin/sh", "-c", &format!("trap '' TERM HUP INT; {DAEMON} sleep 1000")]),
                &stop,
            )
        });
        assert!(matches!(ran.result, Err(Failure::Stopped)), "{ran:?}");
    });
}

/// A process like lbuild is killed while its command runs, at several moments of it.
#[test]
fn nothing_is_left_of_a_killed_parent() {
    const VICTIM: &str = "LBUILD_TEST_VICTIM";
    const NAME: &str = "rootfs::run::tests::trees::nothing_is_left_of_a_killed_parent";
    if let Some(dir) = std::env::var_os(VICTIM) {
        let tree = Path::new(&dir).join("tree");
        let process = process(&["/bin/sh", "-c", &format!("{DAEMON} sleep 1000")]);
        let _ = chroot::run(&tree, &process, &mut |_| {}, &AtomicBool::new(false));
        panic!("the command ended");
    }
    everywhere(NAME, |tree| {
        for delay in [0, 5, 10, 15, 20, 30, 50, 100, 300] {
            // Its container is the present one.
            let mut command = Command::new("/proc/self/exe");
            command
                .args(["--exact", NAME])
                .env(VICTIM, tree.dir.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let mut victim = command.spawn().unwrap();
            let start = Instant::now();
            while !tree.path("dev/null").exists() {
                assert!(start.elapsed() < Duration::from_secs(10), "the command does not start");
            }
            thread::sleep(Duration::from_millis(delay));
            victim.kill().unwrap();
            victim.wait().unwrap();
            // The keeper needs a moment; nothing else ends the processes here.
            let start = Instant::now();
            while lives(&tree.path("")) && start.elapsed() < Duration::from_secs(5) {
                thread::sleep(Duration::from_millis(10));
            }
            assert!(!lives(&tree.path("")), "{delay} ms");
            fs::remove_dir_all(tree.path("dev")).unwrap();
        }
    });
}

/// Whether a process has the tree as its root.
fn lives(tree: &Path) -> bool {
    let tree = fs::metadata(tree).unwrap().ino();
    let mut entries = fs::read_dir("/proc").unwrap().flatten();
    entries.any(|entry| fs::metadata(entry.path().join("root")).is_ok_and(|root| root.ino() == tree))
}

#[test]
fn a_root_without_the_rights_is_told_so() {
    in_containers("rootfs::run::tests::trees::a_root_without_the_rights_is_told_so", &["without"], || {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(chroot::probe(dir.path()).unwrap_err().errno, Errno::PERM);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    });
}
