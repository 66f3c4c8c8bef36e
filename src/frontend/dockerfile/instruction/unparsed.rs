//! An instruction with its keyword and flags apart from its arguments.

use crate::frontend::dockerfile::syntax::flags::{Flags, Table};
use crate::frontend::dockerfile::syntax::heredoc::Heredoc;
use crate::frontend::dockerfile::syntax::split;
use crate::frontend::dockerfile::syntax::text::{Slice, Word};
use crate::frontend::fault::{Fault, Parsed};

/// An instruction before its arguments are read.
pub(super) struct Unparsed<'s> {
    /// The offset of the keyword.
    pub at: usize,
    /// In capitals.
    pub keyword: &'static str,
    pub flags: Vec<Word>,
    pub rest: Slice<'s>,
    pub heredocs: &'s [Heredoc],
    pub escape: char,
}

impl Unparsed<'_> {
    pub fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::new(self.at, message)
    }

    pub fn flags(&self, table: &Table) -> Parsed<Flags> {
        Flags::check(self.keyword, &self.flags, table)
    }

    /// The strings of the JSON form, if the arguments have it.
    pub fn json(&self) -> Parsed<Option<Vec<String>>> {
        split::json(self.rest.text).map_err(|()| {
            let fault = Fault::new(self.rest.at(0), "the JSON array has something other than strings");
            fault.hint("put each argument in double quotes")
        })
    }

    /// Words between blanks, or the strings of the JSON form.
    pub fn list(&self) -> Parsed<Vec<Word>> {
        let at = self.rest.at(0);
        Ok(match self.json()? {
            Some(texts) => texts.into_iter().map(|text| Word { text, at }).collect(),
            // No path begins like this.
            None if self.rest.text.replace([' ', '\t'], "").starts_with("[\"") => {
                let fault = Fault::new(at, format!("the arguments of {} are not valid JSON", self.keyword));
                return Err(
                    fault.hint("write [\"a\", \"b\"]: commas between, none at the end, nothing after `]`")
                );
            }
            None => split::blank_separated(self.rest),
        })
    }
}
