//! Where a step comes from.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Remark};

/// The instruction of a file that a step was lowered from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The name of the file, as it was given.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters where the instruction begins, counted from 1.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub column: usize,
    /// The instruction, its lines joined.
    pub text: String,
}

fn first() -> usize {
    1
}

fn is_first(column: &usize) -> bool {
    *column == 1
}

impl Origin {
    /// The error for an instruction that cannot be built, with a proposed fix.
    pub(crate) fn failed(&self, fault: impl Into<String>, hint: Option<String>) -> Error {
        self.failed_at("", fault, hint)
    }

    /// The same, with the place of a word of the instruction.
    pub(crate) fn failed_at(&self, word: &str, fault: impl Into<String>, hint: Option<String>) -> Error {
        Error::Instruction(Box::new(self.remark(word, fault.into(), hint)))
    }

    /// The error for an instruction that another error stops.
    pub(crate) fn caused(&self, word: &str, fault: String, hint: Option<String>, source: Error) -> Error {
        let remark = Box::new(self.remark(word, fault, hint));
        Error::DockerfileBase { remark, source: Box::new(source) }
    }

    /// The error for a command that ended with an error, after its last lines of output.
    pub(crate) fn command_failed(&self, fault: String, output: Vec<String>) -> Error {
        Error::Command { remark: Box::new(self.remark("", fault, None)), output }
    }

    fn remark(&self, word: &str, fault: String, hint: Option<String>) -> Remark {
        let begins = |at: &usize| self.text[..*at].ends_with([' ', '\t', '"', '\'', '/', '=', ',']);
        let mut places = self.text.match_indices(word).map(|(at, _)| at);
        let offset = if word.is_empty() { 0 } else { places.find(begins).unwrap_or(0) };
        // The text stands where it does in the file.
        let indent = " ".repeat(self.column.saturating_sub(1));
        let (text, offset) = (format!("{indent}{}", self.text), indent.len() + offset);
        Remark::new(&self.file, self.line, &text, offset, fault, hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_the_instruction_is_marked() {
        let origin = Origin { file: "D".into(), line: 3, column: 3, text: "COPY ./py app.py /x".into() };
        let shown = |word| origin.failed_at(word, "bad", None).to_string();
        assert_eq!(shown("app.py"), "D:3:13: bad\n  3 |   COPY ./py app.py /x\n    |             ^");
        assert!(shown("py").starts_with("D:3:10: "), "{}", shown("py"));
        assert!(shown("other").starts_with("D:3:3: "));
    }
}
