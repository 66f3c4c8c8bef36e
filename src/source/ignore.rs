//! What a source directory keeps to itself: `.lambdaignore`, or `.dockerignore`, with Docker's own semantics.
//!
//! * A pattern is anchored at the root of the source; a slash before or after it changes nothing.
//! * `*` and `?` stop at slashes, `**` does not; `[a-z]`, `[^a-z]` and `\` are as in Go's `filepath.Match`.
//! * What matches a directory also holds for everything below it.
//! * `!` makes an exception, and of all patterns that match a path or one of its parents, the last decides.
//! * `#` in the first column is a comment. A byte order mark and CRLF line ends are read over.
//!
//! Sources: <https://docs.docker.com/build/concepts/context/#dockerignore-files>, and `MatchesOrParentMatches` of
//! <https://github.com/moby/patternmatcher>, which this follows wherever the documentation is silent. It departs
//! from that package where the package departs from the documentation: there, what a backslash or a class
//! should make literal can keep its meaning in a regex (`\d` matches digits, `[*]` matches no `*`, `a*|b` is an
//! alternative), and a malformed pattern can pass unnoticed. Here the one is literal and the other an error.
//!
//! # What always stays out
//!
//! `.git` at any depth, since neither a repository's history nor a submodule's pointer to it belongs in a
//! function, and, at the root, `.lbuild` (where `lbuild build` puts the image), `lbuild.toml`, `.lambdaignore`
//! and `.dockerignore`: both, so that the one does not appear in the image when the other is added. No `!` brings
//! them back.

mod pattern;

use std::collections::{HashMap, HashSet};
use std::io::ErrorKind;
use std::path::Path;
use std::{fs, str};

use regex::bytes::{RegexSet, RegexSetBuilder};

use crate::error::{Error, Result};
use pattern::{Form, Pattern};

/// The ignore files, the first of which that exists is read.
const FILES: [&str; 2] = [".lambdaignore", ".dockerignore"];
/// What is lbuild's own, at the root.
const OWN: [&str; 2] = [".lbuild", "lbuild.toml"];

/// What all patterns with wildcards may compile to; some ten thousand of them fit.
const MAX_REGEX_BYTES: usize = 256 << 20;

/// The regex engine's cache of states per thread; beyond it, matching slows down.
const DFA_BYTES: usize = 16 << 20;

/// The patterns of an ignore file, ready to match.
#[derive(Debug, Default)]
pub struct Ignore {
    patterns: Vec<Pattern>,
    /// Each form by itself, with the pattern's place in the file. Of equal patterns only the last can decide.
    exact: HashMap<Vec<u8>, usize>,
    names: HashMap<Vec<u8>, usize>,
    prefixes: Vec<(Vec<u8>, usize)>,
    suffixes: Vec<(Vec<u8>, usize)>,
    regexes: RegexSet,
    regex_places: Vec<usize>,
    /// Paths that stay out whatever the patterns say.
    without: HashSet<Vec<u8>>,
}

/// What the patterns say of a path. A walk hands a directory's verdict to [`Ignore::below`] for its entries.
///
/// That one number suffices follows from the two rules: a match holds for everything below, and the last
/// match decides. So of all patterns that matched on the way down, only the last can ever matter again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// One of the names that no pattern can bring back, or below one.
    Never,
    /// The last pattern that matched the path or one of its parents.
    Last(Option<usize>),
}

impl Ignore {
    /// No patterns: only what always stays out is ignored.
    pub fn none() -> Ignore {
        Ignore::default()
    }

    /// The same, with these paths kept out whatever the patterns say.
    pub(crate) fn without(self, paths: &[String]) -> Ignore {
        let without = paths.iter().map(|path| path.trim_matches('/').as_bytes().to_vec()).collect();
        Ignore { without, ..self }
    }

    /// Reads the ignore file of the source directory `root`: `.lambdaignore`, else `.dockerignore`, else none.
    ///
    /// # Errors
    /// When the file cannot be read, or as [`Ignore::parse`].
    pub fn load(root: &Path) -> Result<Ignore> {
        for path in FILES.map(|name| root.join(name)) {
            match fs::read(&path) {
                Ok(text) => return Ignore::parse(&text, &path),
                // The source may be a single file.
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
                Err(source) => return Err(Error::Read { path, source }),
            }
        }
        Ok(Ignore::none())
    }

