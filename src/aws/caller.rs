//! The caller of AWS: its credentials, region and identity.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use tokio::sync::{Mutex as AsyncMutex, OnceCell};

use super::call::Call;
use crate::error::{Error, Result};
use crate::image::EcrHost;
use crate::store::Secret;

/// A caller of AWS. Cheap to clone; clones share credentials and tokens.
#[derive(Clone)]
pub struct Aws {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    config: OnceCell<SdkConfig>,
    /// ECR's tokens by account and region; `None` stands for the public registry.
    pub(super) tokens: Mutex<HashMap<Option<EcrHost>, Arc<Token>>>,
    /// ECR's clients; each has its own connections.
    pub(super) clients: Mutex<HashMap<EcrHost, aws_sdk_ecr::Client>>,
}

impl Shared {
    fn new(config: OnceCell<SdkConfig>) -> Arc<Shared> {
        Arc::new(Shared { config, tokens: Mutex::default(), clients: Mutex::default() })
    }
}

/// A token. The lock makes other tasks wait while one task fetches it.
pub(super) type Token = AsyncMutex<Option<Secret>>;

/// The caller's identity, as STS reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account's twelve digits.
    pub account: String,
    /// The user's or role's ARN.
    pub arn: String,
}

impl Aws {
    /// A caller whose credentials and region are looked up in the environment on first use.
    pub fn from_env() -> Aws {
        Aws { shared: Shared::new(OnceCell::new()) }
    }

    /// A caller with the given configuration.
    pub fn with_config(config: SdkConfig) -> Aws {
        Aws { shared: Shared::new(OnceCell::new_with(Some(config))) }
    }

    /// The caller's identity, as STS reports it.
    ///
    /// # Errors
    /// When there are no credentials, or AWS refuses them.
    pub async fn identity(&self) -> Result<Identity> {
        let config = self.config().await;
        let client = match config.region() {
            Some(_) => aws_sdk_sts::Client::new(config),
            // The answer of STS is the same in every region.
            None => {
                let config =
                    aws_sdk_sts::config::Builder::from(config).region(Region::from_static("us-east-1"));
                aws_sdk_sts::Client::from_conf(config.build())
            }
        };
        let call = Call::new("look up the AWS account", "sts:GetCallerIdentity", "*");
        let answer = client.get_caller_identity().send().await.map_err(|error| call.failed(error))?;
        Ok(Identity {
            account: answer.account().unwrap_or_default().to_owned(),
            arn: answer.arn().unwrap_or_default().to_owned(),
        })
    }

    /// The region of the environment or the profile.
    ///
    /// # Errors
    /// When no region is set.
    pub async fn region(&self) -> Result<String> {
        self.config().await.region().map(Region::to_string).ok_or(Error::NoAwsRegion)
    }

    pub(super) async fn config(&self) -> &SdkConfig {
        let load = || aws_config::defaults(BehaviorVersion::latest()).load();
        self.shared.config.get_or_init(load).await
    }
}
