//! The files of a source directory that are not packed: `.lambdaignore`, or `.dockerignore`, with Docker's semantics.
//!
//! * A pattern is anchored at the root of the source; a slash before or after it changes nothing.
//! * `*` and `?` stop at slashes, `**` does not; `[a-z]`, `[^a-z]` and `\` are as in Go's `filepath.Match`.
//! * A match of a directory also applies to everything below it.
//! * `!` makes an exception. The last pattern that matches a path or one of its parents decides.
//! * `#` in the first column starts a comment. A byte order mark and the CR of CRLF line ends are skipped, and UTF-16 is
//!   read as well: PowerShell writes it.
//!
//! Sources: <https://docs.docker.com/build/concepts/context/#dockerignore-files>, and `MatchesOrParentMatches` of
//! <https://github.com/moby/patternmatcher>. This module follows that package wherever the documentation says nothing,
//! and the documentation where the package contradicts it: there, a character that a backslash or a class makes literal
//! can keep its meaning in a regex (`\d` matches digits, `[*]` does not match `*`, `a*|b` is an alternative), and a
//! malformed pattern can pass unnoticed. Here such a character is literal, and a malformed pattern is an error.
//!
//! # Paths that are always excluded
//!
//! * `.git` at any depth: a function needs neither a repository's history nor a submodule's pointer to it.
//! * `.lbuild` at the root, where `lbuild build` puts the image.
//! * `lbuild.toml`, `.lambdaignore` and `.dockerignore` at the root. Both ignore files are left out, so that
//!   `.dockerignore` does not appear in the image when a `.lambdaignore` is added.
//!
//! A pattern with `!` does not include these paths. In the build context of a Dockerfile, only `.lbuild` is
//! always excluded.
//!
//! # Files
//!
//! * [`Ignore`]: the rules of a directory, which include or exclude a path.
//! * `matcher`: finds the last pattern that matches a path.
//! * `pattern`: one line of an ignore file, and the form in which it is matched; `glob` parses its wildcards.

mod glob;
mod matcher;
mod pattern;
mod rules;

pub(super) use rules::{Ignore, Verdict};

/// A pattern for one name of a path.
#[derive(Debug)]
pub(super) struct NamePattern(regex::bytes::Regex);

/// The pattern, which has no slashes.
///
/// # Errors
/// The reason why the pattern is not valid.
pub(super) fn name_pattern(pattern: &[u8]) -> Result<NamePattern, String> {
    let tokens = glob::tokens(pattern)?;
    regex::bytes::Regex::new(&glob::regex(&tokens)).map(NamePattern).map_err(|error| error.to_string())
}

impl NamePattern {
    /// Whether the name matches. A byte that is not UTF-8 counts as one character, as in Go.
    pub(super) fn is_match(&self, name: &[u8]) -> bool {
        match std::str::from_utf8(name) {
            Ok(_) => self.0.is_match(name),
            Err(_) => self.0.is_match(glob::characters(name).collect::<String>().as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests;
