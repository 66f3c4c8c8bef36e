//! One line of an ignore file: its grammar, and the form in which it is matched.
//!
//! The grammar is that of Go's `filepath.Match` with `**` added, since that is what Docker documents and checks
//! its ignore files with.

use std::fmt::Write;
use std::iter::Peekable;

/// A line that holds a pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    /// Whether the line began with `!`: what it matches is brought back.
    pub exception: bool,
    pub form: Form,
    /// What stands before the first wildcard, as bytes of a path.
    fixed: Vec<u8>,
    /// How many components a path has that matches; `None` when that can differ.
    depth: Option<usize>,
}

/// How a pattern is matched; plain forms spare the regex engine the greater part of real files.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The path is these bytes.
    Exact(Vec<u8>),
    /// `**/name`: the last component is these bytes.
    Name(Vec<u8>),
    /// `begin**`: the path begins with these bytes.
    Prefix(Vec<u8>),
    /// `**end`: the path ends with these bytes, or is what follows their leading slash.
    Suffix(Vec<u8>),
    /// A regex over the path as UTF-8 text.
    Regex(String),
}

#[derive(Debug)]
enum Token {
    /// A character that stands for itself.
    Plain(char),
    /// The same, by a backslash or as a stray `]`. Docker makes a regex of a pattern that has one, which shows
    /// after `**`: `**\a` matches `x/a` but not `xa`, where `**a` matches both.
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

impl Pattern {
    /// Reads one line without its line end; `None` for a comment or an empty line.
    ///
    /// Docker reads a line twice, once in its reader of ignore files and once in its matcher. Both trim and
    /// clean, so `./ x` is `x`, and `/!x` is an exception.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn parse(line: &[u8]) -> Result<Option<Pattern>, &'static str> {
        // Only a `#` in the first column makes a comment: ` #x` names a file.
        if line.starts_with(b"#") {
            return Ok(None);
        }
        let read = match trim(line) {
            [] => return Ok(None),
            [b'!', rest @ ..] => [b"!", anchored(trim(rest)).as_slice()].concat(),
            line => anchored(line),
        };
        match clean(trim(&read)).as_slice() {
            b"" => Ok(None),
            b"!" => Err("nothing follows the `!`"),
            [b'!', path @ ..] => Pattern::of(true, path).map(Some),
            path => Pattern::of(false, path).map(Some),
        }
    }

    fn of(exception: bool, path: &[u8]) -> Result<Pattern, &'static str> {
        let tokens = tokens(path)?;
        let fixed = tokens.iter().map_while(Token::literal).collect::<String>().into_bytes();
        let depth = tokens.iter().try_fold(1, |depth, token| match token {
            Token::Plain('/') | Token::Quoted('/') => Some(depth + 1),
            Token::Deep => None,
            // As with Docker, a class may match a slash: `a[^b]c` matches `a/c`.
            Token::Class { negated: true, .. } => None,
            Token::Class { ranges, .. } if ranges.iter().any(|(low, high)| (low..=high).contains(&&'/')) => {
                None
            }
            _ => Some(depth),
        });
        Ok(Pattern { exception, form: form(path, &tokens), fixed, depth })
    }

    /// Whether the pattern might match a path below `dir`. Errs on the side of yes.
    pub fn can_match_below(&self, dir: &[u8]) -> bool {
        let deep_enough = self.depth.is_none_or(|depth| depth > 1 + count_slashes(dir));
        let fits = self.fixed.iter().zip(dir.iter().chain(b"/")).all(|(a, b)| a == b);
        deep_enough && fits
    }
}

impl Token {
    /// The character, if it is the same in a path's bytes. A byte that is no UTF-8 has become U+FFFD here.
    fn literal(&self) -> Option<char> {
        match self {
            Token::Plain(c) | Token::Quoted(c) if *c != char::REPLACEMENT_CHARACTER => Some(*c),
            _ => None,
        }
    }
}

/// Bytes as characters; each byte that is no UTF-8 counts as one U+FFFD, as Go has it.
pub(super) fn characters(bytes: &[u8]) -> impl Iterator<Item = char> {
    bytes.utf8_chunks().flat_map(|chunk| {
        chunk.valid().chars().chain(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER))
    })
}

