//! `lbuild diff`: why two images are not the same.

use std::fmt::Write;

use lbuild::diff::{Change, FieldDifference, FileDifference, LayerDifference};
use lbuild::recipe::Base;
use lbuild::{Difference, Engine, Inspected, StoredImage};
use serde_json::Value;

use super::Context;
use super::args::Diff;
use super::exit::Failure;
use super::human::{bytes, one_line};
use super::inspect::{self, shown};
use super::lower;
use super::report::print;

/// How many files of a layer are listed; `--json` has all.
const MOST: usize = 20;

/// Prints the difference.
pub async fn run(args: &Diff, context: &Context) -> Result<(), Failure> {
    let here = std::path::Path::new("");
    let names = [lower::parse_base(&args.from, here)?, lower::parse_base(&args.to, here)?];
    let registry = |name: &Base| match name {
        Base::Registry(name) => Some(name.registry().to_owned()),
        _ => None,
    };
    let registries: Vec<String> = names.iter().filter_map(registry).collect();
    let login: Vec<&str> = registries.iter().map(String::as_str).collect();
    let engine = lower::engine(&args.registry, &[], context, &login)?.build()?;
    let from = one(&engine, &names[0], &args.from, args).await?;
    let to = one(&engine, &names[1], &args.to, args).await?;
    let difference = redacted(engine.diff([&from, &to]).await?);
    print(&match context.output.json {
        true => format!("{:#}", serde_json::to_value(&difference).unwrap_or_default()),
        false => text(&difference, [&from, &to]),
    })
}

async fn one(engine: &Engine, name: &Base, text: &str, args: &Diff) -> Result<StoredImage, Failure> {
    match engine.inspect(name, lower::platform(args.arch).as_ref()).await? {
        Inspected::Image(found) => Ok(*found),
        _ => Err(Failure::usage(format!("{text} is an index of several images"), "say which with --arch")),
    }
}

/// What may be shown of a difference.
fn redacted(mut difference: Difference) -> Difference {
    let bases = difference.base.iter_mut().flatten().flatten();
    let made_by = difference.layers.iter_mut().filter_map(|layer| layer.created_by.as_mut());
    bases.chain(made_by).for_each(|text| *text = shown::text(text));
    difference.config.iter_mut().for_each(redact);
    difference
}

/// Takes the secrets out of a field of the config. That it differs is told all the same.
fn redact(difference: &mut FieldDifference) {
    let FieldDifference { field, from, to } = difference;
    let values = [from.as_mut(), to.as_mut()].into_iter().flatten();
    // The name of a label may have dots in it.
    let way = field.split_once('.').and_then(|(process, rest)| Some((process, rest.split_once('.')?)));
    let told = match way {
        Some((process, (list @ ("Env" | "Labels"), name))) => {
            values.for_each(|value| shown::redact_value(name, value));
            format!("{process}.{list}.{}", shown::name(name))
        }
        _ => {
            let name = field.rsplit('.').next().unwrap_or_default();
            values.for_each(|value| shown::redact(name, value));
            field.clone()
        }
    };
    *field = told;
    if from == to {
        *to = Some(shown::OTHER.into());
    }
}

fn text(difference: &Difference, images: [&StoredImage; 2]) -> String {
    let [from, to] = images.map(inspect::name);
    if difference.is_none() {
        return format!("{to}: the same as {from}");
    }
    let mut text = format!("from  {from}\nto    {to}\n");
    let mut line = |words: String| {
        let _ = writeln!(text, "{}", one_line(&words));
    };
    if let Some([from, to]) = &difference.base {
        let name = |base: &Option<String>| base.clone().unwrap_or_else(|| "none".to_owned());
        line(format!("base  {} -> {}", name(from), name(to)));
    }
    difference.manifest.iter().for_each(|field| line(format!("manifest  {}", of_field(field))));
    difference.config.iter().for_each(|field| line(format!("config  {}", of_field(field))));
    for layer in &difference.layers {
        line(of_layer(layer));
        layer.files.iter().take(MOST).for_each(|file| line(format!("  {}", of_file(file))));
        if layer.files.len() > MOST {
            line(format!("  and {} more", layer.files.len() - MOST));
        }
    }
    let sends = difference.sends;
    let plural = if sends.layers == 1 { "" } else { "s" };
    line(format!("a push sends  {} layer{plural}, {} in all", sends.layers, bytes(sends.bytes)));
    text.trim_end().to_owned()
}

fn of_field(field: &FieldDifference) -> String {
    let value = |value: &Option<Value>| match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) if shown::is_hidden(text) => text.clone(),
        Some(value) => value.to_string(),
    };
    format!("{}: {} -> {}", field.field, value(&field.from), value(&field.to))
}

fn of_layer(layer: &LayerDifference) -> String {
    let by = layer.created_by.as_deref().unwrap_or_default();
    let by: String = by.chars().take(60).collect();
    let place = match layer.numbers {
        [Some(from), Some(to)] if from != to => format!("{from} -> {to}"),
        [Some(number), _] | [None, Some(number)] => number.to_string(),
        [None, None] => String::new(),
    };
    let what = match (layer.numbers, layer.recompressed, layer.moved) {
        ([None, _], ..) => "is new",
        ([_, None], ..) => "is gone",
        (_, true, true) => "has moved, and is compressed otherwise with the same content",
        (_, true, false) => "is compressed otherwise, with the same content",
        (_, false, true) if layer.digests[0] == layer.digests[1] => "has moved",
        _ if layer.files.is_empty() => "has the same files, in another order or with other attributes",
        (.., true) => "has moved and is otherwise",
        _ => "is otherwise",
    };
    format!("layer {place} {what}  {by}").trim_end().to_owned()
}

fn of_file(file: &FileDifference) -> String {
    let changes: Vec<String> = file.changes.iter().map(of_change).collect();
    format!("/{}  {}", file.path, changes.join(", "))
}

fn of_change(change: &Change) -> String {
    match change {
        Change::Added { size } => format!("new, {}", bytes(*size)),
        Change::Removed { size } => format!("gone, {}", bytes(*size)),
        Change::Kind { from, to } => format!("{from} -> {to}"),
        Change::Content { from, to } if from == to => format!("other content, {}", bytes(*to)),
        Change::Content { from, to } => format!("other content, {} -> {}", bytes(*from), bytes(*to)),
        Change::Mode { from, to } => format!("mode {from} -> {to}"),
        Change::Owner { from, to } => format!("owner {from} -> {to}"),
        Change::Time { from, to } => format!("time {from} -> {to}"),
        _ => "otherwise".to_owned(),
    }
}
