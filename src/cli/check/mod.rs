//! `lbuild check` and `lbuild rules`.

mod github;
mod judge;
mod sarif;
mod text;

use std::sync::Arc;

use lbuild::lambda::check::{self, Annotator, Asked, Finding, RULES, Rule, Severity, Subject};
use lbuild::recipe::Base;
use lbuild::{Found, Inspected};
use serde_json::{Value, json};

use super::Context;
use super::args::{Check, Deny, Output, Rules};
use super::exit::Failure;
use super::lower;
use super::report::print;

pub use judge::Judge;
pub use text::groups;

/// Prints what is to be said of an image, and fails when that is a reason to.
pub async fn run(args: &Check, context: &Context) -> Result<(), Failure> {
    let allowed: Vec<&Rule> = args.allow.iter().map(|name| known(name)).collect::<Result<_, _>>()?;
    let image = lower::parse_base(&args.image, std::path::Path::new(""))?;
    let repository = match &image {
        Base::Registry(name) => Some(name.repository_name()),
        _ => None,
    };
    let registry = repository.as_deref().and_then(|name| name.split('/').next());
    let login: Vec<_> = registry.into_iter().collect();
    let engine = lower::engine(&args.registry, &[], context, &login)?.build()?;
    let found = match engine.inspect(&image, lower::platform(args.arch).as_ref()).await? {
        Inspected::Image(found) => *found,
        Inspected::Index { index, .. } => {
            let offered: Vec<String> = index.platforms().iter().map(ToString::to_string).collect();
            let message = format!("{} is an index of images for {}", args.image, offered.join(", "));
            return Err(Failure::usage(
                message,
                "say which with --arch; Lambda takes no index, only one of its images",
            ));
        }
        _ => unreachable!("an image or an index"),
    };
    let surveys = engine.survey(&found, Arc::new(Annotator::of(&found.config))).await?;
    let asked = Asked {
        arch: args.arch,
        region: args.region.clone(),
        repository,
        in_index: found.index.is_some(),
        today: lower::today(),
    };
    let Found { manifest, layers, config, .. } = &found;
    let mut findings =
        check::check(&Subject { manifest, layers, config, surveys: &surveys, asked: &asked }, Severity::Note);
    findings.retain(|finding| allowed.iter().all(|rule| rule.name != finding.rule));
    let name = super::inspect::name(&found);
    print(&match (args.sarif, args.github, context.output.json) {
        (true, ..) => format!("{:#}", sarif::log(&name, &findings)),
        (_, true, _) => github::annotations(&findings),
        (.., true) => format!("{:#}", as_json(&name, &found, &findings)),
        _ => text::report(&name, &findings),
    })?;
    verdict(&name, &findings, args.deny)
}

/// Prints all rules, a line each, or all about one.
pub fn rules(args: &Rules, output: &Output) -> Result<(), Failure> {
    let one = args.rule.as_deref().map(known).transpose()?;
    print(&match (one, output.json) {
        (Some(rule), true) => format!("{:#}", rule_as_json(rule)),
        (None, true) => {
            format!("{:#}", Value::from(RULES.iter().map(|rule| rule_as_json(rule)).collect::<Vec<_>>()))
        }
        (Some(rule), false) => text::rule(rule),
        (None, false) => text::rules(),
    })
}

fn known(name: &str) -> Result<&'static Rule, Failure> {
    check::rule(name)
        .ok_or_else(|| Failure::usage(format!("there is no rule `{name}`"), "`lbuild rules` lists them"))
}

fn verdict(image: &str, findings: &[Finding], deny: Option<Deny>) -> Result<(), Failure> {
    let least = match deny {
        None => Severity::Error,
        Some(Deny::Warnings) => Severity::Warning,
        Some(Deny::Notes) => Severity::Note,
    };
    if findings.iter().all(|finding| finding.severity < least) {
        return Ok(());
    }
    Err(Failure::Findings { image: image.to_owned(), count: text::count(findings, least) })
}

fn as_json(name: &str, found: &Found, findings: &[Finding]) -> Value {
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    json!({
        "schema": 1,
        "image": name,
        "digest": found.manifest.digest,
        "platform": found.config.platform(),
        "errors": count(Severity::Error),
        "warnings": count(Severity::Warning),
        "notes": count(Severity::Note),
        "findings": findings,
    })
}

fn rule_as_json(rule: &Rule) -> Value {
    json!({
        "name": rule.name,
        "severity": rule.severity,
        "what": rule.what,
        "why": rule.why,
        "example": rule.example,
        "way_out": rule.way_out,
        "source": rule.source,
    })
}
