//! `lbuild rules`: the rules of `lbuild check`.

use lbuild::lambda::check::{self, RULES, Rule};
use serde_json::{Value, json};

use crate::cli::args::check::Rules;
use crate::cli::context::Context;
use crate::cli::output::exit::Failure;
use crate::cli::output::findings::text::word;
use crate::cli::output::report::print;

/// Prints all rules, one line each, or one rule in full.
pub fn run(args: &Rules, context: &Context) -> Result<(), Failure> {
    let one = args.rule.as_deref().map(named).transpose()?;
    print(&match (one, context.json) {
        (Some(rule), true) => format!("{:#}", rule_as_json(rule)),
        (None, true) => {
            format!("{:#}", Value::from(RULES.iter().map(|rule| rule_as_json(rule)).collect::<Vec<_>>()))
        }
        (Some(rule), false) => text(rule),
        (None, false) => all(),
    })
}

/// The rule of this name.
pub fn named(name: &str) -> Result<&'static Rule, Failure> {
    check::rule(name)
        .ok_or_else(|| Failure::usage(format!("there is no rule `{name}`"), "`lbuild rules` lists them"))
}

/// All rules, one line each.
fn all() -> String {
    let width = RULES.iter().map(|rule| rule.name.len()).max().unwrap_or_default();
    let lines =
        RULES.iter().map(|rule| format!("{:<width$}  {:<7}  {}", rule.name, word(rule.severity), rule.what));
    lines.collect::<Vec<_>>().join("\n")
}

/// One rule in full.
fn text(rule: &Rule) -> String {
    let Rule { name, severity, what, why, example, help, source, .. } = rule;
    let severity = word(*severity);
    format!(
        "{name} ({severity})\n\n{what}\n\nwhy      {why}\nexample  {example}\nhint     {help}\nsource   {source}"
    )
}

fn rule_as_json(rule: &Rule) -> Value {
    json!({
        "name": rule.name,
        "severity": rule.severity,
        "what": rule.what,
        "why": rule.why,
        "example": rule.example,
        "help": rule.help,
        "source": rule.source,
    })
}
