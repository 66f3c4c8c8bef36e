//! Signals that end lbuild.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::output::exit::Failure;
use super::output::report::Report;

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

/// How long a command that ends in its own way may take for that.
const GRACE: std::time::Duration = std::time::Duration::from_secs(5);

/// Cancels the work on SIGINT or SIGTERM: unfinished files have no names yet, and the tags are unchanged. Those of several
/// that had moved are named on standard output.
pub async fn until_told(
    work: impl Future<Output = Result<(), Failure>>,
    report: &Report,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let mut term = signal(SignalKind::terminate()).map_err(|source| Failure::Start { source })?;
    let mut work = std::pin::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
    if interruption.tell() {
        tokio::select! {
            done = work => return done,
            () = tokio::time::sleep(GRACE) => {}
            _ = tokio::signal::ctrl_c() => {}
            _ = term.recv() => {}
        }
    }
    report.interrupted()?;
    Err(lbuild::Error::Interrupted.into())
}
