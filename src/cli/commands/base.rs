//! `lbuild base check`: images on a base whose tag has moved.

use lbuild::recipe::Base;
use lbuild::{Engine, Inspected, StoredImage};
use serde_json::json;

use crate::cli::args::base::{BaseCheck, BaseCommand};
use crate::cli::context::Context;
use crate::cli::engine;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::{print, print_json};

/// An image, and the function that runs it if that was named.
pub struct Named {
    pub image: Base,
    /// The image of a function by the name that was deployed, perhaps with a tag.
    pub tagged: Option<String>,
    #[cfg(feature = "aws")]
    pub function: Option<lbuild::aws::LambdaFunction>,
}

/// Runs `lbuild base check`.
pub async fn run(command: &BaseCommand, context: &Context) -> Result<(), Failure> {
    let BaseCommand::Check(args) = command;
    check(args, context).await
}

/// The image that a text names: an image, or a function by its name or ARN. Images have a registry or a scheme.
pub async fn named(text: &str, context: &Context) -> Result<Named, Failure> {
    let is_file = ["oci:", "docker-archive:"].iter().any(|scheme| text.starts_with(scheme));
    let is_function = text.starts_with("arn:") || !is_file && !text.contains('/');
    #[cfg(feature = "aws")]
    if is_function {
        let function = context.aws.function(text).await?;
        let name = function.to_string();
        if let Some(qualifier) = function.qualifier() {
            let message = format!("{name}:{qualifier} is a version or an alias");
            return Err(Failure::usage(
                message,
                "name the function alone, or the image that the version has",
            ));
        }
        let found = function.find().await?.ok_or(lbuild::Error::NoFunction { function: name.clone() })?;
        let (Some(tagged), Some(digest)) = (found.image, found.digest) else {
            return Err(lbuild::Error::ZipFunction { function: name }.into());
        };
        let repository = tagged.split('@').next().unwrap_or_default();
        let bare = match repository.rfind(':').filter(|colon| !repository[*colon..].contains('/')) {
            Some(colon) => &repository[..colon],
            None => repository,
        };
        let image = format!("{bare}@{digest}").parse()?;
        return Ok(Named { image, tagged: Some(tagged), function: Some(function) });
    }
    #[cfg(not(feature = "aws"))]
    let _ = (context, is_function);
    Ok(Named {
        image: text.parse()?,
        tagged: None,
        #[cfg(feature = "aws")]
        function: None,
    })
}

/// The one image that a name refers to.
pub async fn one(engine: &Engine, image: &Base) -> Result<StoredImage, Failure> {
    match engine.inspect(image, None).await? {
        Inspected::Image(found) => Ok(*found),
        Inspected::Index { .. } => {
            let message = format!("{image} is an index of several images");
            Err(Failure::usage(message, "name the image for one architecture: `lbuild inspect` lists them"))
        }
    }
}

/// The base of an image, compared with what the tag of the base names now.
enum Standing {
    /// No label says which base it has.
    Unknown,
    /// It is the newest one.
    Current { base: String },
    /// The tag names another one now.
    Moved { base: String, was: String, now: String },
}

/// Prints a line for each image. One that cannot be looked at keeps none of the others from it.
async fn check(args: &BaseCheck, context: &Context) -> Result<(), Failure> {
    let (mut lines, mut all, mut failed) = (Vec::new(), Vec::new(), None);
    for text in &args.images {
        let standing = match look(text, args, context).await {
            Ok(standing) => standing,
            Err(failure) => {
                lines.push(format!("error    {text}: {failure}"));
                all.push(json!({ "image": text, "state": "error", "error": failure.to_string() }));
                failed = failed.or(Some(failure));
                continue;
            }
        };
        let (state, base, was, now) = match &standing {
            Standing::Unknown => ("unknown", None, None, None),
            Standing::Current { base } => ("current", Some(base), None, None),
            Standing::Moved { base, was, now } => ("moved", Some(base), Some(was), Some(now)),
        };
        lines.push(match &standing {
            Standing::Unknown => format!("unknown  {text}: no label says on which base it was built"),
            Standing::Current { base } => format!("current  {text} on {base}"),
            Standing::Moved { base, was, now } => format!("moved    {text} on {base}: {was} is now {now}"),
        });
        all.push(json!({ "image": text, "state": state, "base": base, "digest": was, "newest": now }));
    }
    match context.json {
        true => print_json(&format!("{:#}", json!({ "schema": 1, "images": all })))?,
        false => print(&lines.join("\n"))?,
    }
    failed.map_or(Ok(()), Err)
}

async fn look(text: &str, args: &BaseCheck, context: &Context) -> Result<Standing, Failure> {
    let named = named(text, context).await?;
    let registry = engine::registry(&named.image).map(str::to_owned);
    let login: Vec<&str> = registry.iter().map(String::as_str).collect();
    let engine = engine::builder(&args.registry, &[], context, &login)?.build()?;
    standing(&engine, &one(&engine, &named.image).await?).await
}

async fn standing(engine: &Engine, image: &StoredImage) -> Result<Standing, Failure> {
    let Some((name, was)) = image.base_of() else { return Ok(Standing::Unknown) };
    let newest = engine.resolve(&Base::Registry(name.clone()), &image.config.platform()).await?;
    let (base, now) = (name.to_string(), newest.manifest.digest);
    // A copy of a base in another format has the same layers.
    Ok(match was == now || image.is_on(&newest) {
        true => Standing::Current { base },
        false => Standing::Moved { base, was: was.to_string(), now: now.to_string() },
    })
}
