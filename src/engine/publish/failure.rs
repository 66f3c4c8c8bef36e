//! The first failure of a push to one destination.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::error::Error;

/// The first failure of a push to one destination. Later failures are its consequences.
#[derive(Default)]
pub(super) struct Failure {
    error: Mutex<Option<Error>>,
    happened: Notify,
}

impl Failure {
    pub(super) fn keep(&self, error: Error) {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.happened.notify_one();
    }

    /// Waits for the first failure; never returns if there is none.
    pub(super) async fn wait(&self) -> Error {
        self.happened.notified().await;
        self.take()
    }

    pub(super) fn take(&self) -> Error {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or(Error::Interrupted)
    }
}
