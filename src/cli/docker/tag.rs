//! `docker tag` and `docker rmi`.

use lbuild::image::Reference;
use lbuild::{LocalImage, LocalImages};

use super::args::{Remove, Tag};
use super::engine;
use super::names::familiar;
use crate::cli::context::Context;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::print;

/// Gives an image another name.
pub fn run(args: &Tag, context: &Context) -> Result<(), Failure> {
    let images = engine::new(context)?.images();
    let image = found(&images, &args.source)?;
    let name: Reference = args.target.parse()?;
    if name.digest().is_some() {
        let message = "refusing to create a tag with a digest reference";
        return Err(Failure::docker(1, message, "name the image with a tag"));
    }
    Ok(images.tag(&image, &[name])?)
}

/// The image of a name or an id.
pub fn found(images: &LocalImages, name: &str) -> Result<LocalImage, Failure> {
    let missing = || {
        let message = format!("No such image: {name}");
        Failure::docker(
            1,
            message,
            "build it first, or `docker pull` it; `docker images` lists what is there",
        )
    };
    images.find(name)?.ok_or_else(missing)
}

/// Removes names, and images without any. One that is missing keeps no other.
pub fn remove(args: &Remove, context: &Context) -> Result<(), Failure> {
    let images = engine::new(context)?.images();
    let mut failed = None;
    for text in &args.names {
        if args.force && images.find(text)?.is_none() {
            continue;
        }
        match remove_one(&images, text, args.force) {
            Err(failure) if failed.is_none() => failed = Some(failure),
            Err(failure) => context.report.warn(&failure.to_string(), failure.hint().as_deref()),
            Ok(()) => {}
        }
    }
    failed.map_or(Ok(()), Err)
}

fn remove_one(images: &LocalImages, text: &str, force: bool) -> Result<(), Failure> {
    let image = found(images, text)?;
    let name = text.parse::<Reference>().ok().filter(|name| image.names.contains(name));
    let removed = match name {
        Some(name) => {
            let removed = images.untag(&image, &name)?;
            print(&format!("Untagged: {}", familiar(&name)))?;
            removed
        }
        None if image.names.len() > 1 && !force => {
            let message = format!("image {text} has several names, and must be removed by force");
            return Err(Failure::docker(1, message, "name one of them, or add --force"));
        }
        None => {
            images.remove(&image)?;
            image.names.iter().try_for_each(|name| print(&format!("Untagged: {}", familiar(name))))?;
            true
        }
    };
    if removed { print(&format!("Deleted: {}", image.id())) } else { Ok(()) }
}
