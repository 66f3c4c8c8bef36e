//! Words: quotes, backslashes, variables. The text that the word stands for is not known yet.

use super::super::refusal::{Attempt, Refusal, Span};

/// A word as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellWord {
    pub span: Span,
    pub parts: Vec<Part>,
}

impl ShellWord {
    /// Whether a slash is written in it.
    pub fn has_slash(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Text { text, .. } if text.contains('/')))
    }
}

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Text {
        text: String,
        quoted: bool,
    },
    Variable {
        span: Span,
        name: String,
        /// `${NAME:-WORD}` and the like.
        alternative: Option<Alternative>,
        quoted: bool,
    },
}

/// What stands for a variable's value, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternative {
    /// `+`: it stands for a value that is set; `-`: for one that is not.
    pub if_set: bool,
    /// `:`: an empty value counts as not set.
    pub or_empty: bool,
    pub parts: Vec<Part>,
}

/// The deepest nesting of `${A:-${B}}`.
const DEEPEST: usize = 8;

/// A position in a text.
pub struct Reader<'t> {
    pub text: &'t str,
    pub at: usize,
}

/// Whether a character has no place in a command: shells differ about it, and no message could show it.
pub fn is_unreadable(c: char) -> bool {
    c.is_control() && !matches!(c, '\t' | '\n')
}

/// Whether a name may begin with this character.
fn begins_name(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

/// The length of the variable's name at the beginning of the text.
pub fn name_length(text: &str) -> usize {
    match text.starts_with(begins_name) {
        true => text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len()),
        false => 0,
    }
}

impl<'t> Reader<'t> {
    pub fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    pub fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Moves on if the text goes on with `token`.
    pub fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Skips blanks and continued ends of lines.
    pub fn skip_blanks(&mut self) {
        while self.take(" ") || self.take("\t") || self.take("\\\n") {}
    }

    /// The refusal of the next `length` bytes, or of the rest.
    pub fn refuse(&self, length: usize, reason: impl Into<String>) -> Refusal {
        let mut end = (self.at + length).min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        Span::new(self.at, end).refuse(reason)
    }

