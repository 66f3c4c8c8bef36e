//! The engine behind `docker`.

use lbuild::{Engine, EngineBuilder};

#[cfg(feature = "check")]
use crate::cli::args::push::CheckArgs;
use crate::cli::args::registry::Registry;
use crate::cli::context::Context;
use crate::cli::engine;
use crate::cli::output::exit::Failure;

/// An engine with the logins of `docker`.
pub fn new(context: &Context) -> Result<Engine, Failure> {
    Ok(builder(context)?.build()?)
}

/// Its builder.
pub fn builder(context: &Context) -> Result<EngineBuilder, Failure> {
    engine::builder(&Registry::default(), &[], context, &[])
}

/// Whether an image is checked, and the rules that the check ignores, from the environment: a call of `docker` has no flag
/// for them. An image that is not pushed is checked when it is.
#[cfg(feature = "check")]
pub fn check_args(pushes: bool) -> CheckArgs {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let allow = variable("LBUILD_ALLOW").unwrap_or_default();
    CheckArgs {
        no_check: !pushes || variable("LBUILD_NO_CHECK").is_some_and(|value| value != "0"),
        allow: allow.split(',').map(str::trim).filter(|rule| !rule.is_empty()).map(str::to_owned).collect(),
        lenient: true,
    }
}
