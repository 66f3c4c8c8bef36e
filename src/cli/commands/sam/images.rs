//! Builds and pushes the images of a template's functions, each once, several at a time.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::{StreamExt, TryStreamExt, stream};
use lbuild::frontend::sam::{ImageFunction, SharedImage};
use lbuild::image::{Digest, EcrHost, Format};
use lbuild::{Destination, Engine};

use crate::cli::args::sam::SamArgs;
use crate::cli::commands::push::job::Job;
use crate::cli::commands::push::{handler, prepare_for_none};
use crate::cli::context::Context;
use crate::cli::lower::sam::{ImageInput, Project};
use crate::cli::lower::{self, Input};
use crate::cli::output::exit::Failure;
use crate::cli::{destination, engine};

/// The number of images that are built at once: each uses all cores for itself where it can.
const AT_ONCE: usize = 4;

/// The image of a function.
pub struct BuiltImage {
    /// The number of the function in the project.
    pub function: usize,
    /// The name of the image with its tag.
    pub uri: String,
}

/// An image that is to be built.
struct Planned<'p> {
    image: SharedImage<'p>,
    input: ImageInput,
    lowered: Input,
}

impl Planned<'_> {
    /// The names of its functions, for messages.
    fn names(&self) -> String {
        let names: Vec<_> = self.image.functions.iter().map(|function| &*function.logical_id).collect();
        names.join(", ")
    }
}

/// The destinations of an image, and its functions with the names that they have for it.
struct Addressed {
    to: Vec<(Destination, Format)>,
    built: Vec<BuiltImage>,
}

/// The repositories of the functions, in their order; `None` for OCI layouts on this disk.
type Repositories = Option<Vec<String>>;

/// Builds the images, and pushes them unless they go into OCI layouts below `layouts`. No function has a new image if one
/// fails: the names have new tags, and the template is written later.
pub async fn build(
    args: &SamArgs,
    project: &Project,
    layouts: Option<&Path>,
    context: &Context,
) -> Result<Vec<BuiltImage>, Failure> {
    let planned = planned(args, project, context)?;
    let repositories = match layouts {
        Some(_) => None,
        None => Some(repositories(project, context).await?),
    };
    let engines = engines(args, &planned, repositories.as_ref(), context)?;
    let work = planned.into_iter().zip(engines).map(|(planned, engine)| {
        let repositories = &repositories;
        async move {
            let names = planned.names();
            let made = one(args, project, planned, repositories, layouts, &engine, context).await;
            made.map_err(|source| Failure::Function { names, source: Box::new(source) })
        }
    });
    // Boxed, because the compiler cannot see that such a closure is general enough.
    let work: Vec<_> = work.map(Box::pin).collect();
    let built: Vec<Vec<BuiltImage>> = stream::iter(work).buffer_unordered(AT_ONCE).try_collect().await?;
    let mut built: Vec<BuiltImage> = built.into_iter().flatten().collect();
    built.sort_by_key(|image| image.function);
    Ok(built)
}

/// Reads the files that describe the images, before anything is fetched.
fn planned<'p>(args: &SamArgs, project: &'p Project, context: &Context) -> Result<Vec<Planned<'p>>, Failure> {
    let dir = project.dir(args);
    let plan = |image: SharedImage<'p>| {
        let first = image.functions[0];
        let mut input = ImageInput::of(&project.template, first, dir, args)?;
        let config = std::mem::take(&mut input.config);
        let lowered = lower::input_with(&input.args, config, &context.report)?;
        Ok(Planned { image, input, lowered })
    };
    SharedImage::of(&project.functions).into_iter().map(plan).collect()
}

/// The repositories of the functions; those of a stack are created.
async fn repositories(project: &Project, context: &Context) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for function in &project.functions {
        let repository = match project.repositories.by_stack {
            true => of_stack(project, function, context).await?,
            false => project.repositories.get(function),
        };
        found.push(repository.ok_or_else(|| {
            let message = format!("no repository is given for the image of {}", function.logical_id);
            Failure::usage(
                message,
                "add --image-repository URI, --image-repositories FUNCTION=URI or --resolve-image-repos",
            )
        })?);
    }
    Ok(found)
}

/// The repository after stack and function, from which Lambda may pull.
#[cfg(feature = "aws")]
async fn of_stack(
    project: &Project,
    function: &ImageFunction,
    context: &Context,
) -> Result<Option<String>, Failure> {
    use crate::cli::lower::sam::repositories::name_after;
    use lbuild::event::RepositoryChange;
    let Some(stack) = &project.stack else {
        let message = "--resolve-image-repos needs the name of the stack";
        return Err(Failure::usage(message, "add --stack-name NAME, or set stack_name in samconfig.toml"));
    };
    let host = context.aws.registry().await?;
    let repository = context.aws.repository(host, name_after(stack, &function.logical_id));
    if repository.ensure().await? {
        context.report.repository(&repository, RepositoryChange::Created);
    }
    if repository.allow_lambda(&[]).await? {
        context.report.repository(&repository, RepositoryChange::LambdaAllowed);
    }
    Ok(Some(repository.to_string()))
}

