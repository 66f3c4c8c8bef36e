//! Events as JSON lines on standard error; `reason` is the kind of event.

use std::borrow::Cow;

use lbuild::error::text::is_control;
use lbuild::{Event, Published};
use serde_json::{Value, json};

use super::arguments::hidden;
use super::exit::Failure;
use super::human::print_line;

/// Writes an event.
pub fn event(event: &Event) {
    if let Ok(value) = serde_json::to_value(event) {
        line(&value);
    }
}

/// Writes a published image.
pub fn published(published: &Published) {
    if let Ok(Value::Object(mut value)) = serde_json::to_value(published) {
        value.insert("reason".into(), json!("published"));
        line(&Value::Object(value));
    }
}

/// Writes a finding of a check.
#[cfg(feature = "check")]
pub fn finding(finding: &lbuild::lambda::check::Finding) {
    if let Ok(Value::Object(mut value)) = serde_json::to_value(finding) {
        value.insert("reason".into(), json!("finding"));
        line(&Value::Object(value));
    }
}

/// Writes the failure that ends the command.
pub fn failure(failure: &Failure) {
    let chain = failure.chain();
    line(&json!({
        "reason": "error",
        "message": hidden(&chain.join(": ")),
        "hint": failure.hint().map(|hint| hidden(&hint)),
        "exit_code": failure.code(),
    }));
}

fn line(value: &Value) {
    print_line(&escaped(&value.to_string()));
}

/// The JSON with the remaining characters that control a terminal escaped. They occur in its strings only.
pub fn escaped(json: &str) -> Cow<'_, str> {
    if !json.contains(|c| is_control(c) && c != '\n') {
        return Cow::Borrowed(json);
    }
    let escaped = json.chars().fold(String::with_capacity(json.len()), |mut text, c| {
        match is_control(c) && c != '\n' {
            // All of them are below U+10000.
            true => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => text.push(c),
        }
        text
    });
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_escaped_and_not_lost() {
        let value = json!({ "path": "a\u{1b}\u{9b}\u{202e}\nb é" });
        for text in [value.to_string(), format!("{value:#}")] {
            let escaped = escaped(&text);
            assert!(!escaped.contains(|c| is_control(c) && c != '\n'), "{escaped}");
            assert_eq!(serde_json::from_str::<Value>(&escaped).unwrap(), value);
        }
    }
}
