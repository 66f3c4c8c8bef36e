//! How commands end, and what is left of them.

use std::ffi::CString;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Signal, WaitOptions};

use super::program::faults;
use super::rig::{everywhere, process};
use crate::rootfs::run::command::{Exit, Failure};
use crate::rootfs::run::exec::{plan, run};
use crate::rootfs::run::mode::Mode;
use crate::rootfs::run::running::{self, Extra, Running};
use crate::rootfs::run::steps::{Call, Step};
use crate::rootfs::run::within::within;
use crate::rootfs::run::{calls, child};

#[test]
fn exit_codes() {
    everywhere("rootfs::run::tests::ends::exit_codes", |rig| {
        for code in [0, 1, 42, 255] {
            let ran = rig.shell(&format!("exit {code}"));
            assert!(matches!(ran.result, Ok(Exit::Code(found)) if found == code), "{ran:?}");
            assert_eq!(ran.output, "");
        }
    });
}

/// A process 1 can only be killed from outside, or by a fault of its own. A child of the shell can be killed.
#[test]
fn signals() {
    everywhere("rootfs::run::tests::ends::signals", |rig| {
        let text = rig
            .shell(
                "sh -c 'kill -KILL $$'; echo $?; sh -c 'kill -PIPE $$'; echo $?; kill -KILL $$; echo alive",
            )
            .text();
        assert_eq!(text, "Killed\n137\n141\nalive\n");
        fs::write(rig.path("lower/fault"), faults()).unwrap();
        fs::set_permissions(rig.path("lower/fault"), Permissions::from_mode(0o755)).unwrap();
        let ran = rig.run(&process(&["/fault"]));
        assert!(matches!(ran.result, Ok(Exit::Signal(libc::SIGSEGV))), "{ran:?}");
    });
}

#[test]
fn output_is_in_order() {
    everywhere("rootfs::run::tests::ends::output_is_in_order", |rig| {
        let text = rig
            .shell("for i in 1 2 3; do echo out $i; echo err $i >&2; done; cat; read -r x || echo no input")
            .text();
        assert_eq!(text, "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\nno input\n");
        let long = rig.shell("seq 1 100000; echo end >&2").text();
        assert!(long.starts_with("1\n2\n") && long.ends_with("\n99999\n100000\nend\n"));
        assert_eq!(long.lines().count(), 100_001);
    });
}

#[test]
fn what_a_command_leaves_behind_ends_with_it() {
    everywhere("rootfs::run::tests::ends::what_a_command_leaves_behind_ends_with_it", |rig| {
        let mark = mark();
        let daemon =
            format!("setsid sh -c '(sh -c \"sleep 0.1; echo {mark} > /up; exec sleep {mark}\" &) &' ");
        let text = rig.shell(&format!(
            "{daemon}; (trap '' HUP; exec sleep {mark}) & until [ -e /up ]; do sleep 0.1; done; echo up"
        ));
        assert!(text.text().ends_with("up\n"));
        assert_eq!(processes(&mark), 0);
    });
}

#[test]
fn a_command_that_is_stopped() {
    everywhere("rootfs::run::tests::ends::a_command_that_is_stopped", |rig| {
        let (mark, stop, started) = (mark(), AtomicBool::new(false), Instant::now());
        let sleep = process(&["/bin/sh", "-c", &format!("setsid sleep {mark} & sleep {mark}")]);
        let ran = thread::scope(|scope| {
            scope.spawn(|| {
                wait_for(|| processes(&mark) == 2);
                stop.store(true, Ordering::Relaxed);
            });
            rig.run_until(&[rig.path("lower")], &sleep, &stop)
        });
        assert!(matches!(ran.result, Err(Failure::Stopped)), "{ran:?}");
        assert_eq!(processes(&mark), 0);
        assert!(started.elapsed() < Duration::from_secs(20));
    });
}

#[test]
fn a_command_ends_when_its_output_is_not_taken() {
    everywhere("rootfs::run::tests::ends::a_command_ends_when_its_output_is_not_taken", |rig| {
        let mark = mark();
        let sleep = process(&["/bin/sh", "-c", &format!("chown 5 /tmp; echo out; sleep {mark}")]);
        let ended = catch_unwind(AssertUnwindSafe(|| {
            rig.with_files(&[rig.path("lower")], |files| {
                run(
                    &rig.way,
                    files,
                    &sleep,
                    &mut |_| resume_unwind(Box::new("full")),
                    &AtomicBool::new(false),
                )
            })
        }));
        assert_eq!(ended.unwrap_err().downcast_ref(), Some(&"full"));
        assert_eq!(processes(&mark), 0);
    });
}