    /// Reads the text of an ignore file; `name` is what an error calls it.
    ///
    /// # Errors
    /// At the first line that holds no valid pattern.
    pub fn parse(text: &[u8], name: &Path) -> Result<Ignore> {
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        let mut ignore = Ignore::none();
        let mut regexes = Vec::new();
        let mut last_line = 1;
        for (number, line) in (1..).zip(text.split(|&b| b == b'\n')) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let Some(pattern) = Pattern::parse(line).map_err(|fault| invalid(name, number, line, fault))?
            else {
                continue;
            };
            last_line = number;
            let place = ignore.patterns.len();
            match &pattern.form {
                Form::Exact(path) => drop(ignore.exact.insert(path.clone(), place)),
                Form::Name(name) => drop(ignore.names.insert(name.clone(), place)),
                Form::Prefix(begin) => ignore.prefixes.push((begin.clone(), place)),
                Form::Suffix(end) => ignore.suffixes.push((end.clone(), place)),
                Form::Regex(regex) => {
                    regexes.push(regex.clone());
                    ignore.regex_places.push(place);
                }
            }
            ignore.patterns.push(pattern);
        }
        // Each regex is valid by itself and small, so the set can only fail by its size.
        ignore.regexes = RegexSetBuilder::new(&regexes)
            .size_limit(MAX_REGEX_BYTES)
            .dfa_size_limit(DFA_BYTES)
            .build()
            .map_err(|_| invalid(name, last_line, b"*", "one wildcard too many: the file is too large"))?;
        Ok(ignore)
    }

    /// Whether `path`, relative to the root and without slashes at its ends, stays out of the image.
    ///
    /// A directory that stays out is in the image all the same when something below it is brought back.
    pub fn is_ignored(&self, path: &[u8]) -> bool {
        self.ignores(self.verdict(path))
    }

    /// The verdict on `path`, by way of all its parents.
    pub(crate) fn verdict(&self, path: &[u8]) -> Verdict {
        let slashes = (0..path.len()).filter(|&i| path[i] == b'/');
        slashes.chain([path.len()]).fold(Ignore::ROOT, |verdict, end| self.below(verdict, &path[..end]))
    }

    /// The verdict on the root itself, which no pattern can match.
    pub(crate) const ROOT: Verdict = Verdict::Last(None);

    /// The verdict on `path`, given that on the directory which holds it.
    pub(crate) fn below(&self, parent: Verdict, path: &[u8]) -> Verdict {
        let Verdict::Last(inherited) = parent else { return Verdict::Never };
        let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
        let own = || OWN.iter().chain(&FILES).any(|own| path == own.as_bytes());
        if name == b".git" || own() || self.without.contains(path) {
            return Verdict::Never;
        }
        // `None` is less than any place.
        let matched = |list: &[(Vec<u8>, usize)], test: fn(&[u8], &[u8]) -> bool| {
            list.iter().rev().find(|(fixed, _)| test(path, fixed)).map(|(_, place)| *place)
        };
        Verdict::Last(
            inherited
                .max(self.exact.get(path).copied())
                .max(self.names.get(name).copied())
                .max(matched(&self.prefixes, <[u8]>::starts_with))
                .max(matched(&self.suffixes, ends_at))
                .max(self.last_regex(path)),
        )
    }

    /// Whether the verdict means that the path stays out.
    pub(crate) fn ignores(&self, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Never => true,
            Verdict::Last(place) => place.is_some_and(|place| !self.patterns[place].exception),
        }
    }

    /// Whether a walk can pass by the directory `dir`: it stays out, and no exception can match below it.
    pub(crate) fn can_prune(&self, verdict: Verdict, dir: &[u8]) -> bool {
        let Verdict::Last(place) = verdict else { return true };
        let later = place.map_or(0, |place| place + 1);
        self.ignores(verdict)
            && !self.patterns[later..].iter().any(|pattern| pattern.exception && pattern.can_match_below(dir))
    }

    fn last_regex(&self, path: &[u8]) -> Option<usize> {
        if self.regex_places.is_empty() {
            return None;
        }
        let matches = match str::from_utf8(path) {
            Ok(_) => self.regexes.matches(path),
            Err(_) => self.regexes.matches(pattern::characters(path).collect::<String>().as_bytes()),
        };
        matches.iter().next_back().map(|i| self.regex_places[i])
    }
}

