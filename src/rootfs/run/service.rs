//! Runs programs beside each other in the files of an image, which they cannot change: the runtime of a function and its
//! extensions.

use std::ffi::CString;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, eventfd};
use rustix::process::{Pid, Resource};

use super::child::{MOST_PROGRAMS, Plan, Program, Started, Work};
use super::command::{Exit, Failure, Files, Process};
use super::ids::Ids;
use super::mode::{Mode, Way};
use super::mounts::Steps;
use super::report::{Records, Report};
use super::running::{self, Amount, Extra, Received, Running, failed};
use super::steps::Call;
use super::{calls, chroot, exec, leftovers};

/// Programs that run beside each other.
pub(crate) struct Service {
    /// The first program. Its mounts, network and host name are those of all.
    pub(crate) first: Process,
    /// They have the working directory `/` and the user of the first.
    pub(crate) others: Vec<Other>,
    /// The most files that each process may open.
    pub(crate) most_files: u64,
    /// The most processes of the user, where they are counted for each namespace.
    pub(crate) most_processes: u64,
    /// Without the caller's network: the port of the loopback interface on which to listen for the caller, and the number
    /// of sockets for connections of the caller to the programs.
    pub(crate) listens: Option<(u16, usize)>,
}

/// A program beside the first.
pub(crate) struct Other {
    /// An absolute path.
    pub(crate) program: CString,
    pub(crate) environment: Vec<CString>,
}

/// What the caller of [`serve`] is told.
pub(crate) enum Told<'t> {
    /// The processes start now: they are descendants of this one.
    Starting(Pid),
    /// Listens in the network of the programs.
    Listener(TcpListener),
    /// Is not connected, and of the network of the programs.
    Socket(OwnedFd),
    /// Output of the first program, or of the others.
    Output { others: bool, piece: &'t [u8] },
    /// A program has ended, or did not start.
    Ended { program: usize, exit: Result<Exit, Failure> },
    /// What was written before [`Control::drain`] has been told.
    Drained,
}

/// What the caller of [`serve`] wants, from another thread.
pub(crate) struct Control {
    ends: AtomicBool,
    starts_first: AtomicBool,
    drains: AtomicBool,
    wake: OwnedFd,
}

impl Control {
    pub(crate) fn new() -> io::Result<Control> {
        Ok(Control {
            ends: AtomicBool::new(false),
            starts_first: AtomicBool::new(false),
            drains: AtomicBool::new(false),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })
    }

    /// Ends all programs.
    pub(crate) fn end(&self) {
        self.set(&self.ends);
    }

    /// Starts the first program: the others come before it.
    pub(crate) fn start_first(&self) {
        self.set(&self.starts_first);
    }

    /// Asks for [`Told::Drained`].
    pub(crate) fn drain(&self) {
        self.set(&self.drains);
    }

