//! The difference between images, as lines for people.

use std::io::{self, Write};

use lbuild::diff::{Change, FieldDifference, FileDifference, LayerDifference};
use lbuild::{Difference, StoredImage};
use serde_json::Value;

use crate::cli::output::human::{bytes, one_line};
use crate::cli::output::image_name::image_name;
use crate::cli::output::secrets;

/// Number of files that are printed for one layer; `--json` prints all.
const MOST: usize = 20;

/// Writes all differences, one line each.
pub fn write(difference: &Difference, images: [&StoredImage; 2], out: &mut dyn Write) -> io::Result<()> {
    let [from, to] = images.map(image_name);
    if difference.is_none() {
        return writeln!(out, "{to}: the same as {from}");
    }
    writeln!(out, "from  {from}\nto    {to}")?;
    let mut line = |words: String| writeln!(out, "{}", one_line(&words));
    if let Some([from, to]) = &difference.base {
        let name = |base: &Option<String>| base.clone().unwrap_or_else(|| "none".to_owned());
        line(format!("base  {} -> {}", name(from), name(to)))?;
    }
    difference.manifest.iter().try_for_each(|field| line(format!("manifest  {}", of_field(field))))?;
    difference.config.iter().try_for_each(|field| line(format!("config  {}", of_field(field))))?;
    for layer in &difference.layers {
        line(of_layer(layer))?;
        layer.files.iter().take(MOST).try_for_each(|file| line(format!("  {}", of_file(&file))))?;
        if layer.files.len() > MOST {
            line(format!("  and {} more", layer.files.len() - MOST))?;
        }
    }
    let sends = difference.sends;
    let plural = if sends.layers == 1 { "" } else { "s" };
    line(format!("a push sends  {} layer{plural}, {} in all", sends.layers, bytes(sends.bytes)))
}

fn of_field(field: &FieldDifference) -> String {
    let value = |value: &Option<Value>| match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) if secrets::is_hidden(text) => text.clone(),
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
        (_, true, true) => "has moved, and is compressed differently, with the same content",
        (_, true, false) => "is compressed differently, with the same content",
        (_, false, true) if layer.digests[0] == layer.digests[1] => "has moved",
        (_, _, true) if !layer.compared => "has moved and differs, and is not a tar",
        _ if !layer.compared => "differs, and is not a tar",
        _ if layer.files.is_empty() => "has the same files, in another order or with other attributes",
        (.., true) => "has moved and differs",
        _ => "differs",
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
        _ => "differs".to_owned(),
    }
}
