//! One thing that is to be said of an image.

use serde::{Deserialize, Serialize};

use super::case::Case;
use crate::image::Digest;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Costs something, and breaks nothing.
    Note,
    /// May break, or will one day.
    Warning,
    /// Lambda refuses the image, or the function fails.
    Error,
}

/// So many files, in words.
pub(super) fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

/// One thing that is to be said of an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The rule's name.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong. It holds nothing secret.
    pub message: String,
    /// What to do about it.
    pub help: &'static str,
    /// The digest of the layer that it is about, when it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<Digest>,
    /// The layer's number from the lowest, which is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_number: Option<usize>,
    /// The path in the image, without a slash in front.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The field of the config or manifest, as `config.Env.TOKEN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What it costs, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

impl Finding {
    /// It is about the layer of this number.
    pub(super) fn in_layer(&mut self, case: &Case<'_>, number: usize) -> &mut Finding {
        self.layer_number = Some(number);
        self.layer = case.layers.get(number).map(|layer| layer.digest);
        self
    }

    /// It is about the file at this path.
    pub(super) fn at(&mut self, path: impl Into<String>) -> &mut Finding {
        self.path = Some(path.into());
        self
    }

    /// It is about this field.
    pub(super) fn in_field(&mut self, field: impl Into<String>) -> &mut Finding {
        self.field = Some(field.into());
        self
    }

    /// It costs so much.
    pub(super) fn costs(&mut self, bytes: u64) -> &mut Finding {
        self.bytes = Some(bytes);
        self
    }

    /// It is less bad, or worse, than the rule usually is.
    pub(super) fn as_severe(&mut self, severity: Severity) -> &mut Finding {
        self.severity = severity;
        self
    }
}
