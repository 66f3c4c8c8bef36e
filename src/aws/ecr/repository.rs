//! Repositories of ECR: create, describe, allow Lambda to pull.

use std::fmt;

use aws_sdk_ecr::Client;
use aws_sdk_ecr::types::{
    EncryptionConfiguration, EncryptionType, ImageScanningConfiguration, ImageTagMutability, Repository, Tag,
};

use super::policy;
use crate::aws::call::Call;
use crate::aws::caller::Aws;
use crate::error::{Error, Result};
use crate::image::EcrHost;

/// A repository of ECR, by name; it may not exist yet.
#[derive(Clone)]
pub struct EcrRepository {
    aws: Aws,
    host: EcrHost,
    name: String,
}

/// The settings of a new repository.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Whether tags are immutable.
    pub immutable: bool,
    /// Whether images are scanned for vulnerabilities on push.
    pub scan: bool,
    /// The encryption of stored images, instead of ECR's default.
    pub encryption: Option<Encryption>,
    /// The lifecycle policy, as JSON.
    pub lifecycle: Option<String>,
    /// The repository's own AWS tags.
    pub tags: Vec<(String, String)>,
}

/// A repository's encryption.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encryption {
    /// A KMS key by its id, alias or ARN; `None` is AWS's own key for ECR.
    Kms(Option<String>),
}

/// A repository that exists.
#[derive(Clone, Debug)]
pub struct ExistingRepository {
    repository: Repository,
}

impl ExistingRepository {
    /// Whether an existing tag can never name another image.
    pub fn is_immutable(&self, tag: &str) -> bool {
        let excluded = || {
            let filters = self.repository.image_tag_mutability_exclusion_filters();
            filters.iter().any(|filter| matches(filter.filter(), tag))
        };
        match self.repository.image_tag_mutability() {
            Some(ImageTagMutability::Immutable) => true,
            Some(ImageTagMutability::ImmutableWithExclusion) => !excluded(),
            Some(ImageTagMutability::MutableWithExclusion) => excluded(),
            _ => false,
        }
    }

    /// The names of the settings that differ from `settings`.
    pub fn differences(&self, settings: &Settings) -> Vec<&'static str> {
        let scan =
            self.repository.image_scanning_configuration().is_some_and(|scanning| scanning.scan_on_push());
        let encryption = self.repository.encryption_configuration();
        let kms =
            encryption.is_some_and(|encryption| *encryption.encryption_type() != EncryptionType::Aes256);
        let mut differences = Vec::new();
        if settings.immutable
            && self.repository.image_tag_mutability() != Some(&ImageTagMutability::Immutable)
        {
            differences.push("immutable tags");
        }
        if settings.scan && !scan {
            differences.push("scanning");
        }
        if settings.encryption.is_some() && !kms {
            differences.push("encryption");
        }
        differences
    }
}

/// Whether a tag matches a filter of ECR, whose only wildcard is `*`.
fn matches(filter: &str, tag: &str) -> bool {
    let mut parts = filter.split('*');
    let Some(mut rest) = parts.next().and_then(|first| tag.strip_prefix(first)) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(middle) = last.replace(part) {
            let Some(at) = rest.find(middle) else { return false };
            rest = &rest[at + middle.len()..];
        }
    }
    last.map_or(rest.is_empty(), |last: &str| rest.ends_with(last))
}

impl Aws {
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
}

impl EcrRepository {
    /// The registry of the repository.
    pub fn host(&self) -> &EcrHost {
        &self.host
    }

