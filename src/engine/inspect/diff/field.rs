//! A field of a manifest or config that differs.

use serde::Serialize;
use serde_json::Value;

/// A field that differs, or that one image only has.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldDifference {
    /// The names on the way to it, with dots between.
    pub field: String,
    /// What it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}
