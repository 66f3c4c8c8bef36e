//! ECR's tokens, as [`Credentials`] for pushes and pulls.

use std::path::Path;
use std::sync::{Arc, PoisonError};

use aws_config::Region;
use base64::Engine as _;
use tokio::sync::Mutex as AsyncMutex;

use crate::aws::call::Call;
use crate::aws::caller::Aws;
use crate::error::{Error, Result};
use crate::image::{ECR_PUBLIC, EcrHost, Reference};
use crate::store::{Credential, Credentials, Later, Secret};

/// The only region that issues tokens for the public registry:
/// <https://docs.aws.amazon.com/AmazonECR/latest/public/public-registry-auth.html>.
const PUBLIC_REGION: Region = Region::from_static("us-east-1");

impl Credentials for Aws {
    fn get<'a>(&'a self, registry: &'a str, renew: bool) -> Later<'a, Result<Option<Credential>>> {
        Box::pin(async move {
            let token = match EcrHost::parse(registry) {
                Some(host) => self.token(Some(host), renew).await?,
                // Public images need no credentials, so the slow search for them runs only if some probably exist.
                None if registry == ECR_PUBLIC && has_credentials() => match self.token(None, renew).await {
                    Err(Error::NoAwsCredentials { .. }) => return Ok(None),
                    token => token?,
                },
                None => return Ok(None),
            };
            Ok(Some(token))
        })
    }

    fn describe(&self) -> String {
        "from AWS".into()
    }

    fn immutable_tags<'a>(&'a self, repository: &'a Reference, tags: &'a [String]) -> Later<'a, Vec<String>> {
        Box::pin(async move {
            let Some(host) = EcrHost::parse(repository.registry()) else { return Vec::new() };
            // If the caller may not describe the repository, the registry itself refuses the manifest later.
            match self.repository(host, repository.repository()).find().await {
                Ok(Some(found)) => tags.iter().filter(|tag| found.is_immutable(tag)).cloned().collect(),
                Ok(None) | Err(_) => Vec::new(),
            }
        })
    }
}

impl Aws {
    /// The token for a registry; `None` stands for the public registry. The token is fetched again only if
    /// `renew` is set. Its expiry time is ignored: the registry checks it, and emulators issue tokens that expired long
    /// ago.
    async fn token(&self, host: Option<EcrHost>, renew: bool) -> Result<Credential> {
        // All hosts of one account and region accept the same token.
        let key = host.as_ref().map(|host| EcrHost::new(host.account(), host.region()));
        let slot = {
            let mut tokens = self.shared.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            tokens.entry(key).or_insert_with(|| Arc::new(AsyncMutex::new(None))).clone()
        };
        let mut held = slot.lock().await;
        if renew || held.is_none() {
            *held = Some(match &host {
                Some(host) => self.private_token(host).await?,
                None => self.public_token().await?,
            });
        }
        let token = held.as_ref().map(Secret::expose).unwrap_or_default();
        decode(token).ok_or_else(|| Error::Credentials {
            registry: host.map_or(ECR_PUBLIC.to_owned(), |host| host.to_string()),
            from: self.describe(),
            reason: "the token does not have the form that ECR documents".into(),
        })
    }

    async fn private_token(&self, host: &EcrHost) -> Result<Secret> {
        let client = self.ecr(host).await;
        let call = Call::new(&format!("log in to {host}"), "ecr:GetAuthorizationToken", "*");
        let answer = client.get_authorization_token().send().await.map_err(|error| call.failed(error))?;
        let token = answer.authorization_data().first().and_then(|data| data.authorization_token());
        Ok(Secret::from(token.unwrap_or_default().to_owned()))
    }

    async fn public_token(&self) -> Result<Secret> {
        let config = aws_sdk_ecrpublic::config::Builder::from(self.config().await).region(PUBLIC_REGION);
        let client = aws_sdk_ecrpublic::Client::from_conf(config.build());
        let call = Call::new(&format!("log in to {ECR_PUBLIC}"), "ecr-public:GetAuthorizationToken", "*");
        let answer = client.get_authorization_token().send().await.map_err(|error| call.failed(error))?;
        let token = answer.authorization_data().and_then(|data| data.authorization_token());
        Ok(Secret::from(token.unwrap_or_default().to_owned()))
    }
}

/// Decodes a token: `AWS:` and a password, in base64.
fn decode(token: &str) -> Option<Credential> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(token).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (username, password) = text.split_once(':')?;
    Some(Credential::Password { username: username.to_owned(), password: Secret::from(password.to_owned()) })
}

/// Whether this machine probably has AWS credentials. Outside EC2, the search for an instance's role takes seconds.
fn has_credentials() -> bool {
    const VARIABLES: [&str; 5] = [
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ];
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let file = |name: &str, usual: &str| match std::env::var_os(name) {
        Some(path) => Path::new(&path).exists(),
        None => std::env::home_dir().is_some_and(|home| home.join(usual).exists()),
    };
    let reads =
        |path: &str, start: &str| std::fs::read_to_string(path).is_ok_and(|text| text.starts_with(start));
    VARIABLES.into_iter().any(is_set)
        || file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")
        || file("AWS_CONFIG_FILE", ".aws/config")
        // <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/identify_ec2_instances.html>
        || (!is_set("AWS_EC2_METADATA_DISABLED")
            && (reads("/sys/class/dmi/id/sys_vendor", "Amazon EC2") || reads("/sys/hypervisor/uuid", "ec2")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_decoded_into_username_and_password() {
        let token = base64::engine::general_purpose::STANDARD.encode("AWS:a:b");
        let password =
            Credential::Password { username: "AWS".into(), password: Secret::from("a:b".to_owned()) };
        assert_eq!(decode(&token), Some(password));
        assert_eq!(decode(""), None);
        assert_eq!(decode("not base64!"), None);
    }
}
