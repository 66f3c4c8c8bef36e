//! The image config, kept as JSON so that unknown fields are preserved.
//!
//! Field names are those of the [OCI image config](https://github.com/opencontainers/image-spec/blob/main/config.md)
//! and of Docker's config, which has more fields.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};

use super::json::parse as parse_json;
use super::layer::{Layer, LayerKey};
use super::platform::Platform;
use crate::error::{Error, Result};

/// An image's config: a JSON object with typed accessors. One that was changed is written with sorted keys; one that was
/// only read keeps its bytes, and so its digest, which is the image's id.
#[derive(Clone, Debug)]
pub struct Config {
    json: Map<String, Value>,
    /// The bytes that it was read from, until it is changed.
    read: Option<Arc<[u8]>>,
}

impl PartialEq for Config {
    fn eq(&self, other: &Config) -> bool {
        self.json == other.json
    }
}

/// One entry of a config's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The command or tool.
    pub created_by: String,
    /// Whether the entry has no layer.
    pub empty_layer: bool,
    /// The key of the layer, if lbuild appended it.
    pub key: Option<LayerKey>,
    /// The number of layers that a step made, whose entries follow this one; 0 for all other entries.
    pub layers: usize,
    /// What a step notes for later builds.
    pub(crate) note: Option<String>,
}

impl Config {
    pub(super) fn of_json(config: Map<String, Value>) -> Config {
        Config { json: config, read: None }
    }
}

impl History {
    fn read(entry: &Value) -> History {
        let comment = text(entry.get("comment")).and_then(LayerKey::parts);
        History {
            created_by: text(entry.get("created_by")).unwrap_or_default().to_owned(),
            empty_layer: entry.get("empty_layer").and_then(Value::as_bool).unwrap_or(false),
            key: comment.map(|(key, ..)| key),
            layers: comment.map_or(0, |(_, layers, _)| layers),
            note: comment.and_then(|(.., note)| note.map(str::to_owned)),
        }
    }
}

impl Config {
    pub(crate) fn scratch(platform: &Platform) -> Config {
        let mut config = json!({
            "architecture": platform.architecture,
            "config": {},
            "history": [],
            "os": platform.os,
            "rootfs": { "type": "layers", "diff_ids": [] },
        });
        if let Some(variant) = &platform.variant {
            config["variant"] = json!(variant);
        }
        let Value::Object(map) = config else { unreachable!("made as an object") };
        Config::of_json(map)
    }

