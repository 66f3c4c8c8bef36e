//! [`Finding`]: a violation of a rule by an image.

use serde::{Deserialize, Serialize};

use super::case::Case;
use crate::image::Digest;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Costs time or space; nothing fails.
    Note,
    /// May fail, or will fail at a later date.
    Warning,
    /// Lambda refuses the image, or the function fails.
    Error,
}

/// A number of files, as `1 file` or `2 files`.
pub(super) fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

/// A violation of a rule by an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The rule's name.
    pub rule: &'static str,
    /// The severity, which may be lower than the rule's.
    pub severity: Severity,
    /// The description of the violation. It does not contain secrets.
    pub message: String,
    /// The fix, as a hint: [`Rule::help`](super::Rule::help).
    pub help: &'static str,
    /// The digest of the layer that the finding is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<Digest>,
    /// The number of that layer; the lowest is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_number: Option<usize>,
    /// The path in the image, without a leading slash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The field of the config or manifest, such as `config.Env.TOKEN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The cost in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

impl Finding {
    /// Sets the layer by its number.
    pub(super) fn in_layer(&mut self, case: &Case<'_>, number: usize) -> &mut Finding {
        self.layer_number = Some(number);
        self.layer = case.layers.get(number).map(|layer| layer.digest);
        self
    }

    /// Sets the path.
    pub(super) fn at(&mut self, path: impl Into<String>) -> &mut Finding {
        self.path = Some(path.into());
        self
    }

    /// Sets the field of the config or manifest.
    pub(super) fn in_field(&mut self, field: impl Into<String>) -> &mut Finding {
        self.field = Some(field.into());
        self
    }

    /// Sets the cost in bytes.
    pub(super) fn costs(&mut self, bytes: u64) -> &mut Finding {
        self.bytes = Some(bytes);
        self
    }

    /// Replaces the severity of the rule.
    pub(super) fn as_severe(&mut self, severity: Severity) -> &mut Finding {
        self.severity = severity;
        self
    }
}
