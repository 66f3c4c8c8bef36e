//! `lbuild deploy`.

use std::collections::BTreeMap;
use std::time::Duration;

use lbuild::aws::{
    Deployed, Deployment, FunctionSettings, FunctionState, FunctionStep, ImageOverrides, LambdaFunction,
    Publish,
};
use lbuild::image::{Arch, Digest, EcrHost, Reference};
use lbuild::recipe::Base;
use lbuild::{Event, Inspected, Secret, lambda};
use serde_json::json;

use super::push;
use crate::cli::args::function::{Deploy, DeploySettings};
use crate::cli::args::image::ImageArgs;
use crate::cli::args::push::Push;
use crate::cli::commands::push::results;
use crate::cli::context::Context;
use crate::cli::destination::{self, DefaultDestination};
use crate::cli::engine;
use crate::cli::lower::config_file::ConfigFile;
use crate::cli::lower::named::named_image;
use crate::cli::lower::{edit, platform, variables};
use crate::cli::output::exit::Failure;
use crate::cli::output::report::{print, print_json};

/// An image of ECR.
struct Image {
    /// `REGISTRY/REPOSITORY`.
    repository: String,
    host: EcrHost,
    digest: Digest,
    arch: Arch,
}

/// Makes the function run the image, and prints its ARN.
pub async fn run(args: Deploy, context: &Context) -> Result<(), Failure> {
    let Deploy { function, mut push, settings } = args;
    let function = context.aws.function(&function).await?;
    if let Some(qualifier) = function.qualifier() {
        let message =
            format!("{function}:{qualifier} names a version or an alias, which a deployment does not change");
        return Err(Failure::usage(
            message,
            "name the function alone; --alias NAME publishes a version for an alias",
        ));
    }
    let env = env(&settings, &std::mem::take(&mut push.image.env))?;
    let found = function.find().await?;
    let finished = named_image(&push.image.path, push.image.making_files())?;
    let overrides = match &finished {
        Some(_) => overrides(&push.image)?,
        None => ImageOverrides::default(),
    };
    let image = match &finished {
        Some(name) => {
            let image = stored(name, &push, &function, context).await?;
            refuse(&function, found.as_ref(), image.arch, &settings)?;
            if push.destination.dry_run {
                context.report.note("nothing was changed: --dry-run");
                return Ok(());
            }
            Some(image)
        }
        None => pushed(&push, &function, found.as_ref(), &settings, context).await?,
    };
    let Some(image) = image else { return Ok(()) };
    policy(&image, &push, &function, found.as_ref(), &settings, context).await?;
    let wanted = Deployment {
        image: (image.repository, image.digest),
        arch: image.arch,
        settings: FunctionSettings {
            image: overrides,
            env: env.into_iter().map(|(name, value)| (name, Secret::from(value))).collect(),
            unset_env: settings.unset_env,
            memory: settings.memory,
            timeout: settings.timeout,
            ephemeral_storage: settings.ephemeral_storage,
            role: settings.role,
        },
        create: settings.create,
        change_arch: settings.change_arch,
        publish: match (settings.alias, settings.publish) {
            (Some(alias), _) => Publish::Alias(alias),
            (None, true) => Publish::Version,
            (None, false) => Publish::Nothing,
        },
        rollback: settings.rollback_on_failure,
        patience: Duration::from_secs(settings.wait),
    };
    deploy(&function, &wanted, context).await
}

/// Deploys, and prints the result.
pub async fn deploy(
    function: &LambdaFunction,
    wanted: &Deployment,
    context: &Context,
) -> Result<(), Failure> {
    let (report, name) = (context.report.clone(), function.to_string());
    let tell = move |step: FunctionStep| {
        report.event(&Event::Function { function: name.clone(), message: text(&step) });
    };
    let Deployed { arn, version, changed } = function.deploy(wanted, &tell).await?;
    if !changed {
        let message = "nothing to do: it has this image and these settings".to_owned();
        context.report.event(&Event::Function { function: function.to_string(), message });
    }
    context.report.finish();
    match context.json {
        true => {
            let digest = wanted.image.1;
            print_json(&format!(
                "{:#}",
                json!({ "function": arn, "version": version, "digest": digest, "changed": changed })
            ))
        }
        false => print(&arn),
    }
}

fn text(step: &FunctionStep) -> String {
    match step {
        FunctionStep::Creates => "is created".to_owned(),
        FunctionStep::SetsImage => "gets the image".to_owned(),
        FunctionStep::Sets(names) => format!("gets another {}", names.join(", ")),
        FunctionStep::Waits(state) => format!("waiting: {state}"),
        FunctionStep::Conflict => "another update is under way: waiting for its end".to_owned(),
        FunctionStep::Published(version) => format!("version {version} is published"),
        FunctionStep::Aliased { alias, version } => format!("the alias {alias} names version {version}"),
        FunctionStep::RollsBack => "gets back what it had".to_owned(),
        _ => String::new(),
    }
}

