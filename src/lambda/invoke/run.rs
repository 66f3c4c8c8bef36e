//! One life of an execution environment, from the start of its processes to their end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::process::Pid;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::api::Api;
use super::failure::Fault;
use super::log::Log;
use super::processes::{self, Message};
use super::report::milliseconds;
use super::server::serve;
use super::settings::{FunctionNetwork, FunctionSettings, VERSION};
use super::start::{self, EntryPoint, OWN_PORT};
use super::state::{Extension, Phase, Shared, Shutdown};
use super::telemetry::Telemetry;
use crate::error::{Error, Result};
use crate::rootfs::{self, Cgroup, Control, UnpackedImage};

/// How long extensions may take after they were told of the end.
const SHUTDOWN: Duration = Duration::from_secs(2);
/// How long the processes may take to end after they were killed.
const ENDING: Duration = Duration::from_secs(10);
/// How often the memory is looked at.
const LOOK: Duration = Duration::from_millis(20);
const IDLE_LOOK: Duration = Duration::from_secs(1);

/// Running processes. Dropping it ends them.
pub(super) struct Run {
    pub(super) shared: Arc<Shared>,
    pub(super) telemetry: Arc<Telemetry>,
    control: Arc<Control>,
    /// Ends with this value.
    _tasks: JoinSet<()>,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.control.end();
    }
}

impl Run {
    pub(super) async fn start(
        image: &UnpackedImage,
        entry: &EntryPoint,
        settings: &Arc<FunctionSettings>,
        log: &Log,
    ) -> Result<Run> {
        let shared = Arc::new(Shared::default());
        let telemetry = Arc::new(Telemetry::default());
        let api = Arc::new(Api {
            shared: shared.clone(),
            settings: settings.clone(),
            handler: entry.handler.clone(),
            telemetry: telemetry.clone(),
        });
        let mut tasks = JoinSet::new();
        let address = match settings.network {
            FunctionNetwork::Host => {
                let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(listening)?;
                let address = listener.local_addr().map_err(listening)?.to_string();
                tasks.spawn(serve(listener, api.clone()));
                address
            }
            FunctionNetwork::None => format!("127.0.0.1:{OWN_PORT}"),
        };
        let names = start::extensions(image.index()).into_iter().enumerate();
        let extensions = names.map(|(number, name)| Extension::new(name, Some(number + 1)));
        shared.change(|state| state.extensions = extensions.collect());
        let record = json!({
            "initializationType": "on-demand",
            "phase": "init",
            "functionName": settings.name,
            "functionVersion": VERSION,
        });
        telemetry.platform("platform.initStart", record, None);
        let (control, messages) = processes::start(
            image,
            start::service(image, entry, settings, &address)?,
            start::limits(settings),
        )?;
        let follower = Follower { api, log: log.clone(), control: control.clone(), group: None };
        tasks.spawn(follower.follow(messages));
        let (registered, its_control) = (shared.clone(), control.clone());
        tasks.spawn(async move {
            registered.until(|state| state.has_registered().then_some(())).await;
            its_control.start_first();
        });
        Ok(Run { shared, telemetry, control, _tasks: tasks })
    }

    /// Waits until all that was written so far has been logged.
    pub(super) async fn drained(&self, patience: Duration) {
        let before = self.shared.lock().drained;
        self.control.drain();
        let drained = self.shared.until(|state| (state.drained > before || state.ended).then_some(()));
        let _ = timeout(patience, drained).await;
    }

    /// The most memory that was in use, in bytes.
    pub(super) fn memory(&self) -> u64 {
        self.shared.lock().memory
    }

    /// Tells extensions how the init phase ended.
    pub(super) fn initialised(&self, status: &str, duration: Duration) {
        let (kind, phase) = ("on-demand", "init");
        let done = json!({ "initializationType": kind, "phase": phase, "status": status });
        self.telemetry.platform("platform.initRuntimeDone", done, None);
        let metrics = json!({ "durationMs": milliseconds(duration) });
        let report =
            json!({ "initializationType": kind, "phase": phase, "status": status, "metrics": metrics });
        self.telemetry.platform("platform.initReport", report, None);
        self.telemetry.close();
    }

