//! `lbuild cdk publish`.

mod images;
mod outcome;
mod stored;
mod targets;

use serde_json::json;

use self::images::Wanted;
use self::outcome::{Done, Outcome};
use self::targets::Targets;
use crate::cli::args::cdk::{Cdk, Publish};
use crate::cli::context::Context;
use crate::cli::engine;
use crate::cli::lower::cdk;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::{print, print_json};

pub async fn run(command: Cdk, context: &Context) -> Result<(), Failure> {
    match command {
        Cdk::Publish(args) => publish(&args, context).await,
    }
}

/// Builds and pushes the images that their repositories lack.
async fn publish(args: &Publish, context: &Context) -> Result<(), Failure> {
    let assets = cdk::selected(cdk::load(&args.assembly, &context.report)?, &args.asset)?;
    if assets.is_empty() {
        context.report.note(&format!("{} has no image assets", args.assembly.display()));
        return report(&[], context);
    }
    let targets = Targets::of(&assets, context).await?;
    let asking = engine::builder_with(targets.roles.clone(), &args.registry, context, &targets.registries())?;
    let present = targets::present(&targets.names, &asking.build()?).await?;

    let (mut done, mut wanted) = (Vec::new(), Vec::new());
    for ((asset, names), present) in assets.iter().zip(&targets.names).zip(present) {
        let mut lacking = Vec::new();
        for (name, found) in names.iter().zip(present) {
            match found {
                Some(digest) => done.push(Done { asset, name, digest, outcome: Outcome::Present }),
                None => lacking.push(name),
            }
        }
        if !lacking.is_empty() {
            wanted.push(Wanted { asset, to: lacking });
        }
    }
    for found in &done {
        context.report.note(&format!("{} is in {} already", found.asset.label(), found.name));
    }
    let (sent, failures) = images::publish(wanted, args, &targets, context).await?;
    done.extend(sent);
    // In the order of the assembly, whatever was built first.
    done.sort_by_key(|done| assets.iter().position(|asset| std::ptr::eq(asset, done.asset)));
    report(&done, context)?;
    let mut failures = failures.into_iter();
    let Some(first) = failures.next() else { return Ok(()) };
    failures.for_each(|other| context.report.warn(&other.chain().join(": "), other.hint().as_deref()));
    Err(first)
}

/// Prints the images by their digests, each with the id of its asset.
fn report(done: &[Done<'_>], context: &Context) -> Result<(), Failure> {
    context.report.finish();
    let image = |done: &Done<'_>| format!("{}@{}", done.name.repository_name(), done.digest);
    if !context.json {
        return done.iter().try_for_each(|done| print(&format!("{}  {}", image(done), done.asset.image.id)));
    }
    let images = done.iter().map(|done| {
        let Done { asset, name, digest, outcome } = done;
        json!({
            "asset": asset.image.id, "display_name": asset.image.display_name, "image": image(done),
            "name": name, "digest": digest, "outcome": outcome.name(),
        })
    });
    let images: Vec<_> = images.collect();
    print_json(&format!("{:#}", json!({ "schema": 1, "images": images })))
}
