//! A layer has each path once.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::package::{and_more, place};
use super::super::rule::{Findings, Rule};

pub(super) const RULE: Rule = Rule {
    name: "duplicate-entry",
    severity: Severity::Warning,
    what: "No layer has two entries of one path.",
    why: "The image spec forbids it. Which of them counts is the reader's choice, and some refuse the layer: Docker says \
          `duplicates of file paths not supported`.",
    example: "A layer of several archives that were concatenated, each with `etc/os-release`.",
    help: "make the layer from a directory, or with lbuild, where the last of them counts",
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
            // A directory that comes again is another rule's matter.
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
    fn a_path_that_comes_twice_is_found() {
        let sample = Sample::empty(2)
            .file(0, "etc/os-release", 0o644)
            .file(1, "etc/os-release", 0o644)
            .directory(1, "etc")
            .directory(1, "etc");
        assert_eq!(sample.says(&RULE), [""; 0], "once in each layer, and the directory is another rule's");
        let sample = sample.link(1, "etc/os-release", "../usr/lib/os-release");
        assert_eq!(sample.says(&RULE), ["etc/os-release: the layer has this path more than once"]);
        assert_eq!(sample.check(&RULE)[0].layer_number, Some(1));
    }

    #[test]
    fn those_of_a_directory_are_one_finding() {
        let names = ["etc/a", "etc/b", "etc/c"];
        let thrice = names.iter().chain(&names).chain(&names);
        let sample = thrice.fold(Sample::empty(1), |sample, name| sample.file(0, name, 0o644));
        assert_eq!(
            sample.says(&RULE),
            ["etc/a: the layer has this path more than once (and 2 more in its directory)"]
        );
    }
}
