//! Changes to a config, as plain data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::config::Config;

/// Changes to an image's config. `None` or an empty field keeps the base's value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigEdit {
    /// Variables to set, in order. In a value, `$NAME` and `${NAME}` are replaced by the variable's value at that point
    /// (empty if it is not set), and `$$` by a dollar sign.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, String)>,
    /// The program to run. If `cmd` is not set as well, the base's `Cmd` is removed, as in Docker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The entrypoint's arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// The directory to start in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// The user to run as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Labels to set.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The image's creation time, in seconds since 1970; the history entries of layers appended later have it too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<u64>,
    /// The image's author.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Fields of the config's process part by their names in Docker's config, for example `Healthcheck`. They replace
    /// the base's and the fields above; null removes a field.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Value>,
}

impl Config {
    /// The config with `edit` applied.
    #[must_use]
    pub fn edit(mut self, edit: &ConfigEdit) -> Config {
        edit.apply(&mut self);
        self
    }
}

impl ConfigEdit {
    pub(super) fn apply(&self, config: &mut Config) {
        if let Some(epoch) = self.created {
            config.set_created(epoch);
        }
        if !self.env.is_empty() {
            config.set_process("Env", self.edited_env(config));
        }
        if let Some(entrypoint) = &self.entrypoint {
            config.set_process("Entrypoint", json!(entrypoint));
            config.set_process("Cmd", Value::Null);
        }
        if let Some(cmd) = &self.cmd {
            config.set_process("Cmd", json!(cmd));
        }
        if let Some(workdir) = &self.workdir {
            config.set_process("WorkingDir", json!(workdir));
        }
        if let Some(user) = &self.user {
            config.set_process("User", json!(user));
        }
        if !self.labels.is_empty() {
            let mut labels: BTreeMap<&str, &str> = config.labels().into_iter().collect();
            labels.extend(self.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())));
            let labels = json!(labels);
            config.set_process("Labels", labels);
        }
        if let Some(author) = &self.author {
            config.set_author(author);
        }
        for (field, value) in &self.fields {
            config.set_process(field, value.clone());
        }
    }

    fn edited_env(&self, config: &Config) -> Value {
        let mut env: Vec<(String, String)> =
            config.env().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        for (name, value) in &self.env {
            let value = expand(value, |wanted| {
                env.iter().rev().find_map(|(name, value)| (name == wanted).then_some(value.as_str()))
            });
            match env.iter_mut().find(|(existing, _)| existing == name) {
                Some(existing) => existing.1 = value,
                None => env.push((name.clone(), value)),
            }
        }
        env.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }
}

fn expand<'a>(text: &str, lookup: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        let after = &rest[dollar + 1..];
        let name_len = after.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        rest = if let Some((name, tail)) = braced {
            out.push_str(lookup(name).unwrap_or_default());
            tail
        } else if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            tail
        } else if name_len > 0 && !after.starts_with(|c: char| c.is_ascii_digit()) {
            out.push_str(lookup(&after[..name_len]).unwrap_or_default());
            &after[name_len..]
        } else {
            out.push('$');
            after
        };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Arch, Image, Platform};

    fn edited(edits: &[ConfigEdit]) -> Image {
        edits.iter().fold(Image::scratch(&Platform::linux(Arch::Arm64)), |image, edit| image.edit(edit))
    }

    fn env(pairs: &[(&str, &str)]) -> ConfigEdit {
        let env = pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        ConfigEdit { env, ..ConfigEdit::default() }
    }

    #[test]
    fn variables_are_expanded_against_the_base_and_each_other() {
        let image = edited(&[
            env(&[("PATH", "/bin")]),
            env(&[("PATH", "/x:$PATH"), ("BOTH", "${PATH}-$NONE-$$5-$"), ("PATH", "/y:$PATH")]),
        ]);
        assert_eq!(image.config().env(), [("PATH", "/y:/x:/bin"), ("BOTH", "/x:/bin--$5-$")]);
    }

    #[test]
    fn a_new_entrypoint_drops_the_old_cmd() {
        let cmd = |words: &[&str]| Some(words.iter().map(|word| word.to_string()).collect());
        let base = ConfigEdit { cmd: cmd(&["old"]), ..ConfigEdit::default() };
        let entry = ConfigEdit { entrypoint: cmd(&["/init"]), ..ConfigEdit::default() };
        let both = ConfigEdit { cmd: cmd(&["new"]), ..entry.clone() };
        assert!(edited(&[base.clone(), entry]).config().cmd().is_empty());
        assert_eq!(edited(&[base, both]).config().cmd(), ["new"]);
    }

    #[test]
    fn labels_are_merged_and_time_is_written() {
        let label = |value: &str| ConfigEdit {
            labels: [("k".to_owned(), value.to_owned())].into(),
            created: Some(315_532_800),
            ..ConfigEdit::default()
        };
        let image = edited(&[label("1"), label("2")]);
        assert_eq!(image.config().labels(), [("k", "2")]);
        assert_eq!(image.config().created(), Some("1980-01-01T00:00:00Z"));
    }
}
