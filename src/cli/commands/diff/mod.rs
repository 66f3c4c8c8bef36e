//! `lbuild diff`: the differences between two images.

mod text;

use lbuild::diff::FieldDifference;
use lbuild::image::Platform;
use lbuild::recipe::Base;
use lbuild::{Difference, Engine, Inspected, StoredImage};

use crate::cli::args::inspect::Diff;
use crate::cli::context::Context;
use crate::cli::engine;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::{print_json_pieces, print_pieces};
use crate::cli::output::secrets;

/// Prints the difference.
pub async fn run(args: &Diff, context: &Context) -> Result<(), Failure> {
    let names = [args.from.parse()?, args.to.parse()?];
    let login: Vec<&str> = names.iter().filter_map(engine::registry).collect();
    let engine = engine::builder(&args.registry, &[], context, &login)?.build()?;
    let from = one(&engine, &names[0], &args.from, args).await?;
    let to = one(&engine, &names[1], &args.to, args).await?;
    let difference = redacted(engine.diff([&from, &to]).await?);
    match context.json {
        true => print_json_pieces(|out| {
            serde_json::to_writer_pretty(&mut *out, &difference)?;
            writeln!(out)
        }),
        false => print_pieces(|out| text::write(&difference, [&from, &to], out)),
    }
}

async fn one(engine: &Engine, name: &Base, text: &str, args: &Diff) -> Result<StoredImage, Failure> {
    match engine.inspect(name, args.arch.map(Platform::linux).as_ref()).await? {
        Inspected::Image(found) => Ok(*found),
        _ => Err(Failure::usage(format!("{text} is an index of several images"), "select one with --arch")),
    }
}

/// The difference without its secrets.
fn redacted(mut difference: Difference) -> Difference {
    let bases = difference.base.iter_mut().flatten().flatten();
    let made_by = difference.layers.iter_mut().filter_map(|layer| layer.created_by.as_mut());
    bases.chain(made_by).for_each(|text| *text = secrets::text(text));
    difference.config.iter_mut().for_each(redact);
    difference
}

/// Removes the secrets from a field of the config. The field is still shown as different.
fn redact(difference: &mut FieldDifference) {
    let FieldDifference { field, from, to } = difference;
    let values = [from.as_mut(), to.as_mut()].into_iter().flatten();
    // The name of a label may contain dots.
    let parts = field.split_once('.').and_then(|(process, rest)| Some((process, rest.split_once('.')?)));
    let redacted = match parts {
        Some((process, (list @ ("Env" | "Labels"), name))) => {
            values.for_each(|value| secrets::redact_value(name, value));
            format!("{process}.{list}.{}", secrets::name(name))
        }
        _ => {
            let name = field.rsplit('.').next().unwrap_or_default();
            values.for_each(|value| secrets::redact(name, value));
            field.clone()
        }
    };
    *field = redacted;
    if from == to {
        *to = Some(secrets::OTHER.into());
    }
}
