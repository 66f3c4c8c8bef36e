//! One line of an ignore file, and the form in which it is matched.

use super::glob::{GlobToken, regex, tokens};

/// The pattern of one line.
#[derive(Debug)]
pub(super) struct Pattern {
    /// Whether the line began with `!`: the pattern includes again the paths that it matches.
    pub(super) exception: bool,
    pub(super) form: Form,
    /// The text before the first wildcard, as bytes of a path.
    fixed: Vec<u8>,
    /// The number of components of every path that matches; `None` if it varies.
    depth: Option<usize>,
}

/// The form in which a pattern is matched. Most patterns of real ignore files have a form that needs no regex.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The path is these bytes.
    Exact(Vec<u8>),
    /// `**/name`: the last component is these bytes.
    Name(Vec<u8>),
    /// `begin**`: the path begins with these bytes.
    Prefix(Vec<u8>),
    /// `**end`: the path ends with these bytes, or equals them without their leading slash.
    Suffix(Vec<u8>),
    /// A regex over the path as UTF-8 text.
    Regex(String),
}

impl Pattern {
    /// Parses one line without its line end; `None` for a comment or an empty line.
    ///
    /// Docker parses a line twice, in its reader of ignore files and in its matcher. Both trim and clean it, so `./ x`
    /// is `x`, and `/!x` is an exception.
    ///
    /// # Errors
    /// The reason why the pattern is not valid.
    pub(super) fn parse(line: &[u8]) -> Result<Option<Pattern>, &'static str> {
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
        let fixed = tokens.iter().map_while(GlobToken::literal).collect::<String>().into_bytes();
        let depth = tokens.iter().try_fold(1, |depth, token| match token {
            GlobToken::Plain('/') | GlobToken::Quoted('/') => Some(depth + 1),
            GlobToken::Deep => None,
            // As with Docker, a class may match a slash: `a[^b]c` matches `a/c`.
            GlobToken::Class { negated: true, .. } => None,
            GlobToken::Class { ranges, .. }
                if ranges.iter().any(|(low, high)| (low..=high).contains(&&'/')) =>
            {
                None
            }
            _ => Some(depth),
        });
        Ok(Pattern { exception, form: form(path, &tokens), fixed, depth })
    }

    /// Whether the pattern might match a path below `dir`. True if this is uncertain.
    pub(super) fn can_match_below(&self, dir: &[u8]) -> bool {
        let deep_enough = self.depth.is_none_or(|depth| depth > 1 + count_slashes(dir));
        let fits = self.fixed.iter().zip(dir.iter().chain(b"/")).all(|(a, b)| a == b);
        deep_enough && fits
    }
}

fn count_slashes(path: &[u8]) -> usize {
    path.iter().filter(|&&b| b == b'/').count()
}

/// Removes Unicode white space at either end; only ASCII white space if the line is not UTF-8.
fn trim(line: &[u8]) -> &[u8] {
    std::str::from_utf8(line).map_or_else(|_| line.trim_ascii(), |text| text.trim().as_bytes())
}

/// The cleaned path, anchored at the root of the source whether or not it begins with a slash.
fn anchored(path: &[u8]) -> Vec<u8> {
    let path = clean(path);
    match path.strip_prefix(b"/") {
        Some(rest) if !rest.is_empty() => rest.to_vec(),
        _ => path,
    }
}

/// The shortest equivalent path, by the rules of Go's `filepath.Clean`: no empty component, no `.`,
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

/// The simplest equivalent form. The cases are Docker's, including that `**end` need not begin at a component while
/// `**en?` must.
fn form(path: &[u8], tokens: &[GlobToken]) -> Form {
    let plain = |tokens: &[GlobToken]| tokens.iter().all(|token| matches!(token, GlobToken::Plain(_)));
    match tokens {
        tokens if plain(tokens) => Form::Exact(path.to_vec()),
        [GlobToken::Deep, rest @ ..] if plain(rest) => {
            let end = &path[2..];
            match end.strip_prefix(b"/") {
                Some(name) if !name.contains(&b'/') => Form::Name(name.to_vec()),
                _ => Form::Suffix(end.to_vec()),
            }
        }
        [begin @ .., GlobToken::Deep] if plain(begin) => Form::Prefix(path[..path.len() - 2].to_vec()),
        tokens => Form::Regex(regex(tokens)),
    }
}
