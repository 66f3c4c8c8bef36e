//! Reads the JSON of an assembly. Errors show no value, which may be a secret: that of a build argument, for example.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;

use crate::error::{Error, Remark, Result};
use crate::frontend::source_text::SourceText;

/// The fix for a file that the CDK did not write, or not to its end.
const AGAIN: &str = "run `cdk synth` again: it writes the whole directory";

/// Reads a file as this type.
pub(super) fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str(text).map_err(|error| {
        let message = match error.classify() {
            Category::Data => expected(&error),
            _ => format!("it is not JSON: {}", without_place(&error)),
        };
        fault(file, text, error.line(), message)
    })
}

/// The error for a line of a file, of which only the name before a colon is shown.
fn fault(file: &str, text: &str, line: usize, message: String) -> Error {
    let shown = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let shown = shown.find(':').map_or("", |colon| &shown[..=colon]);
    let indent = shown.len() - shown.trim_start().len();
    Error::Template(Box::new(Remark::new(file, line.max(1), shown, indent, message, Some(AGAIN.to_owned()))))
}

/// The error for the object of a file with this key.
pub(super) fn fault_at(file: &str, text: &str, key: &str, message: String) -> Error {
    let quoted = serde_json::Value::from(key).to_string();
    let at = text.find(&format!("{quoted}:")).or_else(|| text.find(&quoted)).unwrap_or_default();
    fault(file, text, SourceText::new(file, text).line(at), message)
}

/// The message without its value.
fn expected(error: &serde_json::Error) -> String {
    let message = without_place(error);
    match message.rsplit_once(", expected ") {
        Some((_, "a map")) => "this must be an object".to_owned(),
        Some((_, "a sequence")) => "this must be an array".to_owned(),
        Some((_, expected)) => format!("this must be {expected}"),
        None => message,
    }
}

fn without_place(error: &serde_json::Error) -> String {
    let message = error.to_string();
    message.rsplit_once(" at line ").map_or(message.clone(), |(message, _)| message.to_owned())
}

/// A value, or the default one for null: some languages of the CDK write null for an option that is not set.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> std::result::Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
