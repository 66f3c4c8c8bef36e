//! Runs a command in a root of its own, in namespaces.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::resume_unwind;
use std::sync::atomic::AtomicBool;
use std::thread;

use rustix::thread::{Gid, Uid};

use super::child::{Plan, Program, Work};
use super::command::{CAPABILITIES, Exit, Failure, Files, Process, User};
use super::ids::{Ids, Maps};
use super::mode::Way;
use super::mounts::{self, Steps};
use super::owners;
use super::running::{self, Ended, Extra, Running};
use super::steps::Call;
use super::stubs;
use super::system;

/// Variables with which programs of an image find what a root of this way needs. A value of the image comes before.
pub(crate) fn environment(way: &Way) -> Vec<(&'static str, &'static str)> {
    let certificates =
        ["SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"];
    let certificates = system::host_ca_bundle().map(|_| certificates.map(|name| (name, system::CA_BUNDLE)));
    let apt =
        matches!(way.ids, Ids::Single { .. } | Ids::Unmapped).then_some(("APT_CONFIG", system::APT_CONFIG));
    certificates.into_iter().flatten().chain(apt).collect()
}

/// Runs a command until its end, and passes on what it writes. Nothing of it is left then, and `files` has the changes
/// only. Must not be called in an async task: it blocks, and the command ends with the thread that called this.
///
/// # Errors
/// When a step of the set-up fails, or when no program can be executed: neither is an exit status. When `stop` is set.
pub(crate) fn run(
    way: &Way,
    files: &Files<'_>,
    process: &Process,
    output: &mut dyn FnMut(&[u8]),
    stop: &AtomicBool,
) -> Result<Exit, Failure> {
    let recorder = matches!(way.ids, Ids::Single { .. });
    let (ends, descriptors) = running::channels(Extra { listener: recorder, ..Extra::default() })
        .map_err(Failure::io("create a pipe"))?;
    let plan = plan(way, files, process, descriptors.listener.as_ref());
    let plan = plan.map_err(Failure::io("prepare the root"))?;
    let maps = maps(way, &process.user)?;
    let running = Running::start(&plan, way.userns.then_some(&maps), ends, descriptors)?;
    let reports = record_and_wait(running, &process.user, output, stop)?;
    let ended = Ended::new(&reports);
    stubs::remove(way, files, &ended.stubs).map_err(Failure::io("remove a stub of a mount"))?;
    ended.exit(&plan)
}

/// The maps of a command's user namespace.
///
/// With one id, that is the user, unless an emulator is registered: only root of a namespace may do that, and becomes the
/// user in a further namespace.
pub(super) fn maps(way: &Way, user: &User) -> Result<Maps, Failure> {
    let (uid, gid) = if becomes_user(way) { (0, 0) } else { (user.uid, user.gid) };
    way.ids.maps(uid, gid).map_err(Failure::io("read the maps of ids"))
}

/// The last step of the set-up, if there is such a namespace.
pub(super) fn become_user(steps: &mut Steps, way: &Way, User { uid, gid, .. }: &User) {
    if becomes_user(way) && (*uid, *gid) != (0, 0) {
        let map = |id: u32| format!("{id} 0 1\n").into_bytes();
        let call = Call::BecomeUser { uid_map: map(*uid), gid_map: map(*gid) };
        steps.add("become its user", &uid.to_string(), call);
    }
}

fn becomes_user(way: &Way) -> bool {
    matches!(way.ids, Ids::Single { .. }) && way.programs.emulator().is_some()
}

/// Passes on the output, while a thread records owners if the command has a filter.
fn record_and_wait(
    mut running: Running,
    user: &User,
    output: &mut dyn FnMut(&[u8]),
    stop: &AtomicBool,
) -> Result<Vec<u8>, Failure> {
    let end = running.descriptor().map_err(Failure::io("copy a descriptor"))?;
    let end = end.as_fd();
    thread::scope(|scope| {
        let mut recorder = None;
        let result = running.wait(output, stop, &mut |listener| {
            let thread = thread::Builder::new().name("owners".to_owned());
            recorder = Some(thread.spawn_scoped(scope, move || owners::record(listener, end, user))?);
            Ok(())
        });
        // The listener hangs up when the last process has ended.
        drop(running);
        let recorded = recorder.map_or(Ok(Ok(())), thread::ScopedJoinHandle::join);
        let reports = result?;
        recorded.unwrap_or_else(|panic| resume_unwind(panic)).map_err(Failure::io("record owners"))?;
        Ok(reports)
    })
}

/// What the children are to do. `socket` takes the listener of the filter.
pub(super) fn plan(
    way: &Way,
    files: &Files<'_>,
    process: &Process,
    socket: Option<&OwnedFd>,
) -> io::Result<Plan> {
    let mut steps = steps(way, files, process)?;
    become_user(&mut steps, way, &process.user);
    user(&mut steps, way, process, socket);
    let program = Program::new(&process.programs, &process.arguments, &process.environment);
    let (steps, work) = (steps.0, Work::Program(program));
    Ok(Plan {
        isolated: true,
        userns: way.userns,
        no_network: !process.network,
        steps,
        work,
        arguments: None,
    })
}

/// The steps that make the root.
pub(super) fn steps(way: &Way, files: &Files<'_>, process: &Process) -> io::Result<Steps> {
    let mut steps = Steps::default();
    steps.add("start a session", "", Call::Session);
    steps.add("start a session keyring", "", Call::Keyring);
    steps.add("set the host name", "", Call::Hostname(process.hostname.clone().into_bytes()));
    if !process.network {
        steps.add("start the loopback interface", "", Call::Loopback);
    }
    let anchor = match files {
        Files::Overlay { upper, .. } => upper,
        Files::Tree(dir) | Files::Fixed(dir) | Files::FixedTree(dir) => dir,
    };
    mounts::enter(&mut steps, anchor)?;
    mounts::image(&mut steps, files)?;
    system::kernel(&mut steps, way)?;
    system::devices(&mut steps, way, process)?;
    system::names(&mut steps, process)?;
    mounts::binds(&mut steps, &process.binds, !matches!(way.ids, Ids::Single { .. }))?;
    if matches!(files, Files::Fixed(_) | Files::FixedTree(_)) {
        mounts::fix(&mut steps);
    }
    mounts::leave(&mut steps);
    Ok(steps)
}

/// The steps that give the process its directory, its user and its limits. A single id is the user already, by its map.
pub(super) fn user(steps: &mut Steps, way: &Way, process: &Process, socket: Option<&OwnedFd>) {
    let User { uid, gid, groups } = &process.user;
    let has_one_id = matches!(way.ids, Ids::Single { .. });
    let owner = (!has_one_id).then(|| (Uid::from_raw(*uid), Gid::from_raw(*gid)));
    steps.enter_working_directory(&process.directory, owner);
    steps.add("limit the capabilities", "", Call::Bound(CAPABILITIES.bits()));
    if let Some(socket) = socket {
        let (filter, socket) = (owners::filter(*uid == 0), socket.as_raw_fd());
        steps.add("install the filter that records owners", "", Call::Filter { filter, socket });
    }
    if !has_one_id {
        let groups = groups.iter().map(|group| Gid::from_raw(*group)).collect();
        steps.add("set the groups", "", Call::Groups(groups));
        steps.add("set the group", &gid.to_string(), Call::Group(Gid::from_raw(*gid)));
        steps.add("set the user", &uid.to_string(), Call::User(Uid::from_raw(*uid)));
    }
}
