//! A gate that tasks wait at until it is opened.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// A gate that is opened once, and stays open.
pub(in crate::engine) struct Gate {
    /// A semaphore without permits. Opening the gate closes the semaphore, which wakes all waiting tasks.
    shut: Semaphore,
}

impl Gate {
    /// A gate that is not open yet.
    pub fn shut() -> Gate {
        Gate { shut: Semaphore::new(0) }
    }

    /// A gate that is open from the start.
    pub fn opened() -> Gate {
        let gate = Gate::shut();
        gate.open();
        gate
    }

    pub fn open(&self) {
        self.shut.close();
    }

    pub fn is_open(&self) -> bool {
        self.shut.is_closed()
    }

    /// Waits until the gate is open.
    pub async fn pass(&self) {
        let _closed = self.shut.acquire().await;
    }
}

/// Opens a gate when it is dropped, if not before.
pub(in crate::engine) struct OpenOnDrop(Arc<Gate>);

impl OpenOnDrop {
    pub fn of(gate: Arc<Gate>) -> OpenOnDrop {
        OpenOnDrop(gate)
    }

    pub fn gate(&self) -> &Arc<Gate> {
        &self.0
    }
}

impl Drop for OpenOnDrop {
    fn drop(&mut self) {
        self.0.open();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;

    use super::{Gate, OpenOnDrop};

    #[test]
    fn tasks_wait_until_the_gate_is_open() {
        let gate = Gate::shut();
        let mut waiting = Box::pin(gate.pass());
        assert!(waiting.as_mut().now_or_never().is_none());
        gate.open();
        assert!(waiting.now_or_never().is_some() && gate.pass().now_or_never().is_some());
        assert!(Gate::opened().pass().now_or_never().is_some());
    }

    #[test]
    fn a_gate_is_opened_by_the_end_of_a_task() {
        let gate = Arc::new(Gate::shut());
        let task = OpenOnDrop::of(gate.clone());
        assert!(!task.gate().is_open());
        drop(task);
        assert!(gate.is_open());
    }
}
