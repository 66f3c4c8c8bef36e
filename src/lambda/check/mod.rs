//! What Lambda would refuse, and what would fail there: findings about an image, all of them at once.
//!
//! A [`Rule`] is a file of this directory: what it looks for, why, and the way out. All see the same: the
//! manifest, the config, and what every layer holds. What cannot be told is no finding: a rule that needs a file says
//! nothing when a layer is unknown that might have it.
//!
//! Findings are values, in a stable order: that of the rules, and within one that of the layers and paths.

mod annotator;
mod case;
mod finding;
mod handler;
mod libc;
mod module;
mod package;
mod places;
mod rules;
#[cfg(test)]
mod sample;
mod secrets;
mod start;

pub use annotator::Annotator;
pub use case::{Asked, Subject};
pub use finding::{Finding, Severity};
pub use rules::RULES;
pub use secrets::{is_secret, without_secrets};

use crate::layer::overlay as files;

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use case::Case;

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
    pub way_out: &'static str,
    /// Where that is documented.
    pub source: &'static str,
    check: fn(&Case<'_>, &mut Findings),
}

/// The rule of this name.
pub fn rule(name: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.name == name)
}

/// Everything that is to be said of an image and is at least as bad as `least`.
pub fn check(subject: &Subject<'_>, least: Severity) -> Vec<Finding> {
    let case = Case::of(subject);
    let rules: Vec<&'static Rule> = RULES.iter().copied().filter(|rule| rule.severity >= least).collect();
    let members: usize = case.known().map(|(_, survey)| survey.members.len()).sum();
    let mut all = match members {
        ..THREADED => rules.iter().flat_map(|rule| findings(rule, &case)).collect(),
        _ => by_threads(&rules, &case),
    };
    all.retain(|finding| finding.severity >= least);
    all
}

/// An image of fewer members is judged before a thread has started.
const THREADED: usize = 2000;

/// The findings of all rules, in their order. Each thread takes the next rule that none has taken.
fn by_threads(rules: &[&'static Rule], case: &Case<'_>) -> Vec<Finding> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        loop {
            let number = next.fetch_add(1, Relaxed);
            let Some(rule) = rules.get(number) else { return found };
            found.extend(findings(rule, case).into_iter().map(|finding| (number, finding)));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    let mut found = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut found = work();
        for other in others {
            found.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        found
    });
    // Those of a rule are of one thread, in their order, and stay so.
    found.sort_by_key(|(number, _)| *number);
    found.into_iter().map(|(_, finding)| finding).collect()
}

/// One rule takes a third of the time of all: more threads would wait for it.
const MAX_THREADS: usize = 4;

fn findings(rule: &'static Rule, case: &Case<'_>) -> Vec<Finding> {
    let mut found = Findings { rule, list: Vec::new() };
    (rule.check)(case, &mut found);
    // Equal places keep the order in which the rule met them.
    found.list.sort_by(|a, b| (a.layer_number, &a.path).cmp(&(b.layer_number, &b.path)));
    found.list
}

/// What one rule has found so far.
struct Findings {
    rule: &'static Rule,
    list: Vec<Finding>,
}

impl Findings {
    /// Something about the image as a whole; the result can be given a place.
    fn add(&mut self, message: impl Into<String>) -> &mut Finding {
        self.list.push(Finding::of(self.rule, message.into()));
        let last = self.list.len() - 1;
        &mut self.list[last]
    }
}
