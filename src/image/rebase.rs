//! An image's own layers and settings on another base.

use serde_json::{Map, Value, json};

use super::Image;
use super::config::Config;

impl Image {
    /// The image with `new` in place of its base `old`, of which the config alone is needed. `None` if the image does not
    /// begin with the layers of `old`.
    ///
    /// A setting that the image has from the old base becomes that of the new one; its own stay: variables and labels
    /// one by one, everything else as a whole.
    #[must_use]
    pub fn rebase(&self, old: &Config, new: &Image) -> Option<Image> {
        let (own, base) = (self.config.diff_ids(), old.diff_ids());
        if !own.starts_with(&base) {
            return None;
        }
        let layers: Vec<_> = new.layers.iter().chain(&self.layers[base.len()..]).cloned().collect();
        let mut config = three(self.config.as_json(), old.as_json(), new.config.as_json(), |name, values| {
            (name == "config").then(|| process(values))
        });
        let diff_ids: Vec<String> = layers.iter().map(|layer| layer.diff_id.to_string()).collect();
        config.insert("rootfs".to_owned(), json!({ "type": "layers", "diff_ids": diff_ids }));
        let own = own_history(self.config.as_json(), old.as_json(), base.len());
        let history = entries(new.config.as_json()).iter().chain(own).cloned().collect();
        config.insert("history".to_owned(), Value::Array(history));
        // The time of the image is that of its own files.
        if let Some(created) = self.config.as_json().get("created") {
            config.insert("created".to_owned(), created.clone());
        }
        Some(Image::of(Config::of_json(config), layers))
    }
}

/// The values of a member in the image, its old base and its new one.
type Three<'v> = [Option<&'v Value>; 3];

