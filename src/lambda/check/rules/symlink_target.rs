//! Links lead to something that is in the image.

use std::collections::BTreeMap;

use super::super::case::Case;
use super::super::files::{Leads, Seen};
use super::super::{Findings, Rule, Severity};
use super::unreadable::{group, own_places};
use crate::layer::survey::MemberKind;

pub(super) const RULE: Rule = Rule {
    name: "symlink-target",
    severity: Severity::Warning,
    what: "Symbolic links among the function's files lead to something in the image.",
    why: "A link is stored as the text of its target. What that named on the machine where the image was built is not \
          there in Lambda: opening it fails with `No such file or directory`.",
    example: "/var/task/shared -> /home/me/project/shared, or -> ../../shared of a workspace.",
    way_out: "put the target into the image as well, or the file itself in place of the link",
    source: "https://man7.org/linux/man-pages/man7/symlink.7.html",
    check,
};

/// What is there when the function runs, whatever the image has: the kernel's, /tmp, and file systems that are mounted.
const AT_RUN_TIME: [&str; 6] = ["dev", "mnt", "proc", "run", "sys", "tmp"];

/// As many links of one directory are told one by one.
const SINGLE: usize = 5;

/// As many links as Linux follows in one path.
const MAX_LINKS: usize = 40;

fn check(case: &Case<'_>, findings: &mut Findings) {
    let mut groups: BTreeMap<String, Vec<(Seen<'_>, String)>> = BTreeMap::new();
    for place in own_places(case) {
        for file in case.files.below(place) {
            if let Some(fault) = fault(case, file) {
                groups.entry(group(place, &file.member.path)).or_default().push((file, fault));
            }
        }
    }
    for (dir, links) in groups {
        if links.len() > SINGLE {
            let first = links[0].0;
            let path = first.member.path.strip_prefix(&format!("{dir}/")).unwrap_or(&first.member.path);
            let message = format!("{} links below it lead to nothing in the image, as {path}", links.len());
            findings.add(message).in_layer(case, first.layer).at(dir);
            continue;
        }
        for (file, fault) in links {
            findings.add(fault).in_layer(case, file.layer).at(&file.member.path);
        }
    }
}

fn fault(case: &Case<'_>, file: Seen<'_>) -> Option<String> {
    let MemberKind::Symlink(target) = &file.member.kind else { return None };
    let path = &file.member.path;
    match case.files.resolve(path) {
        Leads::To(_) | Leads::Directory => None,
        Leads::Astray => {
            Some(format!("this link, to {target}, leads round in a circle or above the root of the image"))
        }
        Leads::Nowhere if !case.files.complete || is_at_run_time(&end(case, path)) => None,
        Leads::Nowhere => Some(format!("this link leads to {target}, which is not in the image")),
    }
}

/// Whether a path, without a slash in front, is one that has something only when the function runs.
fn is_at_run_time(path: &str) -> bool {
    AT_RUN_TIME.contains(&path.split('/').next().unwrap_or(path))
}

/// Where a path leads by the links that are in the image, whether anything is there or not; without a slash in front.
pub(super) fn end(case: &Case<'_>, path: &str) -> String {
    let mut ahead: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
    let mut place: Vec<String> = Vec::new();
    let mut links = 0;
    while let Some(part) = ahead.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                place.pop();
                continue;
            }
            _ => place.push(part),
        }
        let Some(found) = case.files.get(&place.join("/")) else { continue };
        let MemberKind::Symlink(target) = &found.member.kind else { continue };
        links += 1;
        if links > MAX_LINKS {
            break;
        }
        place.pop();
        if target.starts_with('/') {
            place.clear();
        }
        ahead.extend(target.rsplit('/').map(str::to_owned));
    }
    place.join("/")
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::RULE;

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let says = |target: &str| Sample::python().link(1, "var/task/a", target).says(&RULE);
        for target in
            ["app.py", "/var/task", "../runtime/bootstrap", "/tmp/cache", "/proc/self/fd", "../../mnt/efs/x"]
        {
            assert_eq!(says(target), [""; 0], "{target}");
        }
        for target in ["/home/me/x", "../x", "app.py/x"] {
            assert_eq!(
                says(target),
                [format!("var/task/a: this link leads to {target}, which is not in the image")]
            );
        }
        for target in ["a", "../../../x"] {
            assert_eq!(
                says(target),
                [format!(
                    "var/task/a: this link, to {target}, leads round in a circle or above the root of the image"
                )]
            );
        }
    }

    #[test]
    fn what_is_unknown_may_be_there() {
        let sample = Sample::python().link(1, "opt/a", "/usr/share/x");
        assert_eq!(sample.says(&RULE).len(), 1);
        assert_eq!(sample.unknown(0).says(&RULE), [""; 0]);
    }

    #[test]
    fn a_way_by_several_links_counts_by_its_end() {
        let sample = Sample::python().link(1, "var/task/a", "b/c").link(1, "var/task/b", "/tmp");
        assert_eq!(sample.says(&RULE), [""; 0]);
        let system = Sample::python().link(0, "usr/share/doc", "/nowhere");
        assert_eq!(system.says(&RULE), [""; 0], "not the function's");
    }

    #[test]
    fn many_are_one_finding() {
        let link = |sample: Sample, number: usize| {
            sample.link(1, &format!("var/task/node_modules/p{number}"), "../gone")
        };
        let sample = (0..7).fold(Sample::python(), link);
        assert_eq!(
            sample.says(&RULE),
            ["var/task/node_modules: 7 links below it lead to nothing in the image, as p0"]
        );
        assert_eq!((0..5).fold(Sample::python(), link).says(&RULE).len(), 5);
    }
}
