//! `lbuild repo`: creates a repository in ECR, and shows or changes its policy.

use std::path::PathBuf;

use lbuild::aws::{EcrRepository, Encryption, Settings};
use lbuild::event::RepositoryChange;
use lbuild::image::{EcrHost, Reference};

use crate::cli::args::ecr::{Create, Policy, Repo};
use crate::cli::context::Context;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::print;

/// Runs `lbuild repo create` or `lbuild repo policy`.
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
        context.report.repository(&repository, RepositoryChange::Created);
    } else if let Some(found) = repository.find().await? {
        let differences = found.differences(&settings);
        if !differences.is_empty() {
            let message = format!("{repository} exists already, without {}", differences.join(", "));
            context.report.warn(&message, Some("change it in ECR, or create another repository"));
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
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|source| Failure::Read { what: path.display().to_string(), source })?;
        // Parsed here because ECR's error message would not name the file.
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
        context.report.repository(&repository, RepositoryChange::LambdaAllowed);
    }
    Ok(())
}

/// The ECR repository that a name on the command line refers to.
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
            let message = format!("{} is not a private ECR registry", reference.registry());
            Err(Failure::usage(
                message,
                "name the repository alone, or as ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME",
            ))
        }
    }
}
