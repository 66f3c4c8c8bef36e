//! Links lead to something that is in the image.

use std::collections::BTreeMap;

use super::super::case::{Case, Seen};
use super::super::finding::Severity;
use super::super::places::{group, is_others, own_places};
use super::super::rule::{Findings, Rule};
use crate::tree::{ImagePath, Target};

pub(super) const RULE: Rule = Rule {
    name: "symlink-target",
    severity: Severity::Warning,
    what: "Symbolic links among the function's files lead to something in the image.",
    why: "A link is stored as the text of its target. What that named on the machine where the image was built is not \
          there in Lambda: opening it fails with `No such file or directory`. One that climbs above the root ends at the \
          root in Lambda, and elsewhere for whoever unpacks the image.",
    example: "/var/task/shared -> /home/me/project/shared, or -> ../../shared of a workspace.",
    help: "put the target into the image as well, or the file itself in place of the link",
    source: "https://man7.org/linux/man-pages/man7/symlink.7.html",
    check,
};

/// What is there when the function runs, whatever the image has: the kernel's, /tmp, and file systems that are mounted.
const AT_RUN_TIME: [&str; 6] = ["dev", "mnt", "proc", "run", "sys", "tmp"];

/// As many links of one directory are told one by one.
const SINGLE: usize = 5;

/// What is wrong with a link.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Nowhere,
    /// The kernel stays at the root, where it finds what the link names, or may find it.
    Above,
    AboveToNowhere,
    Astray,
}

fn check(case: &Case<'_>, findings: &mut Findings) {
    let mut groups: BTreeMap<(String, Fault), Vec<Seen<'_>>> = BTreeMap::new();
    for place in own_places(case) {
        for file in case.files.below(&place) {
            if let Some(fault) = fault(case, file) {
                groups.entry((group(&place, &file.member.path), fault)).or_default().push(file);
            }
        }
    }
    for ((dir, fault), links) in groups {
        // What others have in /opt, they may know of.
        let severity = match fault {
            Fault::Above => Severity::Note,
            _ if is_others(case, &dir) => Severity::Note,
            _ => Severity::Warning,
        };
        let told = if links.len() > SINGLE { 1 } else { links.len() };
        for &link in &links[..told] {
            let path: &str = &link.member.path;
            let (message, place) = match links.len() {
                1..=SINGLE => {
                    (fault.of(&target(case, link).map(|target| target.to_string()).unwrap_or_default()), path)
                }
                count => {
                    let below = path.strip_prefix(&format!("{dir}/")).unwrap_or(path);
                    (format!("{count} links below it {}, such as {below}", fault.of_many()), &*dir)
                }
            };
            findings.add(message).in_layer(case, link.layer).at(place).as_severe(severity);
        }
    }
}

impl Fault {
    fn of(self, target: &str) -> String {
        match self {
            Fault::Nowhere => format!("this link leads to {target}, which is not in the image"),
            Fault::Above => format!("this link to {target} leads above the root of the image"),
            Fault::AboveToNowhere => {
                format!("this link to {target} leads above the root of the image, and to nothing in it")
            }
            Fault::Astray => {
                format!("this link to {target} is part of a loop, or of a chain longer than Linux follows")
            }
        }
    }

    fn of_many(self) -> &'static str {
        match self {
            Fault::Nowhere => "lead to nothing in the image",
            Fault::Above => "lead above the root of the image",
            Fault::AboveToNowhere => "lead above the root of the image, and to nothing in it",
            Fault::Astray => "are parts of loops, or of chains longer than Linux follows",
        }
    }
}

fn fault<'a>(case: &Case<'a>, file: Seen<'a>) -> Option<Fault> {
    target(case, file)?;
    let resolved = case.files.resolve(&file.member.path);
    // What is there in Lambda alone, or in a layer that nobody knows, is there for all that is known.
    let is_told = case.files.complete && !is_at_run_time(&resolved.path);
    match (resolved.target, resolved.leaves_root) {
        (Target::Loop, _) => Some(Fault::Astray),
        (Target::Nothing, false) => is_told.then_some(Fault::Nowhere),
        (Target::Nothing, true) if is_told => Some(Fault::AboveToNowhere),
        (_, true) => Some(Fault::Above),
        (Target::Entry(_) | Target::Directory, false) => None,
    }
}

