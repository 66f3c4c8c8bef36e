//! The grammar of wildcards, and their translation to a regex.
//!
//! The grammar is that of Go's `filepath.Match` with `**` added. Docker documents `filepath.Match`, and uses it to
//! validate ignore files.

use std::fmt::Write;
use std::iter::Peekable;

/// A piece of a pattern.
#[derive(Debug)]
pub(super) enum GlobToken {
    /// A character that stands for itself.
    Plain(char),
    /// A character quoted by a backslash, or a stray `]`. Docker translates a pattern with either to a regex, which
    /// makes a difference after `**`: `**\a` matches `x/a` but not `xa`; `**a` matches both.
    Quoted(char),
    /// `?`
    One,
    /// `*`
    Star,
    /// `**`, and a slash that follows it
    Deep,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl GlobToken {
    /// The character; `None` for a wildcard, and for U+FFFD, which may stand for a byte that is not UTF-8.
    pub(super) fn literal(&self) -> Option<char> {
        match self {
            GlobToken::Plain(c) | GlobToken::Quoted(c) if *c != char::REPLACEMENT_CHARACTER => Some(*c),
            _ => None,
        }
    }
}

/// Bytes as characters; each byte that is not UTF-8 counts as one U+FFFD, as in Go.
pub(super) fn characters(bytes: &[u8]) -> impl Iterator<Item = char> {
    bytes.utf8_chunks().flat_map(|chunk| {
        chunk.valid().chars().chain(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER))
    })
}

/// The tokens of a path that may have wildcards.
pub(super) fn tokens(path: &[u8]) -> Result<Vec<GlobToken>, &'static str> {
    let mut rest = characters(path).peekable();
    let mut tokens = Vec::new();
    while let Some(c) = rest.next() {
        tokens.push(match c {
            '*' if rest.next_if_eq(&'*').is_some() => {
                rest.next_if_eq(&'/');
                GlobToken::Deep
            }
            '*' => GlobToken::Star,
            '?' => GlobToken::One,
            '[' => class(&mut rest)?,
            ']' => GlobToken::Quoted(']'),
            '\\' => GlobToken::Quoted(rest.next().ok_or("it ends with a backslash that escapes nothing")?),
            c => GlobToken::Plain(c),
        });
    }
    Ok(tokens)
}

/// The rest of a class after its `[`: `^` for negation, then characters and ranges, at least one, then `]`.
fn class(rest: &mut Peekable<impl Iterator<Item = char>>) -> Result<GlobToken, &'static str> {
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    while ranges.is_empty() || rest.next_if_eq(&']').is_none() {
        let low = bound(rest)?;
        let high = if rest.next_if_eq(&'-').is_some() { bound(rest)? } else { low };
        if low > high {
            return Err("a range in `[…]` ends before it begins");
        }
        ranges.push((low, high));
    }
    Ok(GlobToken::Class { negated, ranges })
}

/// One character in a class.
fn bound(rest: &mut Peekable<impl Iterator<Item = char>>) -> Result<char, &'static str> {
    const OPEN: &str = "a `[` has no `]`";
    match rest.next().ok_or(OPEN)? {
        '\\' => rest.next().ok_or(OPEN),
        '-' | ']' => Err("a `-` or `]` in `[…]` needs a backslash"),
        c => Ok(c),
    }
}

/// The regex over a path as UTF-8 text.
pub(super) fn regex(tokens: &[GlobToken]) -> String {
    let mut regex = String::from("^");
    for (i, token) in tokens.iter().enumerate() {
        match token {
            GlobToken::Plain(c) | GlobToken::Quoted(c) => push_character(&mut regex, *c),
            // In Unicode mode, so that it matches one character and not one byte.
            GlobToken::One => regex.push_str("[^/]"),
            GlobToken::Star => regex.push_str("(?-u:[^/])*"),
            GlobToken::Deep if i + 1 == tokens.len() => regex.push_str("(?s-u:.)*"),
            GlobToken::Deep => regex.push_str("(?:(?s-u:.)*/)?"),
            GlobToken::Class { negated, ranges } => {
                regex.push_str(if *negated { "[^" } else { "[" });
                for (low, high) in ranges {
                    push_character(&mut regex, *low);
                    regex.push('-');
                    push_character(&mut regex, *high);
                }
                regex.push(']');
            }
        }
    }
    regex.push('$');
    regex
}

/// Adds a character, escaped so that it stands for itself anywhere in a regex.
fn push_character(regex: &mut String, c: char) {
    if c.is_ascii_alphanumeric() {
        regex.push(c);
    } else {
        let _ = write!(regex, "\\x{{{:x}}}", u32::from(c));
    }
}
