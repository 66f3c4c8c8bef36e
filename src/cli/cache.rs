//! `lbuild cache`.

use std::time::Duration;

use lbuild::Cache;
use serde_json::json;

use super::args::{self, Output};
use super::exit::Failure;
use super::human::bytes;

/// Tells of the cache, or cleans it.
pub fn run(command: &args::Cache, output: &Output) -> Result<(), Failure> {
    let root = Cache::default_root().ok_or(lbuild::Error::NoCacheRoot)?;
    let cache = Cache::at(root);
    let (verb, usage) = match command {
        args::Cache::Info => ("holds", cache.usage()?),
        args::Cache::Prune { days, max_size } => {
            let unused = Duration::from_secs(u64::from(*days) * 24 * 60 * 60);
            ("removed", cache.prune(unused, *max_size)?)
        }
    };
    let root = cache.root().display();
    if output.json {
        println!("{}", json!({ "root": root.to_string(), "files": usage.files, "bytes": usage.bytes }));
    } else {
        println!("{root} {verb} {} files, {}", usage.files, bytes(usage.bytes));
    }
    Ok(())
}
