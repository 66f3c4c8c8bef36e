//! No two layers have different files at one path of `/opt`.

use super::super::case::{Case, Hidden};
use super::super::finding::Severity;
use super::super::rule::{Findings, Rule};

pub(super) const RULE: Rule = Rule {
    name: "layer-overlap",
    severity: Severity::Warning,
    what: "Files of /opt that a Lambda layer brings are not replaced by other ones of the next layer.",
    why: "As with the layers of a zip function, the file of the last layer is the only one that the function sees: the \
          layers before it then run with a file that is not theirs, such as another version of a package.",
    example: "--layer one.zip --layer two.zip, which both bring python/requests/__init__.py, of different versions.",
    help: "use layers with the same version of what they share, or give the one whose files are to win last",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/chapter-layers.html",
    check,
};

/// The directories of `/opt` that Lambda and its runtimes read:
/// <https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html>.
const DIRS: [&str; 8] = ["bin", "dotnet", "extensions", "java", "lib", "nodejs", "python", "ruby"];

fn check(case: &Case<'_>, findings: &mut Findings) {
    let mut replaced: Vec<&Hidden<'_>> =
        case.files.hidden().iter().filter(|hidden| is_clash(case, hidden)).collect();
    let layers = |hidden: &Hidden<'_>| (hidden.by, hidden.file.layer);
    replaced.sort_by_key(|hidden| (layers(hidden), &hidden.file.member.path));
    for group in replaced.chunk_by(|a, b| layers(a) == layers(b)) {
        let (first, (by, lower)) = (group[0], layers(group[0]));
        let more = match group.len() - 1 {
            0 => String::new(),
            more => format!(", as {more} more of its files are"),
        };
        let message = format!("the file of layer {lower} is replaced by another one of layer {by}{more}");
        findings.add(message).in_layer(case, by).at(&first.file.member.path);
    }
}

/// Whether a file of a directory that Lambda reads is replaced by another file.
fn is_clash(case: &Case<'_>, hidden: &Hidden<'_>) -> bool {
    let member = hidden.file.member;
    let dir = member.path.strip_prefix("opt/").and_then(|rest| rest.split_once('/'));
    if !hidden.replaced || !member.is_file() || !dir.is_some_and(|(dir, _)| DIRS.contains(&dir)) {
        return false;
    }
    let at = case.paths(hidden.by).first(&member.path);
    let above = case.scans[hidden.by].as_ref().zip(at).map(|(scan, at)| &scan.members[at]);
    let Some(above) = above else { return false };
    match (member.sha256(), above.sha256()) {
        (Some(before), Some(after)) => before != after,
        _ => member.size() != above.size() || !above.is_file(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::RULE;

    fn file(sample: Sample, layer: usize, path: &str, content: &str) -> Sample {
        sample.file(layer, path, 0o644).holding(layer, path, content, content.len() as u64)
    }

    #[test]
    fn different_files_at_one_path_are_found() {
        let sample = file(Sample::empty(3), 0, "opt/python/a.py", "one");
        let sample = file(sample, 0, "opt/python/b.py", "one");
        let twice = file(sample.clone(), 1, "opt/python/a.py", "two");
        let expected = "opt/python/a.py: the file of layer 0 is replaced by another one of layer 1";
        assert_eq!(twice.says(&RULE), [expected]);
        let more = file(twice, 1, "opt/python/b.py", "two");
        assert_eq!(more.says(&RULE), [format!("{expected}, as 1 more of its files are")]);
        assert_eq!(file(sample.clone(), 1, "opt/python/a.py", "one").says(&RULE), [""; 0], "the same file");
        assert_eq!(sample.clone().file(1, "opt/python/.wh.a.py", 0).says(&RULE), [""; 0], "deleted");
        // each layer is compared with the next one that has the file
        let thrice = file(file(sample, 1, "opt/python/a.py", "one"), 2, "opt/python/a.py", "two");
        let expected = "opt/python/a.py: the file of layer 1 is replaced by another one of layer 2";
        assert_eq!(thrice.says(&RULE), [expected]);
    }

    #[test]
    fn other_directories_are_not_those_of_layers() {
        for path in ["var/task/app.py", "opt/venv/lib/a.py", "opt/README", "python/a.py"] {
            let sample = file(file(Sample::empty(2), 0, path, "one"), 1, path, "two");
            assert_eq!(sample.says(&RULE), [""; 0], "{path}");
        }
    }
}
