//! Retries: the failures that are retried, and the delays.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use reqwest::Response;
use reqwest::header::RETRY_AFTER;

use super::pace::Patience;
use crate::error::text::without_logins;
use crate::error::{Error, Result};
use crate::event::{Event, Events};

/// A longer `Retry-After` of a registry is a refusal, not a delay.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// The attempts at one operation.
pub(crate) struct Retry {
    delays: ExponentialBackoff,
    patience: Patience,
    events: Events,
}

impl Retry {
    pub(in crate::store) fn new(events: Events) -> Retry {
        Retry::with(Patience::default(), events)
    }

    /// Attempts that share the `patience` of the operation that they are a part of.
    pub(in crate::store) fn with(patience: Patience, events: Events) -> Retry {
        let delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(10))
            .with_max_times(5)
            .with_jitter()
            .build();
        Retry { delays, patience, events }
    }

    /// The time limit of the next attempt's answer.
    pub(in crate::store) fn limit(&self) -> Duration {
        self.patience.limit()
    }

    /// Waits before the next attempt, or returns the error if no attempt is left.
    pub(crate) async fn after(&mut self, error: Error) -> Result<()> {
        if let Error::Stalled { after, .. } = error {
            self.patience.spend(after);
        }
        if passing(&error) { self.pause(error, None).await } else { Err(error) }
    }

    /// As [`pause`](Retry::pause), for a transient refusal that came after the time `waited`: a gateway in front of a
    /// silent registry answers only after a minute.
    pub(in crate::store) async fn refused(
        &mut self,
        error: Error,
        waited: Duration,
        asked: Option<Duration>,
    ) -> Result<()> {
        self.patience.spend(waited);
        self.pause(error, asked).await
    }

    /// As [`after`](Retry::after), for a transient failure; `asked` is the delay that the registry asks for.
    pub(in crate::store) async fn pause(&mut self, error: Error, asked: Option<Duration>) -> Result<()> {
        if matches!(&error, Error::Registry { answer, .. } if answer.is_over_limit()) {
            return Err(error);
        }
        if self.patience.is_spent() {
            return Err(error);
        }
        let Some(delay) = self.delays.next() else { return Err(error) };
        let delay = asked.map_or(delay, |asked| asked.max(delay));
        if delay > LONGEST_PAUSE {
            return Err(error);
        }
        let operation = without_logins(operation(&error)).into_owned();
        let cause = without_logins(&error.with_causes()).into_owned();
        self.events.emit(Event::Retry { operation, cause, delay });
        tokio::time::sleep(delay).await;
        Ok(())
    }
}

/// Statuses of transient failures: <https://www.rfc-editor.org/rfc/rfc9110#name-status-codes>, 429 of RFC 6585, and
/// those of proxies in front of a registry.
pub(in crate::store) fn passing_status(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502..=504 | 520..=599)
}

/// The delay that a registry asks for, in seconds or as a date:
/// <https://www.rfc-editor.org/rfc/rfc9110#name-retry-after>.
pub(in crate::store) fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = chrono::DateTime::parse_from_rfc2822(value).ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(at.timestamp()).ok()?.checked_sub(now.as_secs()).map(Duration::from_secs)
}

fn passing(error: &Error) -> bool {
    match error {
        Error::Connection { source, .. } => !final_cause(&**source),
        Error::Stalled { .. } => true,
        Error::Registry { answer, .. } => passing_status(answer.status) || answer.is_too_many(),
        // Bytes that were damaged in transfer may arrive undamaged in the next attempt.
        Error::Corrupt { .. } | Error::Stored { .. } => true,
        _ => false,
    }
}

/// Whether a retry cannot help: the certificate is not valid, or the host name or the URL is wrong.
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
        Error::Corrupt { what, .. } | Error::Stored { what, .. } => what,
        _ => "request",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Digest;

    fn stalled(seconds: u64) -> Error {
        let (operation, host) = ("read".to_owned(), "r.example".to_owned());
        Error::Stalled { operation, host, after: Duration::from_secs(seconds) }
    }

    #[tokio::test]
    async fn an_operation_that_stalls_is_tried_once_more() {
        let mut retry = Retry::new(Events::default());
        assert!(retry.after(stalled(60)).await.is_ok());
        assert!(retry.after(stalled(60)).await.is_err());
        // A registry that takes minutes to store a blob has used up the time at once.
        assert!(Retry::new(Events::default()).after(stalled(300)).await.is_err());
    }

    #[tokio::test]
    async fn the_parts_of_an_operation_share_its_time() {
        let patience = Patience::default();
        let mut parts = [0, 1].map(|_| Retry::with(patience.clone(), Events::default()));
        assert!(parts[0].after(stalled(60)).await.is_ok());
        assert!(parts[1].refused(stalled(1), Duration::from_secs(59), None).await.is_ok());
        assert_eq!(parts[0].limit(), Duration::from_secs(1));
        assert!(parts[0].after(stalled(1)).await.is_err());
    }

    #[tokio::test]
    async fn a_retry_shows_no_login() {
        let (sender, shown) = std::sync::mpsc::channel();
        let mut retry = Retry::new(Events::to(move |event| drop(sender.send(format!("{event:?}")))));
        let (what, expected) = ("blob of https://u:secret@r.example/".to_owned(), Digest::of(b""));
        retry.after(Error::Stored { what, expected, got: None }).await.unwrap();
        let shown = shown.recv().unwrap();
        assert!(shown.contains("r.example") && !shown.contains("secret"), "{shown}");
    }
}
