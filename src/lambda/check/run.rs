//! Runs the rules on an image, and deserialises stored findings.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::case::{Case, Subject};
use super::doubt::has_handler_file;
use super::facts::BESIDE;
use super::finding::{Finding, Severity};
use super::rule::Rule;
use super::rules::{RULES, rule as rule_named};
use crate::image::Digest;
use crate::scan::memory_left;
use crate::threads::together;

/// The findings about an image, and whether they may be incomplete.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The findings.
    pub findings: Vec<Finding>,
    /// Whether another finding, or none of these, may follow from the layers that are not known.
    pub doubt: bool,
    /// Whether the known files include one that may define the handler.
    pub has_handler: bool,
}

/// All findings about an image that are at least as severe as `least`.
pub fn check(subject: &Subject<'_>, least: Severity) -> Vec<Finding> {
    verdict(subject, least).findings
}

/// All findings about an image that are at least as severe as `least`, and whether they depend on unknown layers.
pub fn verdict(subject: &Subject<'_>, least: Severity) -> Verdict {
    let case = Case::of(subject);
    let rules: Vec<&'static Rule> = RULES.iter().copied().filter(|rule| rule.severity >= least).collect();
    let mut all = match threads(&case) {
        1 => rules.iter().flat_map(|rule| rule.findings(&case)).collect(),
        threads => by_threads(&rules, &case, threads),
    };
    all.retain(|finding| finding.severity >= least);
    // Some rules assume that an unknown base is complete, and would find less otherwise.
    let is_assumed = all.iter().any(|finding| finding.severity == Severity::Error);
    let is_known = subject.scans.unread().next().is_none();
    let doubt = !is_known && (is_assumed || case.is_in_doubt());
    Verdict { findings: all, doubt, has_handler: has_handler_file(&case) }
}

/// With fewer members, one thread is done before a second one has started.
const THREADED: usize = 2000;

/// The number of threads that run the rules: as many as the memory for scans has room for.
fn threads(case: &Case<'_>) -> usize {
    let members: usize = case.known().map(|(_, scan)| scan.members.len()).sum();
    if members < THREADED {
        return 1;
    }
    let room = memory_left(case.known().map(|(_, scan)| scan)) / (members * BESIDE);
    std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS).min(room).max(1)
}

/// Runs the rules on several threads; each thread takes the next rule until none is left. The findings are in the order
/// of the rules.
fn by_threads(rules: &[&'static Rule], case: &Case<'_>, threads: usize) -> Vec<Finding> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        loop {
            let number = next.fetch_add(1, Relaxed);
            let Some(rule) = rules.get(number) else { return found };
            found.extend(rule.findings(case).into_iter().map(|finding| (number, finding)));
        }
    };
    let mut found: Vec<_> = together(threads, work).into_iter().flatten().collect();
    // The sort is stable, and each rule runs on one thread: the findings of a rule keep their order.
    found.sort_by_key(|(number, _)| *number);
    found.into_iter().map(|(_, finding)| finding).collect()
}

/// The slowest rule takes a third of the total time: more threads would only wait for it.
const MAX_THREADS: usize = 4;

/// The rule's name selects its help; a rule that no longer exists is an error.
impl<'de> Deserialize<'de> for Finding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Finding, D::Error> {
        #[derive(Deserialize)]
        struct Written {
            rule: String,
            severity: Severity,
            message: String,
            layer: Option<Digest>,
            layer_number: Option<usize>,
            path: Option<String>,
            field: Option<String>,
            bytes: Option<u64>,
        }
        let Written { rule, severity, message, layer, layer_number, path, field, bytes } =
            Written::deserialize(deserializer)?;
        let rule = rule_named(&rule).ok_or_else(|| D::Error::custom(format!("there is no rule `{rule}`")))?;
        Ok(Finding { severity, layer, layer_number, path, field, bytes, ..rule.finding(message) })
    }
}
