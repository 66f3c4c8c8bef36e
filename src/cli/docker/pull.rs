//! `docker pull`: an image of a registry gets its name in the local store. Its layers stay where they are.

use lbuild::image::{Arch, Platform, Reference};
use lbuild::recipe::Base;

use super::args::Pull;
use super::names::familiar;
use super::run::is_binfmt;
use super::{build, engine};
use crate::cli::context::Context;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::print;

pub async fn run(args: &Pull, context: &Context) -> Result<(), Failure> {
    let name: Reference = args.name.parse()?;
    if is_binfmt(&args.name) {
        context.report.note("lbuild finds the emulator by itself: nothing is pulled");
        return Ok(());
    }
    let arch: Arch = build::platform::chosen(args.platform.as_slice(), &context.report)?;
    let (engine, platform) = (engine(context)?, Platform::linux(arch));
    let (base, images) = (Base::Registry(name.clone()), engine.images());
    let found = engine.resolve(&base, &platform).await?;
    let image = engine.stored(&found).await?;
    // A name by digest is no tag.
    let tags: Vec<_> = Some(name.clone()).filter(|name| name.digest().is_none()).into_iter().collect();
    images.put(&image, &tags)?;
    if let Some(stored) = images.find(&image.config_blob().digest.to_string())? {
        let digest = name.digest().or(found.index).unwrap_or(found.manifest.digest);
        images.pushed(&stored, &format!("{}@{digest}", name.repository_name()).parse()?)?;
    }
    if args.quiet {
        return print(&familiar(&name));
    }
    let version = name.digest().map(|digest| digest.to_string());
    let version = version.as_deref().or(name.tag()).unwrap_or_default();
    print(&format!("{version}: Pulling from {}", name.repository()))?;
    print(&format!("Status: its layers stay in the registry until they are needed\n{}", familiar(&name)))
}
