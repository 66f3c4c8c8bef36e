//! The programs that Lambda starts in an image, and the search path for programs.

use std::collections::BTreeSet;

use super::case::{Case, Seen};
use super::facts::MAX_PATH;
use super::finding::Severity;
use super::function::join;
use super::package::is_loaded;
use crate::lambda::BOOTSTRAP;
use crate::lambda::base::{ENTRY_SCRIPT, starts_with_entry_script};

/// Whether the image starts with the entry script of AWS's bases. Other images have a script of the same name, and some
/// replace AWS's.
pub fn has_aws_entry(case: &Case<'_>) -> bool {
    let is_replaced = case.files.hidden().iter().any(|hidden| hidden.file.member.path == ENTRY_SCRIPT[1..]);
    let starts = ["usr/local/bin/aws-lambda-rie", "var/runtime/bootstrap"];
    let has_base = !case.files.complete || starts.iter().any(|path| case.files.get(path).is_some());
    starts_with_entry_script(case.config) && !is_replaced && has_base
}

/// Whether the image has the entry script of AWS's bases, but none of their runtimes.
pub fn is_os_only(case: &Case<'_>) -> bool {
    has_aws_entry(case)
        && match case.runtime() {
            Some(runtime) => runtime == "provided",
            // A runtime that this version does not recognise still has files there.
            None => {
                case.files.complete
                    && case.files.below("var/runtime").all(|file| file.member.path == BOOTSTRAP[1..])
            }
        }
}

/// The paths of the files that Lambda starts by itself.
pub struct Started<'a>(BTreeSet<&'a str>);

impl<'a> Started<'a> {
    pub fn of(case: &Case<'a>) -> Started<'a> {
        Started(starting(case).into_iter().map(|file| file.member.path.as_str()).collect())
    }

    /// The severity of machine code at this path that cannot be loaded.
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

/// The search path of an image that sets none: Lambda's, followed by the other directories of container engines.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/opt/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// The paths of the program that a word of the config may name, in search order.
pub fn places(case: &Case<'_>, word: &str) -> Vec<String> {
    if word.starts_with('/') {
        return vec![word.to_owned()];
    }
    if word.contains('/') {
        return vec![join(case.config.workdir().unwrap_or_default(), word)];
    }
    dirs(case).into_iter().map(|dir| join(dir, word)).collect()
}

/// The absolute directories of PATH. A relative one depends on the directory of the process.
pub fn dirs<'a>(case: &Case<'a>) -> Vec<&'a str> {
    path(case).unwrap_or_default().split(':').filter(|dir| dir.starts_with('/')).collect()
}

/// The PATH of the processes of the image; `None` when it is longer than [`MAX_PATH`].
pub fn path<'a>(case: &Case<'a>) -> Option<&'a str> {
    let path = case.config.var("PATH").unwrap_or(PATH);
    (path.len() <= MAX_PATH).then_some(path)
}
