//! One way in to all ways of running a command.

use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::command::{Exit, Failure, Files, Process};
use super::exec;
use super::mode::{Mode, Way};
use super::obstacle::Obstacle;
use super::probe::namespaces;
use super::{chroot, proot};

/// Whether commands can be run in this mode here. Finds out by doing it, in processes that then end, with files in
/// `cache_dir`.
///
/// # Errors
/// What stands against it.
pub(crate) fn probe(mode: Mode, cache_dir: &Path) -> Result<Way, Obstacle> {
    match mode {
        Mode::Namespaces | Mode::Copy => namespaces(mode, cache_dir),
        Mode::Chroot => chroot::probe(cache_dir),
        Mode::Proot => proot::probe(),
    }
}

/// Runs a command until its end, and passes on what it writes. Nothing of it is left then, and `files` has the changes
/// only. Must not be called in an async task: it blocks, and the command ends with the thread that called this.
///
/// # Errors
/// When a step of the set-up fails, or when no program can be executed: neither is an exit status. When `stop` is set.
/// When there is an overlay, but no namespace to mount it in.
pub(crate) fn run(
    way: &Way,
    files: &Files<'_>,
    process: &Process,
    output: &mut dyn FnMut(&[u8]),
    stop: &AtomicBool,
) -> Result<Exit, Failure> {
    match (way.mode, files) {
        (Mode::Chroot, Files::Tree(tree)) => chroot::run(tree, process, output, stop),
        (Mode::Proot, Files::Tree(tree)) => proot::run(tree, process, output, stop),
        (Mode::Chroot | Mode::Proot, Files::Overlay { .. } | Files::Fixed(_) | Files::FixedTree(_)) => {
            Err(Failure::io("mount an overlay without namespaces")(io::ErrorKind::Unsupported.into()))
        }
        (Mode::Namespaces | Mode::Copy, _) => exec::run(way, files, process, output, stop),
    }
}
