//! The check that comes before a push.

use std::sync::Arc;

use lbuild::image::{Arch, Format};
use lbuild::lambda::check::{self, Annotator, Asked, Fact, Finding, Rule, Severity, Subject};
use lbuild::scan::{Annotate, LayerScan};
use lbuild::{Built, Destination, Engine, Reach};

use super::{known, text};
use crate::cli::args::Push;
use crate::cli::exit::Failure;
use crate::cli::lower::{self, Lowered};
use crate::cli::report::Report;

/// Agrees to an image with nothing that Lambda would not take or run.
pub struct Judge<'a> {
    engine: &'a Engine,
    report: &'a Report,
    allowed: Vec<&'static Rule>,
    asked: Asked,
    format: Format,
    name: String,
}

impl<'a> Judge<'a> {
    /// For what is to be pushed.
    pub fn new(
        args: &Push,
        lowered: &Lowered,
        to: &[(Destination, Format)],
        engine: &'a Engine,
        report: &'a Report,
    ) -> Result<Judge<'a>, Failure> {
        let allowed = args.allow.iter().map(|name| known(name)).collect::<Result<_, _>>()?;
        let repository = repository(lowered, to);
        let asked = Asked {
            arch: lowered.recipe.platform.architecture.parse::<Arch>().ok(),
            repository,
            today: lower::today(),
            ..Asked::default()
        };
        let format = to.first().map(|(_, format)| *format).unwrap_or_default();
        let name = to.first().map(|(to, _)| to.to_string()).unwrap_or_default();
        Ok(Judge { engine, report, allowed, asked, format, name })
    }

    /// Tells errors and warnings, and fails when there is an error. What was judged is not looked at again.
    pub async fn judge(&self, built: &Built<'_>) -> Result<(), Failure> {
        let mut findings = self.findings(built).await?;
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

    async fn findings(&self, built: &Built<'_>) -> Result<Vec<Finding>, Failure> {
        let (image, cache) = (built.image, self.engine.cache());
        let digest = image.manifest(self.format).digest;
        let annotator = Annotator::of(image.config());
        // Another day or version may bring other findings.
        let version = env!("CARGO_PKG_VERSION");
        let name = format!("judged {version} {digest} {} {:?}", annotator.name(), self.asked);
        if let Some(known) = cache.remembered(&name).and_then(|text| serde_json::from_slice(&text).ok()) {
            return Ok(known);
        }
        let scans = built.survey(Arc::new(annotator), Reach::AtHand).await?;
        let mut findings = of_built(built, self.format, &scans, &self.asked, Severity::Warning);
        // Links were told of by their paths on this machine, when the sources were walked.
        findings.retain(|found| found.rule != "symlink-target");
        // A cache that cannot be written costs time, no more.
        if let Ok(text) = serde_json::to_vec(&findings) {
            let _ = cache.remember(&name, &text);
        }
        Ok(findings)
    }
}

/// Where an image for Lambda goes.
pub fn repository(lowered: &Lowered, to: &[(Destination, Format)]) -> Option<String> {
    to.iter().find_map(|(to, _)| match to {
        Destination::Registry { repository, .. } if lowered.for_lambda => Some(repository.repository_name()),
        _ => None,
    })
}

/// What is to be said of an image that was built.
pub fn of_built(
    built: &Built<'_>,
    format: Format,
    scans: &[Option<LayerScan<Fact>>],
    asked: &Asked,
    least: Severity,
) -> Vec<Finding> {
    let (manifest, layers) = (built.image.manifest(format), built.image.descriptors(format));
    let (manifest, layers, config) = (&manifest, &layers[..], built.image.config());
    check::check(&Subject { manifest, layers, config, scans, asked }, least)
}
