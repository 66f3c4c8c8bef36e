//! Differing fields of manifests and configs.

use serde_json::{Map, Value};

use super::field::FieldDifference;
use crate::engine::find::StoredImage;

/// Upper bound on the length of the dotted path of an object that is compared field by field. An object with a longer
/// path is reported as a whole, because the path is repeated for each of its fields.
const LONGEST: usize = 200;

/// The objects with an environment: of the image, and of the container from which old builders made it.
const PROCESSES: [&str; 2] = ["config", "container_config"];

/// Fields that are derived from the layers. The comparison of the layers reports their differences.
const OF_LAYERS: [&str; 2] = ["rootfs", "history"];

/// The differing fields of the config.
pub fn config(images: [&StoredImage; 2]) -> Vec<FieldDifference> {
    let [from, to] = images.map(|image| {
        let mut config = image.config.as_json().clone();
        OF_LAYERS.iter().for_each(|field| drop(config.remove(*field)));
        for process in PROCESSES {
            if let Some(env) = config.get_mut(process).and_then(|process| process.get_mut("Env")) {
                *env = variables(env);
            }
        }
        Value::Object(config)
    });
    let mut found = Vec::new();
    compare("", Some(&from), Some(&to), &mut found);
    found
}

/// The lines of an environment as an object, so that each variable is compared as a field.
fn variables(env: &Value) -> Value {
    let lines = match env {
        Value::Array(lines) => &lines[..],
        Value::Null => &[],
        other => return other.clone(),
    };
    let pairs = lines.iter().filter_map(Value::as_str).map(|line| line.split_once('=').unwrap_or((line, "")));
    pairs.map(|(name, value)| (name.to_owned(), Value::from(value))).collect::<Map<_, _>>().into()
}

/// The differing fields of the manifest, without layers and config, but with the media type of the config.
pub fn manifest(images: [&StoredImage; 2]) -> Vec<FieldDifference> {
    let [from, to] = images.map(|image| {
        let mut manifest: Value = serde_json::from_slice(&image.manifest.bytes).unwrap_or_default();
        if let Some(fields) = manifest.as_object_mut() {
            fields.remove("layers");
            let config = fields.remove("config");
            fields.insert("config.mediaType".into(), config.map(|config| config["mediaType"].clone()).into());
        }
        manifest
    });
    let mut found = Vec::new();
    compare("", Some(&from), Some(&to), &mut found);
    found
}

fn compare(place: &str, from: Option<&Value>, to: Option<&Value>, found: &mut Vec<FieldDifference>) {
    if from == to {
        return;
    }
    match (from, to) {
        (Some(Value::Object(old)), Some(Value::Object(new))) if place.len() <= LONGEST => {
            let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let place = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
                compare(&place, old.get(key), new.get(key), found);
            }
        }
        _ => found.push(FieldDifference { field: place.to_owned(), from: from.cloned(), to: to.cloned() }),
    }
}
