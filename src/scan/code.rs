//! Machine code and scripts: which files may be either, and how their content is recognized.

use serde::{Deserialize, Serialize};

use super::annotate::{Annotate, ReadSeek, SHOWN, Wanted};
use super::elf::{self, Elf};

/// How many bytes are looked at of any file that may be code: the first line of a script fits.
const HEAD: u64 = 512;

/// The most that Linux reads of a script's first line.
const MAX_LINE: usize = 255;

/// Code that the kernel or a program can load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// A program or library of machine code.
    Elf(Elf),
    /// A script: its first line behind `#!`.
    Script(String),
}

/// The result of looking into a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recognized<F> {
    /// The code, if it is any, of a file that [may be code](may_be_code).
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// The facts that the [`Annotate`] states.
    #[serde(rename = "f", default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<F>,
}

/// Whether a program or the kernel could be asked to load the file, by its path and permissions. Files that only
/// debuggers read are not code.
pub fn may_be_code(path: &[u8], mode: u32) -> bool {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    let is_candidate = mode & 0o111 != 0 || !name.contains(&b'.') || is_library(name);
    is_candidate && !name.ends_with(b".debug") && !contains(path, b"lib/debug/")
}

/// Whether a file is a library of machine code, by its path or name: `libx.so.1`, `addon.node`.
pub fn is_library(path: &[u8]) -> bool {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    name.ends_with(b".so") || name.ends_with(b".node") || contains(name, b".so.")
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// How one file is to be looked into.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub path: &'a str,
    /// How much of it the annotator wants to see.
    pub wanted: Wanted,
    /// Whether it may be code.
    pub may_be_code: bool,
}

impl Look<'_> {
    /// Whether the file need not be opened.
    pub fn is_needless(self) -> bool {
        self.wanted == Wanted::Nothing && !self.may_be_code
    }

    /// How many bytes of the file's beginning are looked at.
    pub fn beginning(self) -> u64 {
        match self.wanted {
            Wanted::Nothing if self.may_be_code => HEAD,
            Wanted::Nothing => 0,
            Wanted::Beginning | Wanted::Whole => SHOWN,
        }
    }

    /// Looks into a file: `head` is its beginning, `whole` all of it when it is machine code or wanted as a whole.
    pub fn recognize<A: Annotate + ?Sized>(
        self,
        annotator: &A,
        head: &[u8],
        whole: &mut dyn ReadSeek,
    ) -> Option<Box<Recognized<A::Fact>>> {
        let facts = match self.wanted {
            Wanted::Nothing => Vec::new(),
            Wanted::Beginning => annotator.facts(self.path, head),
            Wanted::Whole => annotator.facts_of_whole(self.path, whole),
        };
        let code = if self.may_be_code { code(head, whole) } else { None };
        (code.is_some() || !facts.is_empty()).then(|| Box::new(Recognized { code, facts }))
    }
}

fn code(head: &[u8], whole: &mut dyn ReadSeek) -> Option<Code> {
    if head.starts_with(elf::MAGIC) {
        return Elf::read(whole).map(Code::Elf);
    }
    let line = head.strip_prefix(b"#!")?;
    let line = line.split(|&byte| byte == b'\n').next().unwrap_or(line);
    // A carriage return at its end belongs to the interpreter's name.
    let line = String::from_utf8_lossy(&line[..line.len().min(MAX_LINE)]);
    Some(Code::Script(line.trim_matches([' ', '\t']).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_and_names_show_code() {
        for (path, mode, expected) in [
            ("usr/bin/tool", 0o755, true),
            ("opt/extensions/agent.sh", 0o711, true),
            ("var/task/bootstrap", 0o644, true),
            ("var/task/a/b.node", 0o644, true),
            ("usr/lib64/libx.so.1.2", 0o644, true),
            ("var/task/a.so/b.py", 0o644, false),
            ("var/task/app.py", 0o644, false),
            ("var/task/firmware.elf", 0o644, false),
            ("var/task/libx.so.debug", 0o755, false),
            ("usr/lib/debug/usr/bin/tool", 0o755, false),
        ] {
            assert_eq!(may_be_code(path.as_bytes(), mode), expected, "{path}");
        }
    }
}
