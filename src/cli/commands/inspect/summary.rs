//! The summary of an image: platform, config and layers.

use lbuild::StoredImage;
use lbuild::image::{Digest, History};
use serde_json::{Value, json};

use crate::cli::output::human::{bytes, one_line};
use crate::cli::output::image_name::image_name;
use crate::cli::output::secrets;

/// A layer with its history entry.
struct Row {
    digest: Digest,
    size: u64,
    diff_id: String,
    history: Option<History>,
}

impl Row {
    /// `lbuild` for a layer that lbuild appended, else `base`.
    fn origin(&self) -> &'static str {
        if self.history.as_ref().is_some_and(|entry| entry.key.is_some()) { "lbuild" } else { "base" }
    }
}

fn rows(found: &StoredImage) -> Vec<Row> {
    let mut history = found.config.history().into_iter().filter(|entry| !entry.empty_layer);
    let layers = found.layers.iter().zip(found.config.diff_ids());
    layers
        .map(|(layer, diff_id)| Row {
            digest: layer.digest,
            size: layer.size,
            diff_id: diff_id.to_owned(),
            history: history.next(),
        })
        .collect()
}

/// The image as JSON.
pub fn as_json(found: &StoredImage) -> Value {
    let layers = rows(found).into_iter().map(|row| {
        json!({
            "digest": row.digest,
            "size": row.size,
            "diff_id": row.diff_id,
            "origin": row.origin(),
            "created_by": row.history.as_ref().map(|entry| secrets::text(&entry.created_by)),
            "key": row.history.and_then(|entry| entry.key),
        })
    });
    json!({
        "image": image_name(found),
        "digest": found.manifest.digest,
        "media_type": found.manifest.media_type,
        "platform": found.config.platform(),
        "layers": layers.collect::<Vec<_>>(),
        "config_digest": found.config_digest,
        "config": secrets::config(found.config.as_json()),
    })
}

/// The image as lines of fields.
pub fn text(found: &StoredImage) -> String {
    let config = &found.config;
    let mut lines = Vec::new();
    let mut field = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("{name:<11} {}", one_line(&value)));
        }
    };
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let list = |words: Vec<&str>| if words.is_empty() { String::new() } else { json!(words).to_string() };
    field("image", image_name(found));
    field("media type", found.manifest.media_type.clone());
    field("platform", config.platform().to_string());
    field("created", text(config.created()));
    let label = |name: &str| config.label(name).map(secrets::text).unwrap_or_default();
    field("base", label("org.opencontainers.image.base.name"));
    field("base digest", label("org.opencontainers.image.base.digest"));
    field("entrypoint", list(config.entrypoint()));
    field("cmd", list(config.cmd()));
    field("workdir", text(config.workdir()));
    field("user", text(config.user()));
    config.env().into_iter().for_each(|(name, value)| field("env", secrets::pair(name, value)));
    config.labels().into_iter().for_each(|(name, value)| field("label", secrets::pair(name, value)));
    let rows = rows(found);
    for row in &rows {
        let created_by =
            row.history.as_ref().map(|entry| secrets::text(&entry.created_by)).unwrap_or_default();
        let created_by: String = created_by.chars().take(60).collect();
        let (size, origin) = (bytes(row.size), row.origin());
        field("layer", format!("{} {size:>9}  {origin:<6}  {created_by}", row.digest));
    }
    // A manifest may claim any size.
    let total = rows.iter().fold(0_u64, |total, row| total.saturating_add(row.size));
    field("total", format!("{} layers, {} compressed", rows.len(), bytes(total)));
    lines.join("\n")
}