fn count_slashes(path: &[u8]) -> usize {
    path.iter().filter(|&&b| b == b'/').count()
}

/// Without Unicode's white space at either end; only ASCII's where the line is no UTF-8.
fn trim(line: &[u8]) -> &[u8] {
    std::str::from_utf8(line).map_or_else(|_| line.trim_ascii(), |text| text.trim().as_bytes())
}

/// A path of the reader: cleaned, and taken from the root of the source whether or not a slash says so.
fn anchored(path: &[u8]) -> Vec<u8> {
    let path = clean(path);
    match path.strip_prefix(b"/") {
        Some(rest) if !rest.is_empty() => rest.to_vec(),
        _ => path,
    }
}

/// The shortest path that means the same, by the rules of Go's `filepath.Clean`: no empty component, no `.`,
/// no `x/..`, no trailing slash; `..` stays only at the start of a relative path.
fn clean(path: &[u8]) -> Vec<u8> {
    if path.is_empty() {
        return Vec::new();
    }
    let rooted = path.starts_with(b"/");
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|last| *last != b"..") => drop(parts.pop()),
            b".." if rooted => {}
            _ => parts.push(part),
        }
    }
    let joined = parts.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/", joined.as_slice()].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}

fn tokens(path: &[u8]) -> Result<Vec<Token>, &'static str> {
    let mut rest = characters(path).peekable();
    let mut tokens = Vec::new();
    while let Some(c) = rest.next() {
        tokens.push(match c {
            '*' if rest.next_if_eq(&'*').is_some() => {
                rest.next_if_eq(&'/');
                Token::Deep
            }
            '*' => Token::Star,
            '?' => Token::One,
            '[' => class(&mut rest)?,
            ']' => Token::Quoted(']'),
            '\\' => Token::Quoted(rest.next().ok_or("nothing follows the backslash at its end")?),
            c => Token::Plain(c),
        });
    }
    Ok(tokens)
}

/// What follows a `[`: `^` for negation, then characters and ranges, at least one, then `]`.
fn class(rest: &mut Peekable<impl Iterator<Item = char>>) -> Result<Token, &'static str> {
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    while ranges.is_empty() || rest.next_if_eq(&']').is_none() {
        let low = bound(rest)?;
        let high = if rest.next_if_eq(&'-').is_some() { bound(rest)? } else { low };
        if low > high {
            return Err("a range in `[…]` runs backwards");
        }
        ranges.push((low, high));
    }
    Ok(Token::Class { negated, ranges })
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

/// The plainest form that matches the same. The cases, and that `**end` does not need to begin at a component
/// while `**en?` does, are Docker's.
fn form(path: &[u8], tokens: &[Token]) -> Form {
    let plain = |tokens: &[Token]| tokens.iter().all(|token| matches!(token, Token::Plain(_)));
    match tokens {
        tokens if plain(tokens) => Form::Exact(path.to_vec()),
        [Token::Deep, rest @ ..] if plain(rest) => {
            let end = &path[2..];
            match end.strip_prefix(b"/") {
                Some(name) if !name.contains(&b'/') => Form::Name(name.to_vec()),
                _ => Form::Suffix(end.to_vec()),
            }
        }
        [begin @ .., Token::Deep] if plain(begin) => Form::Prefix(path[..path.len() - 2].to_vec()),
        tokens => Form::Regex(regex(tokens)),
    }
}

fn regex(tokens: &[Token]) -> String {
    let mut regex = String::from("^");
    for (i, token) in tokens.iter().enumerate() {
        match token {
            Token::Plain(c) | Token::Quoted(c) => push_character(&mut regex, *c),
            // One character, not one byte: the Unicode form.
            Token::One => regex.push_str("[^/]"),
            Token::Star => regex.push_str("(?-u:[^/])*"),
            Token::Deep if i + 1 == tokens.len() => regex.push_str("(?s-u:.)*"),
            Token::Deep => regex.push_str("(?:(?s-u:.)*/)?"),
            Token::Class { negated, ranges } => {
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

/// A character that means itself anywhere in a regex.
fn push_character(regex: &mut String, c: char) {
    if c.is_ascii_alphanumeric() {
        regex.push(c);
    } else {
        let _ = write!(regex, "\\x{{{:x}}}", u32::from(c));
    }
}
