//! Runs a command in a tree under `proot`, which translates the paths of all calls: for containers in which neither
//! namespaces nor a chroot are allowed.
//!
//! Only one user exists. Calls that change owners succeed without an effect, and nothing records them. proot keeps
//! programs from other files by mistake, not by intent: a command can read what the user of lbuild can. There is no
//! /proc, because it would show the environments of that user's processes; lbuild itself cannot be traced.

mod filter;
mod watch;

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::fs::{FileType, Mode as Permissions, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::process::DumpableBehavior;

use self::filter::filter;
use self::watch::{Watched, signal, watch};
use super::child::{Plan, Program, Work};
use super::command::{Exit, Failure, Process, User};
use super::ids::{self, Ids};
use super::leftovers;
use super::mode::{Mode, Way};
use super::mounts::Steps;
use super::obstacle::Obstacle;
use super::placed::{self, DEVICES, Devices, Placed};
use super::running::{self, Ended, Extra, Running};
use super::steps::Call;

/// How much of the end of the output is kept for proot's message about a signal.
const TAIL: usize = 4096;

/// Whether proot is there and works, by running itself under it.
///
/// # Errors
/// `ENOENT` without proot; else what the attempt met, or `ECHILD` if proot itself fails.
pub(crate) fn probe() -> Result<Way, Obstacle> {
    let failed = |errno| Obstacle { step: "run proot", errno };
    let proot = proot().map_err(|_| failed(Errno::NOENT))?;
    let mut arguments = options(&proot, Path::new("/"), c"/", &User::default());
    arguments.extend([proot.clone(), c"--version".to_owned()]);
    match attempt(&proot, &arguments, &[], &|_| Ok(()), &mut |_| {}, &AtomicBool::new(false)) {
        Ok(Exit::Code(0)) => {}
        Err(Failure::Step { step, errno, .. }) => return Err(Obstacle { step, errno }),
        _ => return Err(failed(Errno::CHILD)),
    }
    Ok(Way::new(Mode::Proot, Ids::Unmapped))
}

/// As [`exec::run`](super::exec::run), in a tree.
///
/// From then on, other processes of this user can no longer trace this one or read its memory and environment.
pub(crate) fn run(
    tree: &Path,
    process: &Process,
    output: &mut dyn FnMut(&[u8]),
    stop: &AtomicBool,
) -> Result<Exit, Failure> {
    if !process.network {
        return Err(failure("take the network away from a command under proot", Errno::PERM));
    }
    let tree = &tree.canonicalize().map_err(Failure::io("open the tree"))?;
    let proot = proot()?;
    let protected = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    protected.map_err(|errno| failure("protect the memory of lbuild", errno))?;
    placed::make_directories(tree, &process.directory)?;
    let placed = Placed::new(tree, Devices::Empty, process)?;
    let result = candidate(tree, process).and_then(|program| {
        let mut arguments = options(&proot, tree, &process.directory, &process.user);
        arguments.push(program);
        arguments.extend(process.arguments.iter().skip(1).cloned());
        let note = |proot| leftovers::note_proot(tree, proot);
        attempt(&proot, &arguments, &process.environment, &note, output, stop)
    });
    let ended = leftovers::end(tree).map_err(Failure::io("end what the command has left"));
    let removed = placed.remove().map_err(Failure::io("take away what was placed in the tree"));
    let exit = result?;
    ended?;
    removed?;
    Ok(exit)
}

fn failure(step: &'static str, errno: Errno) -> Failure {
    Failure::Step { step, about: String::new(), errno }
}

fn proot() -> Result<CString, Failure> {
    let proot = ids::find("proot").ok_or_else(|| failure("find proot", Errno::NOENT))?;
    CString::new(proot.into_os_string().into_encoded_bytes()).map_err(|_| failure("find proot", Errno::INVAL))
}

fn options(proot: &CStr, tree: &Path, directory: &CStr, user: &User) -> Vec<CString> {
    let text = |text: &str| CString::new(text).unwrap_or_default();
    let tree = CString::new(tree.as_os_str().as_bytes()).unwrap_or_default();
    let user = text(&format!("{}:{}", user.uid, user.gid));
    let mut options =
        vec![proot.to_owned(), text("-i"), user, text("-r"), tree, text("-w"), directory.to_owned()];
    for (name, ..) in DEVICES {
        let device = format!("/dev/{name}");
        if Path::new(&device).exists() {
            options.extend([text("-b"), text(&device)]);
        }
    }
    options
}

/// Runs proot until the command has ended.
fn attempt(
    proot: &CStr,
    arguments: &[CString],
    environment: &[CString],
    note: &(dyn Fn(u32) -> io::Result<()> + Sync),
    output: &mut dyn FnMut(&[u8]),
    stop: &AtomicBool,
) -> Result<Exit, Failure> {
    let (ends, descriptors) = running::channels(Extra { listener: true, ..Extra::default() })
        .map_err(Failure::io("create a pipe"))?;
    let work = Work::Program(Program::new(&[proot.to_owned()], arguments, environment));
    let steps = steps(descriptors.listener.as_ref()).0;
    let plan = Plan { isolated: false, userns: false, no_network: false, steps, work, arguments: None };
    let mut running = Running::start(&plan, None, ends, descriptors)?;
    let (keeper, done) = (running.number().as_raw_nonzero().get().unsigned_abs(), AtomicBool::new(false));
    let mut tail = Vec::new();
    let mut take = |chunk: &[u8]| {
        tail.extend_from_slice(chunk);
        tail.drain(..tail.len().saturating_sub(TAIL));
        output(chunk);
    };
    let (waited, watched) = thread::scope(|scope| {
        let mut watcher = None;
        let mut waited = running.wait(&mut take, &done, &mut |listener| {
            let (thread, done) = (thread::Builder::new().name("proot".to_owned()), &done);
            watcher = Some(thread.spawn_scoped(scope, move || watch(listener, keeper, note, stop, done))?);
            Ok(())
        });
        if matches!(waited, Err(Failure::Stopped)) && !stop.load(Ordering::Relaxed) {
            // The command has ended, and something else goes on. What both have written is still read.
            running.release();
            waited = running.wait(&mut take, stop, &mut |_| Ok(()));
        }
        drop(running);
        let watched = watcher.map(thread::ScopedJoinHandle::join);
        (waited, watched.map(|joined| joined.unwrap_or_else(|panic| resume_unwind(panic))))
    });
    let reports = waited?;
    let watched = watched.unwrap_or_else(|| Ok(Watched::default()));
    let watched = watched.map_err(Failure::io("watch the command under proot"))?;
    match (Ended::new(&reports).exit(&plan), watched.code, signal(&tail, watched.command)) {
        (Ok(_) | Err(Failure::Killed), Some(code), _) => Ok(Exit::Code(code)),
        (Ok(_) | Err(Failure::Killed), None, Some(signal)) => Ok(Exit::Signal(signal)),
        // proot itself was killed.
        (Ok(Exit::Signal(_)), None, None) => Err(Failure::Killed),
        (result, ..) => result,
    }
}

fn steps(socket: Option<&OwnedFd>) -> Steps {
    let mut steps = Steps::default();
    steps.add("start a session", "", Call::Session);
    steps.add("start a session keyring", "", Call::Keyring);
    steps.change_directory(c"/".to_owned());
    steps.add("give up new privileges", "", Call::NoNewPrivileges);
    if let Some(socket) = socket {
        let (filter, socket) = (filter(), socket.as_raw_fd());
        steps.add("install the filter for proot", "", Call::Filter { filter, socket });
    }
    steps.add("end with the keeper", "", Call::EndWithKeeper);
    steps
}

/// The first program that exists, as execvp finds it: proot reports a failure as the status of the command.
fn candidate(tree: &Path, process: &Process) -> Result<CString, Failure> {
    let root = placed::open(tree).map_err(|errno| failure("open the tree", errno))?;
    let mut refused = None;
    for program in &process.programs {
        let path = Path::new(std::ffi::OsStr::from_bytes(program.to_bytes()));
        let failed = |errno, exists| Failure::Exec { program: path.to_owned(), errno, exists };
        match executable(&root, path) {
            Ok(()) => return Ok(program.clone()),
            Err((Errno::NOENT | Errno::NOTDIR, false)) => {}
            Err((Errno::ACCESS, _)) => drop(refused.get_or_insert_with(|| failed(Errno::ACCESS, false))),
            Err((errno, exists)) => return Err(failed(errno, exists)),
        }
    }
    let last =
        process.programs.last().map(|program| Path::new(std::ffi::OsStr::from_bytes(program.to_bytes())));
    let program = last.unwrap_or(Path::new("")).to_owned();
    Err(refused.unwrap_or(Failure::Exec { program, errno: Errno::NOENT, exists: false }))
}

/// Whether a file can be executed; else why, and whether that is about its interpreter.
fn executable(root: &OwnedFd, path: &Path) -> Result<(), (Errno, bool)> {
    let own = |errno| (errno, false);
    let open = |path: &Path| {
        rustix::fs::openat2(
            root,
            path,
            OFlags::RDONLY | OFlags::CLOEXEC,
            Permissions::empty(),
            ResolveFlags::IN_ROOT,
        )
    };
    let file = open(path).map_err(own)?;
    let found = rustix::fs::fstat(&file).map_err(own)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile || found.st_mode & 0o111 == 0 {
        return Err(own(Errno::ACCESS));
    }
    let mut start = Vec::new();
    let read = File::from(file).take(256).read_to_end(&mut start);
    read.map_err(|error| own(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    if start.starts_with(b"\x7fELF") {
        return Ok(());
    }
    let line = start.strip_prefix(b"#!").ok_or(own(Errno::NOEXEC))?;
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_start();
    let interpreter = line.split(|byte| b" \t".contains(byte)).next().unwrap_or_default();
    let interpreter = Path::new(std::ffi::OsStr::from_bytes(interpreter));
    open(interpreter).map(drop).map_err(|errno| (errno, true))
}
