//! What a push would need of a registry, tried out.

use crate::engine::session::Session;
use crate::error::{Error, Kind, Result};
use crate::image::{Digest, EcrHost, Reference};

/// One thing that a push needs.
#[derive(Debug)]
pub struct Probe {
    /// What it is, as `send blobs`.
    pub what: &'static str,
    /// Whether it can be had, and if not, why.
    pub result: Result<()>,
}

/// Tries out what a push to a repository needs, and leaves nothing there. Ends at the first failure after which the rest
/// cannot be known.
pub(in crate::engine) async fn probe(session: &Session, to: &Reference) -> Vec<Probe> {
    let repository = session.registries.destination(to, None);
    let mut probes = Vec::new();
    let mut add = |what, result: Result<()>| {
        let goes_on = result.as_ref().err().is_none_or(is_about_rights);
        probes.push(Probe { what, result });
        goes_on
    };
    let tag = to.tag().unwrap_or("latest");
    if !add("read manifests", repository.manifest(tag).await.map(drop)) {
        return probes;
    }
    let absent = Digest::of(b"lbuild doctor");
    if !add("look for blobs", repository.has_blob(absent).await.map(drop)) {
        return probes;
    }
    if !add("send blobs", repository.probe_upload().await) {
        return probes;
    }
    // Elsewhere a registry might take what is no manifest; and rights are not told apart so finely.
    if EcrHost::parse(to.registry()).is_some() {
        add("put manifests", repository.probe_manifest().await);
    }
    probes
}

fn is_about_rights(error: &Error) -> bool {
    error.kind() == Kind::Auth && matches!(error, Error::Registry { .. } | Error::HungUp { .. })
}
