//! A layer has at most one entry for a path.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::super::case::{Case, Member};
use super::super::finding::Severity;
use super::super::package::{and_more, place};
use super::super::rule::{Findings, Rule};
use crate::tree::EntryKind;

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
    for (number, _) in case.known().filter(|(_, scan)| !scan.from_tree) {
        // By place: the first path, and the number of the others.
        let mut again: BTreeMap<Cow<'_, str>, (Cow<'_, str>, usize)> = BTreeMap::new();
        for path in case.paths(number).groups().flat_map(repeated) {
            let place = match &path {
                Cow::Borrowed(path) => Cow::Borrowed(place(path)),
                Cow::Owned(path) => Cow::Owned(place(path).to_owned()),
            };
            match again.entry(place) {
                Entry::Vacant(entry) => drop(entry.insert((path, 0))),
                Entry::Occupied(mut entry) => {
                    let (first, others) = entry.get_mut();
                    *others += 1;
                    if path < *first {
                        *first = path;
                    }
                }
            }
        }
        for (first, others) in again.into_values() {
            let message = format!("the layer has this path more than once{}", and_more(&first, others));
            findings.add(message).in_layer(case, number).at(first);
        }
    }
}

/// The names in the archive that several of the members with one path have: the path itself, or those of its deletions.
fn repeated<'a>(group: impl Iterator<Item = &'a Member>) -> impl Iterator<Item = Cow<'a, str>> {
    let (mut before, mut again) = ([None; 3], [const { None }; 3]);
    for member in group.filter(|member| !member.is_outside()) {
        let name = match member.entry.kind {
            EntryKind::Whiteout => 1,
            EntryKind::Opaque => 2,
            _ => 0,
        };
        let is_directory = member.is_directory();
        // The rule `parent-directory` reports repeated directories.
        if before[name].replace(is_directory).is_some_and(|was_directory| !(was_directory && is_directory)) {
            again[name] = Some(member.archive_name());
        }
    }
    again.into_iter().flatten()
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
