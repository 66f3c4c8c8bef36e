//! Recognizes machine code and scripts by their content.

use serde::{Deserialize, Serialize};

use super::annotate::{Annotate, BEGINNING_LIMIT, ReadSeek, Wanted};
use super::elf::Elf;
use crate::tree::ELF_MAGIC;

/// The number of bytes read of any file that may be code; the first line of a script fits.
pub(super) const HEAD: u64 = 512;

/// The maximum number of bytes that Linux reads of a script's first line.
const MAX_LINE: usize = 255;

/// Code that the kernel or a program can load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// A program or library of machine code.
    Elf(Elf),
    /// A script: its first line after `#!`.
    Script(String),
}

/// The result of inspecting a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recognized<F> {
    /// The code, if any, of a file that [may be code](crate::tree::may_be_code).
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// The facts of the [`Annotate`].
    #[serde(rename = "f", default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<F>,
}

/// The inspection of one file.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub path: &'a str,
    /// The part to pass to the annotator.
    pub wanted: Wanted,
    /// Whether it may be code.
    pub may_be_code: bool,
}

impl Look<'_> {
    /// Whether the file need not be opened.
    pub fn is_needless(self) -> bool {
        self.wanted == Wanted::Nothing && !self.may_be_code
    }

    /// The number of bytes that are read of the file's beginning.
    pub fn beginning(self) -> u64 {
        match self.wanted {
            Wanted::Nothing if self.may_be_code => HEAD,
            Wanted::Nothing => 0,
            Wanted::Beginning | Wanted::Whole => BEGINNING_LIMIT,
        }
    }

    /// Inspects a file: `head` is its beginning, `whole` the whole file if it is machine code or [`Wanted::Whole`].
    pub fn recognize<A: Annotate + ?Sized>(
        self,
        annotator: &A,
        head: &[u8],
        whole: &mut dyn ReadSeek,
    ) -> Option<Recognized<A::Fact>> {
        let facts = match self.wanted {
            Wanted::Nothing => Vec::new(),
            Wanted::Beginning => annotator.facts(self.path, head),
            Wanted::Whole => annotator.facts_of_whole(self.path, whole),
        };
        let code = if self.may_be_code { code(head, whole) } else { None };
        (code.is_some() || !facts.is_empty()).then(|| Recognized { code, facts })
    }
}

/// The code of a file that may be code, by its beginning and the whole of machine code.
pub(super) fn code(head: &[u8], whole: &mut dyn ReadSeek) -> Option<Code> {
    if head.starts_with(ELF_MAGIC) {
        return Elf::read(whole).map(Code::Elf);
    }
    let line = head.strip_prefix(b"#!")?;
    let line = line.split(|&byte| byte == b'\n').next().unwrap_or(line);
    // A carriage return at the end of the line is part of the interpreter's name.
    let line = String::from_utf8_lossy(&line[..line.len().min(MAX_LINE)]);
    Some(Code::Script(line.trim_matches([' ', '\t']).to_owned()))
}
