//! `lbuild inspect`: an image as it is stored.

mod files;
pub mod shown;

use lbuild::image::{Digest, History};
use lbuild::recipe::Base;
use lbuild::{Found, Inspected};
use serde_json::{Value, json};

use super::Context;
use super::args::Inspect;
use super::exit::Failure;
use super::human::{bytes, one_line};
use super::lower;
use super::report::print;

/// Prints the image.
pub async fn run(args: &Inspect, context: &Context) -> Result<(), Failure> {
    let image = lower::parse_base(&args.image, std::path::Path::new(""))?;
    let registry = match &image {
        Base::Registry(name) => Some(name.registry().to_owned()),
        _ => None,
    };
    let login: Vec<_> = registry.as_deref().into_iter().collect();
    let engine = lower::engine(&args.registry, &[], context, &login)?.build()?;
    let inspected = engine.inspect(&image, lower::platform(args.arch).as_ref()).await?;
    let json = context.output.json;
    if let (Inspected::Image(found), true) = (&inspected, args.tree || args.largest) {
        let scans = files::scans(&engine, found).await?;
        return print(&match args.tree {
            true => files::tree(&scans, json),
            false => files::largest(&scans, json),
        });
    }
    if let (Inspected::Image(found), true) = (&inspected, args.history) {
        return print(&history(found, json));
    }
    print(&match inspected {
        Inspected::Image(found) if json => format!("{:#}", as_json(&found)),
        Inspected::Image(found) => text(&found),
        Inspected::Index { digest, index } if json => {
            format!("{:#}", json!({ "digest": digest, "platforms": index.platforms() }))
        }
        Inspected::Index { digest, index } => {
            let platforms = index.platforms();
            let platforms = platforms.iter().map(|platform| format!("\nplatform    {platform}"));
            format!("index       {digest}{}", platforms.collect::<String>())
        }
        _ => unreachable!("an image or an index"),
    })
}

/// A layer with the history entry that stands for it.
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

fn rows(found: &Found) -> Vec<Row> {
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

pub fn name(found: &Found) -> String {
    match &found.base {
        Base::Registry(name) => name.to_string(),
        Base::Layout { path, .. } => format!("oci:{}@{}", path.display(), found.manifest.digest),
        Base::Archive { path, name, .. } => {
            let name = name.as_ref().map(|name| format!(":{name}")).unwrap_or_default();
            format!("docker-archive:{}{name}", path.display())
        }
        Base::Scratch | Base::Stage(_) => String::new(),
    }
}

/// What made the image, step by step.
fn history(found: &Found, json: bool) -> String {
    let mut layers = found.layers.iter();
    let entries = found.config.history().into_iter().map(|entry| {
        let layer = if entry.empty_layer { None } else { layers.next() };
        (shown::text(&entry.created_by), entry.key, layer)
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
        // Commands of several lines are one entry.
        format!("{size:>9}  {}", created_by.split_whitespace().collect::<Vec<_>>().join(" "))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn as_json(found: &Found) -> Value {
    let layers = rows(found).into_iter().map(|row| {
        json!({
            "digest": row.digest,
            "size": row.size,
            "diff_id": row.diff_id,
            "origin": row.origin(),
            "created_by": row.history.as_ref().map(|entry| shown::text(&entry.created_by)),
            "key": row.history.and_then(|entry| entry.key),
        })
    });
    json!({
        "image": name(found),
        "digest": found.manifest.digest,
        "media_type": found.manifest.media_type,
        "platform": found.config.platform(),
        "layers": layers.collect::<Vec<_>>(),
        "config_digest": found.config_digest,
        "config": shown::config(found.config.as_json()),
    })
}

fn text(found: &Found) -> String {
    let config = &found.config;
    let mut lines = Vec::new();
    let mut field = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("{name:<11} {}", one_line(&value)));
        }
    };
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let list = |words: Vec<&str>| if words.is_empty() { String::new() } else { json!(words).to_string() };
    field("image", name(found));
    field("media type", found.manifest.media_type.clone());
    field("platform", config.platform().to_string());
    field("created", text(config.created()));
    let label = |name: &str| config.label(name).map(shown::text).unwrap_or_default();
    field("base", label("org.opencontainers.image.base.name"));
    field("base digest", label("org.opencontainers.image.base.digest"));
    field("entrypoint", list(config.entrypoint()));
    field("cmd", list(config.cmd()));
    field("workdir", text(config.workdir()));
    field("user", text(config.user()));
    config.env().into_iter().for_each(|(name, value)| field("env", shown::pair(name, value)));
    config.labels().into_iter().for_each(|(name, value)| field("label", shown::pair(name, value)));
    let rows = rows(found);
    for row in &rows {
        let created_by = row.history.as_ref().map(|entry| shown::text(&entry.created_by)).unwrap_or_default();
        let created_by: String = created_by.chars().take(60).collect();
        let (size, origin) = (bytes(row.size), row.origin());
        field("layer", format!("{} {size:>9}  {origin:<6}  {created_by}", row.digest));
    }
    // A manifest may claim any size.
    let total = rows.iter().fold(0_u64, |total, row| total.saturating_add(row.size));
    field("total", format!("{} layers, {} compressed", rows.len(), bytes(total)));
    lines.join("\n")
}
