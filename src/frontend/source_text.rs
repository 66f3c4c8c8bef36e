//! The text of a file, with its lines numbered.

use super::fault::Fault;
use crate::error::Remark;

/// A text and the offsets where its lines begin.
#[derive(Clone, Debug)]
pub(super) struct SourceText {
    /// The name of the file in messages.
    pub name: String,
    pub text: String,
    starts: Vec<usize>,
}

impl SourceText {
    pub fn new(name: &str, text: &str) -> SourceText {
        let newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        let starts = std::iter::once(0).chain(newlines).collect();
        SourceText { name: name.to_owned(), text: text.to_owned(), starts }
    }

    /// The number of the line with the byte `at`, counted from 1.
    pub fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }

    /// The line with the byte `at`, and its column in characters, both counted from 1.
    pub fn place(&self, at: usize) -> (usize, usize) {
        let line = self.line(at);
        let before = &self.text[self.starts[line - 1]..at];
        (line, before.trim_start_matches('\u{feff}').chars().count() + 1)
    }

    pub fn remark(&self, fault: Fault) -> Remark {
        let line = self.line(fault.at);
        let start = self.starts[line - 1];
        let text = self.text[start..].lines().next().unwrap_or_default();
        let offset = (fault.at - start).min(text.len());
        let Fault { message, hint, is_secret, .. } = fault;
        match is_secret {
            true => {
                let (text, offset) = masked(text, offset);
                Remark::new(&self.name, line, &text, offset, message, hint)
            }
            false => Remark::new(&self.name, line, text, offset, message, hint),
        }
    }
}

/// The line with stars for all but the instruction and the name at `offset`; and where that name is now.
fn masked(text: &str, offset: usize) -> (String, usize) {
    let (before, from) = text.split_at(offset);
    let is_keyword = |word: &&str| ["ARG", "ENV", "ONBUILD"].contains(&&*word.to_ascii_uppercase());
    let keyword = before.split_whitespace().next().filter(is_keyword);
    let has_others = before.split_whitespace().nth(usize::from(keyword.is_some())).is_some();
    let mut shown = keyword.map_or(String::new(), |keyword| format!("{keyword} "));
    if has_others {
        shown.push_str("*** ");
    }
    let offset = shown.len();
    let end = from.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(from.len());
    shown.push_str(&from[..end]);
    if let Some(separator) = from[end..].chars().next().filter(|_| !from[end..].trim().is_empty()) {
        shown.push(separator);
        shown.push_str("***");
    }
    (shown, offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_a_secret_is_shown() {
        for (text, name, expected) in [
            ("ARG TOKEN=hunter2", "TOKEN", "ARG TOKEN=***"),
            ("ARG TOKEN", "TOKEN", "ARG TOKEN"),
            ("ENV A=\"b hunter2\" PASSWORD=hunter2", "PASSWORD", "ENV *** PASSWORD=***"),
            ("ENV TOKEN hunter2 and more", "TOKEN", "ENV TOKEN ***"),
            ("    TOKEN='hunter2' \\", "TOKEN", "TOKEN=***"),
            ("\"b hunter2\" TOKEN=x", "TOKEN", "*** TOKEN=***"),
            ("hunter2 TOKEN=x", "TOKEN", "*** TOKEN=***"),
        ] {
            let (shown, offset) = masked(text, text.find(name).unwrap());
            assert_eq!((shown.as_str(), &shown[offset..offset + name.len()]), (expected, name));
        }
    }
}
