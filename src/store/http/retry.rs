//! When a failure is tried again, and how long after.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::error::{Error, Result};
use crate::event::{Event, Events};

/// Beyond this a registry's `Retry-After` is a refusal, not a pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// The attempts at one operation.
pub(crate) struct Retry {
    delays: ExponentialBackoff,
    events: Events,
}

impl Retry {
    pub(in crate::store) fn new(events: Events) -> Retry {
        let delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(10))
            .with_max_times(5)
            .with_jitter()
            .build();
        Retry { delays, events }
    }

    /// Waits before the next attempt, or gives the error back when there shall be none.
    pub(crate) async fn after(&mut self, error: Error) -> Result<()> {
        if passing(&error) { self.pause(error, None).await } else { Err(error) }
    }

    /// As [`after`](Retry::after), for a failure that may pass; the registry may have said how long it lasts.
    pub(in crate::store) async fn pause(&mut self, error: Error, asked: Option<Duration>) -> Result<()> {
        if matches!(&error, Error::Registry { answer, .. } if answer.is_over_limit()) {
            return Err(error);
        }
        let Some(delay) = self.delays.next() else { return Err(error) };
        let delay = asked.map_or(delay, |asked| asked.max(delay));
        if delay > LONGEST_PAUSE {
            return Err(error);
        }
        let cause = error.with_causes();
        self.events.emit(Event::Retry { operation: operation(&error).to_owned(), cause, delay });
        tokio::time::sleep(delay).await;
        Ok(())
    }
}

/// Statuses that say "later": <https://www.rfc-editor.org/rfc/rfc9110#name-status-codes>, 429 of RFC 6585, and
/// those that proxies before a registry have of their own.
pub(in crate::store) fn passing_status(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502..=504 | 520..=599)
}

fn passing(error: &Error) -> bool {
    match error {
        Error::Connection { source, .. } => !final_cause(&**source),
        Error::Stalled { .. } => true,
        Error::Registry { answer, .. } => passing_status(answer.status) || answer.is_too_many(),
        // Bytes that were damaged on the way may arrive whole the next time.
        Error::Corrupt { .. } => true,
        _ => false,
    }
}

/// A certificate does not become valid by asking again, nor a name known.
fn final_cause(source: &(dyn std::error::Error + 'static)) -> bool {
    let mut chain = std::iter::successors(Some(source), |error| error.source());
    chain.any(|error| {
        let text = error.to_string();
        text.contains("certificate")
            || text.contains("dns error")
            || text.contains("invalid URL")
            || text.contains("InvalidContentType")
    })
}

fn operation(error: &Error) -> &str {
    match error {
        Error::Connection { operation, .. }
        | Error::Stalled { operation, .. }
        | Error::Registry { operation, .. } => operation,
        Error::Download { file, .. } => file,
        Error::Corrupt { what, .. } => what,
        _ => "request",
    }
}
