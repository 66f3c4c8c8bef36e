//! No two layers have files with the same content.

use super::super::case::{Case, Member};
use super::super::finding::Severity;
use super::super::rule::{Findings, Rule};

pub(super) const RULE: Rule = Rule {
    name: "repeated-file",
    severity: Severity::Note,
    what: "The content of a file is in only one layer.",
    why: "Each layer has its own copy, which is pushed, pulled, and counts towards the limit of 10 GiB for an image.",
    example: "`RUN chmod -R 755 /var/task` or `RUN chown -R …` after the COPY of the files, which stores all of them \
              again.",
    help: "set owner and mode in the step that adds the files, as with COPY --chmod, or link to the existing file",
    source: "https://docs.docker.com/engine/storage/drivers/",
    check,
};

/// The minimum size of a file that is compared, in bytes.
pub(super) const LEAST: u64 = 64 << 10;

/// The maximum number of contents with a finding of their own; the others share one.
const SINGLE: usize = 20;

/// A file, and its layer.
type Copy<'a> = (usize, &'a Member);

/// The copies of one content, lowest layer first.
struct Repeated<'c, 'a> {
    copies: &'c [Copy<'a>],
    bytes: u64,
}

fn check(case: &Case<'_>, findings: &mut Findings) {
    let mut copies: Vec<Copy<'_>> = Vec::new();
    for (number, scan) in case.known() {
        // A hard link does not have its own content.
        let files = scan.members.iter().filter(|member| member.is_file() && member.size() >= LEAST);
        copies.extend(files.filter(|member| member.sha256().is_some()).map(|member| (number, member)));
    }
    // The sort is stable: copies of the same content stay in the order of the layers.
    copies.sort_by_key(|(_, member)| member.sha256());
    let contents = copies.chunk_by(|(_, a), (_, b)| a.sha256() == b.sha256());
    let mut repeated: Vec<Repeated<'_, '_>> = contents.filter_map(Repeated::of).collect();
    // By size, largest first, then by path, so that the order is stable.
    repeated.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.copies[0].1.path.cmp(&b.copies[0].1.path)));
    let (largest, others) = repeated.split_at(repeated.len().min(SINGLE));
    for one in largest {
        let ((lowest, first), (number, last)) = (one.copies[0], one.copies[one.copies.len() - 1]);
        let mut message = if first.path == last.path {
            format!("layer {lowest} has the same file already")
        } else {
            format!("layer {lowest} has the same content already, as {}", first.path)
        };
        if one.copies.len() > 2 {
            message.push_str(&format!("; there are {} copies in all", one.copies.len()));
        }
        findings.add(message).in_layer(case, number).at(&last.path).costs(one.bytes);
    }
    if !others.is_empty() {
        let bytes = others.iter().map(|other| other.bytes).sum();
        let what = if others.len() == 1 { "file is" } else { "files are" };
        findings.add(format!("{} smaller {what} in several layers too", others.len())).costs(bytes);
    }
}

impl<'c, 'a> Repeated<'c, 'a> {
    /// `None` if all copies are in the same layer.
    fn of(copies: &'c [Copy<'a>]) -> Option<Repeated<'c, 'a>> {
        let (lowest, first) = *copies.first()?;
        let (highest, _) = *copies.last()?;
        let bytes = first.size().saturating_mul(copies.len() as u64 - 1);
        (lowest != highest).then_some(Repeated { copies, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::{LEAST, RULE};

    fn file(sample: Sample, layer: usize, path: &str, content: &str, size: u64) -> Sample {
        sample.file(layer, path, 0o644).holding(layer, path, content, size)
    }

    #[test]
    fn equal_content_in_several_layers_is_found() {
        let sample = file(Sample::empty(3), 0, "a", "x", LEAST);
        assert_eq!(sample.says(&RULE), [""; 0]);
        assert_eq!(file(sample.clone(), 0, "b", "x", LEAST).says(&RULE), [""; 0], "one layer");
        let same = file(sample.clone(), 1, "a", "x", LEAST);
        assert_eq!(same.says(&RULE), ["a: layer 0 has the same file already"]);
        assert_eq!(same.check(&RULE)[0].bytes, Some(LEAST));
        let third = file(same, 2, "c", "x", LEAST);
        assert_eq!(
            third.says(&RULE),
            ["c: layer 0 has the same content already, as a; there are 3 copies in all"]
        );
        assert_eq!(third.check(&RULE)[0].bytes, Some(2 * LEAST));
    }

    #[test]
    fn small_and_different_files_are_ignored() {
        let small = file(file(Sample::empty(2), 0, "a", "x", LEAST - 1), 1, "a", "x", LEAST - 1);
        assert_eq!(small.says(&RULE), [""; 0]);
        let other = file(file(Sample::empty(2), 0, "a", "x", LEAST), 1, "a", "y", LEAST);
        assert_eq!(other.says(&RULE), [""; 0]);
    }

    #[test]
    fn the_smallest_contents_share_one_finding() {
        let sample = (0..25).fold(Sample::empty(2), |sample, number| {
            let (path, content, size) = (format!("f{number}"), number.to_string(), LEAST + number);
            file(file(sample, 0, &path, &content, size), 1, &path, &content, size)
        });
        let found = sample.check(&RULE);
        assert_eq!(found.len(), 21);
        assert_eq!(found[0].message, "5 smaller files are in several layers too");
        assert_eq!(found[0].bytes, Some(5 * LEAST + 10));
        let sample = file(file(Sample::empty(2), 0, "a", "a", LEAST), 1, "a", "a", LEAST);
        let sample = (0..20).fold(sample, |sample, number| {
            let (path, content) = (format!("f{number}"), number.to_string());
            file(file(sample, 0, &path, &content, 2 * LEAST), 1, &path, &content, 2 * LEAST)
        });
        assert_eq!(sample.says(&RULE)[0], "1 smaller file is in several layers too");
    }
}
