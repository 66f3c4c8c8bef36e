//! Lambda's user may read the function's files.

use std::collections::{BTreeMap, BTreeSet};

use super::super::case::{Case, Member, Seen};
use super::super::finding::Severity;
use super::super::function::join;
use super::super::places::{barrier, examined_places, group, is_in, is_others, way};
use super::super::rule::{Findings, Rule};
use crate::tree::{EntryKind, ImagePath, Target};

pub(super) const RULE: Rule = Rule {
    name: "unreadable",
    severity: Severity::Error,
    what: "Users other than root can reach and read the function's files.",
    why: "Lambda runs the image as a user who owns nothing in it, so only the permissions for others count. Other \
          accesses fail with `Permission denied`, although they work in Docker, as root.",
    example: "/var/task/app.py with mode 0600, the result of an editor, a download or a umask of 077; a virtual \
              environment whose python is a link into /root.",
    help: "give others read permission, as `chmod -R o+rX` does; lbuild does this for the files that it adds",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#images-reqs",
    check,
};

/// Files in a task root that is also a home directory or a checkout; functions hardly ever read them.
const BESIDE: [&str; 8] =
    [".bash_history", ".cache", ".config", ".git", ".gnupg", ".npm", ".python_history", ".ssh"];

fn check(case: &Case<'_>, findings: &mut Findings) {
    let places = examined_places(case);
    let mut reported = BTreeSet::new();
    for place in &places {
        examine(case, findings, place, &mut reported);
    }
    arguments(case, findings, &places, &mut reported);
    links(case, findings, &places, &reported);
}

/// Examines the files and directories in a directory of the function.
fn examine<'a>(case: &Case<'a>, findings: &mut Findings, place: &str, reported: &mut BTreeSet<&'a str>) {
    if let Some(dir) = barrier(case, place) {
        // Several examined directories may be below the same closed directory.
        if has_files(case, dir) && reported.insert(&dir.member.path) {
            findings.add(lack(dir.member)).in_layer(case, dir.layer).at(&dir.member.path);
        }
        return;
    }
    let mut groups: BTreeMap<(String, Severity), Vec<(Seen<'a>, &'a Member)>> = BTreeMap::new();
    for file in case.files.get(place).into_iter().chain(case.files.below(place)) {
        let path = file.member.path.as_str();
        let Some(inode) = case.files.inode(file).map(|inode| inode.member) else { continue };
        let is_bad = match inode.entry.kind {
            EntryKind::File(_) => !is_readable(file.member.name(), inode),
            EntryKind::Directory => inode.entry.mode & 0o005 != 0o005,
            _ => false,
        };
        // A finding about a directory covers the files below it.
        if !is_bad || way(path).any(|dir| dir != path && reported.contains(dir)) {
            continue;
        }
        if inode.is_directory() {
            if !has_files(case, file) {
                continue;
            }
            if inode.entry.mode & 0o001 == 0 {
                reported.insert(path);
            }
        }
        let severity = severity(case, place, path, inode);
        groups.entry((group(place, path), severity)).or_default().push((file, inode));
    }
    for ((dir, severity), files) in groups {
        let (first, inode) = files[0];
        let found = match files.len() {
            1 => findings.add(lack(inode)).at(&first.member.path),
            count => {
                let path = first.member.path.strip_prefix(&format!("{dir}/")).unwrap_or(&first.member.path);
                let mode = inode.entry.mode;
                let what = format!("{count} files and directories below it");
                findings.add(format!("others may not read {what}, such as {path} (mode {mode:04o})")).at(dir)
            }
        };
        found.in_layer(case, first.layer).as_severe(severity);
    }
}

/// The severity of a file or directory that others may not read.
fn severity(case: &Case<'_>, place: &str, path: &str, inode: &Member) -> Severity {
    // Only Python and plug-in loaders list a directory; opening a file in it does not need that.
    let is_listed_alone = inode.is_directory() && inode.entry.mode & 0o001 != 0;
    let part = path.get(place.len() + 1..).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    match is_listed_alone || BESIDE.contains(&part) || is_others(case, &group(place, path)) {
        true => Severity::Warning,
        false => Severity::Error,
    }
}

