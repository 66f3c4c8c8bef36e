//! Pushes an image that is built already.

use std::path::Path;

#[cfg(feature = "check")]
use lbuild::Recipe;
use lbuild::image::Format;
use lbuild::recipe::Base;
use lbuild::{Destination, Engine, Inspected, LocalImages, Sent};

use crate::cli::args::cdk::Publish;
#[cfg(feature = "check")]
use crate::cli::commands::check::before_push::CheckBeforePush;
#[cfg(feature = "check")]
use crate::cli::commands::push::{job::Job, prepare_for_none};
use crate::cli::context::Context;
#[cfg(feature = "check")]
use crate::cli::lower::{Lowered, config_file::ConfigFile};
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

/// Pushes a stored image as it is, if the check passes.
pub async fn push(
    image: &Base,
    to: &[(Destination, Format)],
    engine: &Engine,
    #[cfg_attr(not(feature = "check"), expect(unused_variables, reason = "only the check has arguments"))]
    args: &Publish,
    #[cfg_attr(not(feature = "check"), expect(unused_variables, reason = "only the check reports"))]
    context: &Context,
) -> Result<Sent, Failure> {
    let found = match engine.inspect(image, None).await? {
        Inspected::Image(found) => *found,
        Inspected::Index { .. } => {
            let message = format!("{image} is an index of several images");
            return Err(Failure::usage(
                message,
                "Lambda accepts only an image: write one with a single platform",
            ));
        }
    };
    #[cfg(feature = "check")]
    if !args.check.no_check {
        let recipe = Recipe::new(found.config.platform(), found.base.clone(), Vec::new());
        let lowered = Lowered {
            recipe,
            config: ConfigFile::default(),
            remarks: Vec::new(),
            handler: None,
            own_entrypoint: false,
            for_lambda: false,
        };
        let mut prepared = prepare_for_none(engine, &lowered, &args.check).await?;
        let job = Job { engine, lowered: &lowered, to, check: &args.check, dry_run: args.dry_run };
        CheckBeforePush::new(&job, &context.report)?.run(&mut prepared).await?;
    }
    let stored = engine.stored(&found).await?;
    let mut sent = Sent::default();
    for (destination, format) in to {
        match engine.publish(&stored, *format, destination).await {
            Ok(published) => sent.published.push(published),
            Err(error) => sent.failures.push(error),
        }
    }
    Ok(sent)
}
