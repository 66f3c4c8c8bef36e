//! Splits an instruction into its keyword, flags and arguments.

use super::text::{Slice, Word};

/// Blanks between arguments.
fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ')
}

/// The keyword, and everything after it.
pub(in crate::frontend) fn keyword(line: Slice<'_>) -> (Slice<'_>, Slice<'_>) {
    let line = line.trim();
    let end = line.text.find(is_blank).unwrap_or(line.text.len());
    (line.until(end), line.from(end).trim())
}

/// The leading words that begin with `--`, without their quotes and escapes, and the rest.
pub(in crate::frontend) fn flags(rest: Slice<'_>, escape: char) -> (Vec<Word>, Slice<'_>) {
    let mut flags = Vec::new();
    let mut rest = rest.trim();
    while rest.text.starts_with("--") {
        let (text, length) = flag(rest.text, escape);
        let at = rest.at(0);
        rest = rest.from(length).trim();
        if text == "--" {
            break;
        }
        flags.push(Word { text, at });
    }
    (flags, rest)
}

/// The flag at the start of `text`, and its length there.
fn flag(text: &str, escape: char) -> (String, usize) {
    let mut out = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match quote {
            None if c.is_whitespace() => return (out, at),
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ if c == escape => out.extend(chars.next().map(|(_, c)| c)),
            _ => out.push(c),
        }
    }
    (out, text.len())
}

/// The words between blanks, as `COPY` and `EXPOSE` have them: quotes do not protect a blank.
pub(in crate::frontend) fn blank_separated(rest: Slice<'_>) -> Vec<Word> {
    pieces(rest, |text| text.find(is_blank).unwrap_or(text.len()))
}

/// The words between unquoted blanks, with their quotes and escapes, as `ENV` has them.
pub(in crate::frontend) fn quoted_words(rest: Slice<'_>, escape: char) -> Vec<Word> {
    pieces(rest, |text| quoted_word(text, escape))
}

fn pieces(rest: Slice<'_>, length: impl Fn(&str) -> usize) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = rest.trim();
    while !rest.text.is_empty() {
        let end = length(rest.text);
        words.push(rest.until(end).word());
        rest = rest.from(end).trim();
    }
    words
}

fn quoted_word(text: &str, escape: char) -> usize {
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match quote {
            // Nothing can be escaped between single quotes.
            _ if c == escape && quote != Some('\'') => drop(chars.next()),
            None if c.is_whitespace() => return at,
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
    }
    text.len()
}

/// The first word, and the rest after the blanks that follow it.
pub(in crate::frontend) fn first_blank(rest: Slice<'_>) -> Option<(Slice<'_>, Slice<'_>)> {
    let end = rest.text.find(is_blank)?;
    let after = rest.text[end..].trim_start_matches(is_blank);
    Some((rest.until(end), rest.from(rest.text.len() - after.len())))
}

/// The strings of a JSON array. `None`: it is not one, so that the text is meant for a shell. The error: an array with
/// something other than strings.
pub(in crate::frontend) fn json(rest: &str) -> Result<Option<Vec<String>>, ()> {
    if !rest.starts_with('[') {
        return Ok(None);
    }
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(rest) else { return Ok(None) };
    let strings = values.into_iter().map(|value| match value {
        serde_json::Value::String(text) => Ok(text),
        _ => Err(()),
    });
    strings.collect::<Result<_, _>>().map(Some)
}
