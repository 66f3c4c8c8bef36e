//! The entry of a directory comes before the entries in it.

use std::collections::{BTreeMap, HashMap};

use super::super::case::{Case, File, Scan};
use super::super::finding::Severity;
use super::super::package::dir;
use super::super::rule::{Findings, Rule};
use crate::tree::{DirectoryFault, faults_of_directories};

pub(super) const RULE: Rule = Rule {
    name: "parent-directory",
    severity: Severity::Error,
    what: "A directory has one entry in its layer or in a lower one, which comes before the entries in it.",
    why: "Container engines create the directories that a layer leaves out. Lambda refuses the image with \
          `InvalidImage: MissingParentDirectory: Parent directory does not exist for file`, also when the entry comes \
          too late. Some engines refuse a layer with two entries for a directory: Docker reports `duplicates of file \
          paths not supported`.",
    example: "A layer with `opt/extensions/agent` alone, written by a tool that adds files to a tar without their \
              directories.",
    help: "push the image with `lbuild push IMAGE`, which adds the entries, or add an entry for each directory to the \
           layer's tar, sorted by path",
    source: "https://github.com/bazel-contrib/tar.bzl/issues/76",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    let others = |scan: &Option<Scan>| scan.as_ref().is_none_or(|scan| !scan.from_tree);
    let last = case.scans.iter().rposition(others).map_or(0, |last| last + 1);
    for (number, scan) in case.scans[..last].iter().enumerate() {
        // An unknown layer may contain any directory that the layers above it need.
        let Some(scan) = scan else { break };
        let is_below = |path: &str| case.is_below(number, path);
        let faults = faults_of_directories(&scan.members, case.paths(number), is_below);
        report(case, number, &faults, findings);
    }
    for (number, _) in case.known().filter(|(_, scan)| !scan.from_tree) {
        let mut again = case.paths(number).repeated_directories();
        if let Some(first) = again.next() {
            let others = match again.count() {
                0 => String::new(),
                others => format!(" (and {others} more like it)"),
            };
            let message = format!("this directory has more than one entry in the layer{others}");
            findings.add(message).in_layer(case, number).at(first.as_str()).as_severe(Severity::Warning);
        }
    }
}

/// Reports a directory, and those below it that have the same fault, as one finding.
fn report(
    case: &Case<'_>,
    number: usize,
    missing: &BTreeMap<&str, DirectoryFault<'_, File>>,
    findings: &mut Findings,
) {
    // The highest directory of each group of equally severe faults; it comes first in the order of paths.
    let mut tops: HashMap<&str, &str> = HashMap::new();
    let mut below: BTreeMap<&str, usize> = BTreeMap::new();
    for (&path, fault) in missing {
        let parent = dir(path);
        let is_as_bad = missing.get(parent).is_some_and(|parent| parent.is_below == fault.is_below);
        let top = tops.get(parent).copied().filter(|_| is_as_bad).unwrap_or(path);
        tops.insert(path, top);
        *below.entry(top).or_default() += 1;
    }
    for (path, count) in below {
        let Some(fault) = missing.get(path) else { continue };
        if is_in_link(case, path) {
            continue;
        }
        let others = match count - 1 {
            0 => String::new(),
            1 => " (and 1 more directory below it)".to_owned(),
            others => format!(" (and {others} more directories below it)"),
        };
        let member = fault.member.archive_name();
        let message = if fault.is_late {
            format!("the entry of this directory comes after {member}, which is in it{others}")
        } else {
            format!("no layer up to this one has an entry for this directory, which holds {member}{others}")
        };
        let finding = findings.add(message).in_layer(case, number).at(path);
        if fault.is_below {
            finding.as_severe(Severity::Warning);
        }
    }
}

