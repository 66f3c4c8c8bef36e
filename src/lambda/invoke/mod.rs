//! Invokes a function on this machine, with what Lambda puts around it.
//!
//! An [`ExecutionEnvironment`] has the processes of a function, and its invocations, one after another. A [`Function`] has as
//! many environments as its invocations need, and [`serve`] gives it a URL: that of Lambda's emulator, or a function URL.
//!
//! ```
//! # use std::sync::Arc;
//! use lbuild::lambda::invoke::{ExecutionEnvironment, FunctionSettings, Invocation};
//!
//! # async fn answer(engine: &lbuild::Engine, recipe: &lbuild::Recipe) -> lbuild::Result<()> {
//! let image = engine.build(recipe).await?;
//! let files = engine.unpack(&image).await?;
//! let settings = Arc::new(FunctionSettings { memory: 512, ..FunctionSettings::default() });
//! let mut environment = ExecutionEnvironment::new(&files, settings, |record| eprintln!("{record:?}"))?;
//! let invocation = Invocation { event: r#"{"name": "x"}"#.into(), ..Invocation::default() };
//! let outcome = environment.invoke(invocation, None).await?;
//! println!("{:?}: {}", outcome.status, String::from_utf8_lossy(&outcome.payload));
//! environment.close().await;
//! # Ok(())
//! # }
//! ```

// `start` decides what is started, `processes` follows it, and `run` is one life of an environment. `runtime_api` and
// `extensions_api` are what runtimes and extensions call; `server` has their connections, `api` their answers, and `state` what
// they change.
// `telemetry` sends logs to extensions. `failure` is what Lambda reports when a function does not answer, and `advice` what
// lbuild adds. `front` is the server of `serve`, for requests as of `emulator` or of `url`; `http` has their answers.

mod advice;
mod api;
mod emulator;
mod environment;
mod extensions_api;
mod failure;
mod front;
mod function;
mod http;
mod identifier;
mod log;
mod processes;
mod report;
mod run;
mod runtime_api;
mod server;
mod settings;
mod start;
mod state;
mod telemetry;
mod url;

pub use advice::{Advice, advice};
pub use environment::{ExecutionEnvironment, Invocation, Outcome, Stream};
pub use failure::Status;
pub use front::{Form, serve};
pub use function::Function;
pub use http::Notice;
pub use log::LogRecord;
pub use report::InvocationReport;
pub use settings::{FunctionNetwork, FunctionSettings, MAX_PAYLOAD, MAX_STREAM};
