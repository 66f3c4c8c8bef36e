//! A directory stands in the image before what is in it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::super::case::Case;
use super::super::{Findings, Rule, Severity};
use crate::layer::survey::{Member, MemberKind};

pub(super) const RULE: Rule = Rule {
    name: "parent-directory",
    severity: Severity::Error,
    what: "A directory has one entry in its layer or in a lower one, which comes before what is in it.",
    why: "Container engines make the directories that a layer leaves out. Lambda refuses the image with `InvalidImage: \
          MissingParentDirectory: Parent directory does not exist for file`, also when the entry comes too late.",
    example: "A layer of `opt/extensions/agent` alone, as tools make that put files straight into a tar.",
    way_out: "make the layer with lbuild, or write an entry for each directory, sorted by path, into its tar",
    source: "https://github.com/bazel-contrib/tar.bzl/issues/76",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    let mut below = HashSet::new();
    for (number, survey) in case.surveys.iter().enumerate() {
        // A layer that nobody knows may have the directories of all above it.
        let Some(survey) = survey else { break };
        tell(case, number, &missing(&survey.members, &below), findings);
        below.extend(survey.members.iter().map(|member| member.path.as_str()));
    }
    for (number, survey) in case.known() {
        let again = repeated(&survey.members);
        if let Some(first) = again.first() {
            let others = match again.len() - 1 {
                0 => String::new(),
                others => format!(" (and {others} more like it)"),
            };
            let message = format!("this directory has more than one entry in the layer{others}");
            findings.add(message).in_layer(case, number).at(*first).as_severe(Severity::Warning);
        }
    }
}

/// What is wrong with a directory of a layer.
struct Fault<'a> {
    /// What is in it and came before it.
    member: &'a Member,
    /// Whether the layer has an entry for it later on.
    is_late: bool,
    /// Whether a lower layer has one.
    is_below: bool,
}

/// The directories that have no entry when the first member in them comes. It is known that Lambda refuses those that
/// no layer has an entry for, and those whose entry comes later in the same layer; distroless images, which it takes,
/// have layers that leave out the directories of lower ones.
fn missing<'a>(members: &'a [Member], below: &HashSet<&'a str>) -> BTreeMap<&'a str, Fault<'a>> {
    let listed: HashSet<&str> = members.iter().map(|member| member.path.as_str()).collect();
    let mut here: HashSet<&str> = HashSet::new();
    let mut checked: HashSet<&str> = HashSet::new();
    let mut missing = BTreeMap::new();
    for member in members.iter().filter(|member| member.kind != MemberKind::Outside) {
        let is_whiteout = member.name().starts_with(".wh.");
        let mut path = member.path.as_str();
        while let Some((parent, _)) = path.rsplit_once('/') {
            path = parent;
            // Its own parents were looked at when it was.
            if here.contains(parent) || checked.contains(parent) {
                break;
            }
            let (is_late, is_below) = (listed.contains(parent), below.contains(parent));
            // Kaniko writes whiteouts before all else.
            if is_below && is_whiteout {
                continue;
            }
            checked.insert(parent);
            if is_late || !is_below {
                missing.insert(parent, Fault { member, is_late, is_below });
            }
        }
        here.insert(member.path.as_str());
    }
    missing
}

/// One finding for a directory and those below it that have the same fault.
fn tell(case: &Case<'_>, number: usize, missing: &BTreeMap<&str, Fault<'_>>, findings: &mut Findings) {
    let mut below: BTreeMap<&str, usize> = BTreeMap::new();
    for &path in missing.keys() {
        *below.entry(topmost(path, missing)).or_default() += 1;
    }
    for (path, count) in below {
        let Some(fault) = missing.get(path) else { continue };
        let others = match count - 1 {
            0 => String::new(),
            others => format!(" (and {others} more directories below it)"),
        };
        let member = &fault.member.path;
        let message = if fault.is_late {
            format!("the entry of this directory comes after that of {member} in it{others}")
        } else {
            format!("no layer has an entry for this directory, which {member} is in{others}")
        };
        let finding = findings.add(message).in_layer(case, number).at(path);
        if fault.is_below {
            finding.as_severe(Severity::Warning);
        }
    }
}

