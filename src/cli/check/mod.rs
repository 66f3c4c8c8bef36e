//! `lbuild check` and `lbuild rules`.

mod github;
mod judge;
mod sarif;
mod text;

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use lbuild::event::Event;
use lbuild::image::{Digest, Platform};
use lbuild::lambda::check::{self, Annotator, Asked, Finding, RULES, Rule, Severity, Subject};
use lbuild::recipe::Base;
use lbuild::{Built, Found, Inspected, Reach};
use serde_json::{Value, json};

use super::Context;
use super::args::{Check, Deny, Output, Rules};
use super::exit::Failure;
use super::report::print;
use super::{lower, push};

pub use judge::Judge;
pub use text::groups;

/// An image, and what is to be said of it.
struct Judged {
    name: String,
    digest: Digest,
    platform: Platform,
    findings: Vec<Finding>,
}

/// Prints what is to be said of an image, and fails when that is a reason to.
pub async fn run(args: &Check, context: &Context) -> Result<(), Failure> {
    let allowed: Vec<&Rule> = args.allow.iter().map(|name| known(name)).collect::<Result<_, _>>()?;
    let mut judged = match image(args)? {
        Some(image) => stored(args, &image, context).await?,
        None => built(args, context).await?,
    };
    judged.findings.retain(|finding| allowed.iter().all(|rule| rule.name != finding.rule));
    let Judged { name, findings, .. } = &judged;
    print(&match (args.sarif, args.github, context.output.json) {
        (true, ..) => format!("{:#}", sarif::log(name, findings)),
        (_, true, _) => github::annotations(findings),
        (.., true) => format!("{:#}", as_json(&judged)),
        _ => text::report(name, findings),
    })?;
    verdict(name, findings, args.deny)
}

/// The name of an image; `None` for what an image is to be made of.
fn image(args: &Check) -> Result<Option<String>, Failure> {
    let path = &args.what.path;
    let text = path.display().to_string();
    let scheme = ["oci:", "docker-archive:"].iter().any(|scheme| text.starts_with(scheme));
    if !scheme && (path.exists() || text.starts_with(['.', '/'])) {
        return match path.extension().is_some_and(|ending| ending == "tar") {
            true => Err(Failure::Usage {
                message: format!("{text} is a file, not the name of an image"),
                hint: Some(format!("name it as docker-archive:{text}")),
            }),
            false => Ok(None),
        };
    }
    if let Some(flag) = args.what.making().or((!args.to.is_empty()).then_some("--to")) {
        let message = format!("{flag} says how to make an image, and {text} is one");
        let hint = Some(format!("leave it out; or name a directory that is there: {text} is none"));
        return Err(Failure::Usage { message, hint });
    }
    Ok(Some(text))
}

/// An image that is stored somewhere.
async fn stored(args: &Check, name: &str, context: &Context) -> Result<Judged, Failure> {
    let image = lower::parse_base(name, Path::new(""))?;
    let repository = match &image {
        Base::Registry(name) => Some(name.repository_name()),
        _ => None,
    };
    let registry = repository.as_deref().and_then(|name| name.split('/').next());
    let login: Vec<_> = registry.into_iter().collect();
    let engine = lower::engine(&args.registry, &[], context, &login)?.build()?;
    let arch = args.what.arch;
    let found = match engine.inspect(&image, lower::platform(arch).as_ref()).await? {
        Inspected::Image(found) => *found,
        Inspected::Index { index, .. } => {
            let offered: Vec<String> = index.platforms().iter().map(ToString::to_string).collect();
            let message = format!("{name} is an index of images for {}", offered.join(", "));
            return Err(Failure::usage(
                message,
                "say which with --arch; Lambda takes no index, only one of its images",
            ));
        }
        _ => unreachable!("an image or an index"),
    };
    let scans = engine.survey(&found, Arc::new(Annotator::of(&found.config))).await?;
    let region = args.region.clone();
    let (in_index, in_archive) = (found.index.is_some(), matches!(image, Base::Archive { .. }));
    let asked = Asked { arch, region, repository, in_index, in_archive, today: lower::today() };
    let Found { manifest, layers, config, .. } = &found;
    let subject = Subject { manifest, layers, config, scans: &scans, asked: &asked };
    Ok(Judged {
        name: super::inspect::name(&found),
        digest: manifest.digest,
        platform: config.platform(),
        findings: check::check(&subject, Severity::Note),
    })
}

/// The image that a push would make, of which nothing is sent.
async fn built(args: &Check, context: &Context) -> Result<Judged, Failure> {
    let lowered = lower::recipe(&args.what, &context.report)?;
    let to = push::given(&args.what.path, &args.to, &lowered.config);
    let to = lower::destinations(&to, &[], lowered.config.format)?;
    let login: Vec<_> = lower::base_registry(&lowered.recipe).into_iter().collect();
    let engine = lower::engine(&args.registry, &lowered.config.insecure.0, context, &login)?;
    let report = context.report.clone();
    // What is to be warned of is a finding.
    let engine = engine.on_event(move |event| match event {
        Event::Warning { .. } => {}
        event => report.event(&event),
    });
    let engine = engine.build()?;
    let asked = Asked {
        arch: lowered.recipe.platform.architecture.parse().ok(),
        region: args.region.clone(),
        repository: judge::repository(&lowered, &to),
        today: lower::today(),
        ..Asked::default()
    };
    let format = to.first().map(|(_, format)| *format).unwrap_or_default();
    let name = args.what.path.display().to_string();
    let judged = RefCell::new(None);
    let judge = async |built: &Built<'_>| {
        let annotator = Arc::new(Annotator::of(built.image.config()));
        let scans = built.survey(annotator, Reach::Everything).await?;
        let findings = judge::of_built(built, format, &scans, &asked, Severity::Note);
        let (digest, platform) = (built.image.manifest(format).digest, built.image.config().platform());
        judged.replace(Some(Judged { name: name.clone(), digest, platform, findings }));
        Ok::<(), Failure>(())
    };
    engine.push_if(&lowered.recipe, &[], judge).await?;
    Ok(judged.into_inner().unwrap_or_else(|| unreachable!("what was built was judged")))
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

fn as_json(judged: &Judged) -> Value {
    let Judged { name, digest, platform, findings } = judged;
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    json!({
        "schema": 1,
        "image": name,
        "digest": digest,
        "platform": platform,
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
