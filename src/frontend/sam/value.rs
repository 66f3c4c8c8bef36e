//! Values with their intrinsic functions resolved.

use crate::frontend::fault::{Fault, Parsed};

/// A resolved value.
#[derive(Clone, Debug)]
pub(super) struct Value {
    /// The place of the value in the template.
    pub at: usize,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// A string, a number or a boolean, as it is written.
    Text {
        text: String,
        is_plain: bool,
    },
    List(Vec<Value>),
    Map(Vec<(Key, Value)>),
    /// `AWS::NoValue`, `null`, or nothing.
    Nothing,
}

#[derive(Clone, Debug)]
pub(super) struct Key {
    pub at: usize,
    pub name: String,
}

impl Value {
    pub fn text(at: usize, text: impl Into<String>) -> Value {
        Value { at, kind: Kind::Text { text: text.into(), is_plain: false } }
    }

    pub fn nothing(at: usize) -> Value {
        Value { at, kind: Kind::Nothing }
    }

    /// The string; `what` names the value in the error.
    pub fn into_text(self, what: &str) -> Parsed<String> {
        match self.kind {
            Kind::Text { text, .. } => Ok(text),
            _ => Err(Fault::new(self.at, format!("{what} must be a string"))),
        }
    }

    /// The boolean that the text is in YAML 1.1.
    pub fn as_bool(&self) -> Option<bool> {
        let Kind::Text { text, .. } = &self.kind else { return None };
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        }
    }

    pub fn is_nothing(&self) -> bool {
        matches!(self.kind, Kind::Nothing)
    }
}
