//! The files of a source directory that stay out of the image: `.lambdaignore`, or `.dockerignore`, with Docker's
//! semantics.
//!
//! * A pattern is anchored at the root of the source; a slash before or after it changes nothing.
//! * `*` and `?` stop at slashes, `**` does not; `[a-z]`, `[^a-z]` and `\` are as in Go's `filepath.Match`.
//! * A match of a directory also holds for everything below it.
//! * `!` makes an exception. The last pattern that matches a path or one of its parents decides.
//! * `#` in the first column starts a comment. A byte order mark and the CR of CRLF line ends are skipped.
//!
//! Sources: <https://docs.docker.com/build/concepts/context/#dockerignore-files>, and `MatchesOrParentMatches` of
//! <https://github.com/moby/patternmatcher>, which this follows wherever the documentation is silent. It departs
//! from that package where the package departs from the documentation: there, a character that a backslash or a
//! class makes literal can keep its meaning in a regex (`\d` matches digits, `[*]` does not match `*`, `a*|b` is an
//! alternative), and a malformed pattern can pass unnoticed. Here the first is literal and the second an error.
//!
//! # Paths that always stay out
//!
//! `.git` at any depth, because neither a repository's history nor a submodule's pointer to it belongs in a
//! function, and, at the root, `.lbuild` (where `lbuild build` puts the image), `lbuild.toml`, `.lambdaignore`
//! and `.dockerignore`: both ignore files, so that the first does not appear in the image when the second is added.
//! No `!` brings them back.
//!
//! # Files
//!
//! * [`Ignore`]: the rules of a directory, and their verdict on a path.
//! * `matcher`: finds the last pattern that matches a path.
//! * `pattern`: one line of the file, and the form in which it is matched; `glob` parses its wildcards.

mod glob;
mod matcher;
mod pattern;
mod rules;

pub(super) use rules::{Ignore, Verdict};

#[cfg(test)]
mod tests;
