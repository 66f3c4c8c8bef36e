//! Builds and pushes the images of assets, several at a time.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt, stream};
use lbuild::frontend::cdk::ImageSource;
use lbuild::image::{Format, Reference};
use lbuild::recipe::Base;
use lbuild::{Caching, Destination, Engine, Error, Event, Sent};

use super::outcome::{Done, Outcome};
use super::stored;
use super::targets::Targets;
use crate::cli::args::cdk::Publish;
use crate::cli::commands::push::job::Job;
use crate::cli::context::Context;
use crate::cli::engine;
use crate::cli::lower::cdk::Asset;
use crate::cli::lower::cdk::image::AssetBuild;
use crate::cli::lower::config_file::{ConfigFile, Many};
use crate::cli::output::exit::Failure;
use crate::cli::output::report::Report;

/// The number of images that are built at once: each uses all cores for itself where it can.
const AT_ONCE: usize = 4;

/// An asset, and the names that its image is to have.
pub struct Wanted<'w> {
    pub asset: &'w Asset,
    pub to: Vec<&'w Reference>,
}

/// An image that is to be made.
struct Planned<'w> {
    wanted: Wanted<'w>,
    work: Work,
}

/// The way to an image.
enum Work {
    Build(Box<AssetBuild>),
    /// A Docker archive.
    Archive(PathBuf),
    /// A command, and the directory in which it runs.
    Executable(Vec<String>, PathBuf),
}

/// Makes the images and pushes them. The failure of one keeps none of the others from its repository.
pub async fn publish<'w>(
    wanted: Vec<Wanted<'w>>,
    args: &Publish,
    targets: &Targets,
    context: &Context,
) -> Result<(Vec<Done<'w>>, Vec<Failure>), Failure> {
    let planned: Vec<Planned<'w>> =
        wanted.into_iter().map(|wanted| planned(wanted, args, context)).collect::<Result<_, _>>()?;
    let engines = engines(&planned, args, targets, context)?;
    let work = planned.into_iter().zip(engines).map(|(planned, engine)| async move {
        let asset = planned.wanted.asset;
        one(planned, &engine, args, context).await.map_err(|source| not_built(asset, source))
    });
    // Boxed, because the compiler cannot see that such a closure is general enough.
    let work: Vec<_> = work.map(Box::pin).collect();
    let made: Vec<_> = stream::iter(work).buffered(AT_ONCE).collect().await;
    let (mut done, mut failures) = (Vec::new(), Vec::new());
    for made in made {
        match made {
            Ok((images, failed)) => {
                done.extend(images);
                failures.extend(failed);
            }
            Err(failure) => failures.push(failure),
        }
    }
    Ok((done, failures))
}

fn not_built(asset: &Asset, source: Failure) -> Failure {
    Failure::Function { names: asset.label(), source: Box::new(source) }
}

/// Reads what describes the image, before anything is fetched.
fn planned<'w>(wanted: Wanted<'w>, args: &Publish, context: &Context) -> Result<Planned<'w>, Failure> {
    let asset = wanted.asset;
    let work = match &asset.image.source {
        ImageSource::Dockerfile(build) => Work::Build(Box::new(
            AssetBuild::of(asset, build, args, &context.report).map_err(|source| not_built(asset, source))?,
        )),
        ImageSource::Archive(file) => Work::Archive(asset.dir.join(file)),
        ImageSource::Executable(words) => Work::Executable(words.clone(), asset.dir.clone()),
    };
    Ok(Planned { wanted, work })
}

/// The engine of each image. Commands of an asset never get the secrets of another one. The images that builds may take
/// layers from are those of all: a layer is found by its key.
fn engines(
    planned: &[Planned<'_>],
    args: &Publish,
    targets: &Targets,
    context: &Context,
) -> Result<Vec<Engine>, Failure> {
    let builds = planned.iter().filter_map(|planned| planned.work.build());
    let mut cache_from: Vec<String> = builds.flat_map(|build| build.cache_from().to_vec()).collect();
    cache_from.sort();
    cache_from.dedup();
    let config = ConfigFile { cache_from: Many(cache_from), ..ConfigFile::default() };
    let warned = Arc::new(Mutex::new(HashSet::new()));
    let settings = |planned: &Planned<'_>| match planned.work.build() {
        Some(build) => (build.commands().clone(), build.without_cache),
        None => (args.commands.clone(), false),
    };
    engine::each(planned, settings, |planned| {
        let (commands, without_cache) = settings(planned);
        let make = || {
            let roles = targets.roles.clone();
            let builder = engine::builder_with(roles, &args.registry, context, &targets.registries())?;
            let builder = engine::commands(builder, &commands)?;
            let builder = engine::caching(builder, &args.caching, &config)?.dry_run(args.dry_run);
            let builder = if without_cache { builder.caching(Caching::Off) } else { builder };
            Ok(builder.on_event(each_warning_once(&context.report, &warned)).build()?)
        };
        make().map_err(|source| not_built(planned.wanted.asset, source))
    })
}

