//! A function with as many execution environments as it needs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::environment::{ExecutionEnvironment, Invocation, Outcome, Stream};
use super::log::LogRecord;
use super::settings::{FunctionNetwork, FunctionSettings};
use super::start::web_port;
use crate::error::{Error, Result};
use crate::rootfs::UnpackedImage;

/// A function that can be invoked several times at once. Each invocation has an execution environment for itself, which
/// the next one uses again, as in Lambda. Cheap to clone.
#[derive(Clone)]
pub struct Function(Arc<Inner>);

/// How long invocations may take that are under way when a function is closed.
const CLOSING: Duration = Duration::from_secs(2);

type NewLog = Box<dyn Fn() -> Box<dyn Fn(LogRecord<'_>) + Send + Sync> + Send + Sync>;

struct Inner {
    settings: Arc<FunctionSettings>,
    new_log: NewLog,
    free: Arc<Semaphore>,
    /// The permits of `free` in all.
    concurrency: usize,
    state: Mutex<State>,
}

struct State {
    image: UnpackedImage,
    /// The number of the image: environments of earlier ones are not used again.
    generation: u64,
    idle: Vec<ExecutionEnvironment>,
    is_closed: bool,
}

impl Function {
    /// A function of an image. `concurrency` is the most invocations at once; one that listens on a port of this machine's
    /// network has one. `new_log` makes the log of an execution environment.
    pub fn new<L: Fn(LogRecord<'_>) + Send + Sync + 'static>(
        image: UnpackedImage,
        settings: FunctionSettings,
        concurrency: usize,
        new_log: impl Fn() -> L + Send + Sync + 'static,
    ) -> Function {
        let is_web = settings.network == FunctionNetwork::Host && web_port(&image, &settings).is_some();
        let concurrency = if is_web { 1 } else { concurrency.clamp(1, 10_000) };
        Function(Arc::new(Inner {
            settings: Arc::new(settings),
            new_log: Box::new(move || Box::new(new_log())),
            free: Arc::new(Semaphore::new(concurrency)),
            concurrency,
            state: Mutex::new(State { image, generation: 0, idle: Vec::new(), is_closed: false }),
        }))
    }

    /// The image that is invoked now.
    pub fn image(&self) -> UnpackedImage {
        self.0.lock().image.clone()
    }

    /// The settings.
    pub fn settings(&self) -> &FunctionSettings {
        &self.0.settings
    }

    /// Invokes the function in an environment that is free, or in a new one. The invocation goes on to its end even if
    /// the caller stops waiting.
    ///
    /// # Errors
    /// When the processes cannot be set up for a reason of this machine.
    pub async fn invoke(&self, invocation: Invocation, stream: Option<Stream>) -> Result<Outcome> {
        let function = self.clone();
        let invoking = tokio::spawn(async move { function.invoke_to_end(invocation, stream).await });
        invoking.await.map_err(|_| Error::Interrupted)?
    }

    async fn invoke_to_end(&self, invocation: Invocation, stream: Option<Stream>) -> Result<Outcome> {
        let inner = &self.0;
        let _permit = inner.free.acquire().await.map_err(|_| Error::Interrupted)?;
        let (mut environment, generation) = {
            let mut state = inner.lock();
            if state.is_closed {
                return Err(Error::Interrupted);
            }
            let generation = state.generation;
            match state.idle.pop() {
                Some(environment) => (environment, generation),
                None => {
                    let (settings, log) = (inner.settings.clone(), (inner.new_log)());
                    (ExecutionEnvironment::new(&state.image, settings, log)?, generation)
                }
            }
        };
        let outcome = environment.invoke(invocation, stream).await;
        let retired = {
            let mut state = inner.lock();
            match state.generation == generation && !state.is_closed {
                true => {
                    state.idle.push(environment);
                    None
                }
                false => Some(environment),
            }
        };
        if let Some(environment) = retired {
            environment.close().await;
        }
        outcome
    }

    /// Invokes this image from now on. Invocations that are under way end with the earlier one.
    pub async fn replace(&self, image: UnpackedImage) {
        let idle = {
            let mut state = self.0.lock();
            state.image = image;
            state.generation += 1;
            std::mem::take(&mut state.idle)
        };
        close(idle).await;
    }

    /// Ends all environments; invocations that are under way have two seconds to end. Nothing is invoked any more.
    pub async fn close(&self) {
        let idle = {
            let mut state = self.0.lock();
            state.is_closed = true;
            std::mem::take(&mut state.idle)
        };
        close(idle).await;
        let all = u32::try_from(self.0.concurrency).unwrap_or(u32::MAX);
        let _ = timeout(CLOSING, self.0.free.acquire_many(all)).await;
        self.0.free.close();
    }
}

async fn close(environments: Vec<ExecutionEnvironment>) {
    futures_util::future::join_all(environments.into_iter().map(ExecutionEnvironment::close)).await;
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
