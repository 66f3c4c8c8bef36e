//! The check that comes before a push.

use std::sync::Arc;

use lbuild::image::{Arch, Format, Image};
use lbuild::lambda::check::{self, Annotator, Asked, Fact, Finding, Rule, Severity, Subject};
use lbuild::scan::{Annotate, LayerScan};
use lbuild::{Destination, Engine, Prepared, Reach};

use crate::cli::args::push::Push;
use crate::cli::commands::rules;
use crate::cli::lower::Lowered;
use crate::cli::lower::date::today;
use crate::cli::output::exit::Failure;
use crate::cli::output::findings::text;
use crate::cli::output::report::Report;

/// The check of an image before it is sent. Errors stop the push.
pub struct CheckBeforePush<'a> {
    engine: &'a Engine,
    report: &'a Report,
    allowed: Vec<&'static Rule>,
    asked: Asked,
    format: Format,
    name: String,
}

impl<'a> CheckBeforePush<'a> {
    /// The check of a push with these arguments.
    pub fn new(
        args: &Push,
        lowered: &Lowered,
        to: &[(Destination, Format)],
        engine: &'a Engine,
        report: &'a Report,
    ) -> Result<CheckBeforePush<'a>, Failure> {
        let allowed = args.allow.iter().map(|name| rules::named(name)).collect::<Result<_, _>>()?;
        let repository = repository(lowered, to);
        let asked = Asked {
            arch: lowered.recipe.platform.architecture.parse::<Arch>().ok(),
            repository,
            today: today(),
            ..Asked::default()
        };
        let format = to.first().map(|(_, format)| *format).unwrap_or_default();
        let name = to.first().map(|(to, _)| to.to_string()).unwrap_or_default();
        Ok(CheckBeforePush { engine, report, allowed, asked, format, name })
    }

    /// Reports errors and warnings, and fails when there is an error. The findings about an image are kept: an image
    /// that was checked is not scanned again.
    pub async fn run(&self, prepared: &mut Prepared) -> Result<(), Failure> {
        let mut findings = self.findings(prepared).await?;
        findings.retain(|found| self.allowed.iter().all(|rule| rule.name != found.rule));
        self.report.findings(&findings);
        match findings.iter().any(|found: &Finding| found.severity == Severity::Error) {
            true => Err(Failure::Findings {
                image: self.name.clone(),
                count: text::count(&findings, Severity::Error),
            }),
            false => Ok(()),
        }
    }

    async fn findings(&self, prepared: &mut Prepared) -> Result<Vec<Finding>, Failure> {
        let (image, cache) = (prepared.image(), self.engine.cache());
        let digest = image.manifest(self.format).digest;
        let annotator = Annotator::of(image.config());
        // Another day or version may bring other findings.
        let version = env!("CARGO_PKG_VERSION");
        let name = format!("findings {version} {digest} {} {:?}", annotator.name(), self.asked);
        if let Some(known) = cache.remembered(&name).and_then(|text| serde_json::from_slice(&text).ok()) {
            return Ok(known);
        }
        let scans = prepared.scan(Arc::new(annotator), Reach::Local).await?;
        let mut findings = of_image(prepared.image(), self.format, &scans, &self.asked, Severity::Warning);
        // Warnings about links were given by their paths on this machine, when the sources were walked.
        findings.retain(|found| found.rule != "symlink-target");
        // A cache that cannot be written costs time, no more.
        if let Ok(text) = serde_json::to_vec(&findings) {
            let _ = cache.remember(&name, &text);
        }
        Ok(findings)
    }
}

/// The repository that an image for Lambda goes to.
pub fn repository(lowered: &Lowered, to: &[(Destination, Format)]) -> Option<String> {
    to.iter().find_map(|(to, _)| match to {
        Destination::Registry { repository, .. } if lowered.for_lambda => Some(repository.repository_name()),
        _ => None,
    })
}

/// The findings about an image that was built.
pub fn of_image(
    image: &Image,
    format: Format,
    scans: &[Option<LayerScan<Fact>>],
    asked: &Asked,
    least: Severity,
) -> Vec<Finding> {
    let (manifest, layers) = (image.manifest(format), image.descriptors(format));
    let (manifest, layers, config) = (&manifest, &layers[..], image.config());
    check::check(&Subject { manifest, layers, config, scans, asked }, least)
}
