//! An image on one of AWS's OS-only bases has the program that the base starts.

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::function::join;
use super::super::rule::{Findings, Rule};
use super::super::start::is_os_only;
use crate::lambda::BOOTSTRAP;
use crate::tree::{EntryKind, Target};

pub(super) const RULE: Rule = Rule {
    name: "bootstrap",
    severity: Severity::Error,
    what: "An image on AWS's OS-only base has an executable file /var/runtime/bootstrap.",
    why: "The base's entry script executes this path for every handler. Without it, every invocation fails with \
          `Runtime.InvalidEntrypoint`.",
    example: "A Go or Rust program at /var/task/bootstrap, its place in a zip package.",
    help: "put the program at /var/runtime/bootstrap with mode 0755, or make it the entrypoint",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    if !is_os_only(case) {
        return;
    }
    let path = &BOOTSTRAP[1..];
    let found = match case.files.resolve(path).target {
        Target::Entry(found) => case.files.file(path).unwrap_or(found),
        _ if case.is_certain() => return missing(case, findings),
        _ => return,
    };
    let fault = match found.member.entry.kind {
        EntryKind::File(_) if found.member.entry.mode & 0o001 == 0 => {
            let mode = found.member.entry.mode;
            format!("the base starts this file, which others may not execute (mode {mode:04o})")
        }
        EntryKind::File(_) | EntryKind::HardLink(_) => return,
        _ => "the base starts this path, which is not a file".to_owned(),
    };
    findings.add(fault).in_layer(case, found.layer).at(&found.member.path);
}

fn missing(case: &Case<'_>, findings: &mut Findings) {
    let elsewhere = join(case.task_root(), "bootstrap");
    let instead = if case.files.file(&elsewhere).is_some() {
        format!("; it does not look at /{elsewhere}")
    } else {
        String::new()
    };
    findings.add(format!("the base starts {BOOTSTRAP}, which is not in the image{instead}"));
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::RULE;
    use serde_json::json;

    /// The relevant files and settings of AWS's OS-only base.
    fn base() -> Sample {
        Sample::empty(2)
            .file(0, "lambda-entrypoint.sh", 0o755)
            .file(0, "usr/local/bin/aws-lambda-rie", 0o755)
            .directories(0, "var/runtime")
            .process("Entrypoint", json!(["/lambda-entrypoint.sh"]))
            .process("Cmd", json!(["any"]))
            .process("Env", json!(["LAMBDA_TASK_ROOT=/var/task", "LAMBDA_RUNTIME_DIR=/var/runtime"]))
    }

    #[test]
    fn the_program_must_be_at_the_path_of_the_base() {
        assert_eq!(base().file(1, "var/runtime/bootstrap", 0o755).says(&RULE), [""; 0]);
        let linked = base().link(1, "var/runtime/bootstrap", "../task/app").file(1, "var/task/app", 0o755);
        assert_eq!(linked.says(&RULE), [""; 0]);
        assert_eq!(base().says(&RULE), ["the base starts /var/runtime/bootstrap, which is not in the image"]);
        assert_eq!(
            base().file(1, "var/task/bootstrap", 0o755).says(&RULE),
            ["the base starts /var/runtime/bootstrap, which is not in the image; it does not look at \
              /var/task/bootstrap"]
        );
        let root = base().process("Env", json!(["LAMBDA_RUNTIME_DIR=/var/runtime"]));
        assert_eq!(
            root.process("WorkingDir", "/".into()).file(1, "bootstrap", 0o755).says(&RULE),
            [
                "the base starts /var/runtime/bootstrap, which is not in the image; it does not look at /bootstrap"
            ]
        );
        assert_eq!(base().unknown(1).says(&RULE), [""; 0]);
        assert_eq!(base().link(1, "var/runtime/bootstrap", "../task/none").says(&RULE).len(), 1);
    }

    #[test]
    fn the_program_must_be_executable_by_others() {
        for (mode, found) in [(0o755, 0), (0o701, 0), (0o644, 1), (0o750, 1)] {
            assert_eq!(base().file(1, "var/runtime/bootstrap", mode).says(&RULE).len(), found, "{mode:o}");
        }
        let directory = base().directory(1, "var/runtime/bootstrap");
        assert_eq!(
            directory.says(&RULE),
            ["var/runtime/bootstrap: the base starts this path, which is not a file"]
        );
    }

    #[test]
    fn bases_with_a_runtime_have_their_own_bootstrap() {
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        let unknown = base().file(0, "var/runtime/Amazon.Lambda.RuntimeSupport.dll", 0o644);
        assert_eq!(unknown.says(&RULE), [""; 0]);
        let labels = json!({ "org.opencontainers.image.base.name": "public.ecr.aws/lambda/provided:al2023" });
        assert_eq!(base().process("Labels", labels).says(&RULE).len(), 1);
        assert_eq!(base().process("Entrypoint", json!(["/app"])).says(&RULE), [""; 0]);
    }
}
