//! `lbuild repo`, and what a push does to its ECR repository.

use std::path::Path;

use lbuild::aws::{EcrRepository, Encryption, Settings};
use lbuild::event::RepositoryChange;
use lbuild::image::{EcrHost, Format, Reference};
use lbuild::{Destination, Event};

use super::Context;
use super::args::Push;
use super::args::ecr::{Create, Ecr, Policy, Repo};
use super::config::Config;
use super::exit::Failure;
use super::push::given;
use super::report::print;

/// `lbuild repo create` and `lbuild repo policy`.
pub async fn run(command: Repo, context: &Context) -> Result<(), Failure> {
    match command {
        Repo::Create(args) => create(args, context).await,
        Repo::Policy(args) => policy(args, context).await,
    }
}

async fn create(args: Create, context: &Context) -> Result<(), Failure> {
    let settings = settings(&args)?;
    let repository = named(&args.name, context).await?;
    if repository.create(&settings).await? {
        tell(&repository, RepositoryChange::Created, context);
    } else if let Some(found) = repository.find().await? {
        let differences = found.differences(&settings);
        if !differences.is_empty() {
            let message = format!("{repository} exists already, without {}", differences.join(", "));
            context.report.warn(&message, Some("it stays as it is; change it in ECR, or create another"));
        }
    }
    print(&repository.to_string())
}

fn settings(args: &Create) -> Result<Settings, Failure> {
    let encryption = match args.encryption.as_deref() {
        None => None,
        Some("kms") => Some(Encryption::Kms(None)),
        Some(text) => match text.strip_prefix("kms:").filter(|key| !key.is_empty()) {
            Some(key) => Some(Encryption::Kms(Some(key.to_owned()))),
            None => {
                let message = format!("unknown encryption `{text}`");
                return Err(Failure::usage(
                    message,
                    "write it as kms, or kms:KEY with the key's id, alias or ARN",
                ));
            }
        },
    };
    let read = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|source| Failure::Read { what: path.display().to_string(), source })?;
        // ECR's own message would not name the file.
        serde_json::from_str::<serde_json::Value>(&text)
            .map_err(|error| Failure::Config { path: path.clone(), message: error.to_string() })?;
        Ok::<_, Failure>(text)
    };
    let split = |tag: &String| match tag.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Failure::usage(format!("`--tag {tag}` is not of the form KEY=VALUE"), None)),
    };
    Ok(Settings {
        immutable: args.immutable,
        scan: args.scan,
        encryption,
        lifecycle: args.lifecycle.as_ref().map(read).transpose()?,
        tags: args.tag.iter().map(split).collect::<Result<_, _>>()?,
    })
}

async fn policy(args: Policy, context: &Context) -> Result<(), Failure> {
    let repository = named(&args.name, context).await?;
    if args.print {
        let wanted = match args.allow_lambda {
            true => repository.policy_for_lambda(&args.allow_account).await?,
            false => None,
        };
        let policy = match wanted {
            Some(policy) => Some(policy),
            None => repository.policy().await?,
        };
        return match policy {
            Some(policy) => print(policy.trim_end()),
            None => {
                context
                    .report
                    .warn(&format!("{repository} has no policy"), Some("add --allow-lambda to see one"));
                Ok(())
            }
        };
    }
    if !args.allow_lambda {
        return Err(Failure::usage(
            "nothing to change in the policy",
            "add --allow-lambda, or --print to see it",
        ));
    }
    if repository.allow_lambda(&args.allow_account).await? {
        tell(&repository, RepositoryChange::LambdaAllowed, context);
    }
    Ok(())
}

/// A repository as it is named on the command line.
async fn named(name: &str, context: &Context) -> Result<EcrRepository, Failure> {
    let full = match name.split_once('/') {
        Some((first, _)) if first.contains('.') => name.to_owned(),
        _ => format!("{}/{name}", context.aws.registry().await?),
    };
    let reference: Reference = full.parse()?;
    let tagged = full.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
    match EcrHost::parse(reference.registry()).filter(|_| !tagged) {
        Some(host) => Ok(context.aws.repository(host, reference.repository())),
        None if tagged => {
            Err(Failure::usage(format!("`{name}` names an image"), "name the repository alone"))
        }
        None => {
            let message = format!("{} is no private registry of ECR", reference.registry());
            Err(Failure::usage(
                message,
                "name the repository alone, or as ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME",
            ))
        }
    }
}

/// The destinations that were given, and the repository of one's own registry.
pub async fn destinations(
    path: &Path,
    to: &[String],
    repo: Option<&str>,
    config: &Config,
    context: &Context,
) -> Result<Vec<String>, Failure> {
    let repo = match repo {
        // A repository that is named now is in the place of what the file says.
        Some(repo) if to.is_empty() => return Ok(vec![own(repo, context).await?]),
        Some(repo) => Some(repo),
        None if to.is_empty() => config.repo.as_deref(),
        None => None,
    };
    let mut to = given(path, to, config);
    if let Some(repo) = repo {
        to.push(own(repo, context).await?);
    }
    Ok(to)
}

async fn own(repo: &str, context: &Context) -> Result<String, Failure> {
    if repo.split('/').next().is_some_and(|first| first.contains('.')) && repo.contains('/') {
        return Err(Failure::usage(format!("`--repo {repo}` names a registry"), "give it with --to"));
    }
    Ok(format!("{}/{repo}", context.aws.registry().await?))
}

/// What a push does to its repositories before it sends anything.
#[derive(Clone, Copy)]
pub struct Wanted {
    pub create: bool,
    pub allow: bool,
}

/// What the flags and lbuild.toml ask for, of these destinations.
pub fn wanted(flags: &Ecr, config: &Config, to: &[(Destination, Format)]) -> Result<Wanted, Failure> {
    let is_ecr = |(to, _): &(Destination, Format)| host(to).is_some();
    // What lbuild.toml asks for is for the pushes that can do with it; a flag is for this one.
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

/// Creates the repositories and opens them to Lambda, as far as that was asked for.
pub async fn prepare(
    args: &Push,
    config: &Config,
    to: &[(Destination, Format)],
    context: &Context,
) -> Result<(), Failure> {
    let wanted = wanted(&args.ecr, config, to)?;
    for repository in to.iter().filter_map(|(to, _)| repository(to, context)).filter(|_| !args.dry_run) {
        if wanted.create && repository.ensure().await? {
            tell(&repository, RepositoryChange::Created, context);
        }
        if wanted.allow && repository.allow_lambda(&[]).await? {
            tell(&repository, RepositoryChange::LambdaAllowed, context);
        }
    }
    Ok(())
}

/// The repository of a destination that is one of ECR's.
pub fn repository(to: &Destination, context: &Context) -> Option<EcrRepository> {
    let Destination::Registry { repository, .. } = to else { return None };
    Some(context.aws.repository(host(to)?, repository.repository()))
}

fn host(to: &Destination) -> Option<EcrHost> {
    EcrHost::parse(super::push::registry(to)?)
}

fn tell(repository: &EcrRepository, change: RepositoryChange, context: &Context) {
    context.report.event(&Event::Repository { repository: repository.to_string(), change });
}
