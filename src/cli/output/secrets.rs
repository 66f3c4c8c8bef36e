//! Removes secrets from configs: a terminal and a log may have many readers.

use std::mem;

use serde_json::{Map, Value};

pub use secret::{HELP, OTHER, name, text};
use secret::{SECRET, is_secret};

#[cfg(feature = "check")]
mod secret {
    pub use lbuild::lambda::check::{is_secret, without_secrets as name, without_secrets as text};

    /// For `--help`.
    pub const HELP: &str = "Values that `lbuild check` would report as secrets are hidden, also with --json: those of \
                            variables and labels are shown as `(a secret)`, those in history lines as `…`. Other \
                            fields are shown unchanged.";

    /// Replaces a secret.
    pub const SECRET: &str = "(a secret)";

    /// Replaces a secret that differs from the secret shown before it.
    pub const OTHER: &str = "(another secret)";
}

/// Without the rules, secrets are not recognized: all values are hidden.
#[cfg(not(feature = "check"))]
mod secret {
    pub const HELP: &str = "This lbuild is built without `check` and cannot recognize secrets: values of variables \
                            and labels, and history lines, are hidden. Other fields are shown unchanged.";

    pub const SECRET: &str = "(not shown)";

    pub const OTHER: &str = "(another, not shown)";

    pub fn is_secret(_: &str, value: &str) -> bool {
        !value.is_empty()
    }

    pub fn name(name: &str) -> String {
        name.to_owned()
    }

    pub fn text(text: &str) -> String {
        if text.is_empty() { String::new() } else { SECRET.to_owned() }
    }
}

/// A variable or label, as `NAME=VALUE`.
pub fn pair(of: &str, value: &str) -> String {
    format!("{}={}", name(of), if is_secret(of, value) { SECRET } else { value })
}

/// Whether this text replaces a hidden value.
pub fn is_hidden(value: &str) -> bool {
    [SECRET, OTHER].contains(&value)
}

/// A config without its secrets.
pub fn config(config: &Map<String, Value>) -> Value {
    let mut config = Value::Object(config.clone());
    redact("", &mut config);
    config
}

/// Removes the secrets from the variables, labels and history lines in the value of a field of this name.
pub fn redact(field: &str, value: &mut Value) {
    match (field, value) {
        ("Env" | "Labels", Value::Object(pairs)) => {
            let all = mem::take(pairs).into_iter();
            let all = all.map(|(of, mut value)| {
                redact_value(&of, &mut value);
                (name(&of), value)
            });
            *pairs = all.collect();
        }
        ("Env", Value::Array(lines)) => lines.iter_mut().for_each(redact_line),
        ("created_by", Value::String(line)) => *line = text(line),
        (_, Value::Object(fields)) => fields.iter_mut().for_each(|(field, value)| redact(field, value)),
        (_, Value::Array(values)) => values.iter_mut().for_each(|value| redact("", value)),
        _ => {}
    }
}

/// Removes the secrets from a line `NAME=VALUE`.
fn redact_line(line: &mut Value) {
    if let Value::String(line) = line {
        *line = match line.split_once('=') {
            Some((of, value)) => pair(of, value),
            None => name(line),
        };
    }
}

/// Replaces the value of a variable or label if it is a secret.
pub fn redact_value(of: &str, value: &mut Value) {
    if let Value::String(text) = value {
        if is_secret(of, text) {
            *text = SECRET.to_owned();
        }
    } else {
        redact("", value);
    }
}
