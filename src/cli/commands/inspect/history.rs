//! The history of an image.

use lbuild::StoredImage;
use serde_json::{Value, json};

use crate::cli::output::human::bytes;
use crate::cli::output::secrets;

/// The entries of the history, one line each.
pub fn show(found: &StoredImage, json: bool) -> String {
    let mut layers = found.layers.iter();
    let entries = found.config.history().into_iter().map(|entry| {
        let layer = if entry.empty_layer { None } else { layers.next() };
        (secrets::text(&entry.created_by), entry.key, layer)
    });
    if json {
        let entries = entries.map(|(created_by, key, layer)| {
            json!({
                "created_by": created_by,
                "layer": layer.map(|layer| layer.digest),
                "size": layer.map(|layer| layer.size),
                "key": key,
            })
        });
        return format!("{:#}", Value::from(entries.collect::<Vec<_>>()));
    }
    let lines = entries.map(|(created_by, _, layer)| {
        let size = layer.map(|layer| bytes(layer.size)).unwrap_or_else(|| "config".to_owned());
        // A command of several lines becomes one line.
        format!("{size:>9}  {}", created_by.split_whitespace().collect::<Vec<_>>().join(" "))
    });
    lines.collect::<Vec<_>>().join("\n")
}
