//! The bridge from async code to blocking work such as hashing and compression, and the number of threads for it.
//!
//! A thread that cannot be started is never a panic: async code gets an error, and work that is shared among threads is
//! done by fewer of them.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

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
///
/// The thread is not one of tokio's: tokio panics when it cannot start one, and its threads must stay free for reading
/// the files that `work` may wait for.
///
/// # Errors
/// [`Error::Threads`] when the thread cannot be started, and the error of `work`.
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
    let (stop, runtime) = (guard.0.clone(), Handle::current());
    let (done, result) = oneshot::channel();
    let thread = move || {
        let _runtime = runtime.enter();
        let _ = done.send(catch_unwind(AssertUnwindSafe(|| work(&stop))));
    };
    let name = "blocking".to_owned();
    thread::Builder::new().name(name).spawn(thread).map_err(|source| Error::Threads { source })?;
    match result.await {
        Ok(Ok(done)) => done,
        // A panic must not be reported as an interruption.
        Ok(Err(panic)) => resume_unwind(panic),
        Err(_) => Err(Error::Interrupted),
    }
}

/// Runs `work` on up to `jobs` threads, one of which is the current thread, and returns their results.
pub(crate) fn together<T: Send>(jobs: usize, work: impl Fn() -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let start = |_| thread::Builder::new().spawn_scoped(scope, &work).ok();
        let others: Vec<_> = (1..jobs).map_while(start).collect();
        let mut results = vec![work()];
        results.extend(
            others.into_iter().map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic))),
        );
        results
    })
}

/// Runs both, at the same time if another thread can be started.
pub(crate) fn both<A: Send, B>(aside: impl Fn() -> A + Sync, here: impl FnOnce() -> B) -> (A, B) {
    thread::scope(|scope| {
        let other = thread::Builder::new().spawn_scoped(scope, &aside).ok();
        let here = here();
        let aside = match other {
            Some(other) => other.join().unwrap_or_else(|panic| resume_unwind(panic)),
            None => aside(),
        };
        (aside, here)
    })
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

    #[tokio::test]
    #[should_panic(expected = "of the work")]
    async fn a_panic_of_the_work_is_a_panic_of_the_caller() {
        let _ = blocking(|_| -> Result<()> { panic!("of the work") }).await;
    }

    #[test]
    fn shared_work_is_done_once_for_any_number_of_threads() {
        for jobs in [0, 1, 2, 8, 100] {
            let next = std::sync::atomic::AtomicUsize::new(0);
            let taken = together(jobs, || {
                std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|n| *n < 1000))
                    .collect::<Vec<_>>()
            });
            assert!((1..=jobs.max(1)).contains(&taken.len()));
            let mut all = taken.concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..1000));
        }
        assert_eq!(both(|| 1, || 2), (1, 2));
    }
}