    /// The repository as ECR describes it; `None` if it does not exist.
    ///
    /// # Errors
    /// When ECR refuses the call.
    pub async fn find(&self) -> Result<Option<ExistingRepository>> {
        let client = self.client().await;
        let call = self.call(&format!("look for the repository {self}"), "ecr:DescribeRepositories");
        let request =
            client.describe_repositories().registry_id(self.host.account()).repository_names(&self.name);
        match request.send().await {
            Ok(answer) => Ok(answer
                .repositories
                .and_then(|found| found.into_iter().next())
                .map(|repository| ExistingRepository { repository })),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_repository_not_found_exception()) => {
                Ok(None)
            }
            Err(error) => Err(call.failed(error)),
        }
    }

    /// Creates the repository unless it exists; `true` if it was created. Concurrent calls are allowed.
    ///
    /// # Errors
    /// When ECR refuses the call.
    pub async fn create(&self, settings: &Settings) -> Result<bool> {
        let client = self.client().await;
        let call = self.call(&format!("create the repository {self}"), "ecr:CreateRepository");
        let mut request =
            client.create_repository().registry_id(self.host.account()).repository_name(&self.name);
        if settings.immutable {
            request = request.image_tag_mutability(ImageTagMutability::Immutable);
        }
        if settings.scan {
            request = request.image_scanning_configuration(
                ImageScanningConfiguration::builder().scan_on_push(true).build(),
            );
        }
        if let Some(Encryption::Kms(key)) = &settings.encryption {
            let kms = EncryptionConfiguration::builder()
                .encryption_type(EncryptionType::Kms)
                .set_kms_key(key.clone());
            request = request.set_encryption_configuration(kms.build().ok());
        }
        for (key, value) in &settings.tags {
            // `build` fails only for a tag without a key or a value.
            if let Ok(tag) = Tag::builder().key(key).value(value).build() {
                request = request.tags(tag);
            }
        }
        let made = match request.send().await {
            Ok(_) => true,
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_repository_already_exists_exception()) =>
            {
                false
            }
            Err(error) => return Err(call.failed(error)),
        };
        // An earlier call may have created the repository and then failed before it set the policy.
        if let Some(lifecycle) = &settings.lifecycle {
            self.put_lifecycle(&client, lifecycle).await?;
        }
        Ok(made)
    }

    /// Creates the repository if a lookup does not find it. A caller who may not create repositories can thus push to
    /// existing ones.
    ///
    /// # Errors
    /// When the repository does not exist and ECR refuses to create it.
    pub async fn ensure(&self) -> Result<bool> {
        match self.find().await {
            Ok(Some(_)) => Ok(false),
            Ok(None) => self.create(&Settings::default()).await,
            // A caller who may not look up may still create. If both are denied, the error of the creation is returned.
            Err(Error::Aws { answer, .. }) if answer.missing.is_some() => {
                self.create(&Settings::default()).await
            }
            Err(error) => Err(error),
        }
    }

    async fn put_lifecycle(&self, client: &Client, text: &str) -> Result<()> {
        let call = self.call(&format!("set the lifecycle policy of {self}"), "ecr:PutLifecyclePolicy");
        let request = client
            .put_lifecycle_policy()
            .registry_id(self.host.account())
            .repository_name(&self.name)
            .lifecycle_policy_text(text);
        request.send().await.map(drop).map_err(|error| call.failed(error))
    }

    /// The repository's policy.
    ///
    /// # Errors
    /// When ECR refuses the call.
    pub async fn policy(&self) -> Result<Option<String>> {
        let client = self.client().await;
        let call = self.call(&format!("read the policy of {self}"), "ecr:GetRepositoryPolicy");
        let request =
            client.get_repository_policy().registry_id(self.host.account()).repository_name(&self.name);
        match request.send().await {
            Ok(answer) => Ok(answer.policy_text),
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_repository_policy_not_found_exception()) =>
            {
                Ok(None)
            }
            Err(error) => Err(call.failed(error)),
        }
    }

    /// The policy extended so that Lambda may pull, also for functions of other `accounts`; `None` if it allows this
    /// already.
    ///
    /// # Errors
    /// When the policy cannot be read.
    pub async fn policy_for_lambda(&self, accounts: &[String]) -> Result<Option<String>> {
        let policy = self.policy().await?;
        let fail = |fault| Error::RepositoryPolicy { repository: self.to_string(), fault };
        policy::allow_lambda(policy.as_deref(), &self.host, accounts).map_err(fail)
    }

    /// Allows Lambda to pull; `true` if the policy had to change. All other statements stay.
    ///
    /// # Errors
    /// When the policy cannot be read, or ECR refuses the new one.
    pub async fn allow_lambda(&self, accounts: &[String]) -> Result<bool> {
        let Some(policy) = self.policy_for_lambda(accounts).await? else { return Ok(false) };
        let client = self.client().await;
        let call = self.call(&format!("set the policy of {self}"), "ecr:SetRepositoryPolicy");
        let request = client
            .set_repository_policy()
            .registry_id(self.host.account())
            .repository_name(&self.name)
            .policy_text(policy);
        request.send().await.map(|_| true).map_err(|error| call.failed(error))
    }

    async fn client(&self) -> Client {
        self.aws.ecr(&self.host).await
    }

    fn call(&self, operation: &str, action: &'static str) -> Call {
        Call::new(operation, action, &self.host.repository_arn(&self.name))
    }
}

/// The repository's URI.
impl fmt::Display for EcrRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_in_a_filter_matches_any_text() {
        for (filter, tag, fits) in [
            ("latest", "latest", true),
            ("latest", "latest1", false),
            ("dev-*", "dev-7", true),
            ("dev-*", "prod", false),
            ("*-rc*", "v1-rc2", true),
            ("*-rc", "v1-rc2", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(filter, tag), fits, "{filter} {tag}");
        }
    }
}