    /// Parses a config's bytes; `name` identifies the image in errors.
    ///
    /// # Errors
    /// When the bytes are not a JSON object, or a field has another type than in the spec.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Config> {
        let fail = |source| Error::Config { image: name.to_owned(), source };
        let json: Map<String, Value> = parse_json(bytes).map_err(fail)?;
        let objects = [Some(&json), json.get("config").and_then(Value::as_object)];
        if let Some(field) = objects.into_iter().flatten().find_map(field_of_two_cases) {
            let fault = format!(
                "the field `{field}` is there twice, with other capitals: readers differ in the one they use"
            );
            return Err(fail(serde::de::Error::custom(fault)));
        }
        // The typed parser checks the types of all known fields, so that accessors cannot fail.
        serde_json::from_slice::<oci_spec::image::ImageConfiguration>(bytes).map_err(fail)?;
        Ok(Config { json, read: Some(bytes.into()) })
    }

    /// The bytes to push: those that it was read from, or else compact JSON with the keys of every object sorted.
    pub fn to_bytes(&self) -> Vec<u8> {
        if let Some(read) = &self.read {
            return read.to_vec();
        }
        let mut bytes = Vec::new();
        write_sorted(&Value::Object(self.json.clone()), &mut bytes);
        bytes
    }

    /// The image's platform.
    pub fn platform(&self) -> Platform {
        Platform {
            os: text(self.json.get("os")).unwrap_or_default().to_owned(),
            architecture: text(self.json.get("architecture")).unwrap_or_default().to_owned(),
            variant: text(self.json.get("variant")).filter(|v| !v.is_empty()).map(str::to_owned),
        }
    }

    /// The image's creation time (RFC 3339).
    pub fn created(&self) -> Option<&str> {
        text(self.json.get("created"))
    }

    /// The digests of the uncompressed layers, lowest first.
    pub fn diff_ids(&self) -> Vec<&str> {
        strings(self.json.get("rootfs").and_then(|rootfs| rootfs.get("diff_ids")))
    }

    /// The environment variables, in their order.
    pub fn env(&self) -> Vec<(&str, &str)> {
        self.list("Env").into_iter().map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect()
    }

    /// The value of one environment variable.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.env().into_iter().rev().find_map(|(key, value)| (key == name).then_some(value))
    }

    /// The program that a container runs; in Lambda's bases, their start script.
    pub fn entrypoint(&self) -> Vec<&str> {
        self.list("Entrypoint")
    }

    /// The arguments of the entrypoint; in Lambda's bases, the handler.
    pub fn cmd(&self) -> Vec<&str> {
        self.list("Cmd")
    }

    /// The directory that the entrypoint starts in, unless empty.
    pub fn workdir(&self) -> Option<&str> {
        text(self.process("WorkingDir")).filter(|dir| !dir.is_empty())
    }

    /// The user that the entrypoint runs as, unless empty.
    pub fn user(&self) -> Option<&str> {
        text(self.process("User")).filter(|user| !user.is_empty())
    }

    /// The labels, in the order of their names.
    pub fn labels(&self) -> Vec<(&str, &str)> {
        let labels = self.process("Labels").and_then(Value::as_object).into_iter().flatten();
        let mut labels: Vec<_> =
            labels.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect();
        labels.sort_unstable();
        labels
    }

    /// The value of one label.
    pub fn label(&self, name: &str) -> Option<&str> {
        text(self.process("Labels")?.get(name))
    }

    /// The history entries, lowest layer first.
    pub fn history(&self) -> Vec<History> {
        let entries = self.json.get("history").and_then(Value::as_array).into_iter().flatten();
        entries.map(History::read).collect()
    }

    /// The whole config, for fields without an accessor.
    pub fn as_json(&self) -> &Map<String, Value> {
        &self.json
    }

    pub(super) fn set_created(&mut self, epoch: u64) {
        let time = i64::try_from(epoch).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let time = time.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true);
        self.changed().insert("created".into(), Value::String(time));
    }

    pub(super) fn set_author(&mut self, author: &str) {
        self.changed().insert("author".into(), json!(author));
    }

    /// Sets a field of the process part (`config`); null removes it.
    pub(super) fn set_process(&mut self, field: &str, value: Value) {
        let process = self.object("config");
        match value {
            Value::Null => process.remove(field),
            value => process.insert(field.to_owned(), value),
        };
    }

    /// Appends a history entry above `layers` layers.
    pub(super) fn append_history(
        &mut self,
        created_by: &str,
        key: Option<(LayerKey, usize, Option<&str>)>,
        layers: usize,
        empty_layer: bool,
    ) {
        let mut entry = json!({ "created_by": created_by });
        if let Some(created) = self.created() {
            entry["created"] = json!(created);
        }
        if let Some((key, made, note)) = key {
            entry["comment"] = json!(key.to_comment(made, note));
        }
        if empty_layer {
            entry["empty_layer"] = json!(true);
        }
        self.align_history(layers);
        self.array("history").push(entry);
    }

    pub(super) fn append_layer(&mut self, layer: &Layer, below: usize, created_by: &str) {
        self.append_history(created_by, layer.key.map(|key| (key, 0, None)), below, false);
        let rootfs = self.object("rootfs");
        rootfs.entry("type").or_insert_with(|| json!("layers"));
        let ids = rootfs.entry("diff_ids").or_insert_with(|| json!([]));
        if let Value::Array(ids) = ids {
            ids.push(json!(layer.diff_id));
        }
    }

    /// Makes the number of history entries with a layer equal to the number of layers. Readers match them by position,
    /// and a base may have more or fewer: some tools write no history, and others write commands without a layer as if
    /// they had one.
    fn align_history(&mut self, layers: usize) {
        let described: Vec<History> = self.history().into_iter().filter(|entry| !entry.empty_layer).collect();
        // Entries that lbuild wrote are right.
        let others = layers.saturating_sub(described.iter().filter(|entry| entry.key.is_some()).count());
        let history = self.array("history");
        history.extend((described.len()..layers).map(|_| json!({})));
        let surplus = history.iter_mut().filter(|entry| {
            let entry = History::read(entry);
            !entry.empty_layer && entry.key.is_none()
        });
        for entry in surplus.skip(others).filter_map(Value::as_object_mut) {
            entry.insert("empty_layer".to_owned(), json!(true));
        }
    }

    /// The object, to be changed.
    fn changed(&mut self) -> &mut Map<String, Value> {
        self.read = None;
        &mut self.json
    }

    /// Sets the digests of the uncompressed layers.
    pub(super) fn set_diff_ids(&mut self, layers: &[Layer]) {
        let ids: Vec<_> = layers.iter().map(|layer| layer.diff_id).collect();
        self.object("rootfs").insert("diff_ids".to_owned(), json!(ids));
    }

    fn process(&self, field: &str) -> Option<&Value> {
        self.json.get("config")?.get(field)
    }

    fn list(&self, field: &str) -> Vec<&str> {
        strings(self.process(field))
    }

    fn object(&mut self, field: &str) -> &mut Map<String, Value> {
        let value = self.changed().entry(field).or_insert_with(|| json!({}));
        if !value.is_object() {
            *value = json!({});
        }
        value.as_object_mut().unwrap_or_else(|| unreachable!("made an object above"))
    }

    fn array(&mut self, field: &str) -> &mut Vec<Value> {
        let value = self.changed().entry(field).or_insert_with(|| json!([]));
        if !value.is_array() {
            *value = json!([]);
        }
        value.as_array_mut().unwrap_or_else(|| unreachable!("made an array above"))
    }
}

