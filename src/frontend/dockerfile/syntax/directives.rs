//! The directives at the top: `# syntax=`, `# escape=`, `# check=`.

use super::text::Word;
use crate::frontend::fault::{Fault, Parsed};

/// The directives of a Dockerfile.
#[derive(Debug)]
pub(in crate::frontend) struct Directives {
    pub escape: char,
    pub check: Check,
}

/// `# check=skip=RULE,RULE;error=true`: what to do about warnings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::frontend) struct Check {
    pub skip_all: bool,
    /// Names of rules whose warnings are dropped, in lower case.
    pub skip: Vec<String>,
    /// Whether a warning is an error.
    pub error: bool,
}

/// Reads one directive after another, until a line is none.
pub(super) struct Reader {
    pub found: Directives,
    names: Vec<&'static str>,
    done: bool,
}

const NAMES: [&str; 3] = ["syntax", "escape", "check"];

impl Reader {
    pub fn new() -> Reader {
        let found = Directives { escape: '\\', check: Check::default() };
        Reader { found, names: Vec::new(), done: false }
    }

    /// Reads a line without leading blanks that begins at `at`. A line that is not a directive ends them.
    pub fn line(&mut self, line: &str, at: usize) -> Parsed<()> {
        if self.done {
            return Ok(());
        }
        let Some((name, value)) = directive(line, at, "#") else {
            self.done = true;
            return Ok(());
        };
        if self.names.contains(&name) {
            return Err(Fault::new(at, format!("the directive `{name}` is given twice")));
        }
        self.names.push(name);
        match name {
            "syntax" => syntax(&value),
            "escape" => match &*value.text {
                r"\" | "`" => {
                    self.found.escape = if value.text == "`" { '`' } else { '\\' };
                    Ok(())
                }
                other => Err(Fault::new(value.at, format!("invalid escape character `{other}`"))
                    .hint(r"it is either `\` or a backtick")),
            },
            _ => {
                self.found.check = check(&value)?;
                Ok(())
            }
        }
    }
}

/// A directive `NAME = VALUE` in a comment.
fn directive(line: &str, at: usize, comment: &str) -> Option<(&'static str, Word)> {
    let text = line.strip_prefix(comment)?.trim_start();
    let (name, value) = text.split_once('=')?;
    let name = name.trim_end().to_ascii_lowercase();
    let name = NAMES.into_iter().find(|known| *known == name)?;
    let value = value.trim();
    let offset = line.len() - text.len() + text.find(value)?;
    (!value.is_empty()).then(|| (name, Word { text: value.to_owned(), at: at + offset }))
}

/// Refuses a front-end other than Docker's own, which this one implements.
fn syntax(value: &Word) -> Parsed<()> {
    let image = value.text.split(' ').next().unwrap_or_default();
    let name = image.split('@').next().unwrap_or_default();
    let name = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    };
    // A registry may be in front: a mirror of Docker Hub.
    let mut parts = name.rsplit('/');
    match (parts.next(), parts.next()) {
        (Some("dockerfile" | "dockerfile-upstream"), Some("docker")) => Ok(()),
        _ => Err(Fault::new(value.at, format!("unknown front-end `{image}`")).hint(
            "lbuild reads the language of docker/dockerfile; remove the line if the file needs no other",
        )),
    }
}

fn check(value: &Word) -> Parsed<Check> {
    let mut check = Check::default();
    for option in value.text.split(';').map(str::trim).filter(|option| !option.is_empty()) {
        match option.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
            Some(("skip", "all")) => check.skip_all = true,
            Some(("skip", rules)) => {
                check.skip = rules.split(',').map(|rule| rule.trim().to_ascii_lowercase()).collect();
            }
            // BuildKit's experimental rules have no counterpart here.
            Some(("experimental", _)) => {}
            Some(("error", value @ ("true" | "false"))) => check.error = value == "true",
            _ => {
                return Err(Fault::new(value.at, format!("invalid check option `{option}`"))
                    .hint("write skip=all, skip=RULE,RULE or error=true"));
            }
        }
    }
    Ok(check)
}

/// Refuses another front-end that is named in a form that only BuildKit's detection knows: after a line `#!`, or in a
/// comment with `//`.
pub(super) fn refuse_other_syntax(text: &str, start: usize) -> Parsed<()> {
    let (mut at, mut rest) = (start, text);
    if rest.starts_with("#!") {
        let end = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
        (at, rest) = (at + end, &rest[end..]);
    }
    let comment = if rest.starts_with("//") { "//" } else { "#" };
    for line in rest.split_inclusive('\n') {
        match directive(line.trim_end(), at, comment) {
            None => break,
            Some(("syntax", value)) => return syntax(&value),
            Some(_) => at += line.len(),
        }
    }
    Ok(())
}