#[test]
fn programs_are_tried_in_order() {
    everywhere("rootfs::run::tests::ends::programs_are_tried_in_order", |rig| {
        let lower = rig.path("lower");
        let write = |name: &str, text: &[u8], mode| {
            fs::write(lower.join(name), text).unwrap();
            fs::set_permissions(lower.join(name), Permissions::from_mode(mode)).unwrap();
        };
        write("text", b"no program", 0o755);
        write("locked", b"#!/bin/sh\necho locked", 0o644);
        write("lost", b"#!/bin/lost\n", 0o755);
        let programs = |paths: &[&str]| {
            let mut process = process(&["/bin/echo", "done"]);
            process.programs = paths.iter().map(|path| CString::new(*path).unwrap()).collect();
            rig.run(&process)
        };
        let errno = |paths: &[&str]| match programs(paths).result {
            Err(Failure::Exec { program, errno, exists }) => {
                (program.to_str().unwrap().to_owned(), errno, exists)
            }
            other => panic!("{paths:?}: {other:?}"),
        };
        assert_eq!(programs(&["/none", "/text/x", "/locked", "/bin/echo"]).text(), "done\n");
        assert_eq!(errno(&["/none", "/bin/none"]), ("/bin/none".to_owned(), Errno::NOENT, false));
        assert_eq!(errno(&["/locked", "/none"]), ("/locked".to_owned(), Errno::ACCESS, false));
        assert_eq!(errno(&["/bin", "/none"]), ("/bin".to_owned(), Errno::ACCESS, false));
        assert_eq!(errno(&["/text", "/bin/echo"]), ("/text".to_owned(), Errno::NOEXEC, false));
        assert_eq!(errno(&["/lost", "/bin/echo"]), ("/lost".to_owned(), Errno::NOENT, true));
        assert_eq!(errno(&[]), (String::new(), Errno::NOENT, false));
    });
}

#[test]
fn a_step_that_fails_is_named() {
    everywhere("rootfs::run::tests::ends::a_step_that_fails_is_named", |rig| {
        let mut process = process(&["/bin/true"]);
        process.directory = c"/bin/busybox".to_owned();
        let text = rig.run(&process).result.unwrap_err().to_string();
        assert_eq!(text, "cannot enter (/bin/busybox): Not a directory (os error 20)");
        fs::remove_dir(rig.path("lower/dev")).unwrap();
        fs::write(rig.path("lower/dev"), b"").unwrap();
        let text = rig.shell("true").result.unwrap_err().to_string();
        assert_eq!(text, "cannot mount on /dev (/dev): Not a directory (os error 20)");
    });
}

