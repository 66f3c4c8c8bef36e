//! Extensions are in the directory from which Lambda starts them.

use std::collections::BTreeSet;

use super::super::case::{Case, Member, Seen};
use super::super::finding::Severity;
use super::super::function::join;
use super::super::rule::{Findings, Rule};
use crate::scan::Code;

pub(super) const RULE: Rule = Rule {
    name: "extension-place",
    severity: Severity::Warning,
    what: "External extensions are files directly in /opt/extensions.",
    why: "Lambda starts the files directly in that directory and no others: an extension elsewhere is never started, \
          without any message.",
    example: "The file extensions/agent of a Lambda layer, copied to /var/task/extensions/agent.",
    help: "put the extension's program at /opt/extensions/NAME, and unpack whole Lambda layers into /opt",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/extensions-configuration.html",
    check,
};

const PLACE: &str = "opt/extensions";

fn check(case: &Case<'_>, findings: &mut Findings) {
    let elsewhere = join(case.task_root(), "extensions");
    for dir in BTreeSet::from([elsewhere.as_str(), "extensions"]) {
        for file in directly_in(case, dir) {
            let name = file.member.name();
            let is_started = case.files.file(format!("{PLACE}/{name}")).is_some();
            if looks_like_one(file.member) && !is_started {
                let message = "this looks like an extension, but Lambda starts only those in /opt/extensions";
                findings.add(message).in_layer(case, file.layer).at(&file.member.path);
            }
        }
    }
    deeper(case, findings);
}

/// Finds a program in a subdirectory, which unpacked archives often have, if no file is directly in /opt/extensions.
fn deeper(case: &Case<'_>, findings: &mut Findings) {
    let is_directory = |file: &Seen<'_>| file.member.is_directory();
    if directly_in(case, PLACE).iter().any(|file| !is_directory(file)) {
        return;
    }
    let below = case.files.below(PLACE).find(|file| file.member.is_file() && is_program(file.member));
    if let Some(file) = below
        && case.is_certain()
    {
        let name = file.member.path.strip_prefix("opt/extensions/").unwrap_or(&file.member.path);
        let message = format!("it has no file directly in it, so Lambda starts nothing; {name} is ignored");
        findings.add(message).in_layer(case, file.layer).at(PLACE);
    }
}

fn directly_in<'a>(case: &Case<'a>, dir: &str) -> Vec<Seen<'a>> {
    let below = case.files.below(dir);
    below
        .filter(|file| file.member.path.get(dir.len() + 1..).is_some_and(|rest| !rest.contains('/')))
        .collect()
}

/// Whether a file is a program without a `.` in its name, as extensions are. A directory `extensions` may also hold a
/// function's own code and scripts.
fn looks_like_one(member: &Member) -> bool {
    is_program(member) && !member.name().contains('.')
}

/// Whether others may execute the file, and it is a script or machine code other than a library.
fn is_program(member: &Member) -> bool {
    let is_program = match member.code() {
        Some(Code::Script(_)) => true,
        Some(Code::Elf(_)) => !member.name().contains(".so"),
        _ => false,
    };
    is_program && member.entry.mode & 0o001 != 0
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::RULE;
    use serde_json::json;

    const ELSEWHERE: &str = "this looks like an extension, but Lambda starts only those in /opt/extensions";

    #[test]
    fn extensions_elsewhere_are_found() {
        for path in ["var/task/extensions/agent", "extensions/agent"] {
            let sample = Sample::python().elf(1, path, |_| ());
            assert_eq!(sample.says(&RULE), [format!("{path}: {ELSEWHERE}")]);
            let copied = sample.elf(1, "opt/extensions/agent", |_| ());
            assert_eq!(copied.says(&RULE), [""; 0], "{path}");
        }
        let path = "var/task/extensions/agent";
        let script = Sample::python().file(1, path, 0o755).script(1, path, "/bin/sh");
        assert_eq!(script.says(&RULE), [format!("{path}: {ELSEWHERE}")]);
        let root = Sample::python().process("Env", json!([])).process("WorkingDir", "/".into());
        assert_eq!(root.elf(1, "extensions/agent", |_| ()).says(&RULE).len(), 1);
    }

    #[test]
    fn other_files_are_not_extensions() {
        let sample = Sample::python()
            .elf(1, "opt/extensions/agent", |_| ())
            .file(1, "opt/extensions/lib/x.py", 0o644)
            .file(1, "var/task/extensions/app.py", 0o755)
            .file(1, "var/task/extensions/build.sh", 0o755)
            .script(1, "var/task/extensions/build.sh", "/bin/sh")
            .file(1, "var/task/extensions/text", 0o644)
            .script(1, "var/task/extensions/text", "/bin/sh")
            .file(1, "var/task/extensions/README", 0o755)
            .elf(1, "var/task/extensions/fast.so", |_| ())
            .elf(1, "var/task/pkg/extensions/agent", |_| ());
        assert_eq!(sample.says(&RULE), [""; 0]);
        let linked = Sample::python().elf(1, "var/task/extensions/agent", |_| ()).link(
            1,
            "opt/extensions",
            "/var/task/extensions",
        );
        assert_eq!(linked.says(&RULE), [""; 0], "Lambda follows the link");
        let opt = Sample::python().process("Env", json!(["LAMBDA_TASK_ROOT=/opt"]));
        assert_eq!(opt.elf(1, "opt/extensions/agent", |_| ()).says(&RULE), [""; 0]);
    }

    #[test]
    fn a_program_in_a_subdirectory_is_not_started() {
        let sample = Sample::python().directories(1, "opt/extensions/agent").elf(
            1,
            "opt/extensions/agent/run",
            |_| (),
        );
        assert_eq!(
            sample.says(&RULE),
            ["opt/extensions: it has no file directly in it, so Lambda starts nothing; agent/run is ignored"]
        );
        assert_eq!(sample.clone().unknown(0).says(&RULE), [""; 0]);
        assert_eq!(sample.elf(1, "opt/extensions/start", |_| ()).says(&RULE), [""; 0]);
    }
}
