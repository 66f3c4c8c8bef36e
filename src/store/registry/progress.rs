//! The progress of an upload, and its time limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::store::http::{LEAST, STALL};

/// The time in which a registry stores the largest blob after its last byte.
const MOST_COMMIT: Duration = Duration::from_secs(300);

/// The bytes that every registry stores in a second: it computes the digest, and may copy the blob to another server.
const COMMIT_RATE: u64 = 4 << 20;

/// The additional time that a registry has to store a blob of this size after its last byte. For a small one it is that
/// of any answer, so that a second attempt is left; a gigabyte takes minutes.
fn commit(size: u64) -> Duration {
    MOST_COMMIT.min(STALL + Duration::from_secs(size / COMMIT_RATE))
}

/// The bytes of a body that have been sent, and the end of it.
#[derive(Default)]
pub(super) struct Progress {
    sent: AtomicU64,
    complete: Notify,
}

impl Progress {
    pub(super) fn add(&self, bytes: usize, size: u64) {
        let bytes = bytes as u64;
        if self.sent.fetch_add(bytes, Ordering::Relaxed) + bytes >= size {
            self.complete.notify_one();
        }
    }
}

/// Ends when the registry has accepted less than [`LEAST`] bytes for [`STALL`], or has not answered for the time of
/// [`commit`] after the last byte. Returns the time without progress.
pub(super) async fn watchdog(progress: Arc<Progress>, size: u64) -> Duration {
    let mut before = 0;
    loop {
        // An empty body has no last byte.
        if size == 0 || tokio::time::timeout(STALL, progress.complete.notified()).await.is_ok() {
            tokio::time::sleep(commit(size)).await;
            return commit(size);
        }
        let now = progress.sent.load(Ordering::Relaxed);
        if now - before < LEAST {
            return STALL;
        }
        before = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::http::Patience;

    #[test]
    fn the_time_to_store_a_blob_depends_on_its_size() {
        let seconds = |size| commit(size).as_secs();
        assert_eq!([0, 249, 100 << 20, 2 << 30, 10 << 30].map(seconds), [60, 60, 85, 300, 300]);
        // Two attempts at a small blob take as long as any other operation.
        let patience = Patience::default();
        patience.spend(commit(249));
        assert!(!patience.is_spent());
        patience.spend(commit(249));
        assert!(patience.is_spent());
    }

    #[tokio::test]
    async fn the_time_begins_with_the_last_byte() {
        let progress = Arc::new(Progress::default());
        progress.add(100, 249);
        assert!(tokio::time::timeout(Duration::from_millis(10), progress.complete.notified()).await.is_err());
        progress.add(149, 249);
        assert!(tokio::time::timeout(Duration::from_secs(60), progress.complete.notified()).await.is_ok());
    }
}