fn invalid(path: &Path, line: usize, pattern: &[u8], fault: &'static str) -> Error {
    let pattern = String::from_utf8_lossy(pattern.trim_ascii()).into_owned();
    Error::IgnorePattern { path: path.to_owned(), line, pattern, fault }
}

/// `**/a/b` matches `a/b` too, though it has no slash to match.
fn ends_at(path: &[u8], end: &[u8]) -> bool {
    path.ends_with(end) || end.strip_prefix(b"/") == Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignore(lines: &[&str]) -> Ignore {
        Ignore::parse(lines.join("\n").as_bytes(), Path::new(".lambdaignore")).unwrap()
    }

    #[track_caller]
    fn check(lines: &[&str], out: &[&str], kept: &[&str]) {
        let ignore = ignore(lines);
        for path in out {
            assert!(ignore.is_ignored(path.as_bytes()), "{lines:?} should keep {path:?} out");
        }
        for path in kept {
            assert!(!ignore.is_ignored(path.as_bytes()), "{lines:?} should let {path:?} in");
        }
    }

    #[test]
    fn patterns_start_at_the_root_and_hold_for_what_is_below() {
        check(&["a"], &["a", "a/b", "a/b/c"], &["b/a", "ab", "A", ""]);
        check(&["a/b"], &["a/b", "a/b/c"], &["a", "b", "a/bc", "x/a/b"]);
        for same in ["/a/b", "a/b/", "//a//b", "./a/./b", "a/x/../b", "  a/b\t", "/../a/b", "../../a/b"] {
            let anchored = !same.starts_with("..");
            assert_eq!(ignore(&[same]).is_ignored(b"a/b"), anchored, "{same}");
        }
        check(&["/", ".", "./"], &[], &["a", "a/b"]);
    }

    #[test]
    fn wildcards_stop_at_slashes() {
        check(&["*"], &["a", "a/b", ".a"], &[]);
        check(&["*.py"], &["a.py", ".py", "a.py/b"], &["d/a.py", "a.pyc", "apy"]);
        check(&["d/*"], &["d/a", "d/a/b"], &["d", "a"]);
        check(&["d/*/c"], &["d/x/c", "d/x/c/e"], &["d/c", "d/x/y/c", "d/x"]);
        check(&["a?c"], &["abc", "a\u{e9}c", "a\nc"], &["ac", "abbc", "a/c"]);
        check(&["*a*b*"], &["ab", "xaybz"], &["ba", "a/b"]);
    }

    #[test]
    fn two_stars_match_any_number_of_directories() {
        check(&["**"], &["a", "a/b"], &[]);
        check(&["**/"], &["a", "a/b"], &[]);
        check(&["**/**"], &["a", "a/b"], &[]);
        check(&["**/a"], &["a", "x/a", "x/y/a", "x/a/b"], &["xa", "ab"]);
        check(&["**/a/b"], &["a/b", "x/a/b", "x/y/a/b/c"], &["b", "xa/b", "a/x/b"]);
        check(&["a/**"], &["a/b", "a/b/c"], &["a", "ab/c"]);
        check(&["a/**/b"], &["a/b", "a/x/b", "a/x/y/b"], &["a", "a/x", "axb", "b"]);
        check(&["**/*.py"], &["a.py", "x/y/a.py"], &["a.pyc"]);
        check(&["a/**/**/*.py"], &["a/b.py", "a/x/y/b.py"], &["b.py"]);
        check(&["a/*.txt**"], &["a/b.txt", "a/b.txt.d/c"], &["a/x/b.txt", "b.txt"]);
        check(&["***"], &["a", "a/b"], &[]);
    }

    /// Docker's own, documented nowhere: `**` next to other characters.
    #[test]
    fn two_stars_beside_characters_are_as_in_docker() {
        check(&["**.py"], &["a.py", "x/a.py"], &["a.pyc"]);
        check(&["**.py[co]"], &[".pyc", "x/.pyo"], &["a.pyc"]);
        check(&["a**"], &["a", "ab", "a/b", "ab/c"], &["b", "ba"]);
        check(&["a**b"], &["ab", "ax/b"], &["axb", "b"]);
        check(&["**\\a", "**b]"], &["a", "x/a", "b]", "x/b]"], &["xa", "xb]"]);
    }

    #[test]
    fn classes_have_ranges_and_negation() {
        check(&["a[bd-f]g"], &["abg", "adg", "aeg", "afg"], &["acg", "ag", "abdg", "a/g"]);
        check(&["a[^bd-f]g"], &["acg", "azg", "a/g", "a\u{e9}g"], &["abg", "aeg", "ag"]);
        check(&["[\\]\\-\\\\]"], &["]", "-", "\\"], &["a", "["]);
        check(&["[*?.]"], &["*", "?", "."], &["a"]);
        check(&["[\u{3b1}-\u{3c9}]"], &["\u{3b2}"], &["b"]);
        check(&["[!a]"], &["!", "a"], &["b"]);
    }

    #[test]
    fn a_backslash_and_a_regexs_own_characters_are_literal() {
        check(&["\\*", "a\\?"], &["*", "a?"], &["a", "ab"]);
        check(&["\\#a", "\\!b"], &["#a", "!b"], &["a", "b"]);
        check(
            &["\\d*", "a*|b", "(c)*", "q.e*", "f{2}*", "g+*", "^h*$"],
            &["d", "a|b", "(c)", "q.e", "f{2}"],
            &["5", "b", "qxe", "ff"],
        );
        check(&["a]", "*]"], &["a]", "x]"], &["a"]);
    }

    #[test]
    fn the_last_pattern_that_matches_decides() {
        check(&["*.md", "!README.md"], &["a.md"], &["README.md"]);
        check(&["!README.md", "*.md"], &["README.md"], &[]);
        check(
            &["docs", "!docs/a", "docs/a/b"],
            &["docs/x", "docs/a/b", "docs/a/b/c"],
            &["docs/a", "docs/a/c"],
        );
        check(&["*", "!src", "!*.py"], &["a", "x/a.py"], &["src/a/b", "a.py"]);
        check(&["**", "!x/y"], &["x", "x/z"], &["x/y", "x/y/z"]);
        check(&["a**", "!ab**", "**c", "!**bc"], &["a", "ac", "xc"], &["abd", "abc", "xbc"]);
        // An exception for a directory outlives a pattern before it for something inside.
        check(&["a/b", "!a"], &[], &["a", "a/b"]);
        check(&["a", "! b ", "b", "!/a/"], &["b"], &["a"]);
    }

    #[test]
    fn lines_are_read_as_docker_reads_them() {
        check(&["# a", "#a", "", "  ", "b"], &["b"], &["# a", "#a", "a", ""]);
        check(&[" #a"], &["#a"], &["a"]);
        check(&["\u{feff}a\r", "b \r", "\r", "c"], &["a", "b", "c"], &["a\r"]);
        check(&["\u{feff}# a"], &[], &["# a"]);
        // Trimmed and cleaned twice.
        check(&["/ a", "b /", "\u{a0}c"], &["a", "b", "c"], &[" a", "b "]);
        check(&["*", "/!a"], &["b", "!a"], &["a"]);
    }

    #[test]
    fn names_that_are_no_utf8_match() {
        let ignore = Ignore::parse(b"a\xff\nb*\xfe\nc?c\n**/\xfd", Path::new("i")).unwrap();
        for path in [&b"a\xff"[..], b"b\xff\xfe", b"c\xffc", b"x\xff/\xfd"] {
            assert!(ignore.is_ignored(path), "{path:?}");
        }
        for path in [&b"a\xfe"[..], b"c\xff\xffc", b"a"] {
            assert!(!ignore.is_ignored(path), "{path:?}");
        }
    }

    #[test]
    fn a_malformed_pattern_names_its_line() {
        for bad in [
            "!", "! ", "!/", "a\\", "[", "a[", "[]", "[]a]", "[^]", "[a", "[a-", "[a-]", "[-a]", "[b-a]",
            "[a\\", "*[-x]",
        ] {
            let text = format!("# first\r\nfine\r\n{bad}\r\nfine");
            let error = Ignore::parse(text.as_bytes(), Path::new("d/.dockerignore")).unwrap_err();
            let expected = format!("d/.dockerignore:3: invalid pattern `{}`: ", bad.trim());
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
    }

    #[test]
    fn some_names_always_stay_out() {
        let always = [
            ".git",
            ".git/config",
            "a/.git",
            "a/.git/x",
            ".lbuild",
            ".lbuild/image/x",
            "lbuild.toml",
            ".lambdaignore",
            ".dockerignore",
        ];
        let never = [".gitignore", ".github/x", "a/lbuild.toml", "a/.dockerignore", "x.git"];
        check(&[], &always, &never);
        check(&["*", "!**", "!.git", "!lbuild.toml", "!.lambdaignore", "!**/.git/**"], &always, &never);
        assert!(ignore(&["!**"]).can_prune(ignore(&["!**"]).verdict(b"a/.git"), b"a/.git"));
    }

    #[test]
    fn the_first_ignore_file_is_taken() {
        let root = tempfile::tempdir().unwrap();
        assert!(!Ignore::load(root.path()).unwrap().is_ignored(b"a"));
        fs::write(root.path().join(".dockerignore"), "a").unwrap();
        assert!(Ignore::load(root.path()).unwrap().is_ignored(b"a"));
        fs::write(root.path().join(".lambdaignore"), "b").unwrap();
        let both = Ignore::load(root.path()).unwrap();
        assert!(both.is_ignored(b"b") && !both.is_ignored(b"a"));
        assert!(Ignore::load(&root.path().join(".lambdaignore")).is_ok(), "a single file has no ignore file");
    }

    #[test]
    fn a_walk_passes_by_what_it_can() {
        let prunes = |lines: &[&str], dir: &str| {
            let ignore = ignore(lines);
            ignore.can_prune(ignore.verdict(dir.as_bytes()), dir.as_bytes())
        };
        assert!(prunes(&["a"], "a") && !prunes(&["a"], "b"));
        assert!(prunes(&["*", "!src/*.py", "!*.md"], "node_modules") && !prunes(&["*", "!src/*.py"], "src"));
        assert!(prunes(&["*", "!src/*.py"], "src/deep"), "no exception reaches that deep");
        assert!(prunes(&["!a/b", "a"], "a"), "an exception before the pattern is void");
        assert!(
            !prunes(&["a", "!a/b"], "a") && prunes(&["a", "!a/b"], "a/c") && !prunes(&["a", "!a/b"], "a/b")
        );
        assert!(!prunes(&["a", "!**/b"], "a/x/y") && !prunes(&["a", "!a/x**"], "a"));
        assert!(prunes(&["a", "a/b", "!c"], "a"), "only an exception is a reason to look");
        assert!(!prunes(&["a", "!a[^b]c"], "a"), "a class may match a slash");
        // U+FFFD in a pattern with wildcards stands for any byte that is no UTF-8.
        let ignore = ignore(&["*", "!a\u{fffd}/?"]);
        assert!(!ignore.is_ignored(b"a\xff/b") && !ignore.can_prune(ignore.verdict(b"a\xff"), b"a\xff"));
        assert!(ignore.can_prune(ignore.verdict(b"b"), b"b"));
    }

    /// Random patterns and paths over a few letters, so that they often meet.
    #[test]
    fn a_walk_never_passes_by_what_an_exception_brings_back() {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut random = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % below as u64).unwrap()
        };
        let atoms = ["a", "b", "/", "/", "*", "**", "**/", "?", "[ab]", "[^a]", "\\a", "\\/", "\u{fffd}"];
        let names: [&[u8]; 5] = [b"a", b"b", b"ab", b"a\xffb", b"ba"];
        let mut kept = 0;
        for _ in 0..1500 {
            let lines: Vec<String> = (0..1 + random(4))
                .map(|_| {
                    let mark = if random(2) == 0 { "!" } else { "" };
                    (0..1 + random(5)).fold(mark.to_owned(), |line, _| line + atoms[random(atoms.len())])
                })
                .collect();
            let text = ["*", &lines.join("\n")].join("\n");
            let Ok(ignore) = Ignore::parse(text.as_bytes(), Path::new("i")) else { continue };
            for _ in 0..20 {
                let path: Vec<_> = (0..1 + random(4)).map(|_| names[random(names.len())]).collect();
                let path = path.join(&b'/');
                if ignore.is_ignored(&path) {
                    continue;
                }
                kept += 1;
                for end in (0..path.len()).filter(|&i| path[i] == b'/') {
                    let dir = &path[..end];
                    assert!(
                        !ignore.can_prune(ignore.verdict(dir), dir),
                        "{text:?} hides {path:?} in {dir:?}"
                    );
                }
            }
        }
        assert!(kept > 1000, "only {kept} paths put the rule to the test");
    }
}
