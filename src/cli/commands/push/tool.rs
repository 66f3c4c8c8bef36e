//! A push on behalf of a tool that calls another builder's command: its call has no flags for the check.

use crate::cli::args::push::CheckArgs;
use crate::cli::output::exit::Failure;

/// Whether an image is checked, and the rules that the check ignores, from the environment. An image that is not pushed is
/// checked when it is.
pub fn check_args(pushes: bool) -> CheckArgs {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let allow = variable("LBUILD_ALLOW").unwrap_or_default();
    CheckArgs {
        no_check: !pushes || variable("LBUILD_NO_CHECK").is_some_and(|value| value != "0"),
        allow: allow.split(',').map(str::trim).filter(|rule| !rule.is_empty()).map(str::to_owned).collect(),
        lenient: true,
    }
}

/// The failure, with the variables in the place of flags that the call cannot have.
pub fn in_terms_of_variables(failure: Failure) -> Failure {
    match failure {
        Failure::Findings { .. } => {
            let hint = "`lbuild rules RULE` explains a rule; LBUILD_ALLOW=RULE[,RULE] ignores it, LBUILD_NO_CHECK=1 all";
            Failure::docker(1, failure.to_string(), hint)
        }
        failure => failure,
    }
}
