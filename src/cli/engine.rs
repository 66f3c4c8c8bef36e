//! Configures engines from the flags.

#[cfg(feature = "aws")]
use lbuild::image::Reference;
use lbuild::recipe::{Base, Recipe};
use lbuild::{Caching, Credentials, DockerConfig, Engine, EngineBuilder, Password};
#[cfg(feature = "aws")]
use lbuild::{Credential, Later};

use super::args::dockerfile::CommandArgs;
use super::args::push::CachingArgs;
use super::args::registry::Registry;
use super::context::{Context, Logins};
use super::lower::config_file::ConfigFile;
use super::lower::dockerfile::{agents, secrets};
use super::output::exit::Failure;

/// Returns the builder of an engine. A given password is sent only to the one registry in `login`.
///
/// # Errors
///
/// When a password is given but `login` does not have exactly one registry, or `LBUILD_REGISTRY_ENDPOINT` is malformed.
pub fn builder(
    args: &Registry,
    config_insecure: &[String],
    context: &Context,
    login: &[&str],
) -> Result<EngineBuilder, Failure> {
    let report = context.report.clone();
    let mut builder = Engine::builder().on_event(move |event| report.event(&event));
    if let Some(jobs) = context.jobs {
        builder = builder.jobs(jobs.into());
    }
    for registry in args.insecure.iter().chain(config_insecure) {
        builder = builder.insecure(registry);
    }
    if let (Some(username), Some(password)) = (&args.username, &args.password) {
        let Some(registry) = login.first().filter(|first| login.iter().all(|other| other == *first)) else {
            return Err(Failure::usage(
                "--username needs exactly one registry",
                "for several registries, log in to each with any Docker tool",
            ));
        };
        let (registry, username, password) = ((*registry).to_owned(), username.clone(), password.clone());
        builder = builder.credentials(Password { registry, username, password });
    }
    for (registry, endpoint) in endpoints()? {
        builder = builder.endpoint(registry, endpoint);
    }
    Ok(logins(builder, context))
}

/// Sets the sources of credentials.
fn logins(builder: EngineBuilder, context: &Context) -> EngineBuilder {
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
    #[cfg(feature = "aws")]
    return builder.credentials(StoredFirst { stored, aws: context.aws.clone() });
    #[cfg(not(feature = "aws"))]
    builder.credentials(stored)
}

/// The stored logins, and AWS's credentials for a registry without one. A stored login that cannot be read is an error: the
/// push would go out as another role.
#[cfg(feature = "aws")]
struct StoredFirst {
    stored: Box<dyn Credentials>,
    aws: lbuild::aws::Aws,
}

#[cfg(feature = "aws")]
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
            match self.stored.get_for(registry, repository, renew).await? {
                Some(credential) => Ok(Some(credential)),
                None => self.aws.get_for(registry, repository, renew).await,
            }
        })
    }

    fn describe(&self) -> String {
        format!("{}, or else {}", self.stored.describe(), self.aws.describe())
    }

    fn immutable_tags<'a>(&'a self, repository: &'a Reference, tags: &'a [String]) -> Later<'a, Vec<String>> {
        self.aws.immutable_tags(repository, tags)
    }
}

/// The registries in `LBUILD_REGISTRY_ENDPOINT`, each with its endpoint.
pub fn endpoints() -> Result<Vec<(String, String)>, Failure> {
    let text = std::env::var("LBUILD_REGISTRY_ENDPOINT").unwrap_or_default();
    let split = |pair: &str| match pair.trim().split_once('=') {
        Some((registry, endpoint)) if !registry.is_empty() => Ok((registry.to_owned(), endpoint.to_owned())),
        // The text before an @ may be a password.
        _ => Err(Failure::usage(
            format!("LBUILD_REGISTRY_ENDPOINT has `{}`", pair.rsplit('@').next().unwrap_or_default().trim()),
            "write it as REGISTRY=https://HOST[:PORT], with commas between several",
        )),
    };
    text.split(',').filter(|pair| !pair.trim().is_empty()).map(split).collect()
}

/// The registry of a recipe's base.
pub fn base_registry(recipe: &Recipe) -> Option<&str> {
    recipe.stages.iter().find_map(|stage| registry(&stage.base))
}

/// The registry of a base; `None` for other kinds of base.
pub fn registry(base: &Base) -> Option<&str> {
    match base {
        Base::Registry(name) => Some(name.registry()),
        _ => None,
    }
}

/// Sets how commands of a Dockerfile run, their secrets and SSH agents.
pub fn commands(mut engine: EngineBuilder, args: &CommandArgs) -> Result<EngineBuilder, Failure> {
    if let Some(mode) = args.run_mode {
        engine = engine.run_mode(mode);
    }
    let secrets = secrets::read(&args.secret)?;
    let agents = agents::read(&args.ssh)?;
    let engine = agents.into_iter().fold(engine, |engine, (id, socket)| engine.ssh_agent(id, socket));
    let engine = engine.keep_noise(args.keep_noise);
    Ok(secrets.into_iter().fold(engine, |engine, (id, value)| engine.secret(id, value)))
}

/// Sets which layers of earlier runs the engine may reuse.
pub fn caching(
    mut engine: EngineBuilder,
    args: &CachingArgs,
    config: &ConfigFile,
) -> Result<EngineBuilder, Failure> {
    let from = if args.cache_from.is_empty() { &config.cache_from.0 } else { &args.cache_from };
    for image in from {
        engine = engine.cache_from(image.parse()?);
    }
    for stage in &args.no_cache_filter {
        engine = engine.without_cache(stage);
    }
    Ok(engine.caching(match (args.no_cache, args.verify_cache) {
        (true, _) => Caching::Off,
        (_, true) => Caching::Verify,
        _ => Caching::On,
    }))
}
