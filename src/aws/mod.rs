//! AWS without its command line tool: tokens, repositories and policies of ECR, layers and functions of
//! Lambda.
//!
//! [`Aws`] finds credentials and region as every AWS tool does: from the environment, a profile, SSO, a web identity,
//! or the role of a container or an instance. It is a source of [`Credentials`](crate::Credentials) for ECR:
//!
//! ```
//! # fn main() -> lbuild::Result<()> {
//! # let cache = tempfile::tempdir().unwrap();
//! use lbuild::{DockerConfig, Engine, aws::Aws};
//!
//! let engine = Engine::builder().cache(cache.path()).credentials(Aws::from_env()).credentials(DockerConfig).build()?;
//! # Ok(())
//! # }
//! ```
//!
//! Credentials and region are looked up on first use, and kept in memory only.

mod call;
mod caller;
mod ecr;
mod function;
mod layers;
mod role;

pub use caller::{Aws, Identity, Login};
pub use ecr::{EcrRepository, Encryption, ExistingRepository, Settings};
pub use function::{
    Deployed, Deployment, FunctionSettings, FunctionState, FunctionStep, ImageOverrides, LambdaFunction,
    Publish, Reason, RemoteOutcome, explained,
};
pub use layers::{LayerFilter, ListedLayer};
pub use role::{AssumedRoles, Role, Session};