/// The text of a symbolic link, by whichever of its names.
fn target(case: &Case<'_>, file: Seen<'_>) -> Option<ImagePath> {
    let link = case.files.inode(file)?.member;
    link.target().filter(|_| link.is_symlink())
}

/// Whether a path, without a slash in front, is one that has something only when the function runs.
fn is_at_run_time(path: &str) -> bool {
    AT_RUN_TIME.contains(&path.split('/').next().unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Severity;
    use super::super::super::sample::Sample;
    use super::RULE;
    use crate::tree::EntryKind;

    use serde_json::json;

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
        assert_eq!(
            says("a"),
            ["var/task/a: this link to a is part of a loop, or of a chain longer than Linux follows"]
        );
    }

    #[test]
    fn links_above_the_root_are_found_by_where_the_kernel_ends() {
        let link = |target: &str| Sample::python().link(1, "var/task/a", target);
        let message = "var/task/a: this link to ../../../x leads above the root of the image";
        let lost = link("../../../x");
        assert_eq!(lost.says(&RULE), [format!("{message}, and to nothing in it")]);
        assert_eq!(lost.check(&RULE)[0].severity, Severity::Warning);
        for sample in [link("../../../x").file(1, "x", 0o644), lost.unknown(0)] {
            assert_eq!(sample.says(&RULE), [message]);
            assert_eq!(sample.check(&RULE)[0].severity, Severity::Note);
        }
        assert_eq!(link("../../bin/sh").says(&RULE), [""; 0]);
        assert_eq!(link("../../../tmp/x").check(&RULE)[0].severity, Severity::Note);
    }

    #[test]
    fn what_is_unknown_may_be_there() {
        let sample = Sample::python().link(1, "opt/python/a", "/usr/share/x");
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
            ["var/task/node_modules: 7 links below it lead to nothing in the image, such as p0"]
        );
        assert_eq!((0..5).fold(Sample::python(), link).says(&RULE).len(), 5);
    }

    #[test]
    fn whole_trees_of_links_are_none() {
        let sample = Sample::python()
            .file(1, "var/task/node_modules/a/cli.js", 0o755)
            .link(1, "var/task/node_modules/.bin/a", "../a/cli.js")
            .file(1, "var/task/packages/w/index.js", 0o644)
            .link(1, "var/task/node_modules/@me/w", "../../packages/w")
            .link(1, "var/task/node_modules/via", "@me/w/../w")
            .file(1, "var/task/node_modules/.pnpm/b@1.0.0/node_modules/b/index.js", 0o644)
            .link(1, "var/task/node_modules/b", ".pnpm/b@1.0.0/node_modules/b")
            .link(1, "var/task/logs", "/dev/stdout")
            .link(1, "var/task/mtab", "/proc/self/mounts")
            .link(1, "var/task/here", ".")
            .link(1, "var/task/libs", "/lib64/libc.so.6");
        assert_eq!(sample.says(&RULE), [""; 0]);
        assert_eq!(
            sample.clone().process("Env", json!([])).process("WorkingDir", "/".into()).says(&RULE),
            [""; 0]
        );
        let annex = sample.link(1, "var/task/data", ".git/annex/objects/x/data");
        assert_eq!(annex.says(&RULE).len(), 1);
    }

    #[test]
    fn links_have_hard_links_too() {
        let sample = |target: &str| {
            let kind = EntryKind::HardLink("usr/share/link".into());
            let sample = Sample::python().link(0, "usr/share/link", target).file(1, "var/task/a", 0o777);
            sample.with(1, "var/task/a", |member| member.entry.kind = kind).says(&RULE)
        };
        assert_eq!(sample("app.py"), [""; 0]);
        assert_eq!(sample("none.py"), ["var/task/a: this link leads to none.py, which is not in the image"]);
    }

    #[test]
    fn what_others_have_in_opt_is_a_note() {
        let found = |path: &str| {
            let sample = Sample::python().link(1, path, "/var/lib/vendor/settings");
            sample.check(&RULE).into_iter().map(|finding| finding.severity).collect::<Vec<_>>()
        };
        assert_eq!(found("opt/vendor/settings"), [Severity::Note]);
        assert_eq!(found("opt/nodejs/settings"), [Severity::Warning]);
        assert!(found("usr/lib/systemd/system/default.target").is_empty());
    }
}
