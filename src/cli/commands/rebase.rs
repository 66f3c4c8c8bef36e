//! `lbuild rebase`: an image's own layers on a newer base.

use std::sync::Arc;

#[cfg(feature = "aws")]
use lbuild::Destination;
#[cfg(feature = "aws")]
use lbuild::image::{Arch, Format, Reference};
use lbuild::lambda::{BaseAnnotator, BaseTraits, runtime_base, runtime_of};
use lbuild::recipe::Base;
use lbuild::{Engine, StoredImage};

use super::base::{Named, named, one};
use super::push::results;
use crate::cli::args::base::Rebase;
use crate::cli::context::Context;
use crate::cli::destination::{self, DefaultDestination};
use crate::cli::engine;
use crate::cli::lower::config_file::ConfigFile;
use crate::cli::output::exit::Failure;

/// Rebases the image, and sends it.
pub async fn run(mut args: Rebase, context: &Context) -> Result<(), Failure> {
    let named = named(&args.image, context).await?;
    if args.destination.to.is_empty() && !has_repo(&args) {
        args.destination.to = vec![own_name(&named, &mut args)?];
    }
    let config = ConfigFile::default();
    let path = std::path::Path::new(".");
    let to =
        destination::of_push(&args.destination, path, &config, DefaultDestination::None, context).await?;
    #[cfg(feature = "aws")]
    let target = of_function(&named, &to)?;
    let registry = engine::registry(&named.image).map(str::to_owned);
    let login: Vec<&str> = registry.iter().map(String::as_str).collect();
    let builder = engine::builder(&args.registry, &[], context, &login)?;
    let engine = builder.dry_run(args.destination.dry_run).build()?;
    let image = one(&engine, &named.image).await?;
    let (old, onto, tag) = bases(&engine, &image, &args).await?;
    if onto.manifest.digest == old.manifest.digest {
        context.report.note(&format!("{} stands on {tag} already: nothing to do", args.image));
        return Ok(());
    }
    let was = was(&image, &args)?;
    agree(&engine, (&old, &onto), (was.as_ref(), &tag), context).await?;
    let rebased = engine.rebase(&image, &old.config, &onto, &tag).await?;
    #[cfg(feature = "aws")]
    super::push::repository::prepare(&args.destination, &config, &to, context).await?;
    let mut published = Vec::new();
    for (destination, format) in &to {
        published.push(engine.publish(&rebased, *format, destination).await?);
    }
    #[cfg(feature = "aws")]
    if let (Some((function, index)), false) = (target, args.destination.dry_run) {
        let arch: Arch = rebased.config().platform().architecture.parse()?;
        let image = (to[index].0.clone(), published[index].digest);
        results::print(lbuild::Sent { published, failures: Vec::new() }, &context.report)?;
        return deploy(function, &image.0, (image.1, arch), context).await;
    }
    results::print(lbuild::Sent { published, failures: Vec::new() }, &context.report)
}

#[cfg(feature = "aws")]
fn has_repo(args: &Rebase) -> bool {
    args.destination.ecr.repo.is_some()
}

#[cfg(not(feature = "aws"))]
fn has_repo(_: &Rebase) -> bool {
    false
}

/// The function that gets the image, and which of the destinations it takes it from.
#[cfg(feature = "aws")]
fn of_function<'n>(
    named: &'n Named,
    to: &[(Destination, Format)],
) -> Result<Option<(&'n lbuild::aws::LambdaFunction, usize)>, Failure> {
    let Some(function) = &named.function else { return Ok(None) };
    let mut refused = None;
    for (index, (destination, _)) in to.iter().enumerate() {
        let Destination::Registry { repository, .. } = destination else { continue };
        match super::deploy::host(repository, function) {
            Ok(_) => return Ok(Some((function, index))),
            Err(failure) => refused = refused.or(Some(failure)),
        }
    }
    let none = || {
        Failure::usage("no destination is a repository of ECR", "leave --to out, or add one for the function")
    };
    Err(refused.unwrap_or_else(none))
}

