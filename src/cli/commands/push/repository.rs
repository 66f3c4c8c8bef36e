//! The changes that a push makes to its ECR repositories before it sends layers.

use lbuild::Destination;
use lbuild::aws::EcrRepository;
use lbuild::event::RepositoryChange;
use lbuild::image::{EcrHost, Format};

use crate::cli::args::ecr::Ecr;
use crate::cli::args::push::DestinationArgs;
use crate::cli::context::Context;
use crate::cli::destination;
use crate::cli::lower::config_file::ConfigFile;
use crate::cli::output::exit::Failure;

/// The changes that a push is to make.
#[derive(Clone, Copy)]
pub struct Wanted {
    pub create: bool,
    pub allow: bool,
}

/// The changes that the flags and lbuild.toml request for these destinations.
pub fn wanted(flags: &Ecr, config: &ConfigFile, to: &[(Destination, Format)]) -> Result<Wanted, Failure> {
    let is_ecr = |(to, _): &(Destination, Format)| host(to).is_some();
    // lbuild.toml is for all pushes, also to other registries; a flag is for this push.
    if (flags.create_repo || flags.allow_lambda) && !to.iter().any(is_ecr) {
        return Err(Failure::usage(
            "no destination is a repository of ECR",
            "--create-repo and --allow-lambda are for --repo NAME, or --to ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME",
        ));
    }
    Ok(Wanted {
        create: flags.create_repo || config.create_repo,
        allow: flags.allow_lambda || config.allow_lambda,
    })
}

/// Creates the repositories and lets Lambda pull from them, if requested.
pub async fn prepare(
    args: &DestinationArgs,
    config: &ConfigFile,
    to: &[(Destination, Format)],
    context: &Context,
) -> Result<(), Failure> {
    let wanted = wanted(&args.ecr, config, to)?;
    for repository in to.iter().filter_map(|(to, _)| repository(to, context)).filter(|_| !args.dry_run) {
        if wanted.create && repository.ensure().await? {
            context.report.repository(&repository, RepositoryChange::Created);
        }
        if wanted.allow && repository.allow_lambda(&[]).await? {
            context.report.repository(&repository, RepositoryChange::LambdaAllowed);
        }
    }
    Ok(())
}

/// The ECR repository of a destination; `None` for other destinations.
pub fn repository(to: &Destination, context: &Context) -> Option<EcrRepository> {
    let Destination::Registry { repository, .. } = to else { return None };
    Some(context.aws.repository(host(to)?, repository.repository()))
}

fn host(to: &Destination) -> Option<EcrHost> {
    EcrHost::parse(destination::registry(to)?)
}
