//! What Lambda reports when a function does not answer.

use std::time::Duration;

use serde_json::json;

use super::settings::MAX_PAYLOAD;
use crate::rootfs::{Exit, Failure};

/// Why an execution environment cannot go on.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// The runtime told of an error in the init phase.
    Init {
        body: Vec<u8>,
        error_type: String,
    },
    /// The program of the image could not be executed.
    EntryPoint {
        program: String,
        reason: String,
    },
    /// The working directory does not exist.
    Directory {
        directory: String,
        reason: String,
    },
    /// The runtime has ended.
    Exit(Exit),
    /// An extension could not be started, has ended, or told of an error.
    Extension {
        name: String,
        error_type: &'static str,
        reason: String,
    },
    Timeout(Duration),
    Memory,
    /// The processes could not be set up, or lbuild ended them.
    Machine(String),
}

/// How an invocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Status {
    /// With a response.
    Success,
    /// With an error of the function.
    FunctionError,
    /// The function could not be initialised.
    InitError,
    /// It took longer than the function's timeout.
    Timeout,
    /// The runtime, or an extension, ended.
    Crash,
    /// It used more memory than the function has.
    OutOfMemory,
}

impl Fault {
    /// The fault of a program that did not start.
    pub(super) fn not_started(failure: &Failure) -> Fault {
        match failure {
            Failure::Exec { program, errno, exists } => Fault::EntryPoint {
                program: program.display().to_string(),
                reason: match exists {
                    true => "its interpreter does not exist".to_owned(),
                    false => reason(*errno),
                },
            },
            Failure::Step { step: "make the working directory" | "enter", about, errno } => {
                Fault::Directory { directory: about.clone(), reason: reason(*errno) }
            }
            Failure::Io { source, .. } => Fault::Machine(format!("{failure}: {source}")),
            failure => Fault::Machine(failure.to_string()),
        }
    }

    pub(super) fn status(&self) -> Status {
        match self {
            Fault::Init { .. } | Fault::EntryPoint { .. } | Fault::Directory { .. } => Status::InitError,
            Fault::Exit(_) | Fault::Extension { .. } | Fault::Machine(_) => Status::Crash,
            Fault::Timeout(_) => Status::Timeout,
            Fault::Memory => Status::OutOfMemory,
        }
    }

    /// Lambda's name of the error.
    pub(super) fn error_type(&self) -> &str {
        match self {
            Fault::Init { error_type, .. } => error_type,
            Fault::EntryPoint { .. } => "Runtime.InvalidEntrypoint",
            Fault::Directory { .. } => "Runtime.InvalidWorkingDir",
            Fault::Exit(_) => "Runtime.ExitError",
            Fault::Extension { error_type, .. } => error_type,
            Fault::Timeout(_) => "Sandbox.Timedout",
            Fault::Memory => "Runtime.OutOfMemory",
            Fault::Machine(_) => "Sandbox.Failure",
        }
    }

    /// What happened, in Lambda's words.
    pub(super) fn message(&self) -> String {
        match self {
            Fault::Init { .. } => "the function could not be initialised".to_owned(),
            Fault::EntryPoint { program, reason } => format!("fork/exec {program}: {reason}"),
            Fault::Directory { directory, reason } => format!("chdir {directory}: {reason}"),
            Fault::Exit(Exit::Code(0)) => "Runtime exited without providing a reason".to_owned(),
            Fault::Exit(Exit::Code(code)) => format!("Runtime exited with error: exit status {code}"),
            Fault::Exit(Exit::Signal(signal)) => {
                format!("Runtime exited with error: signal: {}", name(*signal))
            }
            Fault::Extension { name, reason, .. } => format!("extension {name}: {reason}"),
            Fault::Timeout(limit) => format!("Task timed out after {:.2} seconds", limit.as_secs_f64()),
            Fault::Memory => "Runtime exited with error: signal: killed".to_owned(),
            Fault::Machine(fault) => fault.clone(),
        }
    }

    /// The payload of the answer.
    pub(super) fn body(&self, request_id: &str) -> Vec<u8> {
        match self {
            Fault::Init { body, .. } => body.clone(),
            fault => payload(request_id, fault.error_type(), &fault.message()),
        }
    }
}

fn payload(request_id: &str, error_type: &str, message: &str) -> Vec<u8> {
    let message = format!("RequestId: {request_id} Error: {message}");
    json!({ "errorType": error_type, "errorMessage": message }).to_string().into_bytes()
}

/// The payload for a response that is too large.
pub(super) fn too_large() -> Vec<u8> {
    let message =
        format!("Response payload size exceeded maximum allowed payload size ({MAX_PAYLOAD} bytes).");
    json!({ "errorType": "Function.ResponseSizeTooLarge", "errorMessage": message }).to_string().into_bytes()
}

/// As Go writes it, in which Lambda's own messages are.
fn reason(errno: rustix::io::Errno) -> String {
    use rustix::io::Errno;
    match errno {
        Errno::NOENT => "no such file or directory".to_owned(),
        Errno::ACCESS => "permission denied".to_owned(),
        Errno::NOEXEC => "exec format error".to_owned(),
        Errno::NOTDIR => "not a directory".to_owned(),
        Errno::ROFS => "no such file or directory".to_owned(),
        errno => errno.to_string(),
    }
}

/// As Go names signals.
fn name(signal: i32) -> String {
    let name = match signal {
        libc::SIGHUP => "hangup",
        libc::SIGINT => "interrupt",
        libc::SIGQUIT => "quit",
        libc::SIGILL => "illegal instruction",
        libc::SIGTRAP => "trace/breakpoint trap",
        libc::SIGABRT => "aborted",
        libc::SIGBUS => "bus error",
        libc::SIGFPE => "floating point exception",
        libc::SIGKILL => "killed",
        libc::SIGSEGV => "segmentation fault",
        libc::SIGPIPE => "broken pipe",
        libc::SIGALRM => "alarm clock",
        libc::SIGTERM => "terminated",
        signal => return format!("signal {signal}"),
    };
    name.to_owned()
}