/// A field that differs from another one of the object in capitals only. Programs in Go take both for the same.
fn field_of_two_cases(object: &Map<String, Value>) -> Option<&str> {
    let mut seen = BTreeSet::new();
    object.keys().find(|field| !seen.insert(field.to_ascii_lowercase())).map(String::as_str)
}

fn text(value: Option<&Value>) -> Option<&str> {
    value?.as_str()
}

fn strings(value: Option<&Value>) -> Vec<&str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// serde_json's own order depends on whether any crate of the build enables `preserve_order`.
fn write_sorted(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.iter().collect();
            keys.sort_unstable_by_key(|(key, _)| *key);
            out.push(b'{');
            for (index, (key, value)) in keys.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(Value::from(key.as_str()).to_string().as_bytes());
                out.push(b':');
                write_sorted(value, out);
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_sorted(item, out);
            }
            out.push(b']');
        }
        scalar => out.extend_from_slice(scalar.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Arch, Blob, Digest};

    const BASE: &str = r#"{"os":"linux","architecture":"arm64","variant":"v8","moby.buildkit.cache":"x",
        "container_config":{"Cmd":["old"]},"docker_version":"20","created":"2026-01-01T00:00:00Z",
        "config":{"Healthcheck":{"Test":["NONE"]},"OnBuild":["RUN x"],"Shell":["/bin/sh"],"ArgsEscaped":true,
        "StopTimeout":7,"Env":["PATH=/bin","LAMBDA_TASK_ROOT=/var/task"],"Labels":{"b":"2","a":"1"}},
        "rootfs":{"type":"layers","diff_ids":["sha256:01"]},"history":[{"created_by":"x","author":"me"}]}"#;

    fn layer() -> Layer {
        Layer {
            blob: Blob::from_bytes(b"gz".to_vec()),
            diff_id: Digest::of(b"tar"),
            key: Some(LayerKey(Digest::of(b"k"))),
        }
    }

    #[test]
    fn appending_a_layer_keeps_unknown_fields() {
        let mut config = Config::parse("base", BASE.as_bytes()).unwrap();
        config.append_layer(&layer(), 1, "lbuild");
        let before: Value = serde_json::from_str(BASE).unwrap();
        let mut after: Value = serde_json::from_slice(&config.to_bytes()).unwrap();
        assert_eq!(after["rootfs"]["diff_ids"].as_array_mut().unwrap().pop(), Some(json!(layer().diff_id)));
        let entry = after["history"].as_array_mut().unwrap().pop().unwrap();
        assert_eq!(entry["created_by"], "lbuild");
        assert_eq!(before, after);
        assert_eq!(config.history()[1].key, layer().key);
    }

    #[test]
    fn keys_are_written_sorted_at_every_depth_once_it_is_changed() {
        let mut config = Config::parse("base", BASE.as_bytes()).unwrap();
        assert_eq!(config.to_bytes(), BASE.as_bytes(), "only read");
        config.set_author("me");
        let text = String::from_utf8(config.to_bytes()).unwrap();
        assert!(
            text.starts_with(r#"{"architecture":"arm64","author":"me","config":{"ArgsEscaped":true,"#),
            "{text}"
        );
        assert!(text.contains(r#""Labels":{"a":"1","b":"2"}"#), "{text}");
    }

    #[test]
    fn a_field_of_two_cases_is_refused() {
        for field in [r#""healthcheck":{},"#, r#""CMD":["x"],"Cmd":["y"],"#] {
            let config = BASE.replacen(r#""config":{"#, &format!(r#""config":{{{field}"#), 1);
            let error = Config::parse("base", config.as_bytes()).unwrap_err();
            assert!(error.with_causes().contains("other capitals"), "{error}");
        }
        assert!(Config::parse("base", BASE.replace("Healthcheck", "healthcheck").as_bytes()).is_ok());
    }

    #[test]
    fn a_number_is_the_same_when_it_is_read_again() {
        for number in ["10011111111111111111111111111111111111110000000", "0.1", "-7", "1e300"] {
            let base = BASE.replacen("7,", &format!("{number},"), 1);
            let mut config = Config::parse("base", base.as_bytes()).unwrap();
            config.set_author("me");
            let again = Config::parse("base", &config.to_bytes()).unwrap();
            assert_eq!(again, config, "{number}");
        }
    }

    #[test]
    fn a_base_without_history_is_padded() {
        let base = r#"{"os":"linux","architecture":"arm64","rootfs":{"type":"layers","diff_ids":["sha256:01","sha256:02"]},"history":null}"#;
        let mut config = Config::parse("base", base.as_bytes()).unwrap();
        config.append_layer(&layer(), 2, "lbuild");
        let history = config.history();
        assert_eq!(history.len(), 3);
        assert_eq!(history[2].created_by, "lbuild");
    }

    #[test]
    fn surplus_history_is_marked_as_empty() {
        let history = r#"[{"created_by":"FROM"},{"created_by":"ENV","empty_layer":true},{"created_by":"COPY","empty_layer":false},
            {"created_by":"CMD","comment":"kept"}]"#;
        for (layers, empty) in [
            (0, [true, true, true, true]),
            (1, [false, true, true, true]),
            (2, [false, true, false, true]),
            (3, [false, true, false, false]),
        ] {
            let text = format!(
                r#"{{"os":"linux","architecture":"arm64","rootfs":{{"type":"layers","diff_ids":[]}},"history":{history}}}"#
            );
            let mut config = Config::parse("base", text.as_bytes()).unwrap();
            for more in 0..2 {
                config.append_layer(&layer(), layers + more, "lbuild");
            }
            let found = config.history();
            assert_eq!(found.iter().map(|entry| entry.empty_layer).take(4).collect::<Vec<_>>(), empty);
            assert!(found[4..].iter().all(|entry| !entry.empty_layer && entry.key == layer().key));
            assert_eq!(found.len(), 6);
            assert_eq!(config.as_json()["history"][3]["comment"], "kept");
        }
    }

    #[test]
    fn an_invalid_config_is_refused() {
        for bad in ["", "[]", "{}", r#"{"os":1,"architecture":"arm64","rootfs":{}}"#] {
            assert!(Config::parse("base", bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn scratch_has_the_platform() {
        let config = Config::scratch(&Platform::linux(Arch::Amd64));
        assert_eq!(config.platform(), Platform::linux(Arch::Amd64));
        assert!(Config::parse("scratch", &config.to_bytes()).is_ok());
    }
}
