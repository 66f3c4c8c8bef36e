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
    let usage = match command {
        CacheCommand::Info => cache.usage()?,
        CacheCommand::Prune { days, max_size } => {
            let unused = Duration::from_secs(u64::from(*days) * 24 * 60 * 60);
            cache.prune(unused, *max_size)?
        }
    };
    let root = cache.root().display();
    if context.json {
        println!("{}", json!({ "root": root.to_string(), "files": usage.files, "bytes": usage.bytes }));
    } else {
        let amount = format!("{} files, {}", usage.files, bytes(usage.bytes));
        match command {
            CacheCommand::Info => println!("{root} holds {amount}"),
            CacheCommand::Prune { .. } => println!("removed {amount} from {root}"),
        }
    }
    Ok(())
}
