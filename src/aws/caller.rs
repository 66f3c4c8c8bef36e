//! The caller of AWS: its credentials, region and identity.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
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
    /// The region that was given instead of that of the environment.
    region: OnceLock<String>,
    /// ECR's tokens by account and region; `None` stands for the public registry.
    pub(super) tokens: Mutex<HashMap<Option<EcrHost>, Arc<Token>>>,
    /// ECR's clients; each has its own connections.
    pub(super) clients: Mutex<HashMap<EcrHost, aws_sdk_ecr::Client>>,
    /// Lambda's clients by region.
    pub(super) lambda: Mutex<HashMap<String, aws_sdk_lambda::Client>>,
}

impl Shared {
    fn new(config: OnceCell<SdkConfig>) -> Arc<Shared> {
        Arc::new(Shared {
            config,
            region: OnceLock::new(),
            tokens: Mutex::default(),
            clients: Mutex::default(),
            lambda: Mutex::default(),
        })
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

/// The caller's credentials, for a function that acts as the caller.
pub struct Login {
    /// The id of the key.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: String,
    /// The token of a session.
    pub session_token: Option<String>,
    /// The Region that the settings name.
    pub region: Option<String>,
}

impl Aws {
    /// A caller whose credentials and region are looked up in the environment on first use.
    pub fn from_env() -> Aws {
        Aws { shared: Shared::new(OnceCell::new()) }
    }

    /// A caller as of the environment, in this region.
    pub fn in_region(region: impl Into<String>) -> Aws {
        let aws = Aws::from_env();
        aws.shared.region.get_or_init(|| region.into());
        aws
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

    /// The caller's credentials themselves.
    ///
    /// # Errors
    /// When there are none, or they cannot be obtained.
    pub async fn login(&self) -> Result<Login> {
        let config = self.config().await;
        let none = || CredentialsError::not_loaded("no source of credentials is configured");
        let found = match config.credentials_provider() {
            Some(provider) => provider.provide_credentials().await,
            None => Err(none()),
        };
        let found = found.map_err(|error| match error {
            CredentialsError::CredentialsNotLoaded(_) => Error::NoAwsCredentials { source: error.into() },
            error => Error::AwsCredentials { source: error.into() },
        })?;
        Ok(Login {
            access_key_id: found.access_key_id().to_owned(),
            secret_access_key: found.secret_access_key().to_owned(),
            session_token: found.session_token().map(str::to_owned),
            region: config.region().map(Region::to_string),
        })
    }

    /// The region of the environment or the profile.
    ///
    /// # Errors
    /// When no region is set.
    pub async fn region(&self) -> Result<String> {
        self.config().await.region().map(Region::to_string).ok_or(Error::NoAwsRegion)
    }

    /// The client of Lambda in a region.
    pub(super) async fn lambda(&self, region: &str) -> aws_sdk_lambda::Client {
        let config = self.config().await;
        let mut clients = self.shared.lambda.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || {
            let config = aws_sdk_lambda::config::Builder::from(config).region(Region::new(region.to_owned()));
            aws_sdk_lambda::Client::from_conf(config.build())
        };
        clients.entry(region.to_owned()).or_insert_with(made).clone()
    }

    pub(super) async fn config(&self) -> &SdkConfig {
        let load = || {
            let loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts());
            let loader = match self.shared.region.get() {
                Some(region) => loader.region(Region::new(region.clone())),
                None => loader,
            };
            loader.load()
        };
        self.shared.config.get_or_init(load).await
    }
}

/// The time limits of a call. Without them, an endpoint that accepts a connection and never answers is waited for for
/// ever. Three attempts fit into the last one, which covers them and the pauses between them.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(30))
        .operation_timeout(Duration::from_secs(110))
        .build()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Instant;

    use aws_credential_types::Credentials;
    use aws_credential_types::provider::SharedCredentialsProvider;

    use super::*;

    #[tokio::test]
    async fn a_call_has_time_limits() {
        let aws = Aws::from_env();
        let limits = aws.config().await.timeout_config().unwrap();
        assert!(limits.connect_timeout().unwrap() <= Duration::from_secs(15));
        assert!(limits.read_timeout().unwrap() <= Duration::from_secs(60));
        assert!(limits.operation_timeout().unwrap() <= Duration::from_secs(120));
    }

    #[tokio::test]
    async fn an_endpoint_that_never_answers_is_no_connection() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let limits = timeouts().to_builder().read_timeout(Duration::from_millis(50)).build();
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "a", "b", None, None, "test",
            )))
            .endpoint_url(format!("http://{}", silent.local_addr().unwrap()))
            .timeout_config(limits)
            .build();
        let (began, asked) = (Instant::now(), Aws::with_config(config).identity().await);
        let error = asked.unwrap_err();
        assert!(matches!(error, Error::AwsConnection { .. }) && error.hint().is_some(), "{error}");
        assert!(began.elapsed() < Duration::from_secs(60));
    }
}
