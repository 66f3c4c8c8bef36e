//! Layers in files outside the cache, as those of an OCI layout: bytes that were verified are not read again while the
//! file is unchanged.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::SystemTime;

use futures_util::TryStreamExt;
use sha2::{Digest as _, Sha256};

use crate::engine::session::Session;
use crate::image::{Blob, Digest, Location};
use crate::store;
use crate::tree::Stat;

/// A layer's file outside the cache, as it was before its bytes were read.
struct Seen<'b> {
    path: &'b Path,
    /// The key of the note that the bytes have their digest.
    key: Digest,
    stat: Stat,
    at: SystemTime,
}

/// The file of a layer that is a file outside the cache.
fn outside<'b>(session: &Session, blob: &'b Blob) -> Option<&'b Path> {
    match &blob.location {
        Location::File(path) if !session.cache.holds(path) => Some(path),
        _ => None,
    }
}

impl<'b> Seen<'b> {
    /// `None` for a layer that is somewhere else, and for a file that cannot be found.
    fn new(session: &Session, blob: &'b Blob) -> Option<Seen<'b>> {
        let path = outside(session, blob)?;
        let at = SystemTime::now();
        let stat = Stat::from(&fs::metadata(path).ok()?);
        let mut key = Sha256::new();
        key.update(format!("verified 1 {} ", blob.digest));
        key.update(path.canonicalize().ok()?.as_os_str().as_bytes());
        Some(Seen { path, key: Digest::from_bytes(key.finalize().into()), stat, at })
    }

    fn is_verified(&self, session: &Session) -> bool {
        session.cache.noted(self.key).is_some_and(|known| known == self.stat.to_bytes())
    }

    /// Notes that all bytes were read and had their digest. A failure only costs time.
    fn keep(&self, session: &Session) {
        // A rename during the read may have put another file at the path.
        let is_same = fs::metadata(self.path).is_ok_and(|now| Stat::from(&now) == self.stat);
        if is_same && !self.stat.is_racy(self.at) {
            let _ = session.cache.note(self.key, &self.stat.to_bytes());
        }
    }
}

/// Runs `read`, which reads and verifies all bytes of a layer, and notes its success.
pub(super) async fn noting<T, E>(
    session: &Session,
    blob: &Blob,
    read: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let seen = Seen::new(session, blob);
    let done = read.await?;
    if let Some(seen) = seen {
        seen.keep(session);
    }
    Ok(done)
}

/// Whether a layer that was scanned before still has its digest, if it is a file outside the cache. If not, reading it
/// gives the error. The digest of a layer in an archive was computed when the archive was opened.
pub(in crate::engine) async fn is_still(session: &Session, blob: &Blob) -> bool {
    if outside(session, blob).is_none()
        || Seen::new(session, blob).is_some_and(|seen| seen.is_verified(session))
    {
        return true;
    }
    let read = async {
        let bytes = store::open_of_any_size(&session.registries, blob).await?;
        bytes.try_for_each(|_| std::future::ready(Ok(()))).await
    };
    noting(session, blob, read).await.is_ok()
}
