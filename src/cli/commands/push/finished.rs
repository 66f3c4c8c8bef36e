//! Pushes an image that any tool has made, mended where Lambda refuses it.

use std::path::Path;

use lbuild::image::{Format, Image, Platform};
use lbuild::lambda::is_for_lambda;
use lbuild::recipe::Base;
use lbuild::{Destination, Engine, Inspected, Recipe, Sent, StoredImage};

use super::job::Job;
#[cfg(feature = "aws")]
use super::repository;
#[cfg(feature = "check")]
use crate::cli::args::push::CheckArgs;
use crate::cli::args::push::Push;
use crate::cli::context::Context;
use crate::cli::destination::{self, DefaultDestination};
use crate::cli::engine;
use crate::cli::lower::config_file::ConfigFile;
use crate::cli::lower::named::several_images;
use crate::cli::lower::{Lowered, date, platform};
use crate::cli::output::exit::Failure;
use crate::cli::output::report::Report;

/// Sends the image of this name to the destinations of the arguments.
pub async fn send(args: &Push, name: &str, context: &Context) -> Result<Sent, Failure> {
    let image: Base = name.parse()?;
    // lbuild.toml describes an image to build.
    let config = ConfigFile::default();
    let to = &args.destination;
    let mut to = destination::of_push(to, Path::new("."), &config, DefaultDestination::None, context).await?;
    let from = match &image {
        Base::Registry(name) => Some(name.registry()),
        _ => None,
    };
    let login: Vec<&str> = to.iter().filter_map(|(to, _)| destination::registry(to)).chain(from).collect();
    let builder = engine::builder(&args.registry, &[], context, &login)?;
    let engine = builder.dry_run(args.destination.dry_run).build()?;
    let arch = platform::given(&args.image)?;
    let hint = "select one with --arch, or by its digest";
    let found = found(&image, arch.map(Platform::linux).as_ref(), &engine, hint).await?;
    if args.destination.format.is_none() {
        to.iter_mut().for_each(|(to, format)| *format = own_format(&found, to));
    }
    if is_for_lambda(&found.config) {
        destination::refuse_unpullable(&to)?;
    }
    #[cfg(feature = "aws")]
    repository::prepare(&args.destination, &config, &to, context).await?;
    let finished = Finished {
        image: &found,
        to: &to,
        #[cfg(feature = "check")]
        check: &args.check,
        dry_run: args.destination.dry_run,
    };
    finished.send(&engine, &context.report).await
}

/// The image of this name for a platform, or its only one. `hint` is the way out if there are several.
pub async fn found(
    image: &Base,
    platform: Option<&Platform>,
    engine: &Engine,
    hint: &str,
) -> Result<StoredImage, Failure> {
    if let Some(platform) = platform {
        // The config decides, whatever an index says.
        return Ok(engine.resolve(image, platform).await?);
    }
    match engine.inspect(image, None).await? {
        Inspected::Image(found) => Ok(*found),
        Inspected::Index { index, .. } => Err(several_images(&image.to_string(), &index, hint)),
    }
}

/// In a registry the format of the image's manifest, so that one that need not be mended keeps its digest.
fn own_format(found: &StoredImage, to: &Destination) -> Format {
    match to {
        Destination::Registry { .. } => found.manifest.format().unwrap_or_default(),
        // Other tools do not read Docker's format in a layout, and the local store and archives have no other.
        Destination::Layout { .. } | Destination::Archive { .. } | Destination::Local { .. } => {
            to.usual_format()
        }
    }
}

/// A finished image and its destinations.
pub struct Finished<'f> {
    pub image: &'f StoredImage,
    pub to: &'f [(Destination, Format)],
    #[cfg(feature = "check")]
    pub check: &'f CheckArgs,
    pub dry_run: bool,
}

impl Finished<'_> {
    /// Sends the image, mended, if the check passes.
    pub async fn send(&self, engine: &Engine, report: &Report) -> Result<Sent, Failure> {
        let StoredImage { base, config, .. } = self.image;
        let recipe = Recipe::finished(config.platform(), base.clone());
        let lowered = Lowered {
            recipe: Recipe { epoch: date::epoch()?, ..recipe },
            config: ConfigFile::default(),
            remarks: Vec::new(),
            handler: None,
            own_entrypoint: false,
            for_lambda: is_for_lambda(config),
        };
        let job = Job {
            engine,
            lowered: &lowered,
            to: self.to,
            #[cfg(feature = "check")]
            check: self.check,
            dry_run: self.dry_run,
        };
        let mut prepared = job.prepare().await?;
        job.judge(&mut prepared, None, report).await?;
        explain(self.image, prepared.image(), self.to, report);
        Ok(prepared.send_each().await?)
    }
}

/// Notes which digests differ from those that the image had, and why.
fn explain(found: &StoredImage, image: &Image, to: &[(Destination, Format)], report: &Report) {
    if let Some(index) = found.index {
        let (platform, digest) = (found.config.platform(), found.manifest.digest);
        report.note(&format!(
            "the name refers to the index {index}: only its image for {platform} is pushed, {digest}"
        ));
    }
    let (id, own) = (found.config_digest, image.config_blob().digest);
    let ids = match id == own {
        true => format!("the image's id stays {id}"),
        false => format!("the image's id was {id} and becomes {own}, because layers have other diff ids"),
    };
    // Archives and the local store have no manifests.
    let has_manifest = !matches!(found.base, Base::Archive { .. } | Base::Local { .. });
    let is_stored =
        |to: &Destination| matches!(to, Destination::Registry { .. } | Destination::Layout { .. });
    let stored = to.iter().filter(|(to, _)| has_manifest && is_stored(to)).map(|(_, format)| *format);
    let all = [Format::Docker, Format::Oci].into_iter();
    let formats: Vec<Format> = all.filter(|format| stored.clone().any(|stored| stored == *format)).collect();
    if formats.is_empty() {
        report.note(&ids);
    }
    for format in formats {
        let (was, manifest) = (&found.manifest, image.manifest(format));
        if manifest.digest == was.digest {
            report.note(&format!("nothing is mended: the image keeps its digest, {}", was.digest));
            continue;
        }
        let layers: Vec<_> = image.layers().iter().map(|layer| layer.blob.digest).collect();
        let why = if layers != found.layers.iter().map(|layer| layer.digest).collect::<Vec<_>>() {
            "layers are mended"
        } else if was.format() != Some(format) {
            "it gets a manifest of another format"
        } else {
            "the media types, sizes or fields of its manifest are mended"
        };
        let (was, digest) = (was.digest, manifest.digest);
        report.note(&format!("the image's digest was {was} and becomes {digest}: {why}; {ids}"));
    }
}