/// The highest directory that this one hangs from by others with a fault as bad.
fn topmost<'a>(mut path: &'a str, missing: &BTreeMap<&'a str, Fault<'_>>) -> &'a str {
    let is_below = |path: &str| missing.get(path).map(|fault| fault.is_below);
    while let Some((parent, _)) = path.rsplit_once('/') {
        if is_below(parent) != is_below(path) {
            break;
        }
        path = parent;
    }
    path
}

/// The directories that have several entries, but for the root, of which nothing depends on an entry.
fn repeated(members: &[Member]) -> BTreeSet<&str> {
    let mut met: HashSet<&str> = HashSet::new();
    let directories =
        members.iter().filter(|member| member.kind == MemberKind::Directory && !member.path.is_empty());
    directories.map(|member| member.path.as_str()).filter(|&path| !met.insert(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::Severity;
    use super::super::super::sample::Sample;
    use super::RULE;

    #[test]
    fn a_directory_without_an_entry_is_found_once() {
        let sample = Sample::empty(2)
            .directories(0, "var/task")
            .directory(1, "opt")
            .file(1, "opt/extensions/a", 0o755)
            .file(1, "opt/extensions/b", 0o755)
            .file(1, "var/task/app.py", 0o644);
        let expected =
            ["opt/extensions: no layer has an entry for this directory, which opt/extensions/a is in"];
        assert_eq!(sample.says(&RULE), expected, "the lower layer has the other one");
        assert_eq!(sample.check(&RULE)[0].severity, Severity::Error);
        assert_eq!(sample.unknown(0).says(&RULE), [""; 0], "it may have any directory");
    }

    #[test]
    fn a_tree_of_them_is_one_finding() {
        let sample = Sample::empty(1).file(0, "a/b/c/d", 0o644).file(0, "a/x/y", 0o644);
        let missing = "a: no layer has an entry for this directory, which a/b/c/d is in";
        assert_eq!(sample.says(&RULE), [format!("{missing} (and 3 more directories below it)")]);
    }

    #[test]
    fn an_entry_that_comes_late_is_found() {
        let sample = Sample::empty(2)
            .directory(0, "var")
            .directory(1, "var/task/lib")
            .directories(1, "var/task")
            .file(1, "var/task/lib/x", 0o644);
        let expected = [
            "var: the entry of this directory comes after that of var/task/lib in it",
            "var/task: the entry of this directory comes after that of var/task/lib in it",
        ];
        assert_eq!(sample.says(&RULE), expected);
        let severities: Vec<_> = sample.check(&RULE).iter().map(|finding| finding.severity).collect();
        assert_eq!(severities, [Severity::Warning, Severity::Error], "a lower layer has the first");
    }

    #[test]
    fn a_whiteout_is_in_a_directory_too() {
        let known = Sample::empty(2).directories(0, "a/b").file(1, "a/b/.wh.c", 0o644).directories(1, "a/b");
        assert_eq!(known.says(&RULE), [""; 0]);
        let unknown = Sample::empty(1).file(0, "a/.wh.c", 0o644);
        assert_eq!(unknown.says(&RULE), ["a: no layer has an entry for this directory, which a/.wh.c is in"]);
    }

    #[test]
    fn repeated_entries_are_one_finding_a_layer() {
        let sample = Sample::empty(2).directories(0, "a/b").directories(1, "a/b");
        assert_eq!(sample.says(&RULE), [""; 0], "once in each layer");
        let sample = sample.directory(1, "a").directory(1, "a/b");
        let expected = ["a: this directory has more than one entry in the layer (and 1 more like it)"];
        assert_eq!(sample.says(&RULE), expected);
        assert_eq!(sample.check(&RULE)[0].severity, Severity::Warning);
    }
}
