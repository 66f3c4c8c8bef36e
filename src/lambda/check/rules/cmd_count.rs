//! The entry script of AWS's bases gets the handler as its only argument.

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::rule::{Findings, Rule};
use super::super::start::has_aws_entry;
use crate::lambda::base::ENTRY_SCRIPT;

pub(super) const RULE: Rule = Rule {
    name: "cmd-count",
    severity: Severity::Error,
    what: "With the entry script of AWS's bases, CMD has exactly one argument: the handler.",
    why: "The script exits with status 142 unless it gets exactly one argument.",
    example: "`CMD python app.py` on public.ecr.aws/lambda/python:3.12.",
    help: "set CMD to the handler alone, as [\"app.handler\"]; to start another program, set ENTRYPOINT",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/images-create.html",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    if !has_aws_entry(case) {
        return;
    }
    let cmd = case.config.cmd();
    // The entrypoint may have arguments, too.
    let arguments = case.config.entrypoint().len() - 1 + cmd.len();
    let message = match (arguments, &cmd[..]) {
        (1, _) => return,
        (0, _) => format!("no handler is set: CMD must pass one to {ENTRY_SCRIPT}"),
        (_, [shell, "-c", ..]) if shell.ends_with("sh") => {
            format!("CMD is a command line for {shell}, but {ENTRY_SCRIPT} takes only the handler")
        }
        _ => format!("{ENTRY_SCRIPT} gets {arguments} arguments, but takes only the handler"),
    };
    let finding = findings.add(message).in_field("config.Cmd");
    if arguments == 0 {
        // The settings of the function may set CMD.
        finding.as_severe(Severity::Warning);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::RULE;
    use serde_json::json;

    #[test]
    fn the_script_takes_one_argument() {
        let says = |cmd: serde_json::Value| Sample::python().process("Cmd", cmd).says(&RULE);
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        assert_eq!(says(json!(null)), ["no handler is set: CMD must pass one to /lambda-entrypoint.sh"]);
        assert_eq!(
            says(json!(["/bin/sh", "-c", "python app.py"])),
            ["CMD is a command line for /bin/sh, but /lambda-entrypoint.sh takes only the handler"]
        );
        assert_eq!(
            says(json!(["python", "app.py"])),
            ["/lambda-entrypoint.sh gets 2 arguments, but takes only the handler"]
        );
        let entry = Sample::python().process("Entrypoint", json!(["/lambda-entrypoint.sh", "app.handler"]));
        assert_eq!(entry.process("Cmd", json!([])).says(&RULE), [""; 0]);
    }

    #[test]
    fn other_entrypoints_may_take_any_arguments() {
        let sample = || Sample::python().process("Cmd", json!(["a", "b"]));
        for entry in ["/entry.sh", "/usr/bin/lambda-entrypoint.sh"] {
            assert_eq!(sample().process("Entrypoint", json!([entry])).says(&RULE), [""; 0], "{entry}");
        }
        let replaced = sample().file(1, "lambda-entrypoint.sh", 0o755);
        assert_eq!(replaced.says(&RULE), [""; 0], "the arguments of this one are unknown");
        assert_eq!(sample().process("Env", json!([])).says(&RULE), [""; 0], "not a base of AWS's");
        assert_eq!(sample().unknown(0).says(&RULE).len(), 1);
    }
}
