//! Findings as text.

use std::fmt::Write;

use lbuild::lambda::check::{Finding, Severity};

use crate::cli::output::human::{bytes, one_line};

/// Number of findings that are printed for one rule; `--json` prints all.
const MOST: usize = 10;

/// The findings, grouped by rule, and their number.
pub fn report(image: &str, findings: &[Finding]) -> String {
    match findings {
        [] => format!("{image}: nothing found"),
        _ => format!("{}\n{image}: {}", groups(findings), count(findings, Severity::Note)),
    }
}

/// The findings, grouped by rule.
pub fn groups(findings: &[Finding]) -> String {
    let mut text = String::new();
    for group in findings.chunk_by(|a, b| a.rule == b.rule) {
        let worst = group.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Note);
        let _ = writeln!(text, "{}: {}", word(worst), group[0].rule);
        for finding in group.iter().take(MOST) {
            let _ = writeln!(text, "  {}", one_line(&line(finding)));
        }
        if group.len() > MOST {
            let _ = writeln!(text, "  and {} more", group.len() - MOST);
        }
        let _ = writeln!(text, "  hint: {}", group[0].help);
    }
    text
}

fn line(finding: &Finding) -> String {
    let mut line = match (&finding.path, &finding.field, finding.layer_number) {
        (Some(path), _, Some(layer)) => format!("/{path} (layer {layer}): "),
        (Some(path), ..) => format!("/{path}: "),
        (None, Some(field), _) => format!("{field}: "),
        (None, None, Some(layer)) => format!("layer {layer}: "),
        (None, None, None) => String::new(),
    };
    line.push_str(&finding.message);
    if let Some(cost) = finding.bytes {
        let _ = write!(line, " ({})", bytes(cost));
    }
    line
}

/// The number of findings of each severity, as `2 errors and 1 note`.
pub fn count(findings: &[Finding], least: Severity) -> String {
    let kinds = [Severity::Error, Severity::Warning, Severity::Note];
    let counted = kinds.into_iter().filter(|kind| *kind >= least).filter_map(|kind| {
        let many = findings.iter().filter(|finding| finding.severity == kind).count();
        (many > 0).then(|| format!("{many} {}{}", word(kind), if many == 1 { "" } else { "s" }))
    });
    counted.collect::<Vec<_>>().join(" and ")
}

pub fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}