/// The settings in place of a finished image's own.
fn overrides(args: &ImageArgs) -> Result<ImageOverrides, Failure> {
    let edit = edit::lower(args, &ConfigFile::default())?;
    Ok(ImageOverrides { entrypoint: edit.entrypoint, cmd: edit.cmd, workdir: edit.workdir })
}

/// A finished image. Its name is looked up in its registry.
async fn stored(
    name: &str,
    push: &Push,
    function: &LambdaFunction,
    context: &Context,
) -> Result<Image, Failure> {
    if let Some(flag) = sending(push) {
        let message = format!("{flag} is for an image to build and push, but {name} is a finished image");
        return Err(Failure::Usage { message, hint: Some(format!("leave {flag} out")) });
    }
    let reference: Reference = match name.parse::<Base>()? {
        Base::Registry(reference) => reference,
        _ => {
            let message = format!("{name} is not in ECR, from which alone Lambda takes images");
            return Err(Failure::usage(message, "push it first: `lbuild push IMAGE --repo NAME:TAG`"));
        }
    };
    let host = host(&reference, function)?;
    let engine = engine::builder(&push.registry, &[], context, &[reference.registry()])?.build()?;
    let arch = platform::given(&push.image)?;
    let found = match engine.inspect(&Base::Registry(reference.clone()), None).await? {
        Inspected::Image(found) => *found,
        Inspected::Index { .. } => {
            let message = format!("{name} is an index of several images, which Lambda does not take");
            return Err(Failure::usage(
                message,
                "name the image for one architecture: `lbuild inspect` lists them",
            ));
        }
    };
    let of_image = found.config.platform().architecture.parse::<Arch>()?;
    if let Some(arch) = arch.filter(|arch| *arch != of_image) {
        let message = format!("{name} is for {of_image}, not for {arch}");
        return Err(Failure::usage(message, "leave --arch out, or name another image"));
    }
    let repository = format!("{}/{}", reference.registry(), reference.repository());
    Ok(Image { repository, host, digest: found.manifest.digest, arch: of_image })
}

/// The first given flag that has no meaning for a finished image.
fn sending(push: &Push) -> Option<&'static str> {
    let Push { image, destination, metadata_file, digest_file, .. } = push;
    let given = [
        ("--to", !destination.to.is_empty()),
        ("--tag", !destination.tag.is_empty()),
        ("--format", destination.format.is_some()),
        ("--repo", destination.ecr.repo.is_some()),
        ("--create-repo", destination.ecr.create_repo),
        ("--metadata-file", metadata_file.is_some()),
        ("--digest-file", digest_file.is_some()),
        ("--label", !image.label.is_empty()),
        ("--user", image.user.is_some()),
    ];
    given.into_iter().find_map(|(flag, is_given)| is_given.then_some(flag))
}

/// The variables to set. What Lambda refuses is refused before the image is changed.
fn env(settings: &DeploySettings, flags: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let env = variables::lower(&settings.env_file, flags)?;
    let is_reserved = |name: &&String| {
        variables::RESERVED.contains(&name.as_str()) || variables::OF_LAMBDA.contains(&name.as_str())
    };
    if let Some(name) = env.keys().find(is_reserved) {
        return Err(Failure::usage(format!("Lambda sets {name} itself"), "choose another name"));
    }
    let unset = flags.iter().find(|flag| !flag.contains('=') && !env.contains_key(*flag));
    match unset {
        Some(name) => {
            let message =
                format!("--env {name} has no value, and this environment has no variable of that name");
            Err(Failure::usage(message, "write NAME=VALUE, or --unset-env NAME to remove it"))
        }
        None => Ok(env),
    }
}

/// The registry of an image, if it is one of ECR in the function's region.
pub fn host(reference: &Reference, function: &LambdaFunction) -> Result<EcrHost, Failure> {
    let registry = reference.registry();
    let Some(host) = EcrHost::parse(registry) else {
        let message = format!("{registry} is not a registry of ECR, from which alone Lambda takes images");
        return Err(Failure::usage(message, "push the image to ECR: `lbuild push IMAGE --repo NAME:TAG`"));
    };
    if let Some(instead) = lambda::refused_registry(registry) {
        let message = format!("Lambda pulls no image from {registry}: it is a FIPS endpoint");
        return Err(Failure::Usage {
            message,
            hint: Some(format!("name it {instead}, which is the same registry")),
        });
    }
    if host.region() != function.region() {
        let message = format!(
            "the image is in {}, but the function {function} is in {}",
            host.region(),
            function.region()
        );
        return Err(Failure::usage(message, "Lambda takes images of its own Region only: push it there"));
    }
    Ok(host)
}

