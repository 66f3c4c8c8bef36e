//! A differing field of a manifest or config.

use serde::Serialize;
use serde_json::Value;

/// A field that differs, or that only one image has.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldDifference {
    /// The field's dotted path.
    pub field: String,
    /// The value in the first image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// The value in the second image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}