#[cfg(not(feature = "aws"))]
async fn of_stack(_: &Project, _: &ImageFunction, _: &Context) -> Result<Option<String>, Failure> {
    Ok(None)
}

/// The engine of each image. Commands of a function never get the secrets of another one.
fn engines(
    args: &SamArgs,
    planned: &[Planned<'_>],
    repositories: Option<&Vec<String>>,
    context: &Context,
) -> Result<Vec<Engine>, Failure> {
    let registries = repositories.into_iter().flatten().filter_map(|name| name.split('/').next());
    let login: Vec<&str> = match repositories {
        Some(_) => registries.collect(),
        None => planned.iter().flat_map(|planned| planned.lowered.base_registries()).collect(),
    };
    let settings = |planned: &Planned<'_>| {
        let (commands, config) = (planned.input.args.dockerfile.commands.clone(), planned.lowered.config());
        (commands, config.insecure.0.clone(), config.cache_from.0.clone())
    };
    engine::each(planned, settings, |image| {
        engine_of(args, image, &login, context)
            .map_err(|source| Failure::Function { names: image.names(), source: Box::new(source) })
    })
}

fn engine_of(
    args: &SamArgs,
    planned: &Planned<'_>,
    login: &[&str],
    context: &Context,
) -> Result<Engine, Failure> {
    let config = planned.lowered.config();
    let builder = engine::builder(&args.registry, &config.insecure.0, context, login)?;
    let builder = engine::commands(builder, &planned.input.args.dockerfile.commands)?;
    Ok(engine::caching(builder, &args.caching, config)?.build()?)
}

/// Builds one image, and sends it to the repositories of its functions.
#[cfg_attr(not(feature = "check"), expect(unused_variables, reason = "only the check has arguments"))]
async fn one(
    args: &SamArgs,
    project: &Project,
    planned: Planned<'_>,
    repositories: &Repositories,
    layouts: Option<&Path>,
    engine: &Engine,
    context: &Context,
) -> Result<Vec<BuiltImage>, Failure> {
    let Planned { image, input, lowered } = planned;
    let lowered = lowered.lower(&input.args, engine, &context.report).await?;
    let missing = handler::missing(engine, &lowered)?;
    let prepared = prepare_for_none(
        engine,
        &lowered,
        #[cfg(feature = "check")]
        &args.check,
    );
    let mut prepared = prepared.await?;
    // The tags have the image's id.
    let id = prepared.image().config_blob().digest;
    let Addressed { to, built } = destinations(project, &image, id, repositories, layouts)?;
    if lowered.for_lambda {
        destination::refuse_unpullable(&to)?;
    }
    prepared.address(&to);
    let job = Job {
        engine,
        lowered: &lowered,
        to: &to,
        #[cfg(feature = "check")]
        check: &args.check,
        dry_run: false,
    };
    job.send_prepared(prepared, missing, &context.report).await?.complete()?;
    Ok(built)
}

/// The name of a repository of ECR with the host that SAM's commands know, if it has another one of the same registry.
fn known_to_sam(repository: &str) -> String {
    let Some((host, name)) = repository.split_once('/') else { return repository.to_owned() };
    match EcrHost::parse(host) {
        Some(ecr) if ecr.is_dual_stack() && !ecr.is_fips() => {
            format!("{}/{name}", EcrHost::new(ecr.account(), ecr.region()))
        }
        _ => repository.to_owned(),
    }
}

/// The destinations of an image with this id, and the name that each function has for it.
fn destinations(
    project: &Project,
    image: &SharedImage<'_>,
    id: Digest,
    repositories: &Repositories,
    layouts: Option<&Path>,
) -> Result<Addressed, Failure> {
    let (mut tags, mut built) = (BTreeMap::<String, Vec<String>>::new(), Vec::new());
    for function in &image.functions {
        let number = project.functions.iter().position(|other| other.logical_id == function.logical_id);
        let number = number.unwrap_or_default();
        let (place, tag) = match (repositories, layouts) {
            (Some(repositories), _) => (repositories[number].clone(), image.tag(function, id)),
            (None, dir) => {
                let dir = dir.unwrap_or(Path::new("")).join("images").join(&function.logical_id);
                (format!("oci:{}", dir.display()), function.tag.clone())
            }
        };
        built.push(BuiltImage { function: number, uri: format!("{}:{tag}", known_to_sam(&place)) });
        let of_place = tags.entry(place).or_default();
        if !of_place.contains(&tag) {
            of_place.push(tag);
        }
    }
    let mut to = Vec::new();
    for (place, tags) in tags {
        to.extend(destination::parse(&[place], &tags, None)?);
    }
    Ok(Addressed { to, built })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sam_knows_the_classic_host() {
        let classic = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/a/b";
        for (name, expected) in [
            ("123456789012.dkr-ecr.eu-west-1.on.aws/a/b", classic),
            (classic, classic),
            ("localhost:5000/a", "localhost:5000/a"),
        ] {
            assert_eq!(known_to_sam(name), expected);
        }
    }
}
