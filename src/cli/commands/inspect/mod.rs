//! `lbuild inspect`: shows a stored image.

mod files;
mod history;
mod summary;

use std::io::Write;

use lbuild::Inspected;
use lbuild::image::Platform;
use serde_json::json;

use crate::cli::args::inspect::Inspect;
use crate::cli::context::Context;
use crate::cli::engine;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::{print, print_json, print_json_pieces, print_pieces};

/// Prints the image.
pub async fn run(args: &Inspect, context: &Context) -> Result<(), Failure> {
    let image = args.image.parse()?;
    let login: Vec<_> = engine::registry(&image).into_iter().collect();
    let engine = engine::builder(&args.registry, &[], context, &login)?.build()?;
    let inspected = engine.inspect(&image, args.arch.map(Platform::linux).as_ref()).await?;
    let json = context.json;
    if let (Inspected::Image(found), true) = (&inspected, args.tree || args.largest) {
        let scans = files::scans(&engine, found).await?;
        let write = |out: &mut dyn Write| match args.tree {
            true => files::tree(&scans, json, out),
            false => files::largest(&scans, json, out),
        };
        return if json { print_json_pieces(write) } else { print_pieces(write) };
    }
    if let (Inspected::Image(found), true) = (&inspected, args.history) {
        let text = history::show(found, json);
        return if json { print_json(&text) } else { print(&text) };
    }
    let text = match inspected {
        Inspected::Image(found) if json => format!("{:#}", summary::as_json(&found)),
        Inspected::Image(found) => summary::text(&found),
        Inspected::Index { digest, index } if json => {
            format!("{:#}", json!({ "digest": digest, "platforms": index.platforms() }))
        }
        Inspected::Index { digest, index } => {
            let platforms = index.platforms();
            let platforms = platforms.iter().map(|platform| format!("\nplatform    {platform}"));
            format!("index       {digest}{}", platforms.collect::<String>())
        }
    };
    if json { print_json(&text) } else { print(&text) }
}
