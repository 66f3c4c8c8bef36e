//! `lbuild check`.

pub mod before_push;

use std::sync::Arc;

use lbuild::error::Remark;
use lbuild::event::Event;
use lbuild::image::{Digest, Platform};
use lbuild::lambda::check::{self, Annotator, Asked, Finding, Rule, Severity, Subject};
use lbuild::recipe::Base;
use lbuild::{Inspected, Reach, StoredImage};
use serde_json::{Value, json};

use crate::cli::args::check::{Check, Deny};
use crate::cli::commands::rules;
use crate::cli::context::Context;
use crate::cli::lower::date::today;
use crate::cli::lower::named::{named_image, several_images};
use crate::cli::lower::platform;
use crate::cli::output::exit::Failure;
use crate::cli::output::findings::{github, sarif, text};
use crate::cli::output::image_name::image_name;
use crate::cli::output::report::{print, print_json};
use crate::cli::{destination, engine, lower};

/// An image, and its findings.
struct Checked {
    name: String,
    digest: Digest,
    platform: Platform,
    findings: Vec<Finding>,
    /// Warnings about its Dockerfile, already reported.
    remarks: Vec<Remark>,
}

/// Prints the findings of an image, and fails if they are severe enough.
pub async fn run(args: &Check, context: &Context) -> Result<(), Failure> {
    let allowed: Vec<&Rule> = args.allow.iter().map(|name| rules::named(name)).collect::<Result<_, _>>()?;
    let checked = match image(args)? {
        Some(image) => stored(args, &image, context).await,
        None => built(args, context).await,
    };
    let mut checked = checked.or_else(|failure| {
        let annotation = github::failure(&failure).filter(|_| args.github);
        annotation.map_or(Ok(()), |annotation| print(&annotation))?;
        Err(failure)
    })?;
    checked.findings.retain(|finding| allowed.iter().all(|rule| rule.name != finding.rule));
    let Checked { name, findings, remarks, .. } = &checked;
    match (args.sarif, args.github, context.json) {
        (true, ..) => print_json(&format!("{:#}", sarif::log(name, findings))),
        (_, true, _) => print(&github::annotations(remarks, findings)),
        (.., true) => print_json(&format!("{:#}", as_json(&checked))),
        _ => print(&text::report(name, findings)),
    }?;
    verdict(name, findings, args.deny)
}

/// The name of the image to check; `None` if the path is the source of an image to build.
fn image(args: &Check) -> Result<Option<String>, Failure> {
    let making = args.image.making().or((!args.to.is_empty()).then_some("--to"));
    named_image(&args.image.path, making)
}

/// Checks a stored image.
async fn stored(args: &Check, name: &str, context: &Context) -> Result<Checked, Failure> {
    let image = name.parse()?;
    let repository = match &image {
        Base::Registry(name) => Some(name.repository_name()),
        _ => None,
    };
    let registry = repository.as_deref().and_then(|name| name.split('/').next());
    let login: Vec<_> = registry.into_iter().collect();
    let engine = engine::builder(&args.registry, &[], context, &login)?.build()?;
    let arch = platform::given(&args.image)?;
    let found = match engine.inspect(&image, arch.map(Platform::linux).as_ref()).await? {
        Inspected::Image(found) => *found,
        Inspected::Index { index, .. } => {
            return Err(several_images(name, &index, "select one with --arch"));
        }
    };
    let scans = engine.scan(&found, Arc::new(Annotator::of(&found.config))).await?;
    let region = args.region.clone();
    let (in_index, in_archive) = (found.index.is_some(), matches!(image, Base::Archive { .. }));
    let repositories = repository.into_iter().collect();
    let asked = Asked { arch, region, repositories, in_index, in_archive, today: today() };
    let StoredImage { manifest, layers, config, config_size, .. } = &found;
    let (config_size, scans, asked) = (*config_size, &scans, &asked);
    let subject = Subject { manifest, layers, config, config_size, scans, asked };
    Ok(Checked {
        name: image_name(&found),
        digest: manifest.digest,
        platform: config.platform(),
        findings: check::check(&subject, Severity::Note),
        remarks: Vec::new(),
    })
}

/// Checks the image that a push would make, without sending it.
async fn built(args: &Check, context: &Context) -> Result<Checked, Failure> {
    let input = lower::input(&args.image, &context.report)?;
    let to = destination::given(&args.image.path, &args.to, input.config());
    let to = destination::parse(&to, &[], input.config().format)?;
    let login = input.base_registries();
    let engine = engine::builder(&args.registry, &input.config().insecure.0, context, &login)?;
    let engine = engine::commands(engine, &args.image.dockerfile.commands)?;
    let report = context.report.clone();
    // The findings include the engine's warnings.
    let engine = engine.on_event(move |event| match event {
        Event::Warning { .. } => {}
        event => report.event(&event),
    });
    let engine = engine.build()?;
    let lowered = input.lower(&args.image, &engine, &context.report).await?;
    let asked = Asked {
        arch: lowered.recipe.platform.architecture.parse().ok(),
        region: args.region.clone(),
        repositories: before_push::repositories(&lowered, &to),
        today: today(),
        ..Asked::default()
    };
    let format = to.first().map(|(_, format)| *format).unwrap_or_default();
    let name = args.image.path.display().to_string();
    let mut prepared = engine.prepare(&lowered.recipe, &[]).await?;
    let annotator = Arc::new(Annotator::of(prepared.image().config()));
    let scans = prepared.scan(annotator, Reach::All).await?;
    let image = prepared.image();
    Ok(Checked {
        name,
        digest: image.manifest(format).digest,
        platform: image.config().platform(),
        findings: before_push::of_image(image, format, &scans, &asked, Severity::Note).findings,
        remarks: lowered.remarks,
    })
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

fn as_json(checked: &Checked) -> Value {
    let Checked { name, digest, platform, findings, .. } = checked;
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    json!({
        "schema": 2,
        "image": name,
        "digest": digest,
        "platform": platform,
        "errors": count(Severity::Error),
        "warnings": count(Severity::Warning),
        "notes": count(Severity::Note),
        "findings": findings,
    })
}
