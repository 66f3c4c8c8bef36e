//! The examination of a destination's ECR repository.

use lbuild::Destination;
use lbuild::aws::EcrRepository;

use super::examination::{DONE, Examination};
use crate::cli::commands::push::repository::{self, Wanted};
use crate::cli::output::exit::Failure;

/// Examines the repository of a destination. Returns `false` only if AWS says that it does not exist.
pub async fn examine(
    to: &Destination,
    tags: &[String],
    wanted: Wanted,
    findings: &mut Examination<'_>,
) -> Result<bool, Failure> {
    let context = findings.context;
    let Some(repository) = repository::repository(to, context) else { return Ok(true) };
    let identity = context.aws.identity().await;
    let known = identity.is_ok();
    let login = identity
        .as_ref()
        .map_or("log in to AWS".to_owned(), |identity| format!("log in to AWS as {}", identity.arn));
    findings.add(&login, identity.map(drop))?;
    if !known {
        return Ok(true);
    }
    match repository.find().await {
        Ok(None) if wanted.create => {
            findings.add("find the repository: it is missing, and the push will create it", DONE)?;
            return Ok(false);
        }
        Ok(None) => {
            let message = format!("there is no repository {repository}");
            let hint = "create it with `lbuild repo create`, or push with --create-repo";
            findings.add("find the repository", Err(Failure::usage(message, hint)))?;
            return Ok(false);
        }
        Ok(Some(found)) => {
            findings.add("find the repository", DONE)?;
            if let Some(tag) = tags.iter().find(|tag| found.is_immutable(tag)) {
                let message = format!("the tag {tag} of {repository} is immutable");
                let hint = "once it exists, only a push of the same image succeeds";
                context.report.warn(&message, Some(hint));
            }
        }
        // A push does not need the right to describe repositories, even to create one.
        Err(error) if wanted.create && !is_about_permissions(&error) => {
            findings.add("find the repository", Err(error))?;
        }
        Err(error) => context.report.warn(&error.to_string(), error.hint().as_deref()),
    }
    policy(&repository, wanted, findings).await?;
    Ok(true)
}

/// Examines whether Lambda may pull. Only a push with `--allow-lambda` requires it.
async fn policy(
    repository: &EcrRepository,
    wanted: Wanted,
    findings: &mut Examination<'_>,
) -> Result<(), Failure> {
    let report = &findings.context.report;
    match repository.policy_for_lambda(&[]).await {
        Ok(None) => findings.add("let Lambda pull", DONE),
        Ok(Some(_)) if wanted.allow => {
            findings.add("let Lambda pull: it is not allowed, and the push will allow it", DONE)
        }
        // Without the right to describe the repository, only this error shows that it does not exist.
        Err(lbuild::Error::Aws { answer, .. })
            if wanted.create && answer.code == "RepositoryNotFoundException" =>
        {
            Ok(())
        }
        Err(error) if wanted.allow => findings.add("let Lambda pull", Err(error)),
        Ok(Some(_)) => {
            let message = format!("the policy of {repository} does not let Lambda pull");
            let hint = "push with --allow-lambda, or run `lbuild repo policy NAME --allow-lambda`; Lambda may add it \
                        itself at deployment";
            report.warn(&message, Some(hint));
            Ok(())
        }
        Err(error) => {
            report.warn(&error.to_string(), error.hint().as_deref());
            Ok(())
        }
    }
}

fn is_about_permissions(error: &lbuild::Error) -> bool {
    matches!(error, lbuild::Error::Aws { answer, .. } if answer.missing.is_some())
}
