//! Runs a command in a chroot of a tree: for root of a container that may not create namespaces.
//!
//! The command cannot leave the tree: it has no descriptor outside, and not the capability to chroot again. Its
//! capabilities are fewer than lbuild's, so that it cannot trace lbuild or read its memory. There is no /proc. What is
//! shared: the network, abstract sockets, and the numbers of processes, so that it can kill others.
//!
//! Landlock is not used, but for a [`service`](super::service). It would keep the command from signals and from tracing siblings (Linux 6.12), but only for a
//! process that gives up setuid programs (`no_new_privs`), with which `sudo` in an image fails. It has no part in
//! keeping files apart: a path of the chroot leads nowhere else.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, Gid, Uid};

use super::child::{Plan, Program, Work};
use super::command::{CAPABILITIES, Exit, Failure, Process, User};
use super::ids::{self, Ids};
use super::leftovers;
use super::mode::{Mode, Way};
use super::mounts::Steps;
use super::obstacle::Obstacle;
use super::placed::{Devices, Placed};
use super::running::{self, Ended, Extra, Running};
use super::steps::Call;

/// The capabilities without which a way as root is none: files get owners, and the command a user.
const NEEDED: CapabilitySet = CapabilitySet::SYS_CHROOT
    .union(CapabilitySet::CHOWN)
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID);

/// Docker's capabilities without those that lead out of the tree or to the network's raw packets. Only a process without
/// CAP_SYS_ADMIN leaves the command the right to create devices: it is in a container, whose rules refuse to open the
/// machine's.
fn capabilities() -> CapabilitySet {
    let devices =
        if ids::has(CapabilitySet::SYS_ADMIN) { CapabilitySet::MKNOD } else { CapabilitySet::empty() };
    CAPABILITIES.difference(CapabilitySet::SYS_CHROOT | CapabilitySet::NET_RAW | devices)
}

/// Whether a chroot works here, by doing it, in a process that then ends.
///
/// # Errors
/// What the attempt met.
pub(crate) fn probe(cache_dir: &Path) -> Result<Way, Obstacle> {
    if !ids::has(NEEDED) {
        return Err(Obstacle { step: "change the root and owners as root", errno: Errno::PERM });
    }
    let way = Way::new(Mode::Chroot, Ids::Real);
    let tree = tempfile::Builder::new().prefix("probe-").tempdir_in(cache_dir);
    let refused = |step, error: &std::io::Error| Obstacle {
        step,
        errno: Errno::from_io_error(error).unwrap_or(Errno::IO),
    };
    let tree = tree.map_err(|error| refused("create a directory in the cache", &error))?;
    let steps = steps(tree.path(), c"/", &User::default(), true);
    let plan = Plan {
        isolated: false,
        userns: false,
        no_network: false,
        steps: steps.0,
        work: Work::Nothing,
        arguments: None,
    };
    match attempt(&plan, &mut |_| {}, &AtomicBool::new(false)) {
        Ok(Exit::Code(0)) => Ok(way),
        Err(Failure::Step { step, errno, .. }) => Err(Obstacle { step, errno }),
        Err(Failure::Io { step, source }) => Err(refused(step, &source)),
        _ => Err(Obstacle { step: "change the root", errno: Errno::CHILD }),
    }
}

/// As [`exec::run`](super::exec::run), in a tree.
pub(crate) fn run(
    tree: &Path,
    process: &Process,
    output: &mut dyn FnMut(&[u8]),
    stop: &AtomicBool,
) -> Result<Exit, Failure> {
    let placed = placed(tree, process)?;
    let steps = steps(tree, &process.directory, &process.user, process.network);
    let program = Program::new(&process.programs, &process.arguments, &process.environment);
    let no_network = !process.network;
    let plan = Plan {
        isolated: false,
        userns: false,
        no_network,
        steps: steps.0,
        work: Work::Program(program),
        arguments: None,
    };
    let result = attempt(&plan, output, stop);
    // The keeper has ended all of them, unless the command has killed it.
    let ended = leftovers::end(tree).map_err(Failure::io("end what the command has left"));
    let removed = placed.remove().map_err(Failure::io("take away what was placed in the tree"));
    let exit = result?;
    ended?;
    removed?;
    Ok(exit)
}

/// Starts the processes of a plan without namespaces, and waits for their end.
fn attempt(plan: &Plan, output: &mut dyn FnMut(&[u8]), stop: &AtomicBool) -> Result<Exit, Failure> {
    let (ends, descriptors) = running::channels(Extra::default()).map_err(Failure::io("create a pipe"))?;
    let mut running = Running::start(plan, None, ends, descriptors)?;
    let reports = running.wait(output, stop, &mut |_| Ok(()));
    drop(running);
    let reports = reports?;
    Ended::new(&reports).exit(plan)
}

fn steps(tree: &Path, directory: &std::ffi::CStr, to_be: &User, network: bool) -> Steps {
    let mut steps = root(tree, network);
    let owner = (Uid::from_raw(to_be.uid), Gid::from_raw(to_be.gid));
    steps.enter_working_directory(directory, Some(owner));
    user(&mut steps, to_be);
    steps
}

/// The steps that make the tree the root.
pub(super) fn root(tree: &Path, network: bool) -> Steps {
    let mut steps = Steps::default();
    steps.add("start a session", "", Call::Session);
    steps.add("start a session keyring", "", Call::Keyring);
    if !network {
        steps.add("start the loopback interface", "", Call::Loopback);
    }
    let path = std::ffi::CString::new(tree.as_os_str().as_encoded_bytes()).unwrap_or_default();
    steps.change_directory(path);
    steps.add("change the root", "", Call::Chroot);
    steps
}

/// The steps that give a program its user and its limits.
pub(super) fn user(steps: &mut Steps, User { uid, gid, groups }: &User) {
    let most = capabilities();
    if ids::has(CapabilitySet::SETPCAP) {
        steps.add("limit the capabilities", "", Call::Bound(most.bits()));
    } else {
        // Exec would give root again what it has not given up for good.
        steps.add("give up new privileges", "", Call::NoNewPrivileges);
    }
    let groups = groups.iter().map(|group| Gid::from_raw(*group)).collect();
    steps.add("set the groups", "", Call::Groups(groups));
    steps.add("set the group", &gid.to_string(), Call::Group(Gid::from_raw(*gid)));
    steps.add("set the user", &uid.to_string(), Call::User(Uid::from_raw(*uid)));
    steps.add("give up capabilities", "", Call::Keep(most));
    steps.add("end with the keeper", "", Call::EndWithKeeper);
}

/// Places in a tree what the image does not have.
pub(super) fn placed(tree: &Path, process: &Process) -> Result<Placed, Failure> {
    Placed::new(tree, Devices::Nodes, process)
}
