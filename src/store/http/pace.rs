//! The minimum rate of a transfer, and the time that an operation may wait in vain.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::store::lock::lock;

/// The time without an answer, or below [`LEAST`], after which an attempt is given up.
pub(in crate::store) const STALL: Duration = Duration::from_secs(60);

/// The bytes that a body has to move in each [`STALL`]: 1 KiB a second. Every link that is in use moves more, GPRS about
/// 5 KiB a second; below it is only a peer that keeps the connection open.
pub(in crate::store) const LEAST: u64 = 60 << 10;

/// The time that the attempts at one operation may wait in vain, in total: long enough for a second attempt on another
/// connection after the first has stalled.
const PATIENCE: Duration = Duration::from_secs(120);

/// The progress of one body. Only time spent waiting for the network counts, so that a slow receiver of the bytes does
/// not make the sender look stalled.
#[derive(Default)]
pub(in crate::store) struct Pace {
    waited: Duration,
    moved: u64,
}

impl Pace {
    /// Waits for the next piece; `None` if the body has stalled. `length` is the number of bytes in a piece.
    pub(in crate::store) async fn next<T>(
        &mut self,
        piece: impl Future<Output = T>,
        length: impl FnOnce(&T) -> usize,
    ) -> Option<T> {
        let limit = if self.moved < LEAST { STALL.saturating_sub(self.waited) } else { STALL };
        let began = Instant::now();
        let piece = tokio::time::timeout(limit, piece).await.ok()?;
        self.waited += began.elapsed();
        self.moved += length(&piece) as u64;
        if self.waited >= STALL {
            if self.moved < LEAST {
                return None;
            }
            *self = Pace::default();
        }
        Some(piece)
    }
}

/// The time that the attempts at one operation may still wait in vain. Clones share it.
#[derive(Clone)]
pub(in crate::store) struct Patience(Arc<Mutex<Duration>>);

impl Default for Patience {
    fn default() -> Patience {
        Patience(Arc::new(Mutex::new(PATIENCE)))
    }
}

impl Patience {
    /// The time limit of the next attempt's answer.
    pub(in crate::store) fn limit(&self) -> Duration {
        STALL.min(*lock(&self.0))
    }

    /// Subtracts the time that a failed attempt waited without progress.
    pub(in crate::store) fn spend(&self, waited: Duration) {
        let mut left = lock(&self.0);
        *left = left.saturating_sub(waited);
    }

    /// Whether too little time is left for another attempt.
    pub(in crate::store) fn is_spent(&self) -> bool {
        *lock(&self.0) < Duration::from_secs(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_below_the_minimum_rate_has_stalled_after_a_minute_of_waiting() {
        for (moved, waited, stalled) in
            [(0, 60, true), (LEAST - 2, 60, true), (LEAST, 60, false), (0, 59, false), (LEAST, 3600, false)]
        {
            let mut pace = Pace { waited: Duration::from_secs(waited), moved };
            let next = pace.next(async { tokio::task::yield_now().await }, |()| 1).await;
            assert_eq!(next.is_none(), stalled, "{moved} bytes in {waited} s");
        }
    }

    #[tokio::test]
    async fn each_minute_is_counted_for_itself() {
        let mut pace = Pace { waited: STALL, moved: 1 << 30 };
        assert!(pace.next(async {}, |()| 0).await.is_some());
        assert_eq!((pace.moved, pace.waited), (0, Duration::ZERO));
    }

    #[test]
    fn two_stalls_use_up_the_patience() {
        let patience = Patience::default();
        assert_eq!(patience.limit(), STALL);
        patience.spend(STALL);
        assert!(!patience.is_spent() && patience.limit() == STALL);
        patience.clone().spend(Duration::from_secs(50));
        assert!(!patience.is_spent() && patience.limit() == Duration::from_secs(10));
        patience.spend(STALL);
        assert!(patience.is_spent());
    }
}
