//! Pushes an image that is built already.

use std::path::Path;

use lbuild::image::Format;
use lbuild::recipe::Base;
use lbuild::{Destination, Engine, LocalImages, Sent};

use crate::cli::args::cdk::Publish;
use crate::cli::commands::push::finished::{Finished, found};
use crate::cli::context::Context;
use crate::cli::output::exit::Failure;

/// The image whose name a command printed: the path of a Docker archive, a name with its scheme, or the name of an image of
/// the local store, which `docker load` prints.
pub fn named(printed: &str, dir: &Path, images: &LocalImages) -> Result<Base, Failure> {
    let has_scheme = ["oci:", "docker-archive:", "local:"].iter().any(|scheme| printed.starts_with(scheme));
    if has_scheme {
        return Ok(printed.parse::<Base>()?.relative_to(dir));
    }
    let path = dir.join(printed);
    if !printed.contains('\n') && path.is_file() {
        return Ok(Base::Archive { path, name: None, digest: None });
    }
    if images.find(printed)?.is_some() {
        return Ok(Base::Local { name: printed.to_owned(), digest: None });
    }
    let first = printed.lines().next().unwrap_or_default();
    Err(Failure::usage(
        format!(
            "the command of the asset printed `{first}`, which is neither the path of a Docker archive nor an image of the local store"
        ),
        "build it in the command with `lbuild docker build --tag NAME`, or write an archive and print its path",
    ))
}

/// Pushes a stored image, mended where Lambda refuses it, if the check passes.
pub async fn push(
    image: &Base,
    to: &[(Destination, Format)],
    engine: &Engine,
    args: &Publish,
    context: &Context,
) -> Result<Sent, Failure> {
    let finished = Finished {
        image: &found(image, None, engine, "write one with a single platform").await?,
        to,
        #[cfg(feature = "check")]
        check: &args.check,
        dry_run: args.dry_run,
    };
    finished.send(engine, &context.report).await
}
