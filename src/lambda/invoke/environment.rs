//! One execution environment: the processes of a function, and its invocations, one after another.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep_until, timeout};

use super::failure::{Fault, Status};
use super::identifier::{identifier, trace_id};
use super::log::{Log, LogRecord};
use super::report::{InvocationReport, milliseconds};
use super::run::Run;
use super::settings::{FunctionSettings, INIT_LIMIT, VERSION};
use super::start::{EntryPoint, port_is_free};
use super::state::{Answer, Current};
use crate::error::Result;
use crate::rootfs::UnpackedImage;

/// How long output that was written before the end of an invocation may take to arrive.
const DRAINING: Duration = Duration::from_secs(2);

/// An execution environment of a function: its runtime, its extensions, and a `/tmp` of its own. It is started by its first
/// invocation, and again by the one after an invocation that has ended it.
pub struct ExecutionEnvironment {
    image: UnpackedImage,
    entry: EntryPoint,
    settings: Arc<FunctionSettings>,
    log: Log,
    run: Option<Run>,
    /// The init phase of `run` is over.
    is_initialised: bool,
}

/// An event for a function.
#[derive(Clone, Debug, Default)]
pub struct Invocation {
    /// The payload, usually JSON.
    pub event: Bytes,
    /// Its content type; `None` for `application/json`.
    pub content_type: Option<String>,
    /// The client context, as JSON.
    pub client_context: Option<String>,
    /// The identity from Amazon Cognito, as JSON.
    pub cognito_identity: Option<String>,
    /// The trace header of AWS X-Ray; `None` for a new one.
    pub trace_id: Option<String>,
}

/// Receives a response that the function streams.
pub struct Stream {
    /// Receives the content type when the response begins, before its first piece.
    pub head: oneshot::Sender<Option<String>>,
    /// Receives the pieces.
    pub pieces: mpsc::Sender<Bytes>,
}

/// How an invocation ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Whether there is a response, or what went wrong.
    pub status: Status,
    /// The response, or the error as JSON; empty if the response was streamed to the caller.
    pub payload: Bytes,
    /// The content type of the response, if the runtime has named one.
    pub content_type: Option<String>,
    /// Whether the runtime has streamed the response.
    pub is_streamed: bool,
    /// Lambda's name of the error.
    pub error_type: Option<String>,
    /// The end of the log of the invocation, at most 4 KiB.
    pub log_tail: Vec<u8>,
    /// The figures.
    pub report: InvocationReport,
}

