//! Work that several builds of one engine would do at once, done by one of them while the others wait.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// For each key, whether its work is done.
#[derive(Debug)]
pub(super) struct Turns<K>(Mutex<HashMap<K, Arc<tokio::sync::Mutex<bool>>>>);

impl<K> Default for Turns<K> {
    fn default() -> Turns<K> {
        Turns(Mutex::default())
    }
}

/// The turn of one build. The next one gets its turn when this is dropped.
pub(super) struct Turn(OwnedMutexGuard<bool>);

impl<K: Eq + Hash> Turns<K> {
    /// Waits until no other build does this work.
    pub(super) async fn of(&self, key: K) -> Turn {
        let turn = self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone();
        Turn(turn.lock_owned().await)
    }
}

impl Turn {
    /// Whether an earlier turn has done the work.
    pub(super) fn is_done(&self) -> bool {
        *self.0
    }

    /// Records that the work is done.
    pub(super) fn done(mut self) {
        *self.0 = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_does_the_work_and_the_others_wait() {
        let (turns, times) = (Arc::new(Turns::default()), Arc::new(Mutex::new(0)));
        let work = |key: u8| {
            let (turns, times) = (turns.clone(), times.clone());
            tokio::spawn(async move {
                let turn = turns.of(key).await;
                if !turn.is_done() {
                    tokio::task::yield_now().await;
                    *times.lock().unwrap() += 1;
                    turn.done();
                }
            })
        };
        for task in [work(1), work(1), work(2), work(1)] {
            task.await.unwrap();
        }
        assert_eq!(*times.lock().unwrap(), 2);
        // Work that failed is done by the next one.
        drop(turns.of(3).await);
        assert!(!turns.of(3).await.is_done());
    }
}
