//! A layer has at most one entry for a path.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::package::{and_more, place};
use super::super::rule::{Findings, Rule};

pub(super) const RULE: Rule = Rule {
    name: "duplicate-entry",
    severity: Severity::Warning,
    what: "No layer has two entries for one path.",
    why: "The image spec forbids it. Readers differ in the entry that they use, and some refuse the layer: Docker \
          reports `duplicates of file paths not supported`.",
    example: "A layer of several concatenated archives, each with `etc/os-release`.",
    help: "create the layer from a directory, or with lbuild, which keeps the last entry",
    source: "https://github.com/opencontainers/image-spec/blob/main/layer.md#distributable-format",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    for (number, scan) in case.known().filter(|(_, scan)| !scan.from_tree) {
        let mut met: HashMap<Cow<'_, str>, bool> = HashMap::new();
        let mut again: BTreeMap<String, BTreeSet<Cow<'_, str>>> = BTreeMap::new();
        for member in scan.members.iter().filter(|member| !member.is_outside()) {
            let path = member.archive_name();
            let is_directory = member.is_directory();
            // The rule `parent-directory` reports repeated directories.
            let before = met.insert(path.clone(), is_directory);
            if before.is_some_and(|was_directory| !(was_directory && is_directory)) {
                again.entry(place(&path).to_owned()).or_default().insert(path);
            }
        }
        for paths in again.values() {
            let Some(first) = paths.first() else { continue };
            let message =
                format!("the layer has this path more than once{}", and_more(first, paths.len() - 1));
            findings.add(message).in_layer(case, number).at(first.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::RULE;

    #[test]
    fn a_repeated_path_is_found() {
        let sample = Sample::empty(2)
            .file(0, "etc/os-release", 0o644)
            .file(1, "etc/os-release", 0o644)
            .directory(1, "etc")
            .directory(1, "etc");
        assert_eq!(sample.says(&RULE), [""; 0], "once in each layer; another rule reports the directory");
        let sample = sample.link(1, "etc/os-release", "../usr/lib/os-release");
        assert_eq!(sample.says(&RULE), ["etc/os-release: the layer has this path more than once"]);
        assert_eq!(sample.check(&RULE)[0].layer_number, Some(1));
    }

    #[test]
    fn repeated_paths_in_a_directory_are_one_finding() {
        let names = ["etc/a", "etc/b", "etc/c"];
        let thrice = names.iter().chain(&names).chain(&names);
        let sample = thrice.fold(Sample::empty(1), |sample, name| sample.file(0, name, 0o644));
        assert_eq!(
            sample.says(&RULE),
            ["etc/a: the layer has this path more than once (and 2 more in its directory)"]
        );
    }
}
