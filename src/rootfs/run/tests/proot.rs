//! Commands under proot, by a user without any right: as a pod of Kubernetes has under its strictest rules.

use std::ffi::CString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::DumpableBehavior;
use tempfile::TempDir;

use super::rig::{AGAIN, Ran, again, image, process};
use crate::rootfs::run::command::{Exit, Failure, Files, Process};
use crate::rootfs::run::mode::Mode;
use crate::rootfs::run::{leftovers, proot, ways};

/// Runs `body` as a user who owns nothing but the tree.
fn as_nobody(name: &str, body: fn(&Tree)) {
    if std::env::var_os(AGAIN).is_some() {
        proot::probe().expect("run tests/run first: proot");
        return body(&Tree::new());
    }
    again(name, "single");
}

struct Tree(TempDir);

impl Tree {
    fn new() -> Tree {
        let tree = Tree(tempfile::Builder::new().prefix("rootfs-").tempdir().unwrap());
        image(&tree.path(""));
        tree
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join("tree").join(path)
    }

    fn shell(&self, script: &str) -> Ran {
        self.run(&process(&["/bin/sh", "-c", script]), &AtomicBool::new(false))
    }

    fn run(&self, process: &Process, stop: &AtomicBool) -> Ran {
        let mut output = Vec::new();
        let mut take = |chunk: &[u8]| output.extend_from_slice(chunk);
        let (path, way) = (self.path(""), ways::probe(Mode::Proot, self.0.path()).unwrap());
        let result = ways::run(&way, &Files::Tree(&path), process, &mut take, stop);
        assert_eq!(leftovers::end(&self.path("")).unwrap(), 0);
        assert_eq!(fs::read_dir(self.0.path()).unwrap().count(), 1, "something is left beside the tree");
        Ran { result, output: String::from_utf8_lossy(&output).into_owned() }
    }
}

/// proot itself gives the status of the process that ends last.
#[test]
fn ends_are_those_of_the_command() {
    as_nobody("rootfs::run::tests::proot::ends_are_those_of_the_command", |tree| {
        for code in [0, 1, 42, 255] {
            for script in [format!("exit {code}"), format!("(sleep 0.1; exit 9) & exit {code}")] {
                let ran = tree.shell(&script);
                assert!(matches!(ran.result, Ok(Exit::Code(found)) if found == code), "{script}: {ran:?}");
            }
        }
        for script in ["kill -TERM $$", "sleep 1000 & kill -TERM $$"] {
            let ran = tree.shell(script);
            assert!(matches!(ran.result, Ok(Exit::Signal(libc::SIGTERM))), "{script}: {ran:?}");
        }
        let ran =
            tree.shell("for n in 1 2 3; do echo out $n; echo err $n >&2; done; read x || echo no input");
        assert_eq!(ran.text(), "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\nno input\n");
    });
}

#[test]
fn daemons_end_with_the_command() {
    as_nobody("rootfs::run::tests::proot::daemons_end_with_the_command", |tree| {
        let start = Instant::now();
        let daemon = "(setsid sh -c 'sleep 1000 & setsid nohup sleep 1000 & sleep 1000' >/dev/null 2>&1 &)";
        assert_eq!(tree.shell(&format!("{daemon}; sleep 0.3; echo done")).text(), "done\n");
        // The last output of a command comes, also when a daemon keeps the pipe.
        let text =
            tree.shell("sleep 1000 & n=0; while [ $n -lt 2000 ]; do echo line $n; n=$((n + 1)); done").text();
        assert!(text.ends_with("line 1999\n"), "{text}");
        assert!(start.elapsed() < Duration::from_secs(30));
    });
}

#[test]
fn the_command_sees_the_tree() {
    as_nobody("rootfs::run::tests::proot::the_command_sees_the_tree", |tree| {
        fs::create_dir(tree.path("proc")).unwrap();
        let script = "id -u; pwd; ls /; ls /proc; cat /etc/hostname; cat /dev/pipes/EOF; echo x >/dev/null; \
            head -c 4 /dev/urandom | wc -c; ls -l /dev/null | cut -c1; stat -c %s /bin/sh >/dev/null && echo stat; \
            touch /f && chown 12:34 /f && echo chowned; env | sort";
        let mut process = process(&["/bin/sh", "-c", script]);
        process.files = vec![("pipes/EOF".to_owned(), b"here\n".to_vec(), 0o755)];
        process.directory = c"/bin".to_owned();
        let text = tree.run(&process, &AtomicBool::new(false)).text();
        let expected =
            "0\n/bin\nbin\ndev\netc\nproc\nbuilder\nhere\n4\nc\nstat\nchowned\nPATH=/bin\nPWD=/bin\n";
        assert!(text.starts_with(expected), "{text}");
        assert!(!tree.path("dev").exists() && !tree.path("etc").exists() && tree.path("f").exists());
        process.user.uid = 1000;
        process.user.gid = 1001;
        let text = tree.run(&process, &AtomicBool::new(false)).output;
        assert!(text.starts_with("1000\n/bin\n"), "{text}");
    });
}

