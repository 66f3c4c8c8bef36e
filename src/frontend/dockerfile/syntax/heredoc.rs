//! Here-documents: the words that announce them.

use super::shell::Lexer;

/// A here-document of an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::frontend) struct Heredoc {
    /// The delimiter, without quotes.
    pub name: String,
    /// Whether variables are expanded in the body: the delimiter has no quotes.
    pub expand: bool,
    /// `<<-`: leading tabs of the body are removed.
    pub strip_tabs: bool,
    pub body: String,
    /// The offset of the body in the file.
    pub at: usize,
}

impl Heredoc {
    /// The body, without leading tabs if they are to be removed.
    pub fn stripped(&self) -> String {
        match self.strip_tabs {
            true => self.body.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect(),
            false => self.body.clone(),
        }
    }

    /// Whether a line of the text ends the body.
    pub fn ends_at(&self, line: &str) -> bool {
        let line = line.trim_end_matches(['\r', '\n']);
        self.name == if self.strip_tabs { line.trim_start_matches('\t') } else { line }
    }
}

/// The here-documents that the text of an instruction announces.
pub(in crate::frontend) fn announced(text: &str) -> Vec<Heredoc> {
    if !text.contains("<<") {
        return Vec::new();
    }
    let lexer = Lexer { keep_quotes: true, keep_escapes: true, keep_unset: true, ..Lexer::new('\\') };
    // A shell text with, for example, a single apostrophe has no here-document; BuildKit does the same.
    let words = lexer.expand(text, &()).map(|expanded| expanded.words).unwrap_or_default();
    words.iter().filter_map(|word| parse(word)).collect()
}

/// The here-document that `word` announces: digits, `<<`, perhaps `-`, and a delimiter.
pub(in crate::frontend) fn parse(word: &str) -> Option<Heredoc> {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let (strip_tabs, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let rest = rest.trim_start();
    if rest.is_empty() || rest.contains('<') {
        return None;
    }
    let words = |keep_quotes| {
        let lexer = Lexer { keep_quotes, keep_unset: true, ..Lexer::new('\\') };
        lexer.expand(rest, &()).ok().map(|expanded| expanded.words)
    };
    let [name] = &*words(false)? else { return None };
    let raw = words(true)?;
    let quotes = |text: &str| text.matches(['\'', '"']).count();
    let expand = quotes(name) == raw.iter().map(|word| quotes(word)).sum::<usize>();
    Some(Heredoc { name: name.clone(), expand, strip_tabs, body: String::new(), at: 0 })
}
