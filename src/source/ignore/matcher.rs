//! Finds the last pattern that matches a path, without testing each pattern.

use std::collections::HashMap;
use std::str;

use regex::bytes::{RegexSet, RegexSetBuilder};

use super::glob::characters;
use super::pattern::Form;

/// Upper bound on the compiled size of all patterns with wildcards, in bytes; about ten thousand of them fit.
const MAX_REGEX_BYTES: usize = 256 << 20;

/// Size of the regex engine's state cache per thread, in bytes; when it is full, matching slows down.
const DFA_BYTES: usize = 16 << 20;

/// Patterns grouped by form, each with its place, its index in the file. Only the last of several equal patterns is
/// kept: the others have no effect.
#[derive(Debug, Default)]
pub(super) struct Matcher {
    exact: HashMap<Vec<u8>, usize>,
    names: HashMap<Vec<u8>, usize>,
    prefixes: Vec<(Vec<u8>, usize)>,
    suffixes: Vec<(Vec<u8>, usize)>,
    regexes: RegexSet,
    regex_places: Vec<usize>,
}

/// A [`Matcher`] whose regexes are not compiled yet.
#[derive(Debug, Default)]
pub(super) struct MatcherBuilder {
    matcher: Matcher,
    regexes: Vec<String>,
}

impl MatcherBuilder {
    /// Adds a pattern. The places must be in ascending order.
    pub(super) fn add(&mut self, form: &Form, place: usize) {
        let matcher = &mut self.matcher;
        match form {
            Form::Exact(path) => drop(matcher.exact.insert(path.clone(), place)),
            Form::Name(name) => drop(matcher.names.insert(name.clone(), place)),
            Form::Prefix(begin) => matcher.prefixes.push((begin.clone(), place)),
            Form::Suffix(end) => matcher.suffixes.push((end.clone(), place)),
            Form::Regex(regex) => {
                self.regexes.push(regex.clone());
                matcher.regex_places.push(place);
            }
        }
    }

    /// # Errors
    /// When the regexes together are too large.
    pub(super) fn build(self) -> Result<Matcher, regex::Error> {
        let regexes = RegexSetBuilder::new(&self.regexes)
            .size_limit(MAX_REGEX_BYTES)
            .dfa_size_limit(DFA_BYTES)
            .build()?;
        Ok(Matcher { regexes, ..self.matcher })
    }
}

impl Matcher {
    /// The place of the last pattern that matches `path`, whose last component is `name`.
    pub(super) fn last_match(&self, path: &[u8], name: &[u8]) -> Option<usize> {
        let matched = |list: &[(Vec<u8>, usize)], test: fn(&[u8], &[u8]) -> bool| {
            list.iter().rev().find(|(fixed, _)| test(path, fixed)).map(|(_, place)| *place)
        };
        // `None` is less than any place.
        (self.exact.get(path).copied())
            .max(self.names.get(name).copied())
            .max(matched(&self.prefixes, <[u8]>::starts_with))
            .max(matched(&self.suffixes, ends_at))
            .max(self.last_regex(path))
    }

    fn last_regex(&self, path: &[u8]) -> Option<usize> {
        if self.regex_places.is_empty() {
            return None;
        }
        let matches = match str::from_utf8(path) {
            Ok(_) => self.regexes.matches(path),
            Err(_) => self.regexes.matches(characters(path).collect::<String>().as_bytes()),
        };
        matches.iter().next_back().map(|i| self.regex_places[i])
    }
}

/// Whether `path` ends in `end`. `**/a/b` also matches `a/b`, which has no slash before it.
fn ends_at(path: &[u8], end: &[u8]) -> bool {
    path.ends_with(end) || end.strip_prefix(b"/") == Some(path)
}
