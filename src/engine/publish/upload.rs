//! The upload of one blob to a registry.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{self, Either};

use super::remote::Remote;
use crate::engine::compression;
use crate::engine::gate::OpenOnDrop;
use crate::engine::inspect::Passing;
use crate::engine::session::Session;
use crate::error::Result;
use crate::event::{Event, Outcome};
use crate::image::Blob;
use crate::store::{self, Upload};

/// A layer of the base that is scanned if it is sent before the check of the image.
pub(super) struct Stream {
    pub(super) passing: Arc<dyn Passing>,
    /// Opened when the layer has been scanned, or is not sent before the check.
    pub(super) passed: OpenOnDrop,
    /// Opened when the registry has the layer or has refused it, or when the layer is not sent before the check.
    pub(super) ended: OpenOnDrop,
}

/// Uploads a blob, or mounts it from the base's repository. `to` names the destination in events. The bytes are scanned
/// for `stream`, if given.
///
/// # Errors
/// [`Error::NotGzip`](crate::error::Error::NotGzip) for a layer of the base that is not gzip, and the registry's.
pub(super) async fn upload(
    session: &Arc<Session>,
    to: &str,
    blob: &Blob,
    remote: &Remote,
    stream: Option<&Stream>,
) -> Result<Outcome> {
    let (shared, destination, sending) = (session.clone(), to.to_owned(), blob.clone());
    let upload = Upload {
        digest: blob.digest,
        size: blob.size,
        mount_from: remote.mount_from(blob),
        asked: !remote.mounts_unasked(blob),
        progress: Arc::new(move |sent| progress(&shared, &destination, &sending, sent)),
    };
    let open = async || {
        let bytes = store::open_gzip(&session.registries, blob, &session.nearest(blob)).await?;
        Ok(match stream {
            Some(Stream { passing, passed, .. }) => passing.scanned(blob, bytes, passed.gate()),
            None => bytes,
        })
    };
    let mut put = pin!(remote.repository.put_blob(&upload, open));
    // The bytes of a mounted layer do not pass this machine. A layer that probably is mounted is looked at meanwhile.
    let mut check = pin!(compression::check(session, blob));
    let (outcome, checked) = match upload.asked {
        true => (put.await, None),
        false => match future::select(&mut put, &mut check).await {
            Either::Left((outcome, _)) => (outcome, None),
            Either::Right((checked, put)) => (put.await, Some(checked)),
        },
    };
    let outcome = outcome?;
    if outcome == Outcome::Mounted {
        match checked {
            Some(checked) => checked?,
            None => check.await?,
        }
    }
    Ok(outcome)
}

/// Reports the number of bytes of a blob that have been sent.
pub(super) fn progress(session: &Session, to: &str, blob: &Blob, sent: u64) {
    let (digest, size) = (blob.digest, blob.size);
    session.events.emit(Event::BlobProgress { destination: to.to_owned(), digest, sent, size });
}