/// The missing permission of a file or directory, as a message.
fn lack(member: &Member) -> String {
    let lack = match (&member.entry.kind, member.entry.mode & 0o005) {
        (EntryKind::Directory, 0) => "enter or list this directory",
        (EntryKind::Directory, 0o001) => "list this directory",
        (EntryKind::Directory, _) => "enter this directory",
        _ => "read this file",
    };
    format!("others may not {lack} (mode {:04o})", member.entry.mode)
}

/// Whether others can use a file: a program needs execute permission only, any other file read permission.
fn is_readable(name: &str, file: &Member) -> bool {
    let is_program = file.elf().is_some() && !name.contains(".so") && !name.ends_with(".node");
    file.entry.mode & 0o004 != 0 || (is_program && file.entry.mode & 0o001 != 0)
}

/// Whether a directory has files.
fn has_files(case: &Case<'_>, dir: Seen<'_>) -> bool {
    case.files.below(&dir.member.path).any(|file| !file.member.is_directory())
}

/// Examines the files that the command line names in any directory: `python /srv/app.py`. The rule `not-executable`
/// examines the program itself.
fn arguments<'a>(
    case: &Case<'a>,
    findings: &mut Findings,
    places: &[String],
    reported: &mut BTreeSet<&'a str>,
) {
    let words = case.config.entrypoint().into_iter().chain(case.config.cmd());
    for word in words.skip(1).filter(|word| !word.starts_with('-')) {
        let dir = if word.starts_with('/') { "" } else { case.config.workdir().unwrap_or_default() };
        let path = join(dir, word);
        let Some(file) = case.files.file(&path) else { continue };
        let end = case.files.resolve(&path).path;
        let dir = barrier(case, path.trim_start_matches('/')).or_else(|| barrier(case, &end));
        let (seen, message) = match dir {
            Some(dir) => (dir, format!("{}, and the command line names /{end}", lack(dir.member))),
            None if is_readable(file.member.name(), file.member) => continue,
            None => (file, lack(file.member)),
        };
        let is_examined = dir.is_none() && places.iter().any(|place| is_in(&end, place));
        if !is_examined && reported.insert(&seen.member.path) {
            let finding = findings.add(message).in_layer(case, seen.layer).at(&seen.member.path);
            finding.as_severe(Severity::Warning);
        }
    }
}

/// Links of the function whose targets others cannot reach, because of one directory.
struct Behind<'a> {
    dir: Seen<'a>,
    link: Seen<'a>,
    end: ImagePath,
    others: usize,
}

/// Finds links from the function's directories to files that others cannot reach.
fn links<'a>(case: &Case<'a>, findings: &mut Findings, places: &[String], reported: &BTreeSet<&'a str>) {
    let mut behind: BTreeMap<&'a str, Behind<'a>> = BTreeMap::new();
    for place in places {
        for link in case.files.below(place) {
            let inode = case.files.inode(link);
            let is_link = inode.is_some_and(|inode| inode.member.is_symlink());
            if !is_link || is_others(case, &group(place, &link.member.path)) {
                continue;
            }
            let resolved = case.files.resolve(&link.member.path);
            let is_elsewhere = !places.iter().any(|place| is_in(&resolved.path, place));
            if !is_elsewhere || !matches!(resolved.target, Target::Entry(_) | Target::Directory) {
                continue;
            }
            let Some(dir) = barrier(case, &resolved.path) else { continue };
            let path = dir.member.path.as_str();
            if !reported.contains(path) {
                let first = || Behind { dir, link, end: resolved.path, others: 0 };
                behind.entry(path).and_modify(|behind| behind.others += 1).or_insert_with(first);
            }
        }
    }
    for (path, Behind { dir, link, end, others }) in behind {
        let more = if others > 0 { format!(" (and {others} more like it)") } else { String::new() };
        let mode = dir.member.entry.mode;
        let message =
            format!("this link leads to /{end}, but others may not enter /{path} (mode {mode:04o}){more}");
        let finding = findings.add(message).in_layer(case, link.layer).at(&link.member.path);
        finding.as_severe(Severity::Warning);
    }
}

#[cfg(test)]
mod tests {
    use crate::tree::EntryKind;
    use serde_json::json;

    use super::super::super::finding::Severity;
    use super::super::super::sample::Sample;
    use super::RULE;

