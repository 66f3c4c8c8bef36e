//! `lbuild cache`.

use std::time::Duration;

use lbuild::Cache;
use serde_json::json;

use crate::cli::args::cache::CacheCommand;
use crate::cli::context::Context;
use crate::cli::output::exit::Failure;
use crate::cli::output::human::bytes;

/// Prints the size of the cache, or cleans it.
pub fn run(command: &CacheCommand, context: &Context) -> Result<(), Failure> {
    let root = Cache::default_root().ok_or(lbuild::Error::NoCacheRoot)?;
    let cache = Cache::at(root);
    let (verb, usage) = match command {
        CacheCommand::Info => ("holds", cache.usage()?),
        CacheCommand::Prune { days, max_size } => {
            let unused = Duration::from_secs(u64::from(*days) * 24 * 60 * 60);
            ("removed", cache.prune(unused, *max_size)?)
        }
    };
    let root = cache.root().display();
    if context.json {
        println!("{}", json!({ "root": root.to_string(), "files": usage.files, "bytes": usage.bytes }));
    } else {
        println!("{root} {verb} {} files, {}", usage.files, bytes(usage.bytes));
    }
    Ok(())
}
