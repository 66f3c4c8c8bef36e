//! Events as JSON lines on standard error; `reason` is the kind of event.

use lbuild::{Event, Published};
use serde_json::{Value, json};

use super::exit::Failure;
use super::human;

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
        "message": chain.join(": "),
        "hint": failure.hint(),
        "exit_code": failure.code(),
    }));
}

fn line(value: &Value) {
    eprintln!("{}", human::printable(&value.to_string()));
}
