//! Tries the requests that a push makes to a registry.

use crate::engine::session::Session;
use crate::error::{Error, Kind, Result};
use crate::image::{Digest, EcrHost, Reference};

/// One kind of request that a push makes.
#[derive(Debug)]
pub struct Probe {
    /// The kind of request, for example `send blobs`.
    pub what: &'static str,
    /// `Ok` if the registry allows the request, otherwise the error.
    pub result: Result<()>,
}

/// Tries the requests of a push to a repository, without leaving anything in it. Stops at the first failure that makes
/// further probes meaningless.
pub(in crate::engine) async fn probe(session: &Session, to: &Reference) -> Vec<Probe> {
    let repository = session.registries.destination(to, None);
    let mut probes = Vec::new();
    let mut add = |what, result: Result<()>| {
        let goes_on = result.as_ref().err().is_none_or(is_about_permissions);
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
    // Another registry might accept the invalid manifest of this probe, and has no separate permission for manifests.
    if EcrHost::parse(to.registry()).is_some() {
        add("put manifests", repository.probe_manifest().await);
    }
    probes
}

fn is_about_permissions(error: &Error) -> bool {
    error.kind() == Kind::Auth && matches!(error, Error::Registry { .. } | Error::ConnectionClosed { .. })
}
