//! The state of an execution environment: what its runtime and its extensions have asked for, and the invocation that is
//! under way.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, oneshot};

use super::failure::Fault;

/// The state, which several tasks change and wait for.
#[derive(Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

/// What is known of an execution environment.
#[derive(Default)]
pub(super) struct State {
    pub(super) runtime: Phase,
    pub(super) extensions: Vec<Extension>,
    pub(super) invocation: Option<Current>,
    /// Why the environment cannot be used any more.
    pub(super) fault: Option<Fault>,
    /// Set when the environment ends, for extensions.
    pub(super) shutdown: Option<Shutdown>,
    /// Events that the caller gets when all output that was written before has been passed on.
    pub(super) drained: u64,
    /// All processes have ended.
    pub(super) ended: bool,
    /// The most memory that was in use, in bytes.
    pub(super) memory: u64,
}

/// How far a runtime or an extension is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has not yet asked for an event.
    #[default]
    Starting,
    /// It waits for an event.
    Ready,
    /// It has got an event, and works on it.
    Busy,
    /// It has ended.
    Ended,
}

/// An extension.
#[derive(Clone, Debug)]
pub(super) struct Extension {
    pub(super) name: String,
    /// Of a process of its own; `None` if the runtime's process has registered it. By the number of the program.
    pub(super) program: Option<usize>,
    /// What it was given at its registration.
    pub(super) id: Option<String>,
    pub(super) phase: Phase,
    pub(super) gets_invocations: bool,
    pub(super) gets_shutdown: bool,
    /// The request id of the last invocation that it was told of.
    pub(super) last: Option<String>,
    /// It was told of the end.
    pub(super) knows_end: bool,
}

/// The end of an environment.
#[derive(Clone, Debug)]
pub(super) struct Shutdown {
    /// As in the event: `spindown`, `timeout` or `failure`.
    pub(super) reason: &'static str,
    pub(super) deadline: SystemTime,
}

/// The invocation under way.
pub(super) struct Current {
    pub(super) id: String,
    pub(super) event: Bytes,
    pub(super) content_type: Option<String>,
    pub(super) client_context: Option<String>,
    pub(super) cognito_identity: Option<String>,
    pub(super) trace_id: String,
    pub(super) arn: String,
    pub(super) deadline: SystemTime,
    /// The runtime has it.
    pub(super) is_taken: bool,
    pub(super) answer: Answer,
    /// Receives the content type of a streamed response when it begins.
    pub(super) head: Option<oneshot::Sender<Option<String>>>,
    /// Receives its pieces.
    pub(super) stream: Option<mpsc::Sender<Bytes>>,
}

/// The runtime's answer.
#[derive(Clone, Debug, Default)]
pub(super) enum Answer {
    #[default]
    None,
    /// It is being received.
    Started,
    Response {
        content_type: Option<String>,
        body: Bytes,
        is_streamed: bool,
    },
    /// An error of the function; the body is what the runtime tells of it.
    Error {
        body: Bytes,
        error_type: String,
    },
}

impl Extension {
    pub(super) fn new(name: String, program: Option<usize>) -> Extension {
        Extension {
            name,
            program,
            id: None,
            phase: Phase::Starting,
            gets_invocations: false,
            gets_shutdown: false,
            last: None,
            knows_end: false,
        }
    }
}

impl Current {
    pub(super) fn is_answered(&self) -> bool {
        matches!(self.answer, Answer::Response { .. } | Answer::Error { .. })
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes those who wait.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.notify_waiters();
        changed
    }

    /// Waits until `look` finds something.
    pub(super) async fn until<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            // Registered before the look, so that no change between them is missed.
            let changed = self.changed.notified();
            if let Some(found) = look(&mut self.lock()) {
                // It may have changed the state.
                self.changed.notify_waiters();
                return found;
            }
            changed.await;
        }
    }
}

impl State {
    pub(super) fn fail(&mut self, fault: Fault) {
        // The first one is the cause of those that follow.
        self.fault.get_or_insert(fault);
    }

    /// Whether the init phase is over: the runtime and all extensions wait for an event.
    pub(super) fn is_ready(&self) -> bool {
        self.runtime == Phase::Ready
            && self.extensions.iter().all(|extension| extension.phase == Phase::Ready)
    }

    /// Whether all extensions with processes of their own have registered: the runtime starts then.
    pub(super) fn has_registered(&self) -> bool {
        self.extensions.iter().all(|extension| extension.program.is_none() || extension.id.is_some())
    }

    /// Whether the invocation under way is answered, and all who were told of it wait for the next one.
    pub(super) fn is_done(&self) -> bool {
        let Some(invocation) = self.invocation.as_ref().filter(|invocation| invocation.is_answered()) else {
            return false;
        };
        let is_free = |extension: &Extension| {
            let knows = extension.last.as_ref() == Some(&invocation.id);
            !extension.gets_invocations || (knows && extension.phase == Phase::Ready)
        };
        self.runtime == Phase::Ready && self.extensions.iter().all(is_free)
    }

    /// Whether the processes are in the init phase, or have an invocation.
    pub(super) fn is_working(&self) -> bool {
        self.invocation.is_some() || !self.is_ready()
    }

    pub(super) fn extension(&mut self, id: &str) -> Option<&mut Extension> {
        self.extensions.iter_mut().find(|extension| extension.id.as_deref() == Some(id))
    }
}
