//! What waits until something is certain.

use tokio::sync::Semaphore;

/// Is opened once, and lets everything pass from then on.
pub(in crate::engine) struct Gate {
    /// Has no permit ever. It is closed when the gate is opened: that wakes everybody who waits for one.
    shut: Semaphore,
}

impl Gate {
    /// One that has yet to be opened.
    pub fn shut() -> Gate {
        Gate { shut: Semaphore::new(0) }
    }

    /// One that lets everything pass.
    pub fn opened() -> Gate {
        let gate = Gate::shut();
        gate.open();
        gate
    }

    pub fn open(&self) {
        self.shut.close();
    }

    /// Waits until it is open.
    pub async fn pass(&self) {
        let _closed = self.shut.acquire().await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::Gate;

    #[test]
    fn nothing_passes_before_it_is_open() {
        let gate = Gate::shut();
        let mut waiting = Box::pin(gate.pass());
        assert!(waiting.as_mut().now_or_never().is_none());
        gate.open();
        assert!(waiting.now_or_never().is_some() && gate.pass().now_or_never().is_some());
        assert!(Gate::opened().pass().now_or_never().is_some());
    }
}
