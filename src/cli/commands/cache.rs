//! `lbuild cache`.

use std::time::Duration;

use lbuild::Cache;
use serde_json::json;

use crate::cli::args::cache::CacheCommand;
use crate::cli::context::Context;
use crate::cli::output::exit::Failure;
use crate::cli::output::human::{bytes, one_line};
use crate::cli::output::report::{print, print_json};

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
    let root = cache.root().display().to_string();
    if context.json {
        let json = json!({ "root": root, "files": usage.files, "bytes": usage.bytes });
        return print_json(&json.to_string());
    }
    let (root, amount) = (one_line(&root), format!("{} files, {}", usage.files, bytes(usage.bytes)));
    print(&match command {
        CacheCommand::Info => format!("{root} holds {amount}"),
        CacheCommand::Prune { .. } => format!("removed {amount} from {root}"),
    })
}
