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
    let input = lower::input(&args.image, report)?;
    let login = input.base_registries();
    let engine = engine::builder(&args.registry, &input.config().insecure.0, context, &login)?.build()?;
    let lowered = input.lower(&args.image, &engine, report).await?;
    handler::check(&engine, &lowered, report)?;
    let pinned = engine.pin(lowered.recipe).await?;
    let json = serde_json::to_string_pretty(&pinned);
    print_json(&json.unwrap_or_else(|_| unreachable!("a recipe is data")))
}