    /// Adds a directory with this mode to the function's layer.
    fn closed(sample: Sample, path: &str, mode: u32) -> Sample {
        sample.directory(1, path).with(1, path, |member| member.entry.mode = mode)
    }

    fn severities(sample: &Sample) -> Vec<Severity> {
        sample.check(&RULE).into_iter().map(|finding| finding.severity).collect()
    }

    #[test]
    fn files_that_others_may_not_read_are_found() {
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        let sample = Sample::python().file(1, "var/task/key.py", 0o600);
        assert_eq!(sample.says(&RULE), ["var/task/key.py: others may not read this file (mode 0600)"]);
        assert_eq!(severities(&sample), [Severity::Error]);
        let several = Sample::python().file(1, "var/task/a/b/c.py", 0o640).file(1, "var/task/a/d.py", 0o600);
        assert_eq!(
            several.says(&RULE),
            ["var/task/a: others may not read 2 files and directories below it, such as b/c.py (mode 0640)"]
        );
        let linked =
            Sample::python().link(0, "app", "var/task").process("Env", json!(["LAMBDA_TASK_ROOT=/app"]));
        assert_eq!(linked.file(1, "var/task/key.py", 0o600).says(&RULE).len(), 1);
    }

    #[test]
    fn a_hard_link_has_the_mode_of_its_file() {
        let kind = EntryKind::HardLink("usr/share/key".into());
        let sample = Sample::python().file(0, "usr/share/key", 0o600).file(1, "var/task/key", 0o644);
        let sample = sample.with(1, "var/task/key", |member| member.entry.kind = kind);
        assert_eq!(sample.says(&RULE), ["var/task/key: others may not read this file (mode 0600)"]);
    }

    #[test]
    fn a_program_does_not_need_read_permission() {
        let found = |path: &str, mode: u32| {
            Sample::python()
                .elf(1, path, |_| ())
                .with(1, path, |member| member.entry.mode = mode)
                .says(&RULE)
                .len()
        };
        assert_eq!(found("var/task/tool", 0o711), 0);
        assert_eq!(found("var/task/tool", 0o700), 1);
        assert_eq!(found("var/task/libx.so.1", 0o711), 1);
    }

    #[test]
    fn a_closed_directory_is_reported_once() {
        let outer = |path: &str, mode: u32| Sample::python().with(1, path, |member| member.entry.mode = mode);
        let message =
            |path: &str| [format!("{path}: others may not enter or list this directory (mode 0700)")];
        assert_eq!(outer("var/task", 0o700).says(&RULE), message("var/task"));
        assert_eq!(outer("var", 0o700).says(&RULE), message("var"));
        assert_eq!(outer("var", 0o711).says(&RULE), [""; 0], "listing it is not needed");
        let inner = closed(Sample::python(), "var/task/a", 0o700).file(1, "var/task/a/b.py", 0o600);
        let inner = inner.file(1, "var/task/a-b", 0o644);
        assert_eq!(inner.says(&RULE), message("var/task/a"));
        let empty = closed(Sample::python(), "opt", 0o700);
        assert_eq!(empty.says(&RULE), [""; 0]);
        let again = Sample::python().process("Env", json!([])).process("WorkingDir", "/var/runtime".into());
        assert_eq!(again.file(1, "var/runtime/bootstrap", 0o700).says(&RULE).len(), 1, "reported once");
    }

    #[test]
    fn a_directory_that_cannot_be_listed_is_a_warning() {
        let sample = closed(Sample::python(), "var/task/pkg", 0o711).file(1, "var/task/pkg/x.py", 0o644);
        assert_eq!(sample.says(&RULE), ["var/task/pkg: others may not list this directory (mode 0711)"]);
        assert_eq!(severities(&sample), [Severity::Warning]);
        let inner = sample.file(1, "var/task/pkg/y.py", 0o600);
        assert_eq!(severities(&inner), [Severity::Warning, Severity::Error], "its files are examined");
        let root = Sample::python().with(1, "var/task", |member| member.entry.mode = 0o711);
        assert_eq!(root.says(&RULE), ["var/task: others may not list this directory (mode 0711)"]);
    }

