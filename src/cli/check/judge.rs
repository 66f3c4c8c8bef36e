//! The check that comes before a push.

use std::sync::Arc;

use lbuild::image::{Arch, Descriptor, Format};
use lbuild::lambda::check::{self, Annotator, Asked, Finding, Rule, Severity, Subject};
use lbuild::layer::survey::Annotate;
use lbuild::{Destination, Engine, Image};

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
        let repository = to.iter().find_map(|(to, _)| match to {
            Destination::Registry { repository, .. } if lowered.for_lambda => {
                Some(repository.repository_name())
            }
            _ => None,
        });
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

    /// Tells errors and warnings, and fails when there is an error. What was found good is not looked at again.
    pub async fn judge(&self, image: &Image) -> Result<(), Failure> {
        let manifest = image.manifest(self.format);
        let annotator = Annotator::of(image.config());
        // Another day or version may bring other findings.
        let version = env!("CARGO_PKG_VERSION");
        let note = format!("good {version} {} {} {:?}", manifest.digest, annotator.name(), self.asked);
        if self.engine.cache().has_note(&note) {
            return Ok(());
        }
        let surveys = self.engine.survey_built(image, Arc::new(annotator)).await?;
        let layers: Vec<Descriptor> = image.descriptors(self.format);
        let config = image.config();
        let (manifest, layers, surveys) = (&manifest, &layers[..], &surveys[..]);
        let mut findings = check::check(&Subject { manifest, layers, config, surveys, asked: &self.asked });
        // Links were told of by their paths on this machine, when the sources were walked.
        findings.retain(|found| found.severity > Severity::Note && found.rule != "symlink-target");
        findings.retain(|found| self.allowed.iter().all(|rule| rule.name != found.rule));
        self.report.findings(&findings);
        if findings.is_empty() {
            // A cache that cannot be written costs time, no more.
            let _ = self.engine.cache().put_note(&note);
        }
        match findings.iter().any(|found: &Finding| found.severity == Severity::Error) {
            true => Err(Failure::Findings {
                image: self.name.clone(),
                count: text::count(&findings, Severity::Error),
            }),
            false => Ok(()),
        }
    }
}
