//! Where a step comes from.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The instruction of a file that a step was lowered from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The name of the file, as it was given.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The instruction, its lines joined.
    pub text: String,
}

impl Origin {
    /// The error for an instruction that cannot be built, with a proposed fix.
    pub(crate) fn failed(&self, fault: impl Into<String>, hint: Option<String>) -> Error {
        let (file, instruction) = (self.file.clone(), self.text.clone());
        Error::Instruction { file, line: self.line, instruction, fault: fault.into(), hint }
    }
}
