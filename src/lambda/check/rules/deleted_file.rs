//! No layer brings what a later one takes away.

use std::collections::{BTreeMap, BTreeSet};

use super::super::case::{Case, Member};
use super::super::finding::Severity;
use super::super::finding::files;
use super::super::rule::{Findings, Rule};
use super::repeated_file;
use crate::image::Digest;

pub(super) const RULE: Rule = Rule {
    name: "deleted-file",
    severity: Severity::Note,
    what: "What a layer brings is seen by the function.",
    why: "A file that a later layer deletes or replaces is still in its own: it is pushed, pulled and counted into the \
          ten gigabytes that an image may have.",
    example: "`RUN yum install -y gcc` and, in another RUN, `yum remove -y gcc && yum clean all`.",
    way_out: "delete files in the step that makes them, or build in another stage and copy what is needed",
    source: "https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts",
    check,
};

/// The bytes that are worth a word.
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
    let mut groups: BTreeMap<(usize, usize, &str), Lost<'_>> = BTreeMap::new();
    for hidden in case.files.hidden() {
        let member = hidden.file.member;
        // What comes again, there or at another path, is told as a file that is repeated.
        let is_repeated = member.sha256().is_some_and(|sha256| large.contains(&(hidden.by, sha256)));
        if !member.is_file() || is_repeated {
            continue;
        }
        let top = member.path.split_once('/').map_or("", |(top, _)| top);
        let lost = groups.entry((hidden.file.layer, hidden.by, top)).or_default();
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
    for ((layer, by, top), lost) in groups.into_iter().filter(|(_, lost)| lost.bytes > LEAST) {
        let what = match (lost.deleted, lost.replaced) {
            (deleted, 0) => format!("deletes {}", files(deleted)),
            (0, replaced) => format!("replaces {}", files(replaced)),
            (deleted, replaced) => format!("deletes {} and replaces {replaced}", files(deleted)),
        };
        let Some(largest) = lost.largest else { continue };
        let (message, path) = match lost.deleted + lost.replaced {
            1 => (format!("layer {by} {what} that layer {layer} brings"), &largest.path[..]),
            _ => (format!("layer {by} {what} that layer {layer} brings, {} the largest", largest.path), top),
        };
        let finding = findings.add(message).in_layer(case, layer).costs(lost.bytes);
        if !path.is_empty() {
            finding.at(path);
        }
    }
}

/// The contents that [`repeated_file`] looks at, with their layers.
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
    fn what_is_taken_away_is_found_by_directory() {
        let sample = file(Sample::empty(2), 0, "usr/lib/a", "a", LEAST);
        let sample = file(sample, 0, "usr/lib/b", "b", 10);
        let sample = file(sample, 0, "opt/c", "c", 2 * LEAST);
        assert_eq!(sample.says(&RULE), [""; 0]);
        let deleted = sample.clone().file(1, "usr/.wh.lib", 0);
        let expected = "usr: layer 1 deletes 2 files that layer 0 brings, usr/lib/a the largest";
        assert_eq!(deleted.says(&RULE), [expected]);
        assert_eq!(deleted.check(&RULE)[0].bytes, Some(LEAST + 10));
        let both = file(deleted, 1, "opt/c", "other", 10);
        assert_eq!(both.says(&RULE), ["opt/c: layer 1 replaces 1 file that layer 0 brings", expected]);
        assert_eq!(both.check(&RULE)[0].layer_number, Some(0));
    }

    #[test]
    fn files_of_the_root_are_named() {
        let sample = file(file(Sample::empty(2), 0, "a", "a", LEAST), 0, "b", "b", 2 * LEAST);
        let one = sample.file(1, ".wh.b", 0);
        assert_eq!(one.says(&RULE), ["b: layer 1 deletes 1 file that layer 0 brings"]);
        let both = one.file(1, ".wh.a", 0);
        assert_eq!(both.says(&RULE), ["layer 1 deletes 2 files that layer 0 brings, b the largest"]);
    }

    #[test]
    fn a_little_and_what_is_told_elsewhere_is_none() {
        let little = file(Sample::empty(2), 0, "usr/a", "a", LEAST).file(1, "usr/.wh.a", 0);
        assert_eq!(little.says(&RULE), [""; 0], "no more than the least");
        let again = file(file(Sample::empty(2), 0, "usr/a", "a", 2 * LEAST), 1, "usr/a", "a", 2 * LEAST);
        assert_eq!(again.says(&RULE), [""; 0], "a file that is repeated");
        let moved = file(Sample::empty(2), 0, "usr/a", "a", 2 * LEAST).file(1, "usr/.wh.a", 0);
        assert_eq!(moved.says(&RULE).len(), 1);
        assert_eq!(file(moved, 1, "opt/a", "a", 2 * LEAST).says(&RULE), [""; 0], "a file that was moved");
    }
}