    fn set(&self, wish: &AtomicBool) {
        wish.store(true, Ordering::Release);
        // Fails only if it is readable already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// Whether the thread was woken up; not again before the next wish.
    fn woken(&self) -> bool {
        rustix::io::read(&self.wake, &mut [0; 8]).is_ok()
    }
}

/// The files of a service.
pub(crate) enum Place<'p> {
    /// A directory that nobody changes, for [`Mode::Namespaces`].
    Fixed(&'p Path),
    /// For the other modes: a directory of this service alone, with its own `/tmp`. Its files may be those of others: only
    /// rules keep the programs from changing them.
    Own(&'p Path),
}

/// Whether programs can be kept from changing the files of [`Place::Own`], which may then be links to those of others.
pub(crate) fn protects(way: &Way) -> bool {
    match way.mode {
        Mode::Namespaces | Mode::Copy => true,
        Mode::Chroot => super::landlock::changes_only_below(&[]).is_ok(),
        Mode::Proot => false,
    }
}

/// Runs programs until all have ended, or `control` ends them. Must not be called in an async
/// task: it blocks, and the programs end with the thread that called this.
///
/// # Errors
/// When a step of the set-up fails, or `tell` does. When `control` ends them. The end of a program is none.
pub(crate) fn serve(
    way: &Way,
    place: &Place<'_>,
    service: &Service,
    tell: &mut dyn FnMut(Told<'_>) -> Result<(), Failure>,
    control: &Control,
) -> Result<(), Failure> {
    if service.others.len() >= MOST_PROGRAMS {
        return Err(Failure::io("start so many programs")(std::io::ErrorKind::ArgumentListTooLong.into()));
    }
    match (way.mode, place) {
        (Mode::Namespaces, Place::Fixed(dir)) => isolated(way, &Files::Fixed(dir), service, tell, control),
        (Mode::Copy, Place::Own(dir)) => isolated(way, &Files::FixedTree(dir), service, tell, control),
        (Mode::Chroot, Place::Own(dir)) => in_chroot(dir, service, tell, control),
        _ => Err(Failure::io("run a function in this mode")(std::io::ErrorKind::Unsupported.into())),
    }
}

type Tell<'t> = dyn FnMut(Told<'_>) -> Result<(), Failure> + 't;

fn isolated(
    way: &Way,
    files: &Files<'_>,
    service: &Service,
    tell: &mut Tell<'_>,
    control: &Control,
) -> Result<(), Failure> {
    let (ends, descriptors) = running::channels(extra(service)).map_err(Failure::io("create a pipe"))?;
    let prepared = exec::steps(way, files, &service.first).map_err(Failure::io("prepare the root"))?;
    let mut steps = prepared;
    listen(&mut steps, service, descriptors.listener.as_ref());
    exec::become_user(&mut steps, way, &service.first.user);
    let work = work(service, |steps, directory, counted| {
        limits(steps, service, counted && way.userns);
        let process = Process { directory, ..service.first.clone() };
        exec::user(steps, way, &process, None);
        // A setuid program of the image would be root of this machine if lbuild is.
        steps.add("give up new privileges", "", Call::NoNewPrivileges);
    });
    let plan = Plan {
        isolated: true,
        userns: way.userns,
        no_network: !service.first.network,
        steps: steps.0,
        work,
        arguments: calls::arguments(),
    };
    let maps = exec::maps(way, &service.first.user)?;
    let maps = way.userns.then_some(&maps);
    let start = |tell: &mut Tell<'_>| {
        Running::start_after(&plan, maps, ends, descriptors, &mut |pid| tell(Told::Starting(pid)))
    };
    follow(start(tell)?, &plan, tell, control)
}

fn in_chroot(dir: &Path, service: &Service, tell: &mut Tell<'_>, control: &Control) -> Result<(), Failure> {
    let (ends, mut descriptors) = running::channels(extra(service)).map_err(Failure::io("create a pipe"))?;
    let placed = chroot::placed(dir, &service.first)?;
    let writable = [dir.join("tmp"), dir.join("dev")];
    // Without Landlock, the files are a copy, and a change of them is not refused.
    let rules = super::landlock::changes_only_below(&writable.each_ref().map(|path| path.as_path())).ok();
    let mut steps = chroot::root(dir, service.first.network);
    listen(&mut steps, service, descriptors.listener.as_ref());
    let rules_number = rules.as_ref().map(AsRawFd::as_raw_fd);
    descriptors.rules = rules;
    let work = work(service, |steps, directory, _| {
        limits(steps, service, false);
        steps.enter_working_directory(&directory, None);
        chroot::user(steps, &service.first.user);
        steps.add("give up new privileges", "", Call::NoNewPrivileges);
        if let Some(rules) = rules_number {
            steps.add("restrict changes of files", "", Call::RestrictFiles { rules });
        }
    });
    let no_network = !service.first.network;
    let plan = Plan {
        isolated: false,
        userns: false,
        no_network,
        steps: steps.0,
        work,
        arguments: calls::arguments(),
    };
    let mut starting = |pid| tell(Told::Starting(pid));
    let running = Running::start_after(&plan, None, ends, descriptors, &mut starting);
    let result = running.and_then(|running| follow(running, &plan, tell, control));
    let ended = leftovers::end(dir).map_err(Failure::io("end what the function has left"));
    let removed = placed.remove().map_err(Failure::io("take away what was placed in the tree"));
    result.and(ended.map(drop)).and(removed)
}

fn extra(service: &Service) -> Extra {
    Extra { listener: service.listens.is_some(), others_output: true }
}

fn listen(steps: &mut Steps, service: &Service, socket: Option<&OwnedFd>) {
    let (Some((port, count)), Some(socket)) = (service.listens, socket) else { return };
    let socket = socket.as_raw_fd();
    steps.add("listen", &format!("127.0.0.1:{port}"), Call::Listen { port, socket });
    steps.add("create sockets", "", Call::Sockets { count, socket });
}

/// The programs, each with its own steps: `own` gets the working directory, and whether the program may be counted.
fn work(service: &Service, own: impl Fn(&mut Steps, CString, bool)) -> Work {
    let started = |programs: &[CString], arguments: &[CString], environment: &[CString], directory| {
        let mut steps = Steps::default();
        // A program that signals its process group must not reach the others.
        steps.add("start a session", "", Call::Session);
        own(&mut steps, directory, true);
        Started { program: Program::new(programs, arguments, environment), steps: steps.0 }
    };
    let Process { programs, arguments, environment, directory, .. } = &service.first;
    let first = started(programs, arguments, environment, directory.clone());
    let others = service.others.iter().map(|Other { program, environment }| {
        let program = std::slice::from_ref(program);
        started(program, program, environment, c"/".to_owned())
    });
    Work::Programs(std::iter::once(first).chain(others).collect())
}

fn limits(steps: &mut Steps, service: &Service, counted: bool) {
    let Service { most_files, most_processes, .. } = *service;
    steps.add("limit open files", "", Call::Limit { resource: Resource::Nofile, most: most_files });
    if counted {
        steps.add("limit processes", "", Call::Limit { resource: Resource::Nproc, most: most_processes });
    }
}

/// Tells the caller what happens, until all programs have ended.
fn follow(mut running: Running, plan: &Plan, tell: &mut Tell<'_>, control: &Control) -> Result<(), Failure> {
    let mut followed =
        Followed { plan, tell, reports: Vec::new(), is_listening: false, not_started: [NONE; MOST_PROGRAMS] };
    loop {
        if control.ends.load(Ordering::Acquire) {
            return Err(Failure::Stopped);
        }
        let wake = Some(control.wake.as_fd());
        let ended = running.poll(wake).map_err(Failure::io("wait for the function"))?;
        let is_woken = control.woken();
        if is_woken && control.starts_first.swap(false, Ordering::AcqRel) {
            running.go();
        }
        let drains = is_woken && control.drains.swap(false, Ordering::AcqRel);
        let amount = match (ended, drains) {
            (true, _) => Amount::All,
            (false, true) => Amount::Present,
            (false, false) => Amount::Piece,
        };
        running.take(&mut |received| followed.receive(received), amount)?;
        if drains {
            (followed.tell)(Told::Drained)?;
        }
        if ended {
            return Ok(());
        }
    }
}

const NONE: Option<Failure> = None;

/// What is known of a service.
struct Followed<'f, 't> {
    plan: &'f Plan,
    tell: &'f mut Tell<'t>,
    /// Reports that are not complete.
    reports: Vec<u8>,
    is_listening: bool,
    /// What a program has reported before its exit, which then only looks like one.
    not_started: [Option<Failure>; MOST_PROGRAMS],
}

impl Followed<'_, '_> {
    fn receive(&mut self, received: Received<'_>) -> Result<(), Failure> {
        match received {
            Received::Output { others, piece } => (self.tell)(Told::Output { others, piece }),
            Received::Descriptor(descriptor) if self.is_listening => (self.tell)(Told::Socket(descriptor)),
            Received::Descriptor(descriptor) => {
                self.is_listening = true;
                (self.tell)(Told::Listener(descriptor.into()))
            }
            Received::Reports(piece) => {
                let mut reports = std::mem::take(&mut self.reports);
                reports.extend_from_slice(piece);
                let mut records = Records(&reports);
                for report in records.by_ref() {
                    self.report(report)?;
                }
                self.reports = records.0.to_vec();
                Ok(())
            }
        }
    }

    fn report(&mut self, report: Report<'_>) -> Result<(), Failure> {
        let (program, exit) = match report {
            Report::Stub { .. } => return Ok(()),
            Report::Exited { program, code } => (program, Exit::Code(code)),
            Report::Killed { program, signal } => (program, Exit::Signal(signal)),
            Report::Exec { program, .. } | Report::Step { program, .. } => {
                return match self.not_started.get_mut(usize::from(program)) {
                    Some(failure) => {
                        *failure = Some(failed(self.plan, report));
                        Ok(())
                    }
                    None => Err(failed(self.plan, report)),
                };
            }
            Report::Keeper { .. } => return Err(failed(self.plan, report)),
        };
        let program = usize::from(program);
        // Process 1 ends after the programs.
        let Some(failure) = self.not_started.get_mut(program) else { return Ok(()) };
        let exit = failure.take().map_or(Ok(exit), Err);
        (self.tell)(Told::Ended { program, exit })
    }
}

/// Whether all files belong to the user of the programs, as who they are stored: permissions of other users then have no
/// effect.
pub(crate) fn has_one_user(way: &Way) -> bool {
    matches!(way.ids, Ids::Single { .. } | Ids::Unmapped)
}