    #[test]
    fn files_of_the_system_are_not_examined() {
        let mut sample = Sample::python()
            .file(1, "etc/shadow", 0o640)
            .file(1, "var/log/lastlog", 0o660)
            .file(1, "usr/lib/python3/dist-packages/x.py", 0o600);
        for (dir, mode) in [
            ("root", 0o700),
            ("home/nonroot", 0o700),
            ("etc/sudoers.d", 0o750),
            ("etc/ssl/private", 0o710),
            ("var/cache/apt/archives/partial", 0o700),
            ("var/lib/private", 0o700),
        ] {
            sample = closed(sample, dir, mode).file(1, &format!("{dir}/x"), 0o600);
        }
        assert_eq!(sample.says(&RULE), [""; 0]);
        for root in ["/", "/root", "/usr/lib"] {
            let sample = sample.clone().process("Env", json!([])).process("WorkingDir", root.into());
            assert_eq!(sample.says(&RULE), [""; 0], "{root} is a directory of the system");
        }
        assert_eq!(sample.clone().link(1, "opt", "/").says(&RULE), [""; 0], "/opt is the root of the system");
        let home = sample.process("Env", json!([])).process("WorkingDir", "/home/nonroot".into());
        assert_eq!(home.says(&RULE).len(), 1);
    }

    #[test]
    fn files_that_the_function_hardly_reads_are_a_warning() {
        let found = |path: &str| severities(&Sample::python().file(1, path, 0o600));
        assert_eq!(found("opt/agent/auth/token"), [Severity::Warning]);
        assert_eq!(found("var/task/.git/index"), [Severity::Warning]);
        assert_eq!(found("var/task/.ssh"), [Severity::Warning]);
        assert_eq!(found("opt/python/x.py"), [Severity::Error]);
        let root = Sample::python().process("Env", json!(["LAMBDA_TASK_ROOT=/opt/agent"]));
        assert_eq!(severities(&root.file(1, "opt/agent/app.py", 0o600)), [Severity::Error]);
    }

    #[test]
    fn files_on_the_command_line_are_examined() {
        let start = |sample: Sample, words: &[&str]| sample.process("Entrypoint", json!(words));
        let home = closed(Sample::python(), "root", 0o700).file(1, "root/app.py", 0o644);
        let message =
            ["root: others may not enter or list this directory (mode 0700), and the command line names \
                        /root/app.py"];
        let found = start(home.clone(), &["/bin/sh", "-e", "/root/app.py"]);
        assert_eq!(
            (found.says(&RULE), severities(&found)),
            (message.map(str::to_owned).to_vec(), vec![Severity::Warning])
        );
        assert_eq!(
            start(home.clone(), &["/bin/sh", "app.py"]).process("WorkingDir", "/root".into()).says(&RULE),
            message
        );
        assert_eq!(start(home, &["/bin/sh", "-e"]).says(&RULE), [""; 0]);
        let file =
            start(Sample::python().file(1, "srv/app.py", 0o640), &["/bin/sh", "/srv/app.py", "", "none"]);
        assert_eq!(file.says(&RULE), ["srv/app.py: others may not read this file (mode 0640)"]);
        let own = start(Sample::python().file(1, "var/task/x.py", 0o600), &["/bin/sh", "x.py"]);
        assert_eq!(severities(&own), [Severity::Error], "reported once");
    }

    #[test]
    fn a_virtual_environment_may_link_into_a_home_directory() {
        let python = "root/.local/share/uv/python/bin/python3.12";
        let sample = closed(Sample::python(), "root", 0o700)
            .elf(1, python, |_| ())
            .link(1, "var/task/.venv/bin/python", &format!("/{python}"))
            .link(1, "var/task/.venv/bin/python3", "python")
            .link(1, "var/task/.venv/bin/gone", "/root/none");
        let expected = [format!(
            "var/task/.venv/bin/python: this link leads to /{python}, but others may not enter /root (mode 0700) \
             (and 1 more like it)"
        )];
        assert_eq!(sample.says(&RULE), expected);
        assert_eq!(severities(&sample), [Severity::Warning]);
        let open = sample.with(1, "root", |member| member.entry.mode = 0o755);
        assert_eq!(open.says(&RULE), [""; 0]);
    }
}
