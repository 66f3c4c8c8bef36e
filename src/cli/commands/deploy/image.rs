//! The image of a deployment: one that is stored, or one that is pushed first.

use lbuild::aws::{FunctionState, ImageOverrides, LambdaFunction};
use lbuild::image::{Arch, Digest, EcrHost, Reference};
use lbuild::recipe::Base;
use lbuild::{Inspected, lambda};

use crate::cli::args::function::DeploySettings;
use crate::cli::args::push::Push;
use crate::cli::commands::push::{self, results};
use crate::cli::context::Context;
use crate::cli::destination::{self, DefaultDestination};
use crate::cli::engine;
use crate::cli::lower::config_file::ConfigFile;
use crate::cli::lower::platform;
use crate::cli::output::exit::Failure;

/// An image of ECR.
pub struct Image {
    /// `REGISTRY/REPOSITORY`.
    pub repository: String,
    pub host: EcrHost,
    pub digest: Digest,
    pub arch: Arch,
}

/// A finished image. Its name is looked up in its registry.
pub async fn stored(
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
pub async fn pushed(
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
pub fn refuse(
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
