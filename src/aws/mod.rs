//! AWS without its command line: ECR's tokens, repositories and policies.
//!
//! [`Aws`] finds credentials and region as every AWS tool does: the environment, a profile, SSO, a web identity,
//! a container's or an instance's role. It is a source of [`Credentials`](crate::Credentials) for ECR:
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
//! Nothing is looked up before it is needed, and all that is found is kept in memory only.

mod ecr;
mod failure;
mod policy;
mod repository;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use tokio::sync::{Mutex as AsyncMutex, OnceCell};

use self::failure::Call;
use crate::error::{Error, Result};
use crate::image::EcrHost;
use crate::store::Secret;

pub use repository::{EcrRepository, Encryption, Found, Settings};

/// One caller of AWS. Cheap to clone; clones share credentials and tokens.
#[derive(Clone)]
pub struct Aws {
    shared: Arc<Shared>,
}

struct Shared {
    config: OnceCell<SdkConfig>,
    /// ECR's tokens, by the account and region, or for the public registry.
    tokens: Mutex<HashMap<Option<EcrHost>, Arc<Token>>>,
    /// Each has connections of its own.
    clients: Mutex<HashMap<EcrHost, aws_sdk_ecr::Client>>,
}

impl Shared {
    fn new(config: OnceCell<SdkConfig>) -> Arc<Shared> {
        Arc::new(Shared { config, tokens: Mutex::default(), clients: Mutex::default() })
    }
}

/// The lock lets one task fetch it while the others wait.
type Token = AsyncMutex<Option<Secret>>;

/// Who AWS takes the caller for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account's twelve digits.
    pub account: String,
    /// The user's or role's ARN.
    pub arn: String,
}

impl Aws {
    /// A caller whose credentials and region are found in the environment, when they are first needed.
    pub fn from_env() -> Aws {
        Aws { shared: Shared::new(OnceCell::new()) }
    }

    /// A caller with a configuration that the program has already.
    pub fn with_config(config: SdkConfig) -> Aws {
        Aws { shared: Shared::new(OnceCell::new_with(Some(config))) }
    }

    /// Who AWS takes the caller for, as STS says.
    ///
    /// # Errors
    /// When there are no credentials, or AWS refuses them.
    pub async fn identity(&self) -> Result<Identity> {
        let config = self.config().await;
        let client = match config.region() {
            Some(_) => aws_sdk_sts::Client::new(config),
            // STS answers everywhere alike.
            None => {
                let config =
                    aws_sdk_sts::config::Builder::from(config).region(Region::from_static("us-east-1"));
                aws_sdk_sts::Client::from_conf(config.build())
            }
        };
        let call = Call::new("find out the AWS account", "sts:GetCallerIdentity", "*");
        let answer = client.get_caller_identity().send().await.map_err(|error| call.failed(error))?;
        Ok(Identity {
            account: answer.account().unwrap_or_default().to_owned(),
            arn: answer.arn().unwrap_or_default().to_owned(),
        })
    }

    /// The region of the environment or the profile.
    ///
    /// # Errors
    /// When none is set.
    pub async fn region(&self) -> Result<String> {
        self.config().await.region().map(Region::to_string).ok_or(Error::NoAwsRegion)
    }

    /// The registry of the caller's own account, in the region of the environment.
    ///
    /// # Errors
    /// Those of [`identity`](Aws::identity) and [`region`](Aws::region).
    pub async fn registry(&self) -> Result<EcrHost> {
        let region = self.region().await?;
        Ok(EcrHost::new(self.identity().await?.account, region))
    }

    /// A repository of a registry, whether it exists or not.
    pub fn repository(&self, registry: EcrHost, name: impl Into<String>) -> EcrRepository {
        EcrRepository { aws: self.clone(), host: registry, name: name.into() }
    }

    async fn config(&self) -> &SdkConfig {
        let load = || aws_config::defaults(BehaviorVersion::latest()).load();
        self.shared.config.get_or_init(load).await
    }

    /// ECR's API where the registry is: what its host says counts, whatever region the environment names.
    async fn ecr(&self, host: &EcrHost) -> aws_sdk_ecr::Client {
        let config = self.config().await;
        let mut clients = self.shared.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.entry(host.clone()).or_insert_with(|| ecr_client(config, host)).clone()
    }
}

fn ecr_client(config: &SdkConfig, host: &EcrHost) -> aws_sdk_ecr::Client {
    let region = Region::new(host.region().to_owned());
    let mut builder = aws_sdk_ecr::config::Builder::from(config).region(region);
    // An endpoint of one's own is as it is.
    let own =
        ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECR"].iter().any(|name| std::env::var_os(name).is_some());
    if !own && config.endpoint_url().is_none() {
        builder = match host.is_fips() {
            true => builder.use_fips(true),
            false => builder,
        };
        builder = match host.is_dual_stack() {
            true => builder.use_dual_stack(true),
            false => builder,
        };
    }
    aws_sdk_ecr::Client::from_conf(builder.build())
}
