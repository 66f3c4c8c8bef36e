//! `lbuild doctor`: finds the faults that would stop a push.

mod examination;
mod repository;
mod run_modes;

use lbuild::image::Format;
use lbuild::{Destination, Engine, Probe};

use self::examination::Examination;
use crate::cli::args::ecr::Doctor;
use crate::cli::commands::push::handler;
use crate::cli::commands::push::repository::{Wanted, wanted};
use crate::cli::context::Context;
use crate::cli::lower::config_file::ConfigFile;
use crate::cli::output::exit::Failure;
use crate::cli::{destination, engine, lower};

/// Examines everything that a push needs, and continues after a failure.
pub async fn run(args: Doctor, context: &Context) -> Result<(), Failure> {
    if args.run {
        return run_modes::examine(&args, context).await;
    }
    let mut findings = Examination::new(context);
    let config = ConfigFile::load(&args.image.path)?;
    // Without a base, the registry can still be examined.
    let input = lower::is_described(&args.image, &config);
    let input = input.then(|| lower::input(&args.image, &context.report)).transpose()?;
    let to = destinations(&args, &config, &mut findings).await?;
    if to.is_empty() && findings.first.is_none() {
        context.report.warn("no destination is given", Some("add --to or --repo to examine one"));
    }
    let login: Vec<_> = to.iter().filter_map(|(to, _)| destination::registry(to)).collect();
    let engine = engine::builder(&args.registry, &config.insecure.0, context, &login)?.build()?;
    findings.add("write to the cache", writable(&engine))?;
    let lowered = match input {
        Some(input) => match input.lower(&args.image, &engine, &context.report).await {
            Ok(lowered) => Some(lowered),
            Err(failure) => {
                findings.add("read the Dockerfile and its bases", Err(failure))?;
                None
            }
        },
        None => None,
    };
    if let Some(lowered) = &lowered {
        findings.add("find the handler", handler::check(&engine, lowered, &context.report))?;
        let pinned = engine.pin(lowered.recipe.clone()).await;
        findings.add("read the base", pinned.map(drop))?;
    }
    if lowered.is_none_or(|lowered| lowered.for_lambda) {
        findings.add("push to a registry from which Lambda can pull", destination::refuse_unpullable(&to))?;
    }
    let wanted = wanted(&args.ecr, &config, &to);
    let wanted = match wanted {
        Ok(wanted) => wanted,
        // The unknown account has already been reported.
        Err(_) if to.is_empty() => Wanted { create: false, allow: false },
        Err(failure) => return Err(failure),
    };
    for (to, _) in &to {
        registry(to, wanted, &engine, &mut findings).await?;
    }
    match findings.first {
        None => Ok(()),
        Some(code) => Err(Failure::Doctor { code }),
    }
}

/// Examines one destination, if it is a registry.
async fn registry(
    to: &Destination,
    wanted: Wanted,
    engine: &Engine,
    findings: &mut Examination<'_>,
) -> Result<(), Failure> {
    let Destination::Registry { repository, tags } = to else { return Ok(()) };
    let exists = repository::examine(to, tags, wanted, findings).await?;
    for probe in engine.probe(repository).await {
        // If the repository is missing, every probe fails; this is reported only once.
        if exists || !is_about_absence(&probe) {
            findings.add(&format!("{} at {to}", probe.what), probe.result)?;
        }
    }
    Ok(())
}

fn is_about_absence(probe: &Probe) -> bool {
    matches!(&probe.result, Err(lbuild::Error::Registry { answer, .. }) if answer.status == 404)
}

async fn destinations(
    args: &Doctor,
    config: &ConfigFile,
    findings: &mut Examination<'_>,
) -> Result<Vec<(Destination, Format)>, Failure> {
    let to = destination::given_or_own(
        &args.image.path,
        &args.to,
        args.ecr.repo.as_deref(),
        config,
        findings.context,
    )
    .await;
    match to {
        Ok(to) => destination::parse(&to, &config.tag.0, config.format),
        // Without an account the registry is unknown; the rest can be examined.
        Err(failure @ Failure::Library(_)) => {
            findings.add("find the registry of the AWS account", Err::<(), _>(failure))?;
            Ok(Vec::new())
        }
        Err(failure) => Err(failure),
    }
}

/// Tries to write to the cache, as a push would.
fn writable(engine: &Engine) -> Result<(), Failure> {
    let root = engine.cache().root();
    let tried = std::fs::create_dir_all(root).and_then(|()| tempfile::tempfile_in(root).map(drop));
    tried.map_err(|source| Failure::Write { path: root.to_owned(), source })
}
