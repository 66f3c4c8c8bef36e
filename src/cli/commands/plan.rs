//! `lbuild plan`: the pinned recipe.

use super::push::handler;
use crate::cli::args::push::Plan;
use crate::cli::context::Context;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::print_json;
use crate::cli::{engine, lower};

/// Prints the pinned recipe.
pub async fn run(args: Plan, context: &Context) -> Result<(), Failure> {
    let report = &context.report;
    let lowered = lower::recipe(&args.image, report)?;
    let login: Vec<_> = engine::base_registry(&lowered.recipe).into_iter().collect();
    let engine = engine::builder(&args.registry, &lowered.config.insecure.0, context, &login)?.build()?;
    handler::check(&engine, &lowered, report)?;
    let pinned = engine.pin(lowered.recipe).await?;
    let json = serde_json::to_string_pretty(&pinned);
    print_json(&json.unwrap_or_else(|_| unreachable!("a recipe is data")))
}
