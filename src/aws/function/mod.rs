//! Functions of Lambda: their state, deployments, versions and aliases, and invocations.
//!
//! * `name`: a function and its client; `state`: a function as Lambda describes it; `settings`: what of it can be set.
//! * `deployment`: what a function is to be; `deploy`: makes it so; `wait`: until Lambda has done so; `publish`: versions and aliases.
//! * `reasons`: what Lambda's codes of failures mean; `invoke`: an invocation.

mod deploy;
mod deployment;
mod invoke;
mod name;
mod publish;
mod reasons;
mod settings;
mod state;
mod wait;

pub use deployment::{Deployed, Deployment, Publish};
pub use invoke::RemoteOutcome;
pub use name::LambdaFunction;
pub use reasons::explained;
pub use settings::{FunctionSettings, ImageOverrides};
pub use state::{FunctionState, Reason};
pub use wait::FunctionStep;