/// Builds and pushes the image. What Lambda would refuse is refused before that. `None` for a dry run.
async fn pushed(
    push: &Push,
    function: &LambdaFunction,
    found: Option<&FunctionState>,
    settings: &DeploySettings,
    context: &Context,
) -> Result<Option<Image>, Failure> {
    let config = ConfigFile::load(&push.image.path)?;
    let arch = platform::lower(&push.image, &config)?;
    refuse(function, found, arch, settings)?;
    if found.is_some_and(|found| *found.overrides() != ImageOverrides::default()) {
        let message =
            format!("{function} has settings of its own in place of the image's: `lbuild status {function}`");
        context.report.warn(
            &message,
            Some("deploy an IMAGE with --cmd '', --entrypoint '' or --workdir '' to remove them"),
        );
    }
    let (path, none) = (&push.image.path, DefaultDestination::None);
    let to = destination::of_push(&push.destination, path, &config, none, context).await?;
    let mut refused = None;
    let chosen = to.iter().find_map(|(to, _)| {
        let lbuild::Destination::Registry { repository, .. } = to else { return None };
        host(repository, function).map_err(|failure| refused = refused.take().or(Some(failure))).ok()?;
        Some(repository.clone())
    });
    let Some(reference) = chosen else {
        let hint = "add --repo NAME:TAG";
        return Err(refused.unwrap_or_else(|| Failure::usage("no destination is a repository of ECR", hint)));
    };
    let sent = push::send(push, none, context).await?;
    let complete = sent.failures.is_empty();
    let repository = format!("{}/{}", reference.registry(), reference.repository());
    let of_it = |image: &str| image.split('@').next() == Some(&repository);
    let digest = sent.published.iter().find(|one| of_it(&one.image)).map(|one| one.digest);
    let (Some(digest), true) = (digest, complete) else {
        return results::report(push, sent, &context.report).map(|()| None);
    };
    if push.destination.dry_run {
        return results::report(push, sent, &context.report).map(|()| None);
    }
    results::write(push, &sent.published)?;
    let host = host(&reference, function)?;
    Ok(Some(Image { repository, host, digest, arch }))
}

/// Refuses before a build what the deployment would refuse after it.
fn refuse(
    function: &LambdaFunction,
    found: Option<&FunctionState>,
    arch: Arch,
    settings: &DeploySettings,
) -> Result<(), Failure> {
    let name = function.to_string();
    Err(match found {
        None if settings.create => return Ok(()),
        None => lbuild::Error::NoFunction { function: name },
        Some(found) if !found.is_image => lbuild::Error::ZipFunction { function: name },
        Some(found) if found.arch != arch && !settings.change_arch => {
            lbuild::Error::FunctionArchitecture { function: name, has: found.arch, image: arch }
        }
        Some(_) => return Ok(()),
    }
    .into())
}

/// Lets Lambda pull from the repository, or says that it may not.
async fn policy(
    image: &Image,
    push: &Push,
    function: &LambdaFunction,
    found: Option<&FunctionState>,
    settings: &DeploySettings,
    context: &Context,
) -> Result<(), Failure> {
    let known = function.account().or(found.and_then(FunctionState::account)).map(str::to_owned);
    let caller = match known {
        Some(_) => None,
        None => context.aws.identity().await.ok().map(|identity| identity.account),
    };
    let owner = known.or(caller).unwrap_or_else(|| image.host.account().to_owned());
    let owner = owner.as_str();
    let mut accounts = settings.allow_account.clone();
    let is_foreign = owner != image.host.account();
    if is_foreign && !accounts.iter().any(|account| account == owner) {
        accounts.push(owner.to_owned());
    }
    let name = image.repository.split_once('/').map_or("", |(_, name)| name);
    let repository = context.aws.repository(image.host.clone(), name);
    if push.destination.ecr.allow_lambda {
        if repository.allow_lambda(&accounts).await? {
            context.report.repository(&repository, lbuild::event::RepositoryChange::LambdaAllowed);
        }
        return Ok(());
    }
    // An existing function of the same account shows that it is allowed, or asks for nothing new.
    if found.is_some() && !is_foreign {
        return Ok(());
    }
    match repository.policy_for_lambda(&accounts).await {
        Ok(None) => {}
        Ok(Some(_)) => {
            let message =
                format!("the policy of {repository} does not let Lambda pull for functions of {owner}");
            let hint = "add --allow-lambda; in one account, Lambda may add it itself";
            context.report.warn(&message, Some(hint));
        }
        // The deployment does not need the right to read it.
        Err(error) => context.report.note(&format!("cannot see whether Lambda may pull: {error}")),
    }
    Ok(())
}
