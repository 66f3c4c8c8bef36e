//! What the library tells while it works. It never prints: a caller renders these, or drops them.

use std::time::Duration;

use serde::Serialize;

use crate::image::{Digest, Platform};

/// One step of progress. As JSON, `reason` names the kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// The base is known, by digest.
    Base {
        /// The base as it was asked for.
        image: String,
        /// The digest of its manifest for the platform.
        digest: Digest,
        /// The platform.
        platform: Platform,
    },
    /// A layer is being compressed.
    LayerProgress {
        /// Where the layer's files go, as `/var/task`.
        layer: String,
        /// How much of its tar has been read, in bytes.
        bytes: u64,
    },
    /// A layer is there, made or found in the cache.
    Layer {
        /// Where the layer's files go.
        layer: String,
        /// The digest of the compressed layer.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
        /// Whether the cache had it.
        cached: bool,
    },
    /// Files that a function never reads were left out of a layer.
    Slimmed {
        /// Which packages.
        layer: String,
        /// How many files.
        files: u64,
        /// Their sizes, added up, in bytes.
        bytes: u64,
    },
    /// Some of a blob has been sent.
    BlobProgress {
        /// Where to.
        destination: String,
        /// Which blob.
        digest: Digest,
        /// How much so far, in bytes; falls back to 0 when an upload starts again.
        sent: u64,
        /// How much in all, in bytes.
        size: u64,
    },
    /// A blob is at the destination.
    Blob {
        /// Where.
        destination: String,
        /// Which blob.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
        /// How it came there.
        outcome: Outcome,
    },
    /// A manifest is at the destination, under a tag or its digest.
    Manifest {
        /// The image's full name there.
        image: String,
        /// The manifest's digest.
        digest: Digest,
        /// How it came there.
        outcome: Outcome,
    },
    /// A repository was changed for the push.
    Repository {
        /// The repository, with its registry.
        repository: String,
        /// What was done.
        change: RepositoryChange,
    },
    /// A request failed in a way that may pass, and is made again.
    Retry {
        /// What was tried.
        operation: String,
        /// Why it failed.
        cause: String,
        /// How long until it is tried again, in seconds.
        #[serde(serialize_with = "seconds")]
        delay: Duration,
    },
    /// Something that need not stop the work, but that its user should know.
    Warning {
        /// What.
        message: String,
        /// The way out.
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
}

/// How a blob or manifest came to be at the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// It was sent.
    Sent,
    /// It was there.
    Existed,
    /// The registry took it over from another of its repositories.
    Mounted,
    /// It would have been sent: a dry run.
    WouldSend,
}

/// What was done to a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RepositoryChange {
    /// It did not exist.
    Created,
    /// Lambda may pull from it now.
    LambdaAllowed,
}

fn seconds<S: serde::Serializer>(delay: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(delay.as_secs_f64())
}

/// Where events go: a function of the caller's, called from several threads.
#[derive(Clone)]
pub struct Events(std::sync::Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    /// Events go to `sink`.
    pub fn to(sink: impl Fn(Event) + Send + Sync + 'static) -> Events {
        Events(std::sync::Arc::new(sink))
    }

    pub(crate) fn emit(&self, event: Event) {
        (self.0)(event);
    }

    pub(crate) fn warn(&self, message: impl Into<String>, hint: Option<&str>) {
        self.emit(Event::Warning { message: message.into(), hint: hint.map(str::to_owned) });
    }
}

impl Default for Events {
    /// Events are dropped.
    fn default() -> Events {
        Events::to(|_| ())
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}
