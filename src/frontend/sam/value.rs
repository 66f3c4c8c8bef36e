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

    pub fn is_nothing(&self) -> bool {
        matches!(self.kind, Kind::Nothing)
    }
}