    /// Ends all processes, and waits for their end.
    pub(super) async fn end(self, reason: &'static str) {
        // An extension that ends has got all that happened before.
        self.drained(Duration::from_millis(100)).await;
        self.telemetry.flush().await;
        let waits = self.shared.change(|state| {
            state.shutdown = Some(Shutdown { reason, deadline: SystemTime::now() + SHUTDOWN });
            state
                .extensions
                .iter()
                .any(|extension| extension.gets_shutdown && extension.phase != Phase::Ended)
        });
        if waits {
            // An extension ends by itself, or, as a part of the runtime, asks for the next event.
            let ended = self.shared.until(|state| {
                let is_over = |extension: &Extension| {
                    let is_free = extension.knows_end && extension.phase == Phase::Ready;
                    !extension.gets_shutdown || extension.phase == Phase::Ended || is_free
                };
                (state.ended || state.extensions.iter().all(is_over)).then_some(())
            });
            let _ = timeout(SHUTDOWN, ended).await;
        }
        self.drained(Duration::from_millis(100)).await;
        self.control.end();
        let _ = timeout(ENDING, self.shared.until(|state| state.ended.then_some(()))).await;
    }
}

fn listening(source: std::io::Error) -> Error {
    Error::Root { operation: "listen on the loopback interface".to_owned(), source }
}

/// Follows the processes.
struct Follower {
    api: Arc<Api>,
    log: Log,
    control: Arc<Control>,
    /// Knows whether the kernel has ended processes for their memory.
    group: Option<Arc<Cgroup>>,
}

impl Follower {
    async fn follow(mut self, mut messages: mpsc::Receiver<Message>) {
        let api = self.api.clone();
        let Api { shared, telemetry, .. } = &*api;
        // Servers and the watcher end with this task.
        let mut tasks = JoinSet::new();
        while let Some(message) = messages.recv().await {
            match message {
                Message::Starting(keeper, group) => {
                    self.group.clone_from(&group);
                    tasks.spawn(watch_memory(keeper, group, self.api.clone(), self.control.clone()));
                }
                Message::Listener(listener) => match listen(listener) {
                    Ok(listener) => drop(tasks.spawn(serve(listener, self.api.clone()))),
                    Err(error) => shared.change(|state| state.fail(Fault::Machine(error.to_string()))),
                },
                Message::Socket(socket) => telemetry.socket(socket),
                Message::Output { by_extension, piece } => {
                    self.log.written(by_extension, &piece);
                    telemetry.written(by_extension, &piece);
                }
                Message::Ended { program, exit } => self.ended(program, exit),
                Message::Drained => shared.change(|state| state.drained += 1),
                Message::Finished(finished) => shared.change(|state| {
                    state.ended = true;
                    match finished {
                        Ok(()) | Err(rootfs::Failure::Stopped) => {}
                        Err(failure) => state.fail(Fault::not_started(&failure)),
                    }
                }),
            }
        }
    }

    fn ended(&self, program: usize, exit: Result<rootfs::Exit, rootfs::Failure>) {
        let is_killed = matches!(exit, Ok(rootfs::Exit::Signal(libc::SIGKILL)));
        let is_memory = is_killed && self.group.as_ref().is_some_and(|group| group.has_killed());
        self.api.shared.change(|state| {
            if is_memory {
                state.fail(Fault::Memory);
            }
            if program == 0 {
                state.runtime = Phase::Ended;
                return state.fail(match exit {
                    Ok(exit) => Fault::Exit(exit),
                    Err(failure) => Fault::not_started(&failure),
                });
            }
            let is_shutdown = state.shutdown.is_some();
            let found = state.extensions.iter_mut().find(|extension| extension.program == Some(program));
            let Some(extension) = found else { return };
            extension.phase = Phase::Ended;
            let name = extension.name.clone();
            if is_shutdown {
                return;
            }
            state.fail(match exit {
                Ok(exit) => {
                    let reason = Fault::Exit(exit).message().replace("Runtime exited", "exited");
                    Fault::Extension { name, error_type: "Extension.Crash", reason }
                }
                Err(failure) => {
                    let reason = Fault::not_started(&failure).message();
                    Fault::Extension { name, error_type: "Extension.LaunchError", reason }
                }
            });
        });
    }
}

fn listen(listener: std::net::TcpListener) -> std::io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Looks at the memory of the processes until they end. Ends them if they use more than the function has.
async fn watch_memory(keeper: Pid, group: Option<Arc<Cgroup>>, api: Arc<Api>, control: Arc<Control>) {
    let most = u64::from(api.settings.memory) << 20;
    loop {
        sleep(LOOK).await;
        // Between invocations, a function does little; a look at its processes is not for free.
        let busy = api.shared.until(|state| (state.is_working() || state.ended).then_some(()));
        let _ = timeout(IDLE_LOOK, busy).await;
        let grouped = group.as_ref().and_then(|group| group.memory());
        let used = grouped.unwrap_or_else(|| rootfs::memory_below(keeper));
        let has_killed = group.as_ref().is_some_and(|group| group.has_killed());
        let mut state = api.shared.lock();
        if state.ended {
            return;
        }
        state.memory = state.memory.max(used);
        drop(state);
        if used > most || has_killed {
            api.shared.change(|state| state.fail(Fault::Memory));
            control.end();
            return;
        }
    }
}
