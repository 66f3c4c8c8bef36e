//! What Lambda starts in an image, and where programs are looked for by their names.

use std::collections::BTreeSet;

use super::case::{Case, Seen};
use super::facts::MAX_PATH;
use super::finding::Severity;
use super::function::join;
use super::package::is_loaded;
use crate::lambda::BOOTSTRAP;
use crate::lambda::base::{ENTRY_SCRIPT, starts_with_entry_script};

/// Whether the image starts with the entry script of AWS's bases, as far as it can be told: others call theirs the
/// same, and some put their own in its place.
pub fn has_aws_entry(case: &Case<'_>) -> bool {
    let is_replaced = case.files.hidden().iter().any(|hidden| hidden.file.member.path == ENTRY_SCRIPT[1..]);
    let starts = ["usr/local/bin/aws-lambda-rie", "var/runtime/bootstrap"];
    let has_base = !case.files.complete || starts.iter().any(|path| case.files.get(path).is_some());
    starts_with_entry_script(case.config) && !is_replaced && has_base
}

/// Whether the image has the entry script of AWS's bases, and none of their runtimes.
pub fn is_os_only(case: &Case<'_>) -> bool {
    has_aws_entry(case)
        && match case.runtime() {
            Some(runtime) => runtime == "provided",
            // A runtime that is not known by its files has files all the same.
            None => {
                case.files.complete
                    && case.files.below("var/runtime").all(|file| file.member.path == BOOTSTRAP[1..])
            }
        }
}

/// What Lambda starts by itself, by its path.
pub struct Started<'a>(BTreeSet<&'a str>);

impl<'a> Started<'a> {
    pub fn of(case: &Case<'a>) -> Started<'a> {
        Started(starting(case).into_iter().map(|file| file.member.path.as_str()).collect())
    }

    /// How bad it is when machine code at this path cannot be loaded.
    pub fn severity(&self, path: &str) -> Severity {
        if self.0.contains(path) || is_loaded(path) { Severity::Error } else { Severity::Warning }
    }
}

/// The files that Lambda starts by itself.
pub fn starting<'a>(case: &Case<'a>) -> Vec<Seen<'a>> {
    let (entrypoint, cmd) = (case.config.entrypoint(), case.config.cmd());
    let entry = entrypoint.first().or(cmd.first());
    let entry = entry.and_then(|word| places(case, word).iter().find_map(|place| case.files.file(place)));
    let extensions = case.files.below("opt/extensions").map(|file| file.member.path.as_str());
    let extensions = extensions.filter(|path| path.matches('/').count() == 2);
    let bootstrap = has_aws_entry(case).then_some(BOOTSTRAP);
    let others = extensions.chain(bootstrap).filter_map(|path| case.files.file(path));
    entry.into_iter().chain(others).collect()
}

/// Where programs are looked for when the image does not say: what Lambda sets, and what container engines have besides.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/opt/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// Where the program that a word of the config names may be, first those that are looked at first.
pub fn places(case: &Case<'_>, word: &str) -> Vec<String> {
    if word.starts_with('/') {
        return vec![word.to_owned()];
    }
    if word.contains('/') {
        return vec![join(case.config.workdir().unwrap_or_default(), word)];
    }
    dirs(case).into_iter().map(|dir| join(dir, word)).collect()
}

/// The directories of PATH. One that is not absolute counts from wherever the process is.
pub fn dirs<'a>(case: &Case<'a>) -> Vec<&'a str> {
    path(case).unwrap_or_default().split(':').filter(|dir| dir.starts_with('/')).collect()
}

/// The PATH of what is started; nothing, when it is longer than anyone's.
pub fn path<'a>(case: &Case<'a>) -> Option<&'a str> {
    let path = case.config.var("PATH").unwrap_or(PATH);
    (path.len() <= MAX_PATH).then_some(path)
}