impl ExecutionEnvironment {
    /// An environment, in which nothing has started yet. `log` gets what the function prints, and Lambda's own lines.
    ///
    /// # Errors
    /// When the image has no program to start.
    pub fn new(
        image: &UnpackedImage,
        settings: Arc<FunctionSettings>,
        log: impl Fn(LogRecord<'_>) + Send + Sync + 'static,
    ) -> Result<ExecutionEnvironment> {
        let entry = EntryPoint::of(image.config())?;
        let log = Log::new(log);
        Ok(ExecutionEnvironment {
            image: image.clone(),
            entry,
            settings,
            log,
            run: None,
            is_initialised: false,
        })
    }

    /// Invokes the function, and waits until it and its extensions wait for the next event. With `stream`, a streamed
    /// response is passed on while it is written; else it is in the outcome.
    ///
    /// # Errors
    /// When the processes cannot be set up for a reason of this machine.
    pub async fn invoke(&mut self, invocation: Invocation, stream: Option<Stream>) -> Result<Outcome> {
        let id = identifier();
        self.log.begin();
        let (init, mut begin) = match self.initialise().await? {
            Init::Done => (None, Instant::now()),
            Init::Took(duration) => (Some(duration), Instant::now()),
            Init::Failed(duration, fault) => {
                self.log.line(&format!("START RequestId: {id} Version: {VERSION}"));
                return self.failed(&id, fault, Some(duration), Duration::ZERO).await;
            }
            Init::TimedOut => (None, Instant::now()),
        };
        self.log.line(&format!("START RequestId: {id} Version: {VERSION}"));
        if self.run.is_none() {
            // The init phase took too long; Lambda repeats it as a part of the invocation.
            begin = Instant::now();
            self.start().await?;
        }
        let Some(run) = &self.run else { return Err(crate::error::Error::Interrupted) };
        let deadline = begin + self.settings.timeout;
        let record = json!({ "requestId": id, "version": VERSION });
        run.telemetry.platform("platform.start", record.clone(), Some(("platform.start", record)));
        run.shared.change(|state| {
            state.invocation = Some(Current {
                id: id.clone(),
                event: invocation.event,
                content_type: invocation.content_type,
                client_context: invocation.client_context,
                cognito_identity: invocation.cognito_identity,
                trace_id: invocation.trace_id.unwrap_or_else(trace_id),
                arn: self.settings.arn(),
                deadline: SystemTime::now() + deadline.saturating_duration_since(Instant::now()),
                is_taken: false,
                answer: Answer::None,
                head: None,
                stream: None,
            });
            if let (Some(current), Some(stream)) = (&mut state.invocation, stream) {
                current.head = Some(stream.head);
                current.stream = Some(stream.pieces);
            }
        });
        let done = run.shared.until(|state| (state.is_done() || state.fault.is_some()).then_some(()));
        let is_late = timeout(deadline.saturating_duration_since(Instant::now()), done).await.is_err();
        let duration = begin.elapsed();
        if is_late {
            run.shared.change(|state| state.fail(Fault::Timeout(self.settings.timeout)));
        }
        self.is_initialised = true;
        self.complete(&id, init, duration.min(self.settings.timeout)).await
    }

    /// The outcome of an invocation that has ended.
    async fn complete(&mut self, id: &str, init: Option<Duration>, duration: Duration) -> Result<Outcome> {
        let Some(run) = &self.run else { return Err(crate::error::Error::Interrupted) };
        run.drained(DRAINING).await;
        let (fault, current) = run.shared.change(|state| (state.fault.clone(), state.invocation.take()));
        let answer = current.map(|current| current.answer);
        let (status, payload, content_type, is_streamed, error_type) = match (fault, answer) {
            (fault, Some(Answer::Response { content_type, body, is_streamed }))
                if !matches!(fault, Some(Fault::Memory)) =>
            {
                if let Some(fault) = fault {
                    // The response has reached the caller. The next invocation needs a new environment.
                    self.log.line(&format!(
                        "RequestId: {id} Error: {}\n{}",
                        fault.message(),
                        fault.error_type()
                    ));
                    self.end("failure").await;
                }
                (Status::Success, body, content_type, is_streamed, None)
            }
            // A runtime may end because its answer was refused.
            (None | Some(Fault::Exit(_)), Some(Answer::Error { body, error_type })) => {
                (Status::FunctionError, body, None, false, Some(error_type))
            }
            (Some(fault), _) => return self.failed(id, fault, init, duration).await,
            (None, _) => return Err(crate::error::Error::Interrupted),
        };
        let report = self.report(id, init, duration, None);
        let log_tail = self.log.tail();
        Ok(Outcome { status, payload, content_type, is_streamed, error_type, log_tail, report })
    }

    /// The outcome of an invocation that has ended the environment.
    async fn failed(
        &mut self,
        id: &str,
        fault: Fault,
        init: Option<Duration>,
        duration: Duration,
    ) -> Result<Outcome> {
        if let Some(run) = &self.run {
            run.drained(DRAINING).await;
        }
        if let Fault::Machine(fault) = &fault {
            let source = std::io::Error::other(fault.clone());
            self.end("failure").await;
            return Err(crate::error::Error::Root { operation: "run the function".to_owned(), source });
        }
        let status = fault.status();
        let error_type = fault.error_type().to_owned();
        match &fault {
            Fault::Init { .. } => {}
            Fault::Timeout(_) => self.log.line(&format!("{id} {}", fault.message())),
            fault => self.log.line(&format!("RequestId: {id} Error: {}\n{error_type}", fault.message())),
        }
        let report = self.report(id, init, duration, Some(&fault));
        self.end(if status == Status::Timeout { "timeout" } else { "failure" }).await;
        let payload = fault.body(id).into();
        Ok(Outcome {
            status,
            payload,
            content_type: None,
            is_streamed: false,
            error_type: Some(error_type),
            log_tail: self.log.tail(),
            report,
        })
    }

    /// The figures, which the log and the extensions get too.
    fn report(
        &self,
        id: &str,
        init: Option<Duration>,
        duration: Duration,
        fault: Option<&Fault>,
    ) -> InvocationReport {
        let used = self.run.as_ref().map_or(0, |run| run.memory());
        let mut report = InvocationReport::new(id, duration, init, (self.settings.memory, used));
        report.status =
            fault.map(|fault| if matches!(fault, Fault::Timeout(_)) { "timeout" } else { "error" });
        report.error_type = fault
            .filter(|fault| !matches!(fault, Fault::Timeout(_)))
            .map(|fault| fault.error_type().to_owned());
        self.log.line(&format!("END RequestId: {id}"));
        self.log.line(&report.to_string());
        if let Some(run) = &self.run {
            let status = report.status.unwrap_or("success");
            let metrics = json!({
                "durationMs": report.duration_ms,
                "billedDurationMs": report.billed_duration_ms,
                "memorySizeMB": report.memory_size_mb,
                "maxMemoryUsedMB": report.max_memory_used_mb,
            });
            let done = json!({ "requestId": id, "status": status });
            run.telemetry.platform(
                "platform.runtimeDone",
                done.clone(),
                Some(("platform.runtimeDone", done)),
            );
            let old = json!({ "requestId": id, "metrics": metrics });
            let new = json!({ "requestId": id, "status": status, "metrics": metrics });
            let end = json!({ "requestId": id });
            run.telemetry.platform("platform.report", new, Some(("platform.report", old)));
            run.telemetry.old("platform.end", end);
        }
        report
    }

    async fn start(&mut self) -> Result<()> {
        port_is_free(&self.image, &self.settings)?;
        self.run = Some(Run::start(&self.image, &self.entry, &self.settings, &self.log).await?);
        self.is_initialised = false;
        Ok(())
    }

    /// Starts the processes, unless they wait for an event already.
    async fn initialise(&mut self) -> Result<Init> {
        let is_over = self.run.as_ref().is_some_and(|run| run.shared.lock().fault.is_some());
        if is_over {
            // It has ended between two invocations.
            self.end("failure").await;
        }
        if self.run.is_some() && self.is_initialised {
            return Ok(Init::Done);
        }
        let begin = Instant::now();
        self.start().await?;
        let Some(run) = &self.run else { return Ok(Init::TimedOut) };
        let ready = run.shared.until(|state| match &state.fault {
            Some(fault) => Some(Err(fault.clone())),
            None => state.is_ready().then_some(Ok(())),
        });
        let limit = sleep_until((begin + INIT_LIMIT).into());
        let ready = tokio::select! {
            ready = ready => Some(ready),
            () = limit => None,
        };
        let duration = begin.elapsed();
        match ready {
            Some(Ok(())) => {
                self.is_initialised = true;
                run.initialised("success", duration);
                Ok(Init::Took(duration))
            }
            Some(Err(fault)) => {
                run.initialised("error", duration);
                Ok(Init::Failed(duration, fault))
            }
            None => {
                run.initialised("timeout", duration);
                let line = format!(
                    "INIT_REPORT Init Duration: {:.2} ms\tPhase: init\tStatus: timeout",
                    milliseconds(duration)
                );
                self.log.line(&line);
                self.end("timeout").await;
                Ok(Init::TimedOut)
            }
        }
    }

    /// Ends all processes; extensions that asked for it are told before.
    pub async fn close(mut self) {
        self.end("spindown").await;
    }

    async fn end(&mut self, reason: &'static str) {
        self.is_initialised = false;
        if let Some(run) = self.run.take() {
            run.end(reason).await;
        }
    }
}

/// The result of an init phase.
enum Init {
    /// There was one before.
    Done,
    Took(Duration),
    Failed(Duration, Fault),
    TimedOut,
}
