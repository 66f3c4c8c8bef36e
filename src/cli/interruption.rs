//! Signals that end lbuild, for commands that have something to end themselves.

use std::sync::Arc;

use tokio::sync::watch;

/// Whether lbuild was told to end. Cheap to clone.
#[derive(Clone)]
pub struct Interruption(Arc<watch::Sender<bool>>);

impl Interruption {
    pub fn new() -> Interruption {
        Interruption(Arc::new(watch::Sender::new(false)))
    }

    /// Waits for the signal. The command then has some seconds to end.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only functions end in their own way"))]
    pub fn wait(&self) -> impl Future<Output = ()> + use<> {
        let mut told = self.0.subscribe();
        async move {
            // The sender lives as long as the command.
            let _ = told.wait_for(|told| *told).await;
        }
    }

    /// Tells the command. Whether it waits for that.
    pub fn tell(&self) -> bool {
        let is_awaited = self.0.receiver_count() > 0;
        self.0.send_replace(true);
        is_awaited
    }
}