    /// The word here; it has at least one character.
    pub fn word(&mut self) -> Attempt<ShellWord> {
        let start = self.at;
        let mut parts = Vec::new();
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => break,
                '\\' => self.backslash(&mut parts)?,
                '\'' => self.single_quotes(&mut parts)?,
                '"' => self.double_quotes(&mut parts)?,
                '$' => self.dollar(&mut parts, false, 0)?,
                '`' => return Err(self.refuse(1, "runs a command inside another")),
                '{' if self.at == start && is_pair_of_braces(self.rest()) => {
                    self.at += 2;
                    push(&mut parts, "{}", true);
                }
                '{' => return Err(self.refuse(1, "is read differently by different shells")),
                '~' if self.begins_home(start) => {
                    return Err(self.refuse(1, "stands for a home directory that is known only in the image"));
                }
                c => {
                    self.check_character(c)?;
                    self.at += c.len_utf8();
                    push(&mut parts, c.encode_utf8(&mut [0; 4]), false);
                }
            }
        }
        Ok(ShellWord { span: Span::new(start, self.at), parts })
    }

    /// Whether a `~` here may be replaced: at the beginning of a word, and in bash after `=` and `:`.
    fn begins_home(&self, start: usize) -> bool {
        self.at == start || self.text[..self.at].ends_with(['=', ':', '\n'])
    }

    fn check_character(&self, c: char) -> Attempt<()> {
        match is_unreadable(c) {
            true => Err(self.refuse(1, "is a control character")),
            false => Ok(()),
        }
    }

    fn backslash(&mut self, parts: &mut Vec<Part>) -> Attempt<()> {
        match self.rest().chars().nth(1) {
            None => Err(self.refuse(1, "quotes nothing")),
            Some('\n') => {
                self.at += 2;
                Ok(())
            }
            Some(c) => {
                self.at += 1;
                self.check_character(c)?;
                self.at += c.len_utf8();
                push(parts, c.encode_utf8(&mut [0; 4]), true);
                Ok(())
            }
        }
    }

    fn single_quotes(&mut self, parts: &mut Vec<Part>) -> Attempt<()> {
        let unclosed = self.refuse(1, "is not closed");
        self.at += 1;
        let end = self.rest().find('\'').ok_or(unclosed)?;
        let text = &self.rest()[..end];
        for (offset, c) in text.char_indices() {
            Reader { text: self.text, at: self.at + offset }.check_character(c)?;
        }
        push(parts, text, true);
        self.at += end + 1;
        Ok(())
    }

    fn double_quotes(&mut self, parts: &mut Vec<Part>) -> Attempt<()> {
        let unclosed = self.refuse(1, "is not closed");
        self.at += 1;
        push(parts, "", true);
        loop {
            match self.peek() {
                None => return Err(unclosed),
                Some('"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some('`') => return Err(self.refuse(1, "runs a command inside another")),
                Some('$') => self.dollar(parts, true, 0)?,
                Some('\\') => match self.rest().chars().nth(1) {
                    Some('$' | '`' | '"' | '\\' | '\n') => self.backslash(parts)?,
                    // The backslash is text, and the next character is looked at again.
                    _ => {
                        self.at += 1;
                        push(parts, "\\", true);
                    }
                },
                Some(c) => {
                    self.check_character(c)?;
                    self.at += c.len_utf8();
                    push(parts, c.encode_utf8(&mut [0; 4]), true);
                }
            }
        }
    }

    /// A `$` and what follows.
    fn dollar(&mut self, parts: &mut Vec<Part>, quoted: bool, depth: usize) -> Attempt<()> {
        let start = self.at;
        let after = &self.rest()[1..];
        match after.chars().next() {
            Some('{') => self.braces(parts, quoted, depth),
            Some(c) if begins_name(c) => {
                self.at += 1 + name_length(after);
                if self.rest().starts_with("\\\n") {
                    return Err(Span::new(start, self.at).refuse("has a name that goes on in the next line"));
                }
                let name = self.text[start + 1..self.at].to_owned();
                let span = Span::new(start, self.at);
                parts.push(Part::Variable { span, name, alternative: None, quoted });
                Ok(())
            }
            Some('(') => Err(self.refuse(2, "runs a command inside another, or computes")),
            Some('"') if quoted && depth == 0 => {
                self.at += 1;
                push(parts, "$", true);
                Ok(())
            }
            None | Some(' ' | '\t' | '\n' | '/' | '.') => {
                self.at += 1;
                push(parts, "$", true);
                Ok(())
            }
            Some(_) => Err(self.refuse(2, "is known only to a shell that runs")),
        }
    }

    /// `${NAME}` and `${NAME:-WORD}`, where WORD has no quotes.
    fn braces(&mut self, parts: &mut Vec<Part>, quoted: bool, depth: usize) -> Attempt<()> {
        let start = self.at;
        let unknown = self.refuse(2, "begins a form of a variable that is not translated");
        self.at += 2;
        let length = name_length(self.rest());
        let name = self.rest()[..length].to_owned();
        self.at += length;
        let or_empty = length > 0 && self.take(":");
        let alternative = match self.peek() {
            _ if length == 0 || depth > DEEPEST => return Err(unknown),
            Some('}') if !or_empty => None,
            Some(c @ ('-' | '+')) => {
                self.at += 1;
                Some(Alternative { if_set: c == '+', or_empty, parts: self.alternative(quoted, depth)? })
            }
            _ => return Err(unknown),
        };
        if !self.take("}") {
            return Err(unknown);
        }
        parts.push(Part::Variable { span: Span::new(start, self.at), name, alternative, quoted });
        Ok(())
    }

    fn alternative(&mut self, quoted: bool, depth: usize) -> Attempt<Vec<Part>> {
        let mut parts = Vec::new();
        while let Some(c) = self.peek() {
            match c {
                '$' => self.dollar(&mut parts, quoted, depth + 1)?,
                'a'..='z'
                | 'A'..='Z'
                | '0'..='9'
                | '_'
                | '-'
                | '.'
                | '/'
                | ':'
                | '='
                | ','
                | '@'
                | '+'
                | '%' => {
                    self.at += 1;
                    push(&mut parts, c.encode_utf8(&mut [0; 4]), true);
                }
                ' ' if quoted => {
                    self.at += 1;
                    push(&mut parts, " ", true);
                }
                _ => break,
            }
        }
        Ok(parts)
    }
}

/// Whether the text begins with the word `{}`, which every shell leaves as it is.
fn is_pair_of_braces(text: &str) -> bool {
    let after = text.strip_prefix("{}");
    after.is_some_and(|after| after.is_empty() || after.starts_with([' ', '\t', '\n', ';']))
}

fn push(parts: &mut Vec<Part>, more: &str, is_quoted: bool) {
    match parts.last_mut() {
        Some(Part::Text { text, quoted }) if *quoted == is_quoted => text.push_str(more),
        _ => parts.push(Part::Text { text: more.to_owned(), quoted: is_quoted }),
    }
}