/// The name under which the image is: the new one takes its place, or the tags of `--tag` in the same repository.
fn own_name(named: &Named, args: &mut Rebase) -> Result<String, Failure> {
    let name = named.tagged.clone().unwrap_or_else(|| args.image.clone());
    let without_digest = name.split('@').next().unwrap_or_default().to_owned();
    if args.destination.tag.is_empty() {
        if name.contains('@') {
            let message = format!("{name} has no tag that the new image could take");
            return Err(Failure::usage(message, "name one with --tag, or another destination with --to"));
        }
        return Ok(without_digest);
    }
    let tag = args.destination.tag.remove(0);
    let bare = match without_digest.rfind(':').filter(|colon| !without_digest[*colon..].contains('/')) {
        Some(colon) => &without_digest[..colon],
        None => &without_digest,
    };
    Ok(format!("{bare}:{tag}"))
}

/// The base that the image has, the one that it gets, and the name of that.
async fn bases(
    engine: &Engine,
    image: &StoredImage,
    args: &Rebase,
) -> Result<(StoredImage, StoredImage, Base), Failure> {
    let platform = image.config.platform();
    let labels = image.base_of();
    let from = match (&args.from, &labels) {
        (Some(name), _) => name.parse()?,
        (None, Some((name, digest))) => {
            format!("{}/{}@{digest}", name.registry(), name.repository()).parse::<Base>()?
        }
        (None, None) => {
            let message = format!("{} does not say on which base it was built", args.image);
            return Err(Failure::usage(message, "name that base with --from, best by its digest"));
        }
    };
    let onto: Base = match (&args.onto, labels) {
        (Some(name), _) => match runtime_base(name) {
            base if base.runtime.is_some() => base.image.parse()?,
            _ => name.parse()?,
        },
        (None, Some((name, _))) => Base::Registry(name),
        (None, None) => {
            return Err(Failure::usage("no new base is given", "name one with --onto"));
        }
    };
    let old = engine.resolve(&from, &platform).await?;
    let new = engine.resolve(&onto, &platform).await?;
    Ok((old, new, onto))
}

/// The name of the base that the image has, with its tag.
fn was(image: &StoredImage, args: &Rebase) -> Result<Option<Base>, Failure> {
    match &args.from {
        Some(name) => Ok(Some(name.parse()?)),
        None => Ok(image.base_of().map(|(name, _)| Base::Registry(name))),
    }
}

/// Refuses a base of another system or runtime, for which the layers were not made.
async fn agree(
    engine: &Engine,
    (old, new): (&StoredImage, &StoredImage),
    (was, tag): (Option<&Base>, &Base),
    context: &Context,
) -> Result<(), Failure> {
    let runtime = |base: &Base| match base {
        Base::Registry(name) => runtime_of(&name.to_string()),
        _ => None,
    };
    // The labels have the tag, of which the digest says nothing.
    let by_name = match (was.and_then(runtime), runtime(tag)) {
        (Some(old), Some(new)) if old != new => Some(format!("it is for {new}, not for {old}")),
        (Some(old), None) if !old.starts_with("python") => Some(format!("nothing says that it is for {old}")),
        _ => None,
    };
    let fault = match by_name {
        Some(fault) => Some(fault),
        None => {
            context.report.note("comparing the systems of both bases");
            let traits = async |image: &StoredImage| {
                let scans = engine.scan(image, Arc::new(BaseAnnotator)).await?;
                Ok::<_, Failure>(BaseTraits::of(&image.config, &scans))
            };
            traits(old).await?.fault(&traits(new).await?)
        }
    };
    match fault {
        Some(fault) => {
            let message = format!("the layers of the image were not made for {tag}: {fault}");
            Err(Failure::usage(message, "build the image again on the new base"))
        }
        None => Ok(()),
    }
}

/// Makes the function run its new image.
#[cfg(feature = "aws")]
async fn deploy(
    function: &lbuild::aws::LambdaFunction,
    to: &Destination,
    (digest, arch): (lbuild::image::Digest, Arch),
    context: &Context,
) -> Result<(), Failure> {
    let Destination::Registry { repository, .. } = to else { return Ok(()) };
    let name = |name: &Reference| format!("{}/{}", name.registry(), name.repository());
    let wanted = lbuild::aws::Deployment {
        image: (name(repository), digest),
        arch,
        settings: lbuild::aws::FunctionSettings::default(),
        create: false,
        change_arch: false,
        publish: lbuild::aws::Publish::Nothing,
        rollback: true,
        patience: std::time::Duration::from_secs(600),
    };
    super::deploy::deploy(function, &wanted, context).await
}
