//! The sources of the user's credentials, and their order.

use lbuild::image::Reference;
use lbuild::{Credential, Credentials, DockerConfig, EngineBuilder, Later};

use super::context::{Context, Logins};

/// Adds the sources of the user's credentials.
pub fn usual(builder: EngineBuilder, context: &Context) -> EngineBuilder {
    #[cfg(feature = "aws")]
    let builder = builder.lambda_layers(context.aws.clone());
    let stored: Box<dyn Credentials> = match &context.logins {
        Logins::Usual => {
            #[cfg(feature = "aws")]
            let builder = builder.credentials(context.aws.clone());
            return builder.credentials(DockerConfig);
        }
        Logins::Stored { config: Some(dir) } => Box::new(DockerConfig::in_dir(dir)),
        Logins::Stored { config: None } => Box::new(DockerConfig),
    };
    builder.credentials(StoredFirst {
        stored,
        #[cfg(feature = "aws")]
        aws: context.aws.clone(),
    })
}

/// The name that references have for the registry of a host: Docker Hub has several.
pub fn registry_of(host: &str) -> &str {
    match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    }
}

/// The stored logins, and AWS's credentials for a registry without one. A stored login that cannot be read is an error: the
/// push would go out as another role.
struct StoredFirst {
    stored: Box<dyn Credentials>,
    #[cfg(feature = "aws")]
    aws: lbuild::aws::Aws,
}

impl Credentials for StoredFirst {
    fn get<'a>(&'a self, registry: &'a str, renew: bool) -> Later<'a, lbuild::Result<Option<Credential>>> {
        self.get_for(registry, "", renew)
    }

    fn get_for<'a>(
        &'a self,
        registry: &'a str,
        repository: &'a str,
        renew: bool,
    ) -> Later<'a, lbuild::Result<Option<Credential>>> {
        Box::pin(async move {
            let stored = self.stored.get_for(registry, repository, renew).await?;
            #[cfg(feature = "aws")]
            if stored.is_none() {
                return self.aws.get_for(registry, repository, renew).await;
            }
            Ok(stored)
        })
    }

    fn describe(&self) -> String {
        self.stored.describe()
    }

    #[cfg(feature = "aws")]
    fn immutable_tags<'a>(&'a self, repository: &'a Reference, tags: &'a [String]) -> Later<'a, Vec<String>> {
        self.aws.immutable_tags(repository, tags)
    }

    #[cfg(not(feature = "aws"))]
    fn immutable_tags<'a>(&'a self, repository: &'a Reference, tags: &'a [String]) -> Later<'a, Vec<String>> {
        self.stored.immutable_tags(repository, tags)
    }
}
