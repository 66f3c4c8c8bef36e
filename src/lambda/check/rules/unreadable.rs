//! Lambda's user may read the function's files.

use std::collections::{BTreeMap, BTreeSet};

use super::super::case::Case;
use super::super::files::Seen;
use super::super::{Findings, Rule, Severity};
use crate::layer::survey::MemberKind;

pub(super) const RULE: Rule = Rule {
    name: "unreadable",
    severity: Severity::Error,
    what: "Everybody may read the function's files, and enter their directories.",
    why: "Lambda runs the image as a user of its own who owns nothing in it, so only the rights of others count. The \
          rest fails with `Permission denied`, though it runs in Docker, as root.",
    example: "/var/task/app.py with mode 0600, as an editor, a download or a umask of 077 left it.",
    way_out: "give others the right to read, as `chmod -R o+rX` does; lbuild does so itself with what it adds",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#images-reqs",
    check,
};

/// What Lambda and its runtimes look for in /opt. All else there is somebody's own, and may not be the function's.
const OPT: [&str; 7] = ["bin", "extensions", "java", "lib", "nodejs", "python", "ruby"];

/// Directories that are a distribution's: a task root there does not make all that is in it the function's.
const SYSTEM: [&str; 19] = [
    "", "bin", "boot", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "opt", "proc", "run", "sbin",
    "srv", "sys", "tmp", "usr", "var",
];

fn check(case: &Case<'_>, findings: &mut Findings) {
    let mut closed = BTreeSet::new();
    for place in own_places(case).into_iter().chain(["var/runtime"]) {
        look(case, findings, place, &mut closed);
    }
}

fn look<'a>(case: &Case<'a>, findings: &mut Findings, place: &str, closed: &mut BTreeSet<&'a str>) {
    for dir in way(place) {
        let Some(seen) = case.files.get(dir) else { continue };
        let needed = if dir == place { 0o005 } else { 0o001 };
        if is_closed(case, seen, needed) {
            // The same directory may be on the way to several places.
            if closed.insert(&seen.member.path) {
                findings.add(one(seen)).in_layer(case, seen.layer).at(&seen.member.path);
            }
            return;
        }
    }
    let mut groups: BTreeMap<String, Vec<Seen<'a>>> = BTreeMap::new();
    for file in case.files.below(place) {
        let path = file.member.path.as_str();
        let is_hidden = |dir: &&str| path.strip_prefix(*dir).is_some_and(|rest| rest.starts_with('/'));
        let is_bad = match file.member.kind {
            MemberKind::File => file.member.mode & 0o004 == 0,
            MemberKind::Directory => is_closed(case, file, 0o005),
            _ => false,
        };
        // What is below a directory that nobody enters adds nothing.
        if !is_bad || closed.iter().any(is_hidden) {
            continue;
        }
        if file.member.kind == MemberKind::Directory {
            closed.insert(path);
        }
        groups.entry(group(place, path)).or_default().push(file);
    }
    for (dir, files) in groups {
        let first = files[0];
        let severity = if is_others(case, place, &dir) { Severity::Warning } else { Severity::Error };
        let found = match files.len() {
            1 => findings.add(one(first)).at(&first.member.path),
            count => {
                let path = first.member.path.strip_prefix(&format!("{dir}/")).unwrap_or(&first.member.path);
                let mode = first.member.mode;
                let what = format!("{count} files and directories below it");
                findings.add(format!("others may not read {what}, as {path} (mode {mode:04o})")).at(dir)
            }
        };
        found.in_layer(case, first.layer).as_severe(severity);
    }
}

/// Whether a directory of /opt is not one that Lambda or the function is known to use.
fn is_others(case: &Case<'_>, place: &str, dir: &str) -> bool {
    let part = dir.strip_prefix("opt/").unwrap_or_default();
    let of_root = case.task_root().strip_prefix("opt/").and_then(|rest| rest.split('/').next());
    place == "opt" && !OPT.contains(&part) && of_root != Some(part)
}

fn one(seen: Seen<'_>) -> String {
    let mode = seen.member.mode;
    match seen.member.kind {
        MemberKind::Directory => format!("others may not enter or list this directory (mode {mode:04o})"),
        _ => format!("others may not read this file (mode {mode:04o})"),
    }
}

/// Whether a directory keeps others from something; an empty one does not.
fn is_closed(case: &Case<'_>, dir: Seen<'_>, needed: u32) -> bool {
    dir.member.kind == MemberKind::Directory
        && dir.member.mode & needed != needed
        && case.files.below(&dir.member.path).any(|file| file.member.kind != MemberKind::Directory)
}

/// A directory and those that it is in, the highest first.
fn way(dir: &str) -> impl Iterator<Item = &str> {
    dir.match_indices('/').map(move |(at, _)| &dir[..at]).chain([dir])
}

/// The directories that are the function's: its own, unless that is the distribution's, and what takes Lambda's layers.
pub(super) fn own_places<'a>(case: &Case<'a>) -> Vec<&'a str> {
    let root = case.task_root();
    let mut places = vec!["opt"];
    if !SYSTEM.contains(&root) && !root.starts_with("opt/") {
        places.insert(0, root);
    }
    places
}

/// Where findings about a path are put together: the directory right below a place, or the place itself.
pub(super) fn group(place: &str, path: &str) -> String {
    let below = path.get(place.len() + 1..).unwrap_or_default();
    match below.split_once('/') {
        Some((first, _)) => format!("{place}/{first}"),
        None => place.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Severity;
    use super::super::super::sample::Sample;
    use super::RULE;

    #[test]
    fn files_that_others_may_not_read_are_found() {
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        let sample = Sample::python().file(1, "var/task/key.py", 0o600);
        assert_eq!(sample.says(&RULE), ["var/task/key.py: others may not read this file (mode 0600)"]);
        let several = Sample::python().file(1, "var/task/a/b/c.py", 0o640).file(1, "var/task/a/d.py", 0o600);
        assert_eq!(
            several.says(&RULE),
            ["var/task/a: others may not read 2 files and directories below it, as b/c.py (mode 0640)"]
        );
    }

    #[test]
    fn a_closed_directory_is_told_once() {
        let closed = |path: &str, mode: u32| Sample::python().with(1, path, |member| member.mode = mode);
        let message =
            |path: &str| [format!("{path}: others may not enter or list this directory (mode 0700)")];
        assert_eq!(closed("var/task", 0o700).says(&RULE), message("var/task"));
        assert_eq!(closed("var", 0o700).says(&RULE), message("var"));
        assert_eq!(closed("var", 0o711).says(&RULE), [""; 0], "nobody has to list it");
        let inner = Sample::python()
            .directory(1, "var/task/a")
            .with(1, "var/task/a", |member| member.mode = 0o700)
            .file(1, "var/task/a/b.py", 0o600)
            .file(1, "var/task/a-b", 0o644);
        assert_eq!(inner.says(&RULE), message("var/task/a"));
        let empty = Sample::python().directory(1, "opt").with(1, "opt", |member| member.mode = 0o700);
        assert_eq!(empty.says(&RULE), [""; 0]);
    }

    #[test]
    fn the_systems_own_files_are_not_looked_at() {
        let mut sample = Sample::python().file(1, "etc/shadow", 0o640).file(1, "opt/agent/auth/token", 0o600);
        let found = sample.check(&RULE);
        assert!(found.len() == 1 && found[0].severity == Severity::Warning, "{found:?}");
        sample = sample.process("Env", serde_json::json!([])).process("WorkingDir", "/".into());
        assert_eq!(sample.says(&RULE).len(), 1, "the root is no task root");
    }
}
