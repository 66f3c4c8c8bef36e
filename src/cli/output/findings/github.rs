//! Findings as annotations of GitHub Actions.
//!
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>

use lbuild::lambda::check::{Finding, Severity};

/// One workflow command for each finding.
pub fn annotations(findings: &[Finding]) -> String {
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
    lines.collect::<Vec<_>>().join("\n")
}

/// Escapes a message: a line end would end the command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