/// The members of the image, where they differ from those of the old base; else those of the new one. `inside` merges the
/// values of a member.
fn three(
    image: &Map<String, Value>,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    inside: impl Fn(&str, Three<'_>) -> Option<Value>,
) -> Map<String, Value> {
    let names: std::collections::BTreeSet<&String> = image.keys().chain(new.keys()).collect();
    let merged = names.into_iter().filter_map(|name| {
        let values = [image.get(name), old.get(name), new.get(name)];
        let value = inside(name, values).or_else(|| chosen(values).cloned())?;
        Some((name.clone(), value))
    });
    merged.collect()
}

fn chosen([image, old, new]: Three<'_>) -> Option<&Value> {
    if image == old { new } else { image }
}

/// The part of the config about the process.
fn process(values: Three<'_>) -> Value {
    let [image, old, new] = values.map(members);
    Value::Object(three(&image, &old, &new, |name, values| match name {
        "Env" => Some(variables(values)),
        "Labels" => {
            let [image, old, new] = values.map(members);
            let labels = three(&image, &old, &new, |_, _| None);
            Some(if labels.is_empty() { values[0].cloned()? } else { Value::Object(labels) })
        }
        _ => None,
    }))
}

fn members(value: Option<&Value>) -> Map<String, Value> {
    value.and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The variables in the order of the new base, then the image's own.
fn variables(values: Three<'_>) -> Value {
    let [image, old, new] = values.map(|value| {
        let list = value.and_then(Value::as_array).into_iter().flatten();
        list.filter_map(|pair| pair.as_str()?.split_once('=')).collect::<Vec<(&str, &str)>>()
    });
    let of = |list: &[(&str, &str)], name: &str| {
        list.iter().rev().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
    };
    let mut merged: Vec<String> = Vec::new();
    let mut done: Vec<&str> = Vec::new();
    for (name, _) in new.iter().chain(&image) {
        if done.contains(name) {
            continue;
        }
        done.push(name);
        let (own, before, after) = (of(&image, name), of(&old, name), of(&new, name));
        let value = if own == before { after } else { own };
        merged.extend(value.map(|value| format!("{name}={value}")));
    }
    json!(merged)
}

fn entries(config: &Map<String, Value>) -> &[Value] {
    config.get("history").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The entries of the image's history after those of its base, which has so many layers.
fn own_history<'v>(image: &'v Map<String, Value>, old: &Map<String, Value>, layers: usize) -> &'v [Value] {
    let (all, base) = (entries(image), entries(old));
    if all.starts_with(base) {
        return &all[base.len()..];
    }
    let is_layer = |entry: &Value| !entry.get("empty_layer").and_then(Value::as_bool).unwrap_or(false);
    let layer = all.iter().enumerate().filter(|(_, entry)| is_layer(entry)).nth(layers);
    layer.map_or(&[], |(first, _)| &all[first..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Blob, Digest, Layer, Location};

    fn image(layers: &[&str], process: Value) -> Image {
        let layers: Vec<Layer> = layers
            .iter()
            .map(|name| {
                let digest = Digest::of(name.as_bytes());
                let location = Location::Memory(Vec::from(name.as_bytes()).into());
                Layer { blob: Blob { digest, size: 1, location }, diff_id: digest, key: None }
            })
            .collect();
        let ids: Vec<String> = layers.iter().map(|layer| layer.diff_id.to_string()).collect();
        let history: Vec<Value> = ids.iter().map(|id| json!({ "created_by": id })).collect();
        let config = json!({
            "architecture": "arm64", "os": "linux", "config": process, "history": history,
            "rootfs": { "type": "layers", "diff_ids": ids }, "unknown": layers.len(),
        });
        let config = config.as_object().unwrap().clone();
        Image::of(Config::of_json(config), layers)
    }

    #[test]
    fn own_layers_and_settings_stay() {
        let old = image(
            &["a", "b"],
            json!({
                "Env": ["PATH=/bin", "VERSION=1", "GONE=1", "LANG=C"], "Entrypoint": ["/old"], "WorkingDir": "/",
                "Labels": { "base": "1", "both": "x" },
            }),
        );
        let own = image(
            &["a", "b", "code"],
            json!({
                "Env": ["PATH=/own:/bin", "VERSION=1", "GONE=1", "LANG=C", "MINE=é"], "Entrypoint": ["/old"],
                "Cmd": ["app.handler"], "WorkingDir": "/app", "Labels": { "base": "1", "both": "mine" },
            }),
        );
        let new = image(
            &["c"],
            json!({
                "Env": ["PATH=/bin", "VERSION=2", "LANG=C", "NEW=1"], "Entrypoint": ["/new"], "WorkingDir": "/",
                "Labels": { "base": "2", "both": "y" },
            }),
        );
        let rebased = own.rebase(&old.config, &new).unwrap();
        let process = &rebased.config.as_json()["config"];
        assert_eq!(process["Env"], json!(["PATH=/own:/bin", "VERSION=2", "LANG=C", "NEW=1", "MINE=é"]));
        assert_eq!((&process["Entrypoint"], &process["Cmd"]), (&json!(["/new"]), &json!(["app.handler"])));
        assert_eq!(
            (&process["WorkingDir"], &process["Labels"]),
            (&json!("/app"), &json!({ "base": "2", "both": "mine" }))
        );
        let names: Vec<_> = rebased.layers.iter().map(|layer| layer.diff_id).collect();
        assert_eq!(names, ["c", "code"].map(|name| Digest::of(name.as_bytes())));
        assert_eq!(rebased.config.history().len(), 2);
        assert!(Image::existing("x", rebased.config.clone(), rebased.layers.clone()).is_ok());
        // back on the old base, it is what it was
        let back = rebased.rebase(&new.config, &old).unwrap();
        assert_eq!(back.config.diff_ids(), own.config.diff_ids());
        assert_eq!(back.config.as_json()["config"]["Entrypoint"], json!(["/old"]));
    }

    #[test]
    fn an_image_on_another_base_is_refused() {
        let (own, other) = (image(&["a", "code"], json!({})), image(&["b"], json!({})));
        assert!(own.rebase(&other.config, &other).is_none());
    }
}
