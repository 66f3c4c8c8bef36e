//! [`Rule`]: a condition on images, and the findings about an image that violates it.

use super::case::Case;
use super::finding::{Finding, Severity};

/// A condition that an image must meet to run in Lambda.
#[derive(Debug)]
pub struct Rule {
    /// The name, which `--allow` accepts.
    pub name: &'static str,
    /// The highest severity of its findings.
    pub severity: Severity,
    /// The condition, in one sentence.
    pub what: &'static str,
    /// The consequence of a violation, in full sentences.
    pub why: &'static str,
    /// An image that violates it.
    pub example: &'static str,
    /// The fix, as a hint: lower case, without a full stop.
    pub help: &'static str,
    /// The URL of the documentation.
    pub source: &'static str,
    pub(super) check: fn(&Case<'_>, &mut Findings),
}

impl Rule {
    /// The findings of this rule, by layer and path.
    pub(super) fn findings(&'static self, case: &Case<'_>) -> Vec<Finding> {
        let mut found = Findings { rule: self, list: Vec::new() };
        (self.check)(case, &mut found);
        // The sort is stable: findings with the same layer and path keep the order of the rule.
        found.list.sort_by(|a, b| (a.layer_number, &a.path).cmp(&(b.layer_number, &b.path)));
        found.list
    }

    /// A finding of this rule about the image as a whole.
    pub(super) fn finding(&self, message: String) -> Finding {
        Finding {
            rule: self.name,
            severity: self.severity,
            message,
            help: self.help,
            layer: None,
            layer_number: None,
            path: None,
            field: None,
            bytes: None,
        }
    }
}

/// The findings of one rule so far.
pub(super) struct Findings {
    rule: &'static Rule,
    list: Vec<Finding>,
}

impl Findings {
    /// Adds a finding about the image as a whole; the caller can add a layer, path or field.
    pub(super) fn add(&mut self, message: impl Into<String>) -> &mut Finding {
        self.list.push(self.rule.finding(message.into()));
        let last = self.list.len() - 1;
        &mut self.list[last]
    }
}
