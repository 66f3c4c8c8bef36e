//! [`Rule`]: a condition on images, and the findings about an image that breaks it.

use super::case::Case;
use super::finding::{Finding, Severity};

/// Something that should hold of every image that Lambda is to run.
#[derive(Debug)]
pub struct Rule {
    /// What it is called, as `--allow` takes it.
    pub name: &'static str,
    /// How bad it is when it does not hold, at worst.
    pub severity: Severity,
    /// What should hold, in one sentence.
    pub what: &'static str,
    /// What happens otherwise.
    pub why: &'static str,
    /// An image that breaks it.
    pub example: &'static str,
    /// What to do about it.
    pub help: &'static str,
    /// Where that is documented.
    pub source: &'static str,
    pub(super) check: fn(&Case<'_>, &mut Findings),
}

impl Rule {
    /// All that this rule finds, in the order of layers and paths.
    pub(super) fn findings(&'static self, case: &Case<'_>) -> Vec<Finding> {
        let mut found = Findings { rule: self, list: Vec::new() };
        (self.check)(case, &mut found);
        // Equal places keep the order in which the rule met them.
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
    /// Adds one about the image as a whole; the result can be given a place.
    pub(super) fn add(&mut self, message: impl Into<String>) -> &mut Finding {
        self.list.push(self.rule.finding(message.into()));
        let last = self.list.len() - 1;
        &mut self.list[last]
    }
}
