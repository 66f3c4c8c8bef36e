//! The rules of a source directory, and their decision about a path.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::matcher::{Matcher, MatcherBuilder};
use super::pattern::Pattern;
use crate::error::{Error, Result};
use crate::source::text;

/// The ignore files. The first that exists is read.
const FILES: [&str; 2] = [".lambdaignore", ".dockerignore"];

/// lbuild's output at the root, which would change the next image.
const OUTPUT: &[u8] = b".lbuild";

/// lbuild's settings at the root.
const SETTINGS: &str = "lbuild.toml";

/// The files that stay out whatever the patterns say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Always {
    /// Those that a function does not need: `.git`, ignore files, and lbuild's own.
    #[default]
    Unneeded,
    /// lbuild's output: the build context of a Dockerfile.
    Output,
    /// None.
    Nothing,
}

/// The compiled patterns of an ignore file.
#[derive(Debug, Default)]
pub struct Ignore {
    patterns: Vec<Pattern>,
    matcher: Matcher,
    /// Paths that always stay out, even if an exception matches them.
    without: HashSet<Vec<u8>>,
    always: Always,
}

/// The patterns' decision about a path. A walk passes a directory's verdict to [`Ignore::below`] for its entries.
///
/// One number suffices because of two rules: a match applies to everything below, and the last match decides. So among
/// the patterns that matched a parent, only the last can matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A name that no pattern can bring back, or a path below one.
    Never,
    /// The last pattern that matched the path or one of its parents.
    Last(Option<usize>),
}

impl Ignore {
    /// The verdict on the root itself, which no pattern can match.
    pub(crate) const ROOT: Verdict = Verdict::Last(None);

    /// No patterns: only the paths that always stay out are ignored.
    pub fn none() -> Ignore {
        Ignore::default()
    }

    /// The same patterns; in addition, these paths always stay out.
    pub(crate) fn without(self, paths: &[String]) -> Ignore {
        let without = paths.iter().map(|path| path.trim_matches('/').as_bytes().to_vec()).collect();
        Ignore { without, ..self }
    }

    /// Reads the ignore file of the source directory `root`: `.lambdaignore`, else `.dockerignore`, else none.
    ///
    /// # Errors
    /// When the file cannot be read, and those of [`Ignore::parse`].
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

    /// Reads the first of these files that exists, for a build context. Also returns its path.
    ///
    /// # Errors
    /// As [`load`](Ignore::load).
    pub(crate) fn of_context(files: &[PathBuf]) -> Result<(Ignore, Option<PathBuf>)> {
        for path in files {
            match fs::read(path) {
                Ok(text) => {
                    let patterns = Ignore::parse(&text, path)?;
                    return Ok((Ignore { always: Always::Output, ..patterns }, Some(path.clone())));
                }
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
                Err(source) => return Err(Error::Read { path: path.clone(), source }),
            }
        }
        Ok((Ignore { always: Always::Output, ..Ignore::none() }, None))
    }

    /// These patterns, one each.
    ///
    /// # Errors
    /// At the first pattern that is not valid.
    pub(crate) fn of_patterns(patterns: &[String]) -> Result<Ignore> {
        let parsed = Ignore::parse(patterns.join("\n").as_bytes(), Path::new("--exclude"))?;
        Ok(Ignore { always: Always::Nothing, ..parsed })
    }

    /// Reads the text of an ignore file. `name` is the file's name in errors.
    ///
    /// # Errors
    /// At the first line whose pattern is not valid, and for UTF-16 or UTF-32 that is not.
    pub fn parse(text: &[u8], name: &Path) -> Result<Ignore> {
        let not_text = |fault| Error::NotText { path: name.to_owned(), fault };
        let text = text::recoded(text.to_vec()).map_err(not_text)?;
        let (mut patterns, mut matcher) = (Vec::new(), MatcherBuilder::default());
        let mut last_line = 1;
        for (number, line) in (1..).zip(text.split(|&b| b == b'\n')) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let Some(pattern) = Pattern::parse(line).map_err(|fault| invalid(name, number, line, fault))?
            else {
                continue;
            };
            last_line = number;
            matcher.add(&pattern.form, patterns.len());
            patterns.push(pattern);
        }
        // Each regex is small and valid, so the set can fail only because of its size.
        let matcher = matcher
            .build()
            .map_err(|_| invalid(name, last_line, b"*", "the file has too many patterns with wildcards"))?;
        Ok(Ignore { patterns, matcher, ..Ignore::default() })
    }

    /// Whether `path`, relative to the root and without slashes at its ends, stays out of the image.
    ///
    /// A directory that stays out is nevertheless in the image if an exception brings back a path below it.
    pub fn is_ignored(&self, path: &[u8]) -> bool {
        self.ignores(self.verdict(path))
    }

    /// The verdict on `path`, computed from the verdicts on all its parents.
    pub(crate) fn verdict(&self, path: &[u8]) -> Verdict {
        let slashes = (0..path.len()).filter(|&i| path[i] == b'/');
        slashes.chain([path.len()]).fold(Ignore::ROOT, |verdict, end| self.below(verdict, &path[..end]))
    }

    /// The verdict on `path`, given the verdict on its directory.
    pub(crate) fn below(&self, parent: Verdict, path: &[u8]) -> Verdict {
        let Verdict::Last(inherited) = parent else { return Verdict::Never };
        let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
        let own = || path == OUTPUT || FILES.iter().chain([&SETTINGS]).any(|own| path == own.as_bytes());
        let is_left_out = match self.always {
            Always::Unneeded => name == b".git" || own() || self.without.contains(path),
            Always::Output => path == OUTPUT,
            Always::Nothing => false,
        };
        if is_left_out {
            return Verdict::Never;
        }
        // `None` is less than any index.
        Verdict::Last(inherited.max(self.matcher.last_match(path, name)))
    }

    /// Whether the verdict means that the path stays out.
    pub(crate) fn ignores(&self, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Never => true,
            Verdict::Last(place) => place.is_some_and(|place| !self.patterns[place].exception),
        }
    }

    /// Whether a walk can skip the directory `dir`: it stays out, and no exception can match below it.
    pub(crate) fn can_prune(&self, verdict: Verdict, dir: &[u8]) -> bool {
        let Verdict::Last(place) = verdict else { return true };
        let later = place.map_or(0, |place| place + 1);
        self.ignores(verdict)
            && !self.patterns[later..].iter().any(|pattern| pattern.exception && pattern.can_match_below(dir))
    }
}

fn invalid(path: &Path, line: usize, pattern: &[u8], fault: &'static str) -> Error {
    let pattern = String::from_utf8_lossy(pattern.trim_ascii()).into_owned();
    Error::IgnorePattern { path: path.to_owned(), line, pattern, fault }
}
