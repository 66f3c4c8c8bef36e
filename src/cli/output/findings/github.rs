//! Findings as annotations of GitHub Actions.
//!
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>

use lbuild::Error;
use lbuild::error::Remark;
use lbuild::lambda::check::{Finding, Severity};

use crate::cli::output::exit::Failure;

/// One workflow command for each warning about a Dockerfile, and for each finding.
pub fn annotations(remarks: &[Remark], findings: &[Finding]) -> String {
    let remarks = remarks.iter().map(|remark| of_remark("warning", remark));
    let lines = findings.iter().map(|finding| {
        let command = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let place = match (&finding.path, &finding.field) {
            (Some(path), _) => format!("/{path}: "),
            (None, Some(field)) => format!("{field}: "),
            (None, None) => String::new(),
        };
        let message = format!("{place}{} (hint: {})", finding.message, finding.help);
        format!("::{command} title={}::{}", property(finding.rule), data(&message))
    });
    remarks.chain(lines).collect::<Vec<_>>().join("\n")
}

/// The workflow command for a failure with a place in a Dockerfile.
pub fn failure(failure: &Failure) -> Option<String> {
    match failure {
        Failure::Library(
            Error::Dockerfile(remark)
            | Error::Instruction(remark)
            | Error::DockerfileBase { remark, .. }
            | Error::Command { remark, .. },
        ) => Some(of_remark("error", remark)),
        _ => None,
    }
}

fn of_remark(command: &str, remark: &Remark) -> String {
    let place = format!("file={},line={},col={}", property(&remark.file), remark.line, remark.column);
    let hint = remark.hint.as_deref().map(|hint| format!(" (hint: {hint})")).unwrap_or_default();
    format!("::{command} {place},title=Dockerfile::{}", data(&format!("{}{hint}", remark.message)))
}

/// Escapes a message: a line end would end the command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
