//! Configures engines from the flags.

use lbuild::recipe::{Base, Recipe};
use lbuild::{Caching, Engine, EngineBuilder, Password};

use super::args::dockerfile::CommandArgs;
use super::args::push::CachingArgs;
use super::args::registry::Registry;
use super::context::Context;
use super::logins;
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
    Ok(logins::usual(connected(args, config_insecure, context, login)?, context))
}

/// As [`builder`], with credentials that come before the caller's own.
pub fn builder_with(
    first: impl lbuild::Credentials + 'static,
    args: &Registry,
    context: &Context,
    login: &[&str],
) -> Result<EngineBuilder, Failure> {
    Ok(logins::usual(connected(args, &[], context, login)?.credentials(first), context))
}

/// A builder without credentials, but for the given password.
fn connected(
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
    Ok(builder)
}

/// The engine of each item. Items with the same settings have the same one, and share connections, bases and layers that
/// are being made.
pub fn each<T, S: PartialEq>(
    items: &[T],
    settings: impl Fn(&T) -> S,
    mut make: impl FnMut(&T) -> Result<Engine, Failure>,
) -> Result<Vec<Engine>, Failure> {
    let mut engines: Vec<Engine> = Vec::new();
    for (number, item) in items.iter().enumerate() {
        let same = items[..number].iter().position(|other| settings(other) == settings(item));
        engines.push(match same {
            Some(same) => engines[same].clone(),
            None => make(item)?,
        });
    }
    Ok(engines)
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