/// A program that uses a newer call would see the files of the machine.
#[test]
fn calls_that_proot_does_not_know_do_not_exist() {
    as_nobody("rootfs::run::tests::proot::calls_that_proot_does_not_know_do_not_exist", |tree| {
        // The machine's `stat` uses statx if there is one. It and its libraries come into the tree.
        let libraries = Command::new("ldd").arg("/usr/bin/stat").output().unwrap();
        let libraries = String::from_utf8(libraries.stdout).unwrap();
        let paths = libraries.split_whitespace().filter(|word| word.starts_with('/'));
        for path in paths.chain(["/usr/bin/stat"]) {
            let target = tree.path(path.trim_start_matches('/'));
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(path, target).unwrap();
        }
        fs::create_dir(tree.path("only-here")).unwrap();
        let text =
            tree.shell("/usr/bin/stat -c %n /only-here; /usr/bin/stat -c %n /root 2>&1 || true").text();
        assert!(text.starts_with("/only-here\n") && text.contains("No such file"), "{text}");
    });
}

#[test]
fn candidates_and_failures() {
    as_nobody("rootfs::run::tests::proot::candidates_and_failures", |tree| {
        let strings = |paths: &[&str]| paths.iter().map(|path| CString::new(*path).unwrap()).collect();
        let mut process = process(&["echo", "found"]);
        let mut run = |programs: &[&str]| {
            process.programs = strings(programs);
            tree.run(&process, &AtomicBool::new(false))
        };
        assert_eq!(run(&["/none/echo", "/bin/none/echo", "/bin/echo"]).text(), "found\n");
        for (name, content, mode) in
            [("text", "text", 0o755), ("plain", "#!/bin/sh\n", 0o644), ("lost", "#!/none -x\n", 0o755)]
        {
            fs::write(tree.path(name), content).unwrap();
            fs::set_permissions(tree.path(name), Permissions::from_mode(mode)).unwrap();
        }
        let cases: [(&[&str], Errno, bool); 5] = [
            (&["/none"], Errno::NOENT, false),
            (&["/plain", "/none"], Errno::ACCESS, false),
            (&["/text"], Errno::NOEXEC, false),
            (&["/lost"], Errno::NOENT, true),
            (&["/bin"], Errno::ACCESS, false),
        ];
        for (programs, errno, exists) in cases {
            let ran = run(programs);
            let expected = |found: &Failure| matches!(found, Failure::Exec { errno: e, exists: x, .. } if (*e, *x) == (errno, exists));
            assert!(ran.result.as_ref().is_err_and(expected), "{programs:?}: {ran:?}");
        }
    });
}

#[test]
fn a_command_is_stopped() {
    as_nobody("rootfs::run::tests::proot::a_command_is_stopped", |tree| {
        let stop = AtomicBool::new(false);
        let ran = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(300));
                stop.store(true, Ordering::Relaxed);
            });
            tree.run(&process(&["/bin/sh", "-c", "trap '' TERM INT HUP; sleep 1000 & sleep 1000"]), &stop)
        });
        assert!(matches!(ran.result, Err(Failure::Stopped)), "{ran:?}");
        assert_eq!(rustix::process::dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    });
}

#[test]
fn nothing_is_left_of_a_killed_parent() {
    const VICTIM: &str = "LBUILD_TEST_VICTIM";
    const NAME: &str = "rootfs::run::tests::proot::nothing_is_left_of_a_killed_parent";
    if let Some(dir) = std::env::var_os(VICTIM) {
        let tree = Path::new(&dir).join("tree");
        let process = process(&["/bin/sh", "-c", "(setsid sleep 1000 &); sleep 1000"]);
        let _ = proot::run(&tree, &process, &mut |_| {}, &AtomicBool::new(false));
        panic!("the command ended");
    }
    as_nobody(NAME, |tree| {
        for delay in [0, 10, 30, 100, 400] {
            let mut command = Command::new("/proc/self/exe");
            command.args(["--exact", NAME]).env(VICTIM, tree.0.path());
            let mut victim = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let start = Instant::now();
            while !tree.path("dev/null").exists() {
                assert!(start.elapsed() < Duration::from_secs(10), "the command does not start");
            }
            thread::sleep(Duration::from_millis(delay));
            victim.kill().unwrap();
            victim.wait().unwrap();
            let start = Instant::now();
            while lives(&tree.path("")) && start.elapsed() < Duration::from_secs(5) {
                thread::sleep(Duration::from_millis(10));
            }
            assert!(!lives(&tree.path("")), "{delay} ms");
            // The next run removes the files of proot.
            let note = fs::read_to_string(tree.0.path().join("tree.proot"));
            assert_eq!(leftovers::end(&tree.path("")).unwrap(), 0);
            assert!(!tree.0.path().join("tree.proot").exists());
            if let Ok(proot) = note {
                // It ends after its processes.
                let process = Path::new("/proc").join(&proot);
                while process.exists() && start.elapsed() < Duration::from_secs(5) {
                    thread::sleep(Duration::from_millis(10));
                }
                assert!(!process.exists(), "{delay} ms");
                let loader = format!("prooted-{proot}-");
                let mut files = fs::read_dir("/tmp").unwrap().flatten().map(|entry| entry.file_name());
                assert!(!files.any(|name| name.to_str().is_some_and(|name| name.starts_with(&loader))));
            } else {
                assert!(delay < 400, "no note of proot");
            }
            fs::remove_dir_all(tree.path("dev")).unwrap();
        }
    });
}

/// Whether a process has memory of the tree.
fn lives(tree: &Path) -> bool {
    let tree = tree.to_str().unwrap();
    let mut entries = fs::read_dir("/proc").unwrap().flatten();
    entries.any(|entry| fs::read_to_string(entry.path().join("maps")).is_ok_and(|maps| maps.contains(tree)))
}
