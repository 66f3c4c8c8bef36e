//! The right of Lambda to pull the image.

use lbuild::aws::{FunctionState, LambdaFunction};

use super::image::Image;
use crate::cli::args::function::DeploySettings;
use crate::cli::args::push::Push;
use crate::cli::context::Context;
use crate::cli::output::exit::Failure;

/// Lets Lambda pull from the repository, or says that it may not.
pub async fn allow(
    image: &Image,
    push: &Push,
    function: &LambdaFunction,
    found: Option<&FunctionState>,
    settings: &DeploySettings,
    context: &Context,
) -> Result<(), Failure> {
    let known = function.account().or(found.and_then(FunctionState::account)).map(str::to_owned);
    let caller = match known {
        Some(_) => None,
        None => context.aws.identity().await.ok().map(|identity| identity.account),
    };
    let owner = known.or(caller).unwrap_or_else(|| image.host.account().to_owned());
    let owner = owner.as_str();
    let mut accounts = settings.allow_account.clone();
    let is_foreign = owner != image.host.account();
    if is_foreign && !accounts.iter().any(|account| account == owner) {
        accounts.push(owner.to_owned());
    }
    let name = image.repository.split_once('/').map_or("", |(_, name)| name);
    let repository = context.aws.repository(image.host.clone(), name);
    if push.destination.ecr.allow_lambda {
        if repository.allow_lambda(&accounts).await? {
            context.report.repository(&repository, lbuild::event::RepositoryChange::LambdaAllowed);
        }
        return Ok(());
    }
    // An existing function of the same account shows that it is allowed, or asks for nothing new.
    if found.is_some() && !is_foreign {
        return Ok(());
    }
    match repository.policy_for_lambda(&accounts).await {
        Ok(None) => {}
        Ok(Some(_)) => {
            let message =
                format!("the policy of {repository} does not let Lambda pull for functions of {owner}");
            let hint = "add --allow-lambda; in one account, Lambda may add it itself";
            context.report.warn(&message, Some(hint));
        }
        // The deployment does not need the right to read it.
        Err(error) => context.report.note(&format!("cannot see whether Lambda may pull: {error}")),
    }
    Ok(())
}
