//! Failures of the command, and its exit codes.

use std::io;
use std::path::PathBuf;

use lbuild::error::Kind;

/// The exit codes, for `--help`; the guide lists them too.
pub const CODES: &str = "\
Exit codes:
  0    success
  1    unexpected error
  2    error in the arguments, lbuild.toml or the recipe
  3    error in the files to package
  4    error in the base image
  5    error of a registry or of the connection to it
  6    credentials or permissions missing or refused
  7    error of this machine: the disk with cache, layouts and archives, or its limits
  8    findings of `lbuild check`
  9    error of the invoked function
  10   time-out of the invoked function
  11   end of the invoked function's process
  12   too little memory for the invoked function
  130  interrupted";

/// A failure of the command.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// An error of the library.
    #[error(transparent)]
    Library(#[from] lbuild::Error),
    /// A fault in the arguments or in lbuild.toml.
    #[error("{message}")]
    Usage { message: String, hint: Option<String> },
    /// lbuild.toml or another file of settings does not parse.
    #[error("{}: {message}", path.display())]
    Config { path: PathBuf, message: String },
    /// The handler's file is not packed.
    #[error("the handler `{handler}` does not exist: no {} in {place}", files.join(", "))]
    Handler { handler: String, files: Vec<String>, place: String },
    /// The file that the base starts is missing, or is not executable.
    #[error("{fault}")]
    Bootstrap { fault: String, hint: &'static str },
    /// A result cannot be written.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// A file or standard input cannot be read.
    #[error("cannot read {what}")]
    Read { what: String, source: io::Error },
    /// Findings of `lbuild doctor`, already printed.
    #[cfg(feature = "aws")]
    #[error("a push would fail")]
    Doctor { code: u8 },
    /// Findings of `lbuild check`, already printed.
    #[cfg(feature = "check")]
    #[error("`lbuild check` found {count} in {image}")]
    Findings { image: String, count: String },
    /// An invocation without a response, whose payload is already printed.
    #[cfg(target_os = "linux")]
    #[error("{message}")]
    Invocation { code: u8, message: String, hint: Option<String> },
    /// The port of `lbuild run`.
    #[cfg(target_os = "linux")]
    #[error("cannot listen on port {port} of 127.0.0.1")]
    Port { port: u16, source: io::Error },
    /// Files that cannot be watched.
    #[cfg(target_os = "linux")]
    #[error("cannot watch {}", path.display())]
    Watch { path: PathBuf, source: notify::Error },
    /// A failure that does not end the command; its causes are in the message.
    #[cfg(target_os = "linux")]
    #[error("{message}")]
    Told { message: String, hint: Option<String>, code: u8 },
    /// The image of a function of a template, or of several.
    #[error("the image of {names} was not built")]
    Function { names: String, source: Box<Failure> },
    /// A failure in the words of another tool's command, with its exit code.
    #[error("{message}")]
    Docker { code: u8, message: String, hint: Option<String> },
    /// A failure of kaniko's `executor`, and what it was doing.
    #[error("error {doing}")]
    Kaniko { doing: &'static str, source: Box<Failure> },
    /// Threads or signal handlers are not available.
    #[error("cannot start")]
    Start { source: io::Error },
}

impl Failure {
    /// A fault in the arguments.
    pub fn usage(message: impl Into<String>, hint: impl Into<Option<&'static str>>) -> Failure {
        Failure::Usage { message: message.into(), hint: hint.into().map(str::to_owned) }
    }

    /// A failure in `docker`'s words.
    pub fn docker(code: u8, message: impl Into<String>, hint: impl Into<Option<&'static str>>) -> Failure {
        Failure::Docker { code, message: message.into(), hint: hint.into().map(str::to_owned) }
    }

    /// An error that does not end the command.
    #[cfg(target_os = "linux")]
    pub fn told(error: &lbuild::Error) -> Failure {
        let chain = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
        let chain: Vec<String> = chain.map(|error| error.to_string()).collect();
        Failure::Told { message: chain.join(": "), hint: error.hint(), code: 7 }
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Library(error) => match error.kind() {
                Kind::Usage => 2,
                Kind::Source => 3,
                Kind::Base => 4,
                Kind::Registry => 5,
                Kind::Auth => 6,
                Kind::Store => 7,
                Kind::Interrupted => 130,
                _ => 1,
            },
            Failure::Function { source, .. } => source.code(),
            Failure::Docker { code, .. } => *code,
            Failure::Kaniko { .. } => 1,
            Failure::Usage { .. } | Failure::Config { .. } | Failure::Read { .. } => 2,
            Failure::Handler { .. } | Failure::Bootstrap { .. } => 3,
            #[cfg(target_os = "linux")]
            Failure::Invocation { code, .. } | Failure::Told { code, .. } => *code,
            #[cfg(target_os = "linux")]
            Failure::Port { .. } | Failure::Watch { .. } => 7,
            #[cfg(feature = "aws")]
            Failure::Doctor { code } => *code,
            Failure::Write { .. } | Failure::Start { .. } => 7,
            #[cfg(feature = "check")]
            Failure::Findings { .. } => 8,
        }
    }

    /// The hint, if the failure has one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Failure::Library(error) => error.hint(),
            Failure::Usage { hint, .. } | Failure::Docker { hint, .. } => hint.clone(),
            #[cfg(target_os = "linux")]
            Failure::Invocation { hint, .. } | Failure::Told { hint, .. } => hint.clone(),
            #[cfg(target_os = "linux")]
            Failure::Port { .. } => Some("choose another one with --port; 0 takes one that is free".into()),
            #[cfg(target_os = "linux")]
            Failure::Watch { .. } => Some(
                "the limit of watched directories may be too low: `sysctl -w fs.inotify.max_user_watches=524288`".into(),
            ),
            Failure::Function { source, .. } | Failure::Kaniko { source, .. } => source.hint(),
            Failure::Handler { .. } => Some(
                "name it as module.function, with the module's path from the function's directory; \
                 an ignore file may keep it out"
                    .into(),
            ),
            Failure::Bootstrap { hint, .. } => Some((*hint).to_owned()),
            #[cfg(feature = "check")]
            Failure::Findings { .. } => Some(
                "`lbuild rules RULE` explains a rule; --allow RULE ignores it, and `lbuild push --no-check` ignores all"
                    .into(),
            ),
            _ => None,
        }
    }

    /// The message and its causes, outermost first.
    pub fn chain(&self) -> Vec<String> {
        let chain = std::iter::successors(Some(self as &dyn std::error::Error), |error| error.source());
        let mut chain: Vec<String> = chain.map(|error| error.to_string()).collect();
        // Some errors repeat the cause that they wrap.
        chain.dedup();
        chain
    }
}
