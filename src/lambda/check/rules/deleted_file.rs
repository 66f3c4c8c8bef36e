//! No layer adds files that a later layer deletes or replaces.

use std::collections::BTreeSet;

use super::super::case::{Case, Hidden, Member};
use super::super::finding::Severity;
use super::super::finding::files;
use super::super::rule::{Findings, Rule};
use super::repeated_file;
use crate::image::Digest;

pub(super) const RULE: Rule = Rule {
    name: "deleted-file",
    severity: Severity::Note,
    what: "Files that a layer adds are visible in the image.",
    why: "A file that a later layer deletes or replaces is still in its own layer: it is pushed, pulled, and counts \
          towards the limit of 10 GiB for an image.",
    example: "`RUN yum install -y gcc` and, in another RUN, `yum remove -y gcc && yum clean all`.",
    help: "delete files in the step that creates them, or build in another stage and copy only the results",
    source: "https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts",
    check,
};

/// The threshold for a finding, in bytes.
const LEAST: u64 = 1 << 20;

#[derive(Default)]
struct Lost<'a> {
    deleted: usize,
    replaced: usize,
    bytes: u64,
    largest: Option<&'a Member>,
}

fn check(case: &Case<'_>, findings: &mut Findings) {
    let large = large(case);
    // The rule `repeated-file` reports content that the later layer has again, at this or another path.
    let is_repeated = |hidden: &Hidden<'_>| {
        let sha256 = hidden.file.member.sha256();
        sha256.is_some_and(|sha256| large.contains(&(hidden.by, sha256)))
    };
    let hidden = case.files.hidden().iter();
    let mut hidden: Vec<_> =
        hidden.filter(|hidden| hidden.file.member.is_file() && !is_repeated(hidden)).collect();
    // The sort is stable: the files of a group keep their order.
    hidden.sort_by_key(|hidden| group(hidden));
    for hidden in hidden.chunk_by(|a, b| group(a) == group(b)) {
        let ((layer, by, top), lost) = (group(hidden[0]), Lost::of(hidden));
        if lost.bytes <= LEAST {
            continue;
        }
        let what = match (lost.deleted, lost.replaced) {
            (deleted, 0) => format!("deletes {}", files(deleted)),
            (0, replaced) => format!("replaces {}", files(replaced)),
            (deleted, replaced) => format!("deletes {} and replaces {replaced}", files(deleted)),
        };
        let Some(largest) = lost.largest else { continue };
        let (message, path) = match lost.deleted + lost.replaced {
            1 => (format!("layer {by} {what} of layer {layer}"), &largest.path[..]),
            _ => (format!("layer {by} {what} of layer {layer}; the largest is {}", largest.path), top),
        };
        let finding = findings.add(message).in_layer(case, layer).costs(lost.bytes);
        if !path.is_empty() {
            finding.at(path);
        }
    }
}

impl<'a> Lost<'a> {
    fn of(hidden: &[&Hidden<'a>]) -> Lost<'a> {
        let mut lost = Lost::default();
        for hidden in hidden {
            let member = hidden.file.member;
            if hidden.replaced {
                lost.replaced += 1;
            } else {
                lost.deleted += 1;
            }
            lost.bytes = lost.bytes.saturating_add(member.size());
            if lost.largest.is_none_or(|largest| member.size() > largest.size()) {
                lost.largest = Some(member);
            }
        }
        lost
    }
}

/// The layer of a file, the layer that hides it, and the highest directory of its path.
fn group<'a>(hidden: &Hidden<'a>) -> (usize, usize, &'a str) {
    let top = hidden.file.member.path.split_once('/').map_or("", |(top, _)| top);
    (hidden.file.layer, hidden.by, top)
}

/// The layers and contents that [`repeated_file`] examines.
fn large(case: &Case<'_>) -> BTreeSet<(usize, Digest)> {
    let members =
        case.known().flat_map(|(number, scan)| scan.members.iter().map(move |member| (number, member)));
    let large = members.filter(|(_, member)| member.size() >= repeated_file::LEAST);
    large.filter_map(|(number, member)| Some((number, member.sha256()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::{LEAST, RULE};

    fn file(sample: Sample, layer: usize, path: &str, content: &str, size: u64) -> Sample {
        sample.file(layer, path, 0o644).holding(layer, path, content, size)
    }

    #[test]
    fn hidden_files_are_grouped_by_directory() {
        let sample = file(Sample::empty(2), 0, "usr/lib/a", "a", LEAST);
        let sample = file(sample, 0, "usr/lib/b", "b", 10);
        let sample = file(sample, 0, "opt/c", "c", 2 * LEAST);
        assert_eq!(sample.says(&RULE), [""; 0]);
        let deleted = sample.clone().file(1, "usr/.wh.lib", 0);
        let expected = "usr: layer 1 deletes 2 files of layer 0; the largest is usr/lib/a";
        assert_eq!(deleted.says(&RULE), [expected]);
        assert_eq!(deleted.check(&RULE)[0].bytes, Some(LEAST + 10));
        let both = file(deleted, 1, "opt/c", "other", 10);
        assert_eq!(both.says(&RULE), ["opt/c: layer 1 replaces 1 file of layer 0", expected]);
        assert_eq!(both.check(&RULE)[0].layer_number, Some(0));
    }

    #[test]
    fn files_of_the_root_are_named() {
        let sample = file(file(Sample::empty(2), 0, "a", "a", LEAST), 0, "b", "b", 2 * LEAST);
        let one = sample.file(1, ".wh.b", 0);
        assert_eq!(one.says(&RULE), ["b: layer 1 deletes 1 file of layer 0"]);
        let both = one.file(1, ".wh.a", 0);
        assert_eq!(both.says(&RULE), ["layer 1 deletes 2 files of layer 0; the largest is b"]);
    }

    #[test]
    fn small_and_repeated_files_are_ignored() {
        let little = file(Sample::empty(2), 0, "usr/a", "a", LEAST).file(1, "usr/.wh.a", 0);
        assert_eq!(little.says(&RULE), [""; 0], "not above the threshold");
        let again = file(file(Sample::empty(2), 0, "usr/a", "a", 2 * LEAST), 1, "usr/a", "a", 2 * LEAST);
        assert_eq!(again.says(&RULE), [""; 0], "a repeated file");
        let moved = file(Sample::empty(2), 0, "usr/a", "a", 2 * LEAST).file(1, "usr/.wh.a", 0);
        assert_eq!(moved.says(&RULE).len(), 1);
        assert_eq!(file(moved, 1, "opt/a", "a", 2 * LEAST).says(&RULE), [""; 0], "a moved file");
    }
}
