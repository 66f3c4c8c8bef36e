//! `lbuild push` and `lbuild build`.

pub mod finished;
pub mod handler;
pub mod job;
#[cfg(feature = "aws")]
pub mod repository;
pub mod results;
#[cfg(feature = "check")]
pub mod tool;

use lbuild::image::Format;
#[cfg(feature = "check")]
use lbuild::lambda::check::Annotator;
use lbuild::{Destination, Engine, EngineBuilder, Prepared, Recipe, Sent};

use self::job::Job;
#[cfg(feature = "check")]
use crate::cli::args::push::CheckArgs;
use crate::cli::args::push::Push;
#[cfg(feature = "check")]
use crate::cli::commands::check::before_push::CheckBeforePush;
use crate::cli::context::Context;
use crate::cli::destination::{self, DefaultDestination};
use crate::cli::lower::named::finished_image;
use crate::cli::lower::{Input, Lowered};
use crate::cli::output::exit::Failure;
use crate::cli::output::report::Report;
use crate::cli::{engine, lower};

/// Builds the image, sends it to its destinations, and prints its names.
pub async fn run(args: Push, default: DefaultDestination, context: &Context) -> Result<(), Failure> {
    let finished = finished_image(&args.image.path, args.image.making().or(args.caching.given()))?;
    let sent = match &finished {
        Some(name) => finished::send(&args, name, context).await?,
        None => send(&args, default, context).await?,
    };
    results::report(&args, sent, &context.report)
}

/// Builds the image and sends it to its destinations.
pub async fn send(args: &Push, default: DefaultDestination, context: &Context) -> Result<Sent, Failure> {
    let report = &context.report;
    let input = lower::input(&args.image, report)?;
    let to =
        destination::of_push(&args.destination, &args.image.path, input.config(), default, context).await?;
    let mut login: Vec<_> = to.iter().filter_map(|(to, _)| destination::registry(to)).collect();
    if login.is_empty() {
        login = input.base_registries();
    }
    let builder = engine::builder(&args.registry, &input.config().insecure.0, context, &login)?;
    send_input(args, input, &to, builder, Caller::User, context).await
}

/// The caller of a build.
#[derive(Clone, Copy)]
pub enum Caller<'c> {
    User,
    /// A tool that calls another builder's command: what it may ask for is judged by the recipe, and it may put outputs
    /// where that builder lets it.
    Tool(&'c (dyn Fn(&Recipe) -> Result<(), Failure> + Sync)),
}

/// Builds the image of an input, and sends it to these destinations, by an engine that needs the settings of a build only.
pub async fn send_input(
    args: &Push,
    input: Input,
    to: &[(Destination, Format)],
    builder: EngineBuilder,
    caller: Caller<'_>,
    context: &Context,
) -> Result<Sent, Failure> {
    let report = &context.report;
    let builder = engine::commands(builder, &args.image.dockerfile.commands)?;
    let builder = engine::caching(builder, &args.caching, input.config())?;
    let engine = builder.dry_run(args.destination.dry_run).build()?;
    let lowered = input.lower(&args.image, &engine, report).await?;
    if let Caller::Tool(judge) = caller {
        judge(&lowered.recipe)?;
    }
    if lowered.for_lambda {
        destination::refuse_unpullable(to)?;
    }
    let missing = handler::missing(&engine, &lowered)?;
    if let Caller::User = caller {
        check_outputs(&engine, &lowered, args, to)?;
    }
    #[cfg(feature = "aws")]
    repository::prepare(&args.destination, &lowered.config, to, context).await?;
    let job = Job {
        engine: &engine,
        lowered: &lowered,
        to,
        #[cfg(feature = "check")]
        check: &args.check,
        dry_run: args.destination.dry_run,
    };
    job.send(missing, report).await
}

impl Job<'_> {
    /// Builds the image and sends it if the check passes. `missing` is a warning about the handler, unless the check
    /// has found its file or has a finding about it.
    pub async fn send(&self, missing: Option<Failure>, report: &Report) -> Result<Sent, Failure> {
        #[cfg(feature = "check")]
        if !self.check.no_check {
            return self.send_checked(missing, report).await;
        }
        missing.into_iter().for_each(|missing| handler::warn(&missing, report));
        Ok(self.engine.push_each(&self.lowered.recipe, self.to).await?)
    }

    #[cfg(feature = "check")]
    async fn send_checked(&self, missing: Option<Failure>, report: &Report) -> Result<Sent, Failure> {
        let prepared = self.prepare().await?;
        self.send_prepared(prepared, missing, report).await
    }

    /// Prepares the image for its destinations.
    pub async fn prepare(&self) -> Result<Prepared, Failure> {
        #[cfg(feature = "check")]
        if !self.check.no_check {
            let prepared = self.engine.prepare_scanned(&self.lowered.recipe, self.to, Annotator::of);
            return Ok(prepared.await?);
        }
        Ok(self.engine.prepare(&self.lowered.recipe, self.to).await?)
    }

    /// Sends an image that was prepared for these destinations, if the check passes.
    pub async fn send_prepared(
        &self,
        mut prepared: Prepared,
        missing: Option<Failure>,
        report: &Report,
    ) -> Result<Sent, Failure> {
        self.judge(&mut prepared, missing, report).await?;
        Ok(prepared.send_each().await?)
    }

    /// Checks a prepared image, unless the arguments forbid it. `missing` is as in [`Job::send`].
    #[cfg_attr(not(feature = "check"), expect(unused_variables, reason = "only the check looks at it"))]
    pub async fn judge(
        &self,
        prepared: &mut Prepared,
        missing: Option<Failure>,
        report: &Report,
    ) -> Result<(), Failure> {
        #[cfg(feature = "check")]
        let is_judged = !self.check.no_check && CheckBeforePush::new(self, report)?.run(prepared).await?;
        #[cfg(not(feature = "check"))]
        let is_judged = false;
        missing.into_iter().filter(|_| !is_judged).for_each(|missing| handler::warn(&missing, report));
        Ok(())
    }
}

/// Prepares an image for destinations that are not known yet.
pub async fn prepare_for_none(
    engine: &Engine,
    lowered: &Lowered,
    #[cfg(feature = "check")] check: &CheckArgs,
) -> Result<Prepared, Failure> {
    let job = Job {
        engine,
        lowered,
        to: &[],
        #[cfg(feature = "check")]
        check,
        dry_run: false,
    };
    job.prepare().await
}

/// Refuses outputs in a directory that is packed: the next image would contain them.
fn check_outputs(
    engine: &Engine,
    lowered: &Lowered,
    args: &Push,
    to: &[(Destination, Format)],
) -> Result<(), Failure> {
    let destinations = to.iter().filter_map(|(to, _)| match to {
        Destination::Layout { path, .. } | Destination::Archive { path, .. } => Some(path),
        Destination::Registry { .. } | Destination::Local { .. } => None,
    });
    for path in destinations.chain(&args.metadata_file).chain(&args.digest_file) {
        if engine.packs(&lowered.recipe, path)? {
            let message = format!("{} is in a directory that is packed", path.display());
            let hint = "the next image would contain it: write it elsewhere, or name it in .lambdaignore or .dockerignore";
            return Err(Failure::usage(message, hint));
        }
    }
    Ok(())
}
