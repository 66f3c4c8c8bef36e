//! Wildcards in the sources of a `COPY`, as Go's `filepath.Match` has them, and the patterns of `--exclude`.

use crate::error::{Error, Result};
use crate::recipe::{CopyFiles, Origin};
use crate::source::ignore::{self, Ignore, NamePattern};

/// The path of a source, split where its wildcards begin.
#[derive(Debug)]
pub(super) struct SourcePath {
    /// The directory that `--parents` leaves out.
    pub pivot: Vec<u8>,
    /// The components before the first wildcard, below the pivot.
    pub literal: Vec<u8>,
    /// The components from the first wildcard on.
    pub wild: Vec<Component>,
}

/// A component of a path with wildcards.
#[derive(Debug)]
pub(super) enum Component {
    /// Any number of directories.
    Deep,
    Name(NamePattern),
}

impl SourcePath {
    /// Splits the path of a source. With `--parents`, `**` matches any number of directories.
    pub fn parse(path: &str, parents: bool, origin: &Origin) -> Result<SourcePath> {
        let path = path.trim_matches('/');
        let (pivot, rest) = match path.split_once("/./").filter(|_| parents) {
            Some((pivot, rest)) => (pivot, rest),
            None => ("", path),
        };
        let rest = if rest == "." { "" } else { rest };
        let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
        let wild = parts.iter().position(|part| has_wildcard(part)).unwrap_or(parts.len());
        let component = |part: &&str| match *part {
            "**" if parents => Ok(Component::Deep),
            part => name(part)
                .map(Component::Name)
                .map_err(|fault| origin.failed(format!("the pattern `{part}` is invalid: {fault}"), None)),
        };
        Ok(SourcePath {
            pivot: pivot.into(),
            literal: parts[..wild].join("/").into(),
            wild: parts[wild..].iter().map(component).collect::<Result<_>>()?,
        })
    }

    /// Whether a path below the literal part matches the wildcards. The path has as many components as it names.
    pub fn matches(&self, path: &[u8]) -> bool {
        let parts: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
        matches(&self.wild, &parts)
    }

    /// Whether something below the directory `path` might match; `path` is below the literal part.
    pub fn may_match_below(&self, path: &[u8]) -> bool {
        let parts: Vec<&[u8]> = path.split(|&byte| byte == b'/').filter(|part| !part.is_empty()).collect();
        may_match_below(&self.wild, &parts)
    }
}

fn matches(wild: &[Component], parts: &[&[u8]]) -> bool {
    match (wild, parts) {
        ([], []) => true,
        ([Component::Deep, rest @ ..], _) => {
            matches(rest, parts) || parts.split_first().is_some_and(|(_, parts)| matches(wild, parts))
        }
        ([Component::Name(name), rest @ ..], [part, parts @ ..]) => {
            name.is_match(part) && matches(rest, parts)
        }
        _ => false,
    }
}

fn may_match_below(wild: &[Component], parts: &[&[u8]]) -> bool {
    match (wild, parts) {
        ([Component::Deep, ..], _) => true,
        ([Component::Name(name), rest @ ..], [part, parts @ ..]) => {
            name.is_match(part) && may_match_below(rest, parts)
        }
        (wild, []) => !wild.is_empty(),
        ([], _) => false,
    }
}

fn name(part: &str) -> std::result::Result<NamePattern, String> {
    // Within one name, `**` is no more than `*`.
    let mut single = part.to_owned();
    while single.contains("**") {
        single = single.replace("**", "*");
    }
    ignore::name_pattern(single.as_bytes())
}

/// Whether a name has a wildcard that no backslash escapes.
fn has_wildcard(name: &str) -> bool {
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'*' | b'?' | b'[' => return true,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
    false
}

/// The patterns of `--exclude`.
pub(super) fn excluded(files: &CopyFiles) -> Result<Option<Ignore>> {
    if files.exclude.is_empty() {
        return Ok(None);
    }
    let CopyFiles { exclude, origin, .. } = files;
    let patterns = Ignore::of_patterns(exclude).map_err(|error| match error {
        Error::IgnorePattern { pattern, fault, .. } => {
            origin.failed(format!("the pattern `{pattern}` of --exclude is invalid: {fault}"), None)
        }
        other => other,
    })?;
    Ok(Some(patterns))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin { file: "Dockerfile".into(), line: 2, column: 1, text: "COPY".into() }
    }

    #[test]
    fn wildcards_match_as_in_go() {
        for (rule, pattern, path, expected) in [
            (91, "*", ".env", true),
            (91, "*.py", "a.py", true),
            (91, "*.py", "d/a.py", false),
            (91, "[a-c]?", "bx", true),
            (91, "[^a]", "a", false),
            (91, "arr[[]0].txt", "arr[0].txt", true),
            (92, "**/*.txt", "x/y.txt", true),
            (92, "**/*.txt", "y.txt", false),
            (92, "**/*.txt", "x/z/y.txt", false),
        ] {
            let source = SourcePath::parse(pattern, false, &origin()).unwrap();
            assert_eq!(source.matches(path.as_bytes()), expected, "rule {rule}: {pattern} {path}");
        }
        let deep = SourcePath::parse("a/./b/**/*.txt", true, &origin()).unwrap();
        assert_eq!((&*deep.pivot, &*deep.literal), (&b"a"[..], &b"b"[..]), "rule 109");
        assert!(deep.matches(b"x.txt") && deep.matches(b"c/d/x.txt") && !deep.matches(b"c/x.md"), "rule 109");
        assert!(SourcePath::parse("[", false, &origin()).is_err(), "rule 91");
        let escaped = SourcePath::parse("a\\*b", false, &origin()).unwrap();
        assert!(escaped.wild.is_empty(), "rule 91");
    }
}