/// Kills a process that runs a command, and waits until the command has ended with it.
fn kill_runner(until: &str, runner: impl FnOnce(&mut dyn FnMut(&[u8]), BorrowedFd<'_>)) {
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    let Some(pid) = calls::fork().unwrap() else {
        let fd = writer.try_clone().unwrap();
        let mut output = |chunk: &[u8]| writer.write_all(chunk).unwrap();
        let ended = catch_unwind(AssertUnwindSafe(|| runner(&mut output, fd.as_fd())));
        // Nothing of the test harness may run in this copy of it.
        eprintln!("not killed: {ended:?}");
        calls::exit(1);
    };
    drop(writer);
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains(until) {
        let mut chunk = [0; 100];
        let read = reader.read(&mut chunk).unwrap();
        assert!(read > 0, "the runner has ended: {}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&chunk[..read]);
    }
    assert!(own_processes() > 1);
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
    rustix::process::waitpid(Some(pid), WaitOptions::empty()).unwrap();
    wait_for(|| own_processes() == 1);
}

/// How many processes are copies of this one: it, runners, keepers, and commands before exec.
fn own_processes() -> usize {
    with_command(&fs::read("/proc/self/cmdline").unwrap())
}

/// The process of a command cannot lose the signal that ends it: not by setsid, nor by a change of its user.
#[test]
fn a_command_ends_with_the_process_that_runs_it() {
    everywhere("rootfs::run::tests::ends::a_command_ends_with_the_process_that_runs_it", |rig| {
        let mark = mark();
        let script = format!(
            "setsid sleep {mark} & (trap '' HUP; setsid sh -c 'sleep {mark} & sleep {mark}' &) & echo started
            exec su app -c 'exec sleep {mark}'"
        );
        let process = process(&["/bin/sh", "-c", &script]);
        rig.with_files(&[rig.path("lower")], |files| {
            kill_runner("started", |output, _| {
                let mut wait = |chunk: &[u8]| {
                    wait_for(|| processes(&mark) == 4);
                    output(chunk);
                };
                let result = run(&rig.way, files, &process, &mut wait, &AtomicBool::new(false));
                output(format!("{result:?}").as_bytes());
            });
        });
        wait_for(|| processes(&mark) == 0);
    });
}

#[test]
fn a_set_up_ends_with_the_process_that_runs_it() {
    everywhere("rootfs::run::tests::ends::a_set_up_ends_with_the_process_that_runs_it", |rig| {
        if rig.way.mode == Mode::Copy {
            // One step differs, and a copy for each takes long.
            return;
        }
        let process = process(&["/bin/sleep", "1000"]);
        let lowers = [rig.path("lower")];
        let steps = rig.with_files(&lowers, |files| {
            let (_ends, descriptors) =
                running::channels(Extra { listener: true, ..Extra::default() }).unwrap();
            plan(&rig.way, files, &process, descriptors.listener.as_ref()).unwrap().steps.len()
        });
        for at in 0..=steps {
            rig.with_files(&lowers, |files| {
                kill_runner("waits", |output, _| {
                    let (ends, descriptors) =
                        running::channels(Extra { listener: true, ..Extra::default() }).unwrap();
                    let mut plan = plan(&rig.way, files, &process, descriptors.listener.as_ref()).unwrap();
                    plan.steps.insert(at, Step { name: "wait", about: String::new(), call: Call::Wait });
                    let maps = rig.way.ids.maps(0, 0).unwrap();
                    let maps = rig.way.userns.then_some(&maps);
                    let mut running = Running::start(&plan, maps, ends, descriptors).unwrap();
                    let ended = running.wait(output, &AtomicBool::new(false), &mut |_| Ok(()));
                    output(format!("{ended:?}").as_bytes());
                });
            });
        }
        // The keeper, while it waits for the maps of its ids.
        rig.with_files(&lowers, |files| {
            kill_runner("started", |output, _| {
                let (_ends, descriptors) =
                    running::channels(Extra { listener: true, ..Extra::default() }).unwrap();
                let plan = plan(&rig.way, files, &process, None).unwrap();
                let _keeper = child::start(&plan, &descriptors).unwrap();
                output(b"started");
                loop {
                    calls::pause();
                }
            });
        });
    });
}

#[test]
fn work_within_ids_ends_with_its_parent() {
    everywhere("rootfs::run::tests::ends::work_within_ids_ends_with_its_parent", |rig| {
        kill_runner("works", |_, fd| {
            within(&rig.way.ids, &[fd], || {
                rustix::io::write(fd, b"works")?;
                loop {
                    calls::pause();
                }
            })
            .unwrap()
        });
    });
}

/// Digits that are an argument of no other process.
pub(super) fn mark() -> String {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    format!("{}{:03}", 1_000_000 + std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// How many processes sleep for `mark` seconds.
pub(super) fn processes(mark: &str) -> usize {
    with_command(format!("sleep\0{mark}\0").as_bytes())
}

fn with_command(command: &[u8]) -> usize {
    let all = fs::read_dir("/proc").unwrap().flatten();
    // There are also names for the present process.
    let all = all.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
    all.filter(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|text| text == command)).count()
}

pub(super) fn wait_for(condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(30), "does not happen");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Prints how long runs take; the limit is far above what any machine needs.
#[test]
fn twenty_runs_in_sequence() {
    everywhere("rootfs::run::tests::ends::twenty_runs_in_sequence", |rig| {
        let started = Instant::now();
        let mut inner = Duration::ZERO;
        for _ in 0..20 {
            rig.with_files(&[rig.path("lower")], |files| {
                let s = Instant::now();
                run(&rig.way, files, &process(&["/bin/true"]), &mut |_| {}, &AtomicBool::new(false)).unwrap();
                inner += s.elapsed();
            });
        }
        eprintln!("20 runs {} {:?}: {inner:?} of {:?}", rig.ids(), rig.way.mode, started.elapsed());
        assert!(started.elapsed() < Duration::from_secs(60));
    });
}
