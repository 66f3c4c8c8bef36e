//! How the command can end.

use std::io;
use std::path::PathBuf;

use lbuild::error::Kind;

/// The exit codes, for `--help` and the README.
pub const CODES: &str = "\
Exit codes:
  0    done
  1    something unexpected
  2    the arguments, lbuild.toml or the recipe
  3    the files to be packed
  4    the base image
  5    a registry, or the way to it
  6    credentials or rights
  7    the local disk: cache, layout, archive
  8    what `lbuild check` found
  130  interrupted";

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The library's own failures.
    #[error(transparent)]
    Library(#[from] lbuild::Error),
    /// Arguments or lbuild.toml.
    #[error("{message}")]
    Usage { message: String, hint: Option<String> },
    /// lbuild.toml does not parse.
    #[error("{}: {message}", path.display())]
    Config { path: PathBuf, message: String },
    /// The handler's file is not among those that are packed.
    #[error("the handler `{handler}` is not there: no {} in {place}", files.join(", "))]
    Handler { handler: String, files: Vec<String>, place: String },
    /// A base that starts one file of the image finds none, or one that it cannot start.
    #[error("{fault}")]
    Bootstrap { fault: String, hint: &'static str },
    /// A result file.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// lbuild.toml or standard input.
    #[error("cannot read {what}")]
    Read { what: String, source: io::Error },
    /// Findings of `lbuild doctor`, already printed.
    #[cfg(feature = "aws")]
    #[error("a push would fail")]
    Doctor { code: u8 },
    /// Findings of `lbuild check`, already printed.
    #[cfg(feature = "check")]
    #[error("{image} has {count} that Lambda would not take or run")]
    Findings { image: String, count: String },
    /// No threads, no signals.
    #[error("cannot start")]
    Start { source: io::Error },
}

impl Failure {
    /// A fault in what the user typed.
    pub fn usage(message: impl Into<String>, hint: impl Into<Option<&'static str>>) -> Failure {
        Failure::Usage { message: message.into(), hint: hint.into().map(str::to_owned) }
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
            Failure::Usage { .. } | Failure::Config { .. } | Failure::Read { .. } => 2,
            Failure::Handler { .. } | Failure::Bootstrap { .. } => 3,
            #[cfg(feature = "aws")]
            Failure::Doctor { code } => *code,
            Failure::Write { .. } => 7,
            #[cfg(feature = "check")]
            Failure::Findings { .. } => 8,
            Failure::Start { .. } => 1,
        }
    }

    /// The way out.
    pub fn hint(&self) -> Option<String> {
        match self {
            Failure::Library(error) => error.hint(),
            Failure::Usage { hint, .. } => hint.clone(),
            Failure::Handler { .. } => Some(
                "name it as module.function, with the module's path from the function's directory; \
                 an ignore file may keep it out"
                    .into(),
            ),
            Failure::Bootstrap { hint, .. } => Some((*hint).to_owned()),
            #[cfg(feature = "check")]
            Failure::Findings { .. } => Some(
                "`lbuild rules RULE` says why; --allow RULE lets one pass, and `lbuild push --no-check` all"
                    .into(),
            ),
            _ => None,
        }
    }

    /// The message and its causes, outermost first.
    pub fn chain(&self) -> Vec<String> {
        let chain = std::iter::successors(Some(self as &dyn std::error::Error), |error| error.source());
        let mut chain: Vec<String> = chain.map(|error| error.to_string()).collect();
        // Some causes are wrapped in errors that repeat them.
        chain.dedup();
        chain
    }
}
