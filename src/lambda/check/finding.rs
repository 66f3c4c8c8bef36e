//! One thing that is to be said of an image.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::Rule;
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
    pub way_out: &'static str,
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

/// Reads what was written; a rule that is not there any more is an error.
impl<'de> Deserialize<'de> for Finding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Finding, D::Error> {
        #[derive(Deserialize)]
        struct Written {
            rule: String,
            severity: Severity,
            message: String,
            layer: Option<Digest>,
            layer_number: Option<usize>,
            path: Option<String>,
            field: Option<String>,
            bytes: Option<u64>,
        }
        let Written { rule, severity, message, layer, layer_number, path, field, bytes } =
            Written::deserialize(deserializer)?;
        let rule =
            super::rule(&rule).ok_or_else(|| D::Error::custom(format!("there is no rule `{rule}`")))?;
        Ok(Finding { severity, layer, layer_number, path, field, bytes, ..Finding::of(rule, message) })
    }
}

impl Finding {
    pub(super) fn of(rule: &Rule, message: String) -> Finding {
        Finding {
            rule: rule.name,
            severity: rule.severity,
            message,
            way_out: rule.way_out,
            layer: None,
            layer_number: None,
            path: None,
            field: None,
            bytes: None,
        }
    }

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
