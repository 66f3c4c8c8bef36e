//! The bridge from async code to blocking work such as hashing and compression, and the number of threads for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};

/// The threads that an engine computes with. All its calls share them, so that concurrent builds use no more threads
/// than a single build.
#[derive(Clone, Debug)]
pub(crate) struct Threads {
    free: Arc<Semaphore>,
    all: usize,
}

/// Threads for one piece of work. Dropping the lease frees them.
#[derive(Debug)]
#[must_use]
pub(crate) struct Lease {
    permits: OwnedSemaphorePermit,
}

impl Threads {
    /// A pool of `all` threads, at least one.
    pub(crate) fn new(all: usize) -> Threads {
        let all = all.clamp(1, Semaphore::MAX_PERMITS);
        Threads { free: Arc::new(Semaphore::new(all)), all }
    }

    /// The number of threads.
    pub(crate) fn all(&self) -> usize {
        self.all
    }

    /// Waits until a thread is free, and takes as many as are free then, up to `most`. Work under a lease must not wait
    /// for another lease.
    pub(crate) async fn lease(&self, most: usize) -> Result<Lease> {
        let mut permits = self.free.clone().acquire_owned().await.map_err(|_| Error::Interrupted)?;
        while permits.num_permits() < most {
            // Another call may be faster; the next attempt then requests fewer.
            let more = (most - permits.num_permits()).min(self.free.available_permits());
            match u32::try_from(more).ok().map(|more| self.free.clone().try_acquire_many_owned(more)) {
                Some(Ok(taken)) if more > 0 => permits.merge(taken),
                _ => break,
            }
        }
        Ok(Lease { permits })
    }

    /// Runs `work` with up to `most` threads. `work` gets the number of threads, and a flag that is set when the caller
    /// no longer waits.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        most: usize,
        work: impl FnOnce(usize, &AtomicBool) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let lease = self.lease(most).await?;
        blocking(move |stop| work(lease.permits.num_permits(), stop)).await
    }
}

/// Runs `work` on a thread that may block, for work that waits for files more than it computes. `work` gets a flag that
/// is set when the caller no longer waits.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce(&AtomicBool) -> Result<T> + Send + 'static,
) -> Result<T> {
    struct StopOnDrop(Arc<AtomicBool>);
    impl Drop for StopOnDrop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let guard = StopOnDrop(Arc::default());
    let stop = guard.0.clone();
    match tokio::task::spawn_blocking(move || work(&stop)).await {
        Ok(done) => done,
        // A panic must not be reported as an interruption.
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Error::Interrupted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_share_the_threads() {
        let threads = Threads::new(4);
        let first = threads.lease(3).await.unwrap();
        let second = threads.lease(3).await.unwrap();
        assert_eq!((first.permits.num_permits(), second.permits.num_permits()), (3, 1));
        let third = tokio::spawn({
            let threads = threads.clone();
            async move { threads.lease(4).await.unwrap().permits.num_permits() }
        });
        tokio::task::yield_now().await;
        assert!(!third.is_finished(), "no thread is free");
        drop(first);
        assert_eq!(third.await.unwrap(), 3);
        drop(second);
        assert_eq!(threads.run(9, |threads, _| Ok(threads)).await.unwrap(), 4);
    }

    #[tokio::test]
    async fn the_flag_is_set_when_the_caller_no_longer_waits() {
        let (stopped, has_stopped) = std::sync::mpsc::channel();
        let (begun, begins) = tokio::sync::oneshot::channel();
        let work = tokio::spawn(blocking(move |stop| {
            let _ = begun.send(());
            while !stop.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            let _ = stopped.send(());
            Ok(())
        }));
        begins.await.unwrap();
        work.abort();
        tokio::task::spawn_blocking(move || has_stopped.recv()).await.unwrap().unwrap();
    }
}
