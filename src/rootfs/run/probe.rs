//! Finds out which way of running a command works here, by doing it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use rustix::io::Errno;
use rustix::thread::CapabilitySet;
use tempfile::TempDir;

use super::child::{Plan, Work};
use super::command::{Exit, Failure, Files, Process};
use super::exec;
use super::ids::{self, Ids};
use super::mode::{Mode, Way};
use super::mounts::Steps;
use super::obstacle::Obstacle;
use super::owners;
use super::running::{self, Ended, Extra, Running};
use super::steps::Call;

/// Sets up the root of a command as [`run`](exec::run) does, with an image that has nothing, in a process that then
/// ends. Takes a few milliseconds. The files are in `cache_dir`, because the file system decides.
///
/// Real ids are preferred, then subordinate ones, then a single one.
///
/// # Errors
/// What the last attempt met.
pub(crate) fn namespaces(mode: Mode, cache_dir: &Path) -> Result<Way, Obstacle> {
    let mut passed_over = Vec::new();
    for ids in Ids::candidates() {
        let userns = ids != Ids::Real || !ids::has(CapabilitySet::SYS_ADMIN);
        let way = Way { userns, sys_bound: userns, ..Way::new(mode, ids) };
        match attempt_with_kernel(way, cache_dir) {
            Ok(way) => return Ok(Way { passed_over, ..way }),
            Err(obstacle) => passed_over.push(obstacle),
        }
    }
    // There is always the candidate with a single id.
    Err(passed_over.pop().unwrap_or(Obstacle { step: "read the ids of this process", errno: Errno::NOENT }))
}

/// The way with a user namespace, for root that can do without.
///
/// # Errors
/// The step that failed.
pub(super) fn in_user_namespace(way: &Way, cache_dir: &Path) -> Result<Way, Obstacle> {
    attempt_with_kernel(Way { userns: true, sys_bound: true, ..way.clone() }, cache_dir)
}

fn attempt_with_kernel(mut way: Way, cache_dir: &Path) -> Result<Way, Obstacle> {
    loop {
        match attempt(&way, cache_dir) {
            Err(Obstacle { step: "mount /proc", .. }) if !way.proc_masked => way.proc_masked = true,
            // The network may be that of another user namespace.
            Err(Obstacle { step: "mount /sys", .. }) if !way.sys_bound => way.sys_bound = true,
            result => return result.map(|()| way),
        }
    }
}

fn attempt(way: &Way, cache_dir: &Path) -> Result<(), Obstacle> {
    let files = Directories::new(cache_dir).map_err(unusable("create a directory in the cache"))?;
    let lowers = [files.path("lower")];
    let (upper, work) = (files.path("upper"), files.path("work"));
    let (mut steps, step) = match way.mode {
        Mode::Copy => {
            runs_programs(cache_dir)?;
            if matches!(way.ids, Ids::Single { .. }) {
                let step = "record owners in attributes of files";
                owners::supported(cache_dir).map_err(unusable(step))?;
            }
            (steps(way, &Files::Tree(&upper)), "run in a copied tree")
        }
        _ => {
            let files = Files::Overlay { lowers: &lowers, upper: &upper, work: &work };
            (steps(way, &files), "run in an overlay")
        }
    };
    let steps = steps.as_mut().map_err(|error| obstacle("prepare a root", error))?;
    if way.mode == Mode::Namespaces {
        changes_of_lower_files(steps);
    }
    let (ends, descriptors) = running::channels(Extra::default()).map_err(unusable("create a pipe"))?;
    let steps = std::mem::take(&mut steps.0);
    let plan = Plan {
        isolated: true,
        userns: way.userns,
        no_network: false,
        steps,
        work: Work::Nothing,
        arguments: None,
    };
    let maps = way.ids.maps(0, 0).map_err(unusable("read the maps of ids"))?;
    let mut running = Running::start(&plan, way.userns.then_some(&maps), ends, descriptors)?;
    let waited = running.wait(&mut |_| {}, &AtomicBool::new(false), &mut |_| Ok(()));
    drop(running);
    files.remove();
    let failure = match waited {
        Ok(reports) => match Ended::new(&reports).exit(&plan) {
            Ok(Exit::Code(0)) => return Ok(()),
            Ok(_) => Failure::Killed,
            Err(failure) => failure,
        },
        Err(failure) => failure,
    };
    Err(match failure {
        Failure::Step { step, errno, .. } => Obstacle { step, errno },
        Failure::Io { step, source } => obstacle(step, &source),
        Failure::Exec { .. } | Failure::Stopped | Failure::Killed => Obstacle { step, errno: Errno::CHILD },
    })
}

fn steps(way: &Way, files: &Files<'_>) -> io::Result<Steps> {
    exec::steps(way, files, &Process::new(Vec::new()))
}

/// An overlay can be mounted on file systems that then fail to note what was removed.
fn changes_of_lower_files(steps: &mut Steps) {
    let step = "change files of an overlay";
    steps.add(step, "", Call::Remove(c"/file".to_owned()));
    steps.add(step, "", Call::RemoveDirectory(c"/directory".to_owned()));
    steps.add(step, "", Call::MakeDirectory { path: c"/directory".to_owned(), mode: 0o755 });
}

/// Whether the file system of a tree allows programs. That of an overlay does not matter.
fn runs_programs(directory: &Path) -> Result<(), Obstacle> {
    let step = "run programs from the file system of the cache";
    let found = rustix::fs::statvfs(directory).map_err(|errno| Obstacle { step, errno })?;
    if found.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC) {
        return Err(Obstacle { step, errno: Errno::ACCESS });
    }
    Ok(())
}

/// The directories of an attempt.
pub(super) struct Directories(TempDir);

impl Directories {
    pub(super) fn new(cache_dir: &Path) -> io::Result<Directories> {
        let dir = Directories(tempfile::Builder::new().prefix("probe-").tempdir_in(cache_dir)?);
        // Also for a cache that only its owner may enter, since root of a namespace is its owner.
        for name in ["lower", "lower/directory", "upper", "work"] {
            fs::create_dir(dir.path(name))?;
        }
        fs::write(dir.path("lower/file"), b"")?;
        Ok(dir)
    }

    pub(super) fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// Removes what the overlay has left. Its own directories have no permissions at all; they belong to this user.
    pub(super) fn remove(self) {
        for name in ["work/work", "work/work/incompat", "work/work/incompat/volatile"] {
            let _ = fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o700));
        }
        let _ = self.0.close();
    }
}

fn obstacle(step: &'static str, error: &io::Error) -> Obstacle {
    Obstacle { step, errno: Errno::from_io_error(error).unwrap_or(Errno::IO) }
}

fn unusable(step: &'static str) -> impl Fn(io::Error) -> Obstacle {
    move |error| obstacle(step, &error)
}
