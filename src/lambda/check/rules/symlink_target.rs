//! Symbolic links have a target in the image.

use std::collections::BTreeMap;

use super::super::case::{Case, Seen};
use super::super::finding::Severity;
use super::super::places::{group, is_others, own_places};
use super::super::rule::{Findings, Rule};
use crate::tree::{ImagePath, Target};

pub(super) const RULE: Rule = Rule {
    name: "symlink-target",
    severity: Severity::Warning,
    what: "Symbolic links among the function's files have a target in the image.",
    why: "A link is stored as the text of its target. If that exists only on the machine where the image was built, \
          opening the link in Lambda fails with `No such file or directory`. A link above the root resolves from the \
          root in Lambda, but leads elsewhere in an unpacked image.",
    example: "/var/task/shared -> /home/me/project/shared, or -> ../../shared of a workspace.",
    help: "add the target to the image, or replace the link by the file",
    source: "https://man7.org/linux/man-pages/man7/symlink.7.html",
    check,
};

/// Directories that have files only at run time: those of the kernel, /tmp, and mounted file systems.
const AT_RUN_TIME: [&str; 6] = ["dev", "mnt", "proc", "run", "sys", "tmp"];

/// Up to this number of links in a directory, each has its own finding.
const SINGLE: usize = 5;

/// The fault of a link.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Dangling,
    /// The link leads above the root. The kernel resolves it from the root, where the target exists or may exist.
    Above,
    AboveAndDangling,
    Loop,
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
        // Other software in /opt may have dangling links on purpose.
        let severity = match fault {
            Fault::Above => Severity::Note,
            _ if is_others(case, &dir) => Severity::Note,
            _ => Severity::Warning,
        };
        let listed = if links.len() > SINGLE { 1 } else { links.len() };
        for &link in &links[..listed] {
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
            Fault::Dangling => format!("this link leads to {target}, which is not in the image"),
            Fault::Above => format!("this link to {target} leads above the root of the image"),
            Fault::AboveAndDangling => {
                format!("this link to {target} leads above the root of the image, and to nothing in it")
            }
            Fault::Loop => {
                format!("this link to {target} is part of a loop, or of a chain longer than Linux follows")
            }
        }
    }

    fn of_many(self) -> &'static str {
        match self {
            Fault::Dangling => "lead to nothing in the image",
            Fault::Above => "lead above the root of the image",
            Fault::AboveAndDangling => "lead above the root of the image, and to nothing in it",
            Fault::Loop => "are parts of loops, or of chains longer than Linux follows",
        }
    }
}

fn fault<'a>(case: &Case<'a>, file: Seen<'a>) -> Option<Fault> {
    target(case, file)?;
    let resolved = case.files.resolve(&file.member.path);
    // The target may exist only in Lambda, or in an unknown layer.
    let is_certain = || !is_at_run_time(&resolved.path) && case.is_certain();
    match (resolved.target, resolved.leaves_root) {
        (Target::Loop, _) => Some(Fault::Loop),
        (Target::Nothing, false) => is_certain().then_some(Fault::Dangling),
        (Target::Nothing, true) if is_certain() => Some(Fault::AboveAndDangling),
        (_, true) => Some(Fault::Above),
        (Target::Entry(_) | Target::Directory, false) => None,
    }
}

/// The target of a symbolic link, or of a hard link to one.
fn target(case: &Case<'_>, file: Seen<'_>) -> Option<ImagePath> {
    let link = case.files.inode(file)?.member;
    link.target().filter(|_| link.is_symlink())
}

/// Whether a path (without a leading slash) is in a directory that has files only at run time.
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
    fn dangling_links_are_found() {
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
    fn the_severity_of_a_link_above_the_root_depends_on_its_target() {
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
    fn an_unknown_layer_may_have_the_target() {
        let sample = Sample::python().link(1, "opt/python/a", "/usr/share/x");
        assert_eq!(sample.says(&RULE).len(), 1);
        assert_eq!(sample.unknown(0).says(&RULE), [""; 0]);
    }

    #[test]
    fn a_chain_of_links_is_resolved_to_its_end() {
        let sample = Sample::python().link(1, "var/task/a", "b/c").link(1, "var/task/b", "/tmp");
        assert_eq!(sample.says(&RULE), [""; 0]);
        let system = Sample::python().link(0, "usr/share/doc", "/nowhere");
        assert_eq!(system.says(&RULE), [""; 0], "not the function's");
    }

    #[test]
    fn many_links_are_one_finding() {
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
    fn links_with_targets_are_accepted() {
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
    fn a_hard_link_to_a_symbolic_link_is_checked_as_a_symbolic_link() {
        let sample = |target: &str| {
            let kind = EntryKind::HardLink("usr/share/link".into());
            let sample = Sample::python().link(0, "usr/share/link", target).file(1, "var/task/a", 0o777);
            sample.with(1, "var/task/a", |member| member.entry.kind = kind).says(&RULE)
        };
        assert_eq!(sample("app.py"), [""; 0]);
        assert_eq!(sample("none.py"), ["var/task/a: this link leads to none.py, which is not in the image"]);
    }

    #[test]
    fn links_of_other_software_in_opt_are_a_note() {
        let found = |path: &str| {
            let sample = Sample::python().link(1, path, "/var/lib/vendor/settings");
            sample.check(&RULE).into_iter().map(|finding| finding.severity).collect::<Vec<_>>()
        };
        assert_eq!(found("opt/vendor/settings"), [Severity::Note]);
        assert_eq!(found("opt/nodejs/settings"), [Severity::Warning]);
        assert!(found("usr/lib/systemd/system/default.target").is_empty());
    }
}
