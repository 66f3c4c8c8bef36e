//! `docker load` and `docker save`.

use std::fs::File;
use std::path::{Path, PathBuf};

use lbuild::image::{Format, Reference};
use lbuild::recipe::Base;
use lbuild::{Destination, Engine, Recipe};

use super::args::{Load, Save};
use super::engine;
use super::names::familiar;
use super::tag::found;
use crate::cli::context::Context;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::{copy_out, print};

/// Takes the images of an archive. The last line names the last one, which tools read.
pub async fn load(args: &Load, context: &Context) -> Result<(), Failure> {
    let engine = engine(context)?;
    let read = |source| Failure::Read { what: "the archive from standard input".into(), source };
    let (path, _spooled) = match &args.input {
        Some(path) => (path.clone(), None),
        // An archive is read at several places.
        None => {
            let place = engine.cache().workplace()?;
            let path = place.path().join("archive.tar");
            let mut file = File::create(&path).map_err(read)?;
            std::io::copy(&mut std::io::stdin().lock(), &mut file).map_err(read)?;
            (path, Some(place))
        }
    };
    for image in engine.load(&path).await? {
        match &image.names[..] {
            [] => print(&format!("Loaded image ID: {}", image.id()))?,
            names => names.iter().try_for_each(|name| print(&format!("Loaded image: {}", familiar(name))))?,
        }
    }
    Ok(())
}

/// Writes an image to an archive, under the given names.
pub async fn save(args: &Save, context: &Context) -> Result<(), Failure> {
    let engine = engine(context)?;
    let images = engine.images();
    let image = found(&images, &args.names[0])?;
    for name in &args.names[1..] {
        if found(&images, name)?.id() != image.id() {
            let message = format!("{name} is another image than {}", args.names[0]);
            return Err(super::refused::asked(message, "write each image to an archive of its own"));
        }
    }
    let names: Vec<Reference> = args
        .names
        .iter()
        .filter_map(|name| name.parse().ok())
        .filter(|name| image.names.contains(name))
        .collect();
    let recipe = Recipe::new(
        image.image().config().platform(),
        Base::Local { name: args.names[0].clone(), digest: None },
        Vec::new(),
    );
    match &args.output {
        Some(path) => write(&engine, &recipe, path.clone(), names).await,
        None => {
            let place = engine.cache().workplace()?;
            let path = place.path().join("archive.tar");
            write(&engine, &recipe, path.clone(), names).await?;
            copied_out(&path)
        }
    }
}

async fn write(
    engine: &Engine,
    recipe: &Recipe,
    path: PathBuf,
    names: Vec<Reference>,
) -> Result<(), Failure> {
    engine.push(recipe, &[(Destination::Archive { path, names }, Format::Docker)]).await?;
    Ok(())
}

fn copied_out(path: &Path) -> Result<(), Failure> {
    let read = |source| Failure::Read { what: path.display().to_string(), source };
    copy_out(&mut File::open(path).map_err(read)?)
}
