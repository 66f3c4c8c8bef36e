//! `lbuild rebase`: an image's own layers on a newer base.

use lbuild::image::{Arch, Reference};
use lbuild::lambda::{BaseAnnotator, BaseTraits, runtime_base, runtime_of};
use lbuild::recipe::Base;
use lbuild::{Destination, Engine, StoredImage};
use std::sync::Arc;

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
    if args.destination.to.is_empty() {
        args.destination.to = vec![own_name(&named, &args)?];
    }
    let config = ConfigFile::default();
    let path = std::path::Path::new(".");
    let to =
        destination::of_push(&args.destination, path, &config, DefaultDestination::None, context).await?;
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
    agree(&engine, (&old, &onto), &tag, context).await?;
    let rebased = engine.rebase(&image, &old.config, &onto, &tag).await?;
    let mut published = Vec::new();
    for (destination, format) in &to {
        published.push(engine.publish(&rebased, *format, destination).await?);
    }
    let digest = published.first().map(|one| one.digest);
    results::print(lbuild::Sent { published, failures: Vec::new() }, &context.report)?;
    #[cfg(feature = "aws")]
    if let (Some(function), Some(digest), false) = (&named.function, digest, args.destination.dry_run) {
        let arch: Arch = rebased.config().platform().architecture.parse()?;
        return deploy(function, &to[0].0, (digest, arch), context).await;
    }
    Ok(())
}

/// The name under which the image is: the new one takes its place.
fn own_name(named: &Named, args: &Rebase) -> Result<String, Failure> {
    let name = named.tagged.clone().unwrap_or_else(|| args.image.clone());
    if name.contains('@') && args.destination.tag.is_empty() {
        let message = format!("{name} has no tag that the new image could take");
        return Err(Failure::usage(message, "name one with --tag, or another destination with --to"));
    }
    Ok(name.split('@').next().unwrap_or_default().to_owned())
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

/// Refuses a base of another system or runtime, for which the layers were not made.
async fn agree(
    engine: &Engine,
    (old, new): (&StoredImage, &StoredImage),
    tag: &Base,
    context: &Context,
) -> Result<(), Failure> {
    let runtime = |base: &Base| match base {
        Base::Registry(name) => runtime_of(&name.to_string()),
        _ => None,
    };
    let by_name = match (runtime(&old.base), runtime(tag)) {
        (Some(old), Some(new)) if old != new => Some(format!("it is for {new}, not for {old}")),
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
