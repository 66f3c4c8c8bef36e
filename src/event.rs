//! Events that the library emits while it works. The library never prints; the caller renders or drops events.

use std::time::Duration;

use serde::Serialize;

use crate::error::text::without_logins;
use crate::image::{Digest, Platform};

/// One event. In JSON, `reason` names the kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// A base was resolved.
    Base {
        /// The name of the base as given.
        image: String,
        /// The digest of its manifest for the platform.
        digest: Digest,
        /// The platform.
        platform: Platform,
    },
    /// A layer is being compressed.
    LayerProgress {
        /// The layer's name: its packages, or the directory of its files, for example `/var/task`.
        layer: String,
        /// The number of bytes of its tar so far.
        bytes: u64,
    },
    /// A layer was made, or found in a cache.
    Layer {
        /// The layer's name.
        layer: String,
        /// The digest of the compressed layer.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
        /// Whether it was found in the cache or in an earlier image.
        cached: bool,
    },
    /// A layer of a finished image has the same files in other bytes, because Lambda refuses it as it is.
    LayerMended {
        /// The layer's number, from 0 for the lowest.
        layer: usize,
        /// The digest that it had.
        was: Digest,
        /// Its digest.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
        /// Whether it was not gzip.
        compressed: bool,
        /// The number of directories whose entry was missing, late or repeated.
        directories: usize,
        /// The first of these directories.
        #[serde(skip_serializing_if = "Option::is_none")]
        directory: Option<String>,
    },
    /// Files that a function never reads were left out of a layer.
    Slimmed {
        /// The layer's name.
        layer: String,
        /// The number of files.
        files: u64,
        /// Their total size in bytes.
        bytes: u64,
    },
    /// A command of a Dockerfile starts.
    CommandStarted {
        /// The instruction's place, as `Dockerfile:7`.
        place: String,
        /// The instruction.
        command: String,
        /// How it runs: `namespaces`, `copy`, `chroot` or `proot`.
        mode: String,
        /// The program that executes those of the image, such as `qemu-aarch64-static`; `None` if none is used.
        #[serde(skip_serializing_if = "Option::is_none")]
        emulator: Option<String>,
    },
    /// A command of a Dockerfile wrote a line to its standard output or standard error.
    CommandOutput {
        /// The instruction's place.
        place: String,
        /// The line, without its end.
        line: String,
    },
    /// A command of a Dockerfile ended.
    CommandEnded {
        /// The instruction's place.
        place: String,
        /// The duration in seconds.
        #[serde(serialize_with = "seconds")]
        duration: Duration,
    },
    /// A part of a blob was sent.
    BlobProgress {
        /// The destination.
        destination: String,
        /// The blob's digest.
        digest: Digest,
        /// The number of bytes sent so far; restarts at 0 if the upload starts again.
        sent: u64,
        /// The blob's size in bytes.
        size: u64,
    },
    /// A blob is at the destination.
    Blob {
        /// The destination.
        destination: String,
        /// The blob's digest.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
        /// The outcome.
        outcome: Outcome,
    },
    /// A manifest is at the destination, under a tag or its digest.
    Manifest {
        /// The image's full name at the destination.
        image: String,
        /// The image by digest, as a push prints it: `registry/repository@sha256:…` or `oci:DIR@sha256:…`.
        published: String,
        /// The manifest's digest.
        digest: Digest,
        /// The outcome.
        outcome: Outcome,
    },
    /// A repository was changed for the push.
    Repository {
        /// The repository, with its registry.
        repository: String,
        /// The change.
        change: RepositoryChange,
    },
    /// A step of the deployment of a function.
    Function {
        /// The function.
        function: String,
        /// The step.
        message: String,
    },
    /// A request failed with a transient error, and is retried.
    Retry {
        /// The operation.
        operation: String,
        /// The error.
        cause: String,
        /// The delay before the next attempt, in seconds.
        #[serde(serialize_with = "seconds")]
        delay: Duration,
    },
    /// A decision that the caller did not ask for, such as the use of a file that was found.
    Note {
        /// The decision.
        message: String,
    },
    /// A problem that does not stop the work.
    Warning {
        /// The problem.
        message: String,
        /// A proposed fix.
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
}

/// The outcome of sending a blob or manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// It was sent.
    Sent,
    /// The destination already had it.
    Existed,
    /// The registry mounted it from another of its repositories.
    Mounted,
    /// A push would send it; this is a dry run.
    WouldSend,
}

/// A change of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RepositoryChange {
    /// It was created.
    Created,
    /// Lambda was allowed to pull from it.
    LambdaAllowed,
}

fn seconds<S: serde::Serializer>(delay: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(delay.as_secs_f64())
}

/// The receiver of events: a function of the caller, called from several threads.
#[derive(Clone)]
pub struct Events(std::sync::Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    /// Sends events to `sink`.
    pub fn to(sink: impl Fn(Event) + Send + Sync + 'static) -> Events {
        Events(std::sync::Arc::new(sink))
    }

    pub(crate) fn emit(&self, event: Event) {
        (self.0)(event);
    }

    /// The same receiver, for which `rewrite` is applied to messages.
    pub(crate) fn rewritten(self, rewrite: impl Fn(&str) -> String + Send + Sync + 'static) -> Events {
        Events::to(move |event| {
            self.emit(match event {
                Event::Note { message } => Event::Note { message: rewrite(&message) },
                Event::Warning { message, hint } => {
                    Event::Warning { message: rewrite(&message), hint: hint.map(|hint| rewrite(&hint)) }
                }
                Event::Retry { operation, cause, delay } => {
                    Event::Retry { operation: rewrite(&operation), cause: rewrite(&cause), delay }
                }
                Event::CommandOutput { place, line } => Event::CommandOutput { place, line: rewrite(&line) },
                other => other,
            });
        })
    }

    pub(crate) fn warn(&self, message: impl Into<String>, hint: Option<&str>) {
        // The message may quote a URL or a program.
        let message = without_logins(&message.into()).into_owned();
        self.emit(Event::Warning { message, hint: hint.map(str::to_owned) });
    }
}

impl Default for Events {
    /// Drops events.
    fn default() -> Events {
        Events::to(|_| ())
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}