/// Passes events on. What is wrong with a base or a cache is the same for each image that uses it.
fn each_warning_once(
    report: &Report,
    warned: &Arc<Mutex<HashSet<String>>>,
) -> impl Fn(Event) + Send + Sync + use<> {
    let (report, warned) = (report.clone(), warned.clone());
    move |event| {
        let is_new =
            |message: &str| warned.lock().unwrap_or_else(PoisonError::into_inner).insert(message.to_owned());
        match &event {
            Event::Warning { message, .. } if !is_new(message) => {}
            event => report.event(event),
        }
    }
}

impl Work {
    fn build(&self) -> Option<&AssetBuild> {
        match self {
            Work::Build(build) => Some(build),
            Work::Archive(_) | Work::Executable(..) => None,
        }
    }
}

/// Makes one image, and pushes it under its names.
async fn one<'w>(
    planned: Planned<'w>,
    engine: &Engine,
    args: &Publish,
    context: &Context,
) -> Result<(Vec<Done<'w>>, Vec<Failure>), Failure> {
    let Planned { wanted, work } = planned;
    let format = work.build().and_then(|build| build.format).unwrap_or_default();
    let to: Vec<(Destination, Format)> =
        wanted.to.iter().map(|name| Ok((destination(name)?, format))).collect::<Result<_, Failure>>()?;
    let sent = match work {
        Work::Build(build) => {
            let lowered = build.lower(engine, &context.report).await?;
            let job = Job {
                engine,
                lowered: &lowered,
                to: &to,
                #[cfg(feature = "check")]
                check: &args.check,
                dry_run: args.dry_run,
            };
            job.send(None, &context.report).await
        }
        Work::Archive(file) => {
            let base = Base::Archive { path: file, name: None, digest: None };
            stored::push(&base, &to, engine, args, context).await
        }
        Work::Executable(words, dir) => {
            context.report.note(&format!("running `{}` in {}", words.join(" "), dir.display()));
            let printed = lbuild::printed_by(&words, &dir).await?;
            stored::push(&stored::named(&printed, &dir, &engine.images())?, &to, engine, args, context).await
        }
    };
    outcome(&wanted, sent, args, &context.report)
}

fn destination(name: &Reference) -> Result<Destination, Failure> {
    Ok(name.to_string().parse()?)
}

/// The images that are in their repositories now, and the failures of others.
fn outcome<'w>(
    wanted: &Wanted<'w>,
    sent: Result<Sent, Failure>,
    args: &Publish,
    report: &Report,
) -> Result<(Vec<Done<'w>>, Vec<Failure>), Failure> {
    let asset = wanted.asset;
    let outcome = if args.dry_run { Outcome::WouldSend } else { Outcome::Sent };
    let Sent { published, failures } = match sent {
        Err(Failure::Library(error)) => Sent { published: Vec::new(), failures: vec![error] },
        sent => sent?,
    };
    let mut done = Vec::new();
    for name in &wanted.to {
        let of_it = published.iter().find(|published| published.names.contains(&name.to_string()));
        done.extend(of_it.map(|published| Done { asset, name, digest: published.digest, outcome }));
    }
    let mut failed = Vec::new();
    for error in failures {
        // The tag stands for the same source, whatever the bytes are.
        let taken = match &error {
            Error::ImmutableTag { image, digest } => {
                wanted.to.iter().find(|name| name.to_string() == *image).map(|name| (name, *digest))
            }
            _ => None,
        };
        match taken {
            Some((name, digest)) => {
                report.note(&format!("{name} is immutable, and another run has published it meanwhile"));
                done.push(Done { asset, name, digest, outcome: Outcome::Present });
            }
            None => failed.push(not_built(asset, error.into())),
        }
    }
    Ok((done, failed))
}
