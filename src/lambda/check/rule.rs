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
        let mut found = Findings::of(self);
        (self.check)(case, &mut found);
        let more = found.more();
        // The sort is stable: findings with the same layer and path keep the order of the rule.
        found.list.sort_by(|a, b| (a.layer_number, &a.path).cmp(&(b.layer_number, &b.path)));
        found.list.extend(more);
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

/// Upper bounds on the findings of one rule, and on the bytes of their texts: a hostile image can have a million, and
/// nobody reads more.
const MOST: usize = 1000;
const MOST_BYTES: usize = 1 << 20;

/// The findings of one rule so far.
pub(super) struct Findings {
    rule: &'static Rule,
    /// The findings, of which the last may exceed the bounds: its path and severity are set after it is added.
    list: Vec<Finding>,
    /// The bytes in the texts of all but the last finding.
    bytes: usize,
    /// The number of findings beyond the bounds, and the highest severity among them.
    beyond: Option<(usize, Severity)>,
}

impl Findings {
    fn of(rule: &'static Rule) -> Findings {
        Findings { rule, list: Vec::new(), bytes: 0, beyond: None }
    }

    /// Removes the last finding if it exceeds the bounds.
    fn bound(&mut self) {
        let Some(last) = self.list.last() else { return };
        let bytes = self.bytes + last.message.len() + last.path.as_ref().map_or(0, String::len);
        if self.list.len() <= MOST && bytes <= MOST_BYTES {
            self.bytes = bytes;
        } else {
            let (count, severity) = self.beyond.unwrap_or((0, last.severity));
            self.beyond = Some((count + 1, severity.max(last.severity)));
            self.list.pop();
        }
    }

    /// A finding in place of those beyond the bounds.
    fn more(&mut self) -> Option<Finding> {
        self.bound();
        let (count, severity) = self.beyond?;
        let message = format!("{count} more findings of this rule are not listed");
        Some(Finding { severity, ..self.rule.finding(message) })
    }

    /// Adds a finding about the image as a whole; the caller can add a layer, path or field.
    pub(super) fn add(&mut self, message: impl Into<String>) -> &mut Finding {
        self.bound();
        self.list.push(self.rule.finding(message.into()));
        let last = self.list.len() - 1;
        &mut self.list[last]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static RULE: Rule = Rule {
        name: "test",
        severity: Severity::Error,
        what: "",
        why: "",
        example: "",
        help: "",
        source: "",
        check: |_, _| {},
    };

    /// The findings of a rule that adds `count` findings with a path of this many bytes; every tenth is an error.
    fn found(count: usize, bytes: usize) -> (Vec<Finding>, Option<Finding>) {
        let mut found = Findings::of(&RULE);
        for number in 0..count {
            let severity = if number % 10 == 9 { Severity::Error } else { Severity::Note };
            found.add("").at("p".repeat(bytes)).as_severe(severity);
        }
        let more = found.more();
        (found.list, more)
    }

    #[test]
    fn the_findings_of_a_rule_are_bounded() {
        let (listed, more) = found(MOST, 10);
        assert_eq!((listed.len(), more), (MOST, None));
        let (listed, more) = found(MOST + 3, 10);
        let more = more.unwrap();
        assert_eq!((listed.len(), more.severity), (MOST, Severity::Note));
        assert_eq!(more.message, "3 more findings of this rule are not listed");
        let (listed, more) = found(MOST + 10, 10);
        assert_eq!((listed.len(), more.unwrap().severity), (MOST, Severity::Error));
        let (listed, more) = found(5, MOST_BYTES / 2);
        assert_eq!(
            (listed.len(), more.map(|more| more.message)),
            (2, Some("3 more findings of this rule are not listed".to_owned()))
        );
        assert_eq!(found(0, 0), (Vec::new(), None));
    }
}