/// Whether the parent of a directory is a symbolic link: its entry is at the link's target, as `usr/lib/x` of `lib/x`.
fn is_in_link(case: &Case<'_>, path: &str) -> bool {
    let parent = case.files.get(dir(path));
    parent.is_some_and(|parent| parent.member.is_symlink())
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Severity;
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
        let expected = [
            "opt/extensions: no layer up to this one has an entry for this directory, which holds opt/extensions/a",
        ];
        assert_eq!(sample.says(&RULE), expected, "the lower layer has var/task");
        assert_eq!(sample.check(&RULE)[0].severity, Severity::Error);
        assert_eq!(sample.unknown(0).says(&RULE), [""; 0], "an unknown layer may have any directory");
    }

    #[test]
    fn a_tree_without_entries_is_one_finding() {
        let sample = Sample::empty(1).file(0, "a/b/c/d", 0o644).file(0, "a/x/y", 0o644);
        let missing = "a: no layer up to this one has an entry for this directory, which holds a/b/c/d";
        assert_eq!(sample.says(&RULE), [format!("{missing} (and 3 more directories below it)")]);
    }

    #[test]
    fn an_entry_in_a_higher_layer_is_too_late() {
        let sample = Sample::empty(2).file(0, "a/b", 0o644).directories(1, "a");
        let expected = ["a: no layer up to this one has an entry for this directory, which holds a/b"];
        assert_eq!(sample.says(&RULE), expected);
        assert_eq!(sample.check(&RULE)[0].layer_number, Some(0));
    }

    #[test]
    fn an_entry_may_be_at_the_target_of_a_link() {
        let base = Sample::empty(2).directories(0, "usr/lib/x").link(0, "lib", "usr/lib");
        assert_eq!(base.clone().file(1, "lib/x/y", 0o644).says(&RULE), [""; 0]);
        assert_eq!(base.file(1, "opt/x/y", 0o644).says(&RULE).len(), 1);
    }

    #[test]
    fn an_entry_that_comes_late_is_found() {
        let sample = Sample::empty(2)
            .directory(0, "var")
            .directory(1, "var/task/lib")
            .directories(1, "var/task")
            .file(1, "var/task/lib/x", 0o644);
        let expected = [
            "var: the entry of this directory comes after var/task/lib, which is in it",
            "var/task: the entry of this directory comes after var/task/lib, which is in it",
        ];
        assert_eq!(sample.says(&RULE), expected);
        let severities: Vec<_> = sample.check(&RULE).iter().map(|finding| finding.severity).collect();
        assert_eq!(severities, [Severity::Warning, Severity::Error], "a lower layer has var");
    }

    #[test]
    fn a_whiteout_needs_an_entry_of_its_directory_too() {
        let known = Sample::empty(2).directories(0, "a/b").file(1, "a/b/.wh.c", 0o644).directories(1, "a/b");
        assert_eq!(known.says(&RULE), [""; 0]);
        let unknown = Sample::empty(1).file(0, "a/.wh.c", 0o644);
        let expected = ["a: no layer up to this one has an entry for this directory, which holds a/.wh.c"];
        assert_eq!(unknown.says(&RULE), expected);
    }

    #[test]
    fn the_number_of_missing_directories_is_limited() {
        let deep = |number: u32| format!("{number}{}", "/d".repeat(2_000));
        let sample = (0..200).fold(Sample::empty(1), |sample, number| sample.file(0, &deep(number), 0o644));
        let found = sample.check(&RULE);
        assert!((25..200).contains(&found.len()), "{}", found.len());
        assert_eq!(Sample::empty(1).file(0, &"d/".repeat(2_048), 0o644).says(&RULE), [""; 0], "too long");
    }

    #[test]
    fn repeated_entries_are_one_finding_per_layer() {
        let sample = Sample::empty(2).directories(0, "a/b").directories(1, "a/b");
        assert_eq!(sample.says(&RULE), [""; 0], "once in each layer");
        let sample = sample.directory(1, "a").directory(1, "a/b");
        let expected = ["a: this directory has more than one entry in the layer (and 1 more like it)"];
        assert_eq!(sample.says(&RULE), expected);
        assert_eq!(sample.check(&RULE)[0].severity, Severity::Warning);
    }
}
