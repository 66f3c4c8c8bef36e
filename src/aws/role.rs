//! Roles that the caller assumes to push to a repository.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_config::Region;
use aws_config::identity::IdentityCache;
use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sts::types::{PolicyDescriptorType, Tag};

use super::call::Call;
use super::caller::Aws;
use crate::error::{Error, Result};
use crate::image::Reference;
use crate::store::{Credential, Credentials, Later};

/// A role to assume.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// The external id that its trust policy may demand.
    pub external_id: Option<String>,
    /// The session of the role.
    pub session: Session,
}

/// The session of a role:
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html#API_AssumeRole_RequestParameters>.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Session {
    /// The name of the session.
    pub name: String,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// The keys of the tags that sessions of further roles inherit.
    pub transitive_tag_keys: Vec<String>,
    /// A policy that limits it, as JSON.
    pub policy: Option<String>,
    /// The ARNs of managed policies that limit it.
    pub policy_arns: Vec<String>,
    /// How many seconds the credentials are valid; `None` is an hour.
    pub duration: Option<i32>,
    /// The source identity.
    pub source_identity: Option<String>,
}

impl Role {
    /// The account of the role, by its ARN: `arn:PARTITION:iam::ACCOUNT:role/NAME`.
    pub fn account(&self) -> Option<&str> {
        let mut parts = self.arn.split(':');
        (parts.next() == Some("arn")).then_some(())?;
        parts.nth(3).filter(|account| account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()))
    }
}

impl Aws {
    /// The caller in this role, whose credentials are renewed when they expire.
    ///
    /// # Errors
    /// When the caller has no credentials, or may not assume the role.
    pub async fn assume(&self, role: Role) -> Result<Aws> {
        let config = self.config().await;
        // The answer of STS is the same in every region.
        let region = config.region().cloned().unwrap_or(Region::from_static("us-east-1"));
        let client = aws_sdk_sts::config::Builder::from(config).region(region);
        let assumed = AssumedRole {
            client: aws_sdk_sts::Client::from_conf(client.build()),
            role,
            first: Mutex::default(),
        };
        let keys = assumed.ask().await?;
        *assumed.first.lock().unwrap_or_else(PoisonError::into_inner) = Some(keys);
        let config = config
            .to_builder()
            .credentials_provider(SharedCredentialsProvider::new(assumed))
            // The caller's own cache would go on with the caller's credentials.
            .identity_cache(IdentityCache::lazy().build());
        Ok(Aws::with_config(config.build()))
    }
}

/// The source of a role's credentials.
struct AssumedRole {
    client: aws_sdk_sts::Client,
    role: Role,
    /// The credentials of the call that showed that the role can be assumed.
    first: Mutex<Option<Keys>>,
}

impl AssumedRole {
    async fn ask(&self) -> Result<Keys> {
        let Role { arn, external_id, session } = &self.role;
        let call = Call::new(&format!("assume the role {arn}"), "sts:AssumeRole", arn);
        let mut request = self
            .client
            .assume_role()
            .role_arn(arn)
            .role_session_name(&session.name)
            .set_external_id(external_id.clone())
            .set_policy(session.policy.clone())
            .set_duration_seconds(session.duration)
            .set_source_identity(session.source_identity.clone());
        for (key, value) in &session.tags {
            // `build` fails only for a tag without a key or a value.
            if let Ok(tag) = Tag::builder().key(key).value(value).build() {
                request = request.tags(tag);
            }
        }
        for key in &session.transitive_tag_keys {
            request = request.transitive_tag_keys(key);
        }
        for arn in &session.policy_arns {
            request = request.policy_arns(PolicyDescriptorType::builder().arn(arn).build());
        }
        let answer = request.send().await.map_err(|error| call.failed(error))?;
        let none = || Error::AwsCredentials { source: "STS answered without credentials".into() };
        let keys = answer.credentials().ok_or_else(none)?;
        let (id, secret, token) = (keys.access_key_id(), keys.secret_access_key(), keys.session_token());
        let expiry = SystemTime::try_from(*keys.expiration()).ok();
        Ok(Keys::new(id, secret, Some(token.to_owned()), expiry, "lbuild"))
    }
}

impl ProvideCredentials for AssumedRole {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        match first {
            Some(keys) => future::ProvideCredentials::ready(Ok(keys)),
            None => future::ProvideCredentials::new(async {
                self.ask().await.map_err(CredentialsError::provider_error)
            }),
        }
    }
}

impl fmt::Debug for AssumedRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AssumedRole").field(&self.role.arn).finish()
    }
}

/// Callers in roles, each for one repository of ECR; they are [`Credentials`] for these repositories only.
#[derive(Clone, Default)]
pub struct AssumedRoles {
    callers: Arc<HashMap<(String, String), Aws>>,
}

/// From pairs of a repository and the caller that pushes to it.
impl FromIterator<(Reference, Aws)> for AssumedRoles {
    fn from_iter<T: IntoIterator<Item = (Reference, Aws)>>(callers: T) -> AssumedRoles {
        let key = |name: &Reference| (name.registry().to_owned(), name.repository().to_owned());
        AssumedRoles { callers: Arc::new(callers.into_iter().map(|(name, aws)| (key(&name), aws)).collect()) }
    }
}

impl AssumedRoles {
    fn caller(&self, registry: &str, repository: &str) -> Option<&Aws> {
        self.callers.get(&(registry.to_owned(), repository.to_owned()))
    }
}

impl Credentials for AssumedRoles {
    fn get<'a>(&'a self, _registry: &'a str, _renew: bool) -> Later<'a, Result<Option<Credential>>> {
        Box::pin(async { Ok(None) })
    }

    fn get_for<'a>(
        &'a self,
        registry: &'a str,
        repository: &'a str,
        renew: bool,
    ) -> Later<'a, Result<Option<Credential>>> {
        match self.caller(registry, repository) {
            Some(caller) => caller.get(registry, renew),
            None => self.get(registry, renew),
        }
    }

    fn describe(&self) -> String {
        "from the assumed role".into()
    }

    fn immutable_tags<'a>(&'a self, repository: &'a Reference, tags: &'a [String]) -> Later<'a, Vec<String>> {
        match self.caller(repository.registry(), repository.repository()) {
            Some(caller) => caller.immutable_tags(repository, tags),
            None => Box::pin(async { Vec::new() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_a_role_is_in_its_arn() {
        for (arn, account) in [
            ("arn:aws:iam::123456789012:role/cdk-image-publishing-role", Some("123456789012")),
            ("arn:aws-cn:iam::123456789012:role/path/name", Some("123456789012")),
            ("arn:aws:iam::1234:role/x", None),
            ("arn:aws:iam::${AWS::AccountId}:role/x", None),
            ("role/x", None),
            ("", None),
        ] {
            let role = Role { arn: arn.to_owned(), external_id: None, session: Session::default() };
            assert_eq!(role.account(), account, "{arn}");
        }
    }

    #[tokio::test]
    async fn a_role_is_for_its_repository_only() {
        let of_repository: Reference = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/a/b:t".parse().unwrap();
        let roles: AssumedRoles = [(of_repository.clone(), Aws::from_env())].into_iter().collect();
        let registry = of_repository.registry();
        assert!(roles.caller(registry, "a/b").is_some());
        assert!(roles.caller(registry, "a/c").is_none() && roles.caller("other.example", "a/b").is_none());
        assert_eq!(roles.get_for(registry, "a/c", false).await.unwrap(), None);
        assert_eq!(roles.get(registry, false).await.unwrap(), None);
    }
}
