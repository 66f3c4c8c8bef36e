//! The check before a push.

use std::sync::Arc;

use lbuild::image::{Arch, Digest, Format, Image};
use lbuild::lambda::check::{self, Annotator, Asked, Fact, Finding, Rule, Severity, Subject, Verdict};
use lbuild::lambda::{is_aws_base, is_for_lambda};
use lbuild::recipe::Base;
use lbuild::scan::{Annotate, Scans};
use lbuild::{Destination, Engine, Prepared, Reach, Recipe};
use serde::{Deserialize, Serialize};

use crate::cli::commands::push::job::Job;
use crate::cli::commands::rules;
use crate::cli::lower::Lowered;
use crate::cli::lower::date::today;
use crate::cli::output::exit::Failure;
use crate::cli::output::findings::text;
use crate::cli::output::report::Report;

/// The maximum number of bytes that are fetched for a finding that depends on layers which are not sent: a base of AWS has
/// about 200 MB.
const FETCHED: u64 = 300_000_000;

/// The findings, and whether the image has a file that may define the handler; kept in the cache.
#[derive(Serialize, Deserialize)]
struct Found {
    findings: Vec<Finding>,
    has_handler: bool,
}

/// The check of an image before it is sent. Errors stop the push.
pub struct CheckBeforePush<'a> {
    engine: &'a Engine,
    report: &'a Report,
    allowed: Vec<&'static Rule>,
    asked: Asked,
    format: Format,
    name: String,
    /// Whether nothing is sent. Then no layer passes on its way, and all are read.
    dry_run: bool,
    /// Whether an image that is not for Lambda gets warnings only.
    lenient: bool,
    /// Whether the base is one of AWS's, whose content is known.
    is_on_aws_base: bool,
}

impl<'a> CheckBeforePush<'a> {
    /// The check of an image for these destinations.
    pub fn new(job: &Job<'a>, report: &'a Report) -> Result<CheckBeforePush<'a>, Failure> {
        let Job { engine, lowered, to, check, dry_run } = *job;
        let allowed = check.allow.iter().map(|name| rules::named(name)).collect::<Result<_, _>>()?;
        let repositories = repositories(lowered, to);
        let asked = Asked {
            arch: lowered.recipe.platform.architecture.parse::<Arch>().ok(),
            repositories,
            today: today(),
            ..Asked::default()
        };
        let format = to.first().map(|(_, format)| *format).unwrap_or_default();
        let name = to.first().map(|(to, _)| to.to_string()).unwrap_or_default();
        let is_on_aws_base =
            matches!(base(&lowered.recipe), Some(Base::Registry(name)) if is_aws_base(&name.to_string()));
        let lenient = check.lenient && !lowered.for_lambda;
        Ok(CheckBeforePush { engine, report, allowed, asked, format, name, dry_run, lenient, is_on_aws_base })
    }

    /// Reports errors and warnings, and fails on an error. The findings are cached: an image that was checked is not
    /// scanned again. Returns whether it has a finding about the handler, or has found its
    /// file.
    pub async fn run(&self, prepared: &mut Prepared) -> Result<bool, Failure> {
        let (Found { mut findings, has_handler }, unread) = self.findings(prepared).await?;
        let is_about_handler =
            |found: &Finding| found.rule.ends_with("-handler") || found.rule == "bootstrap";
        let is_judged = has_handler || findings.iter().any(is_about_handler);
        findings.retain(|found| self.allowed.iter().all(|rule| rule.name != found.rule));
        if self.lenient && !is_for_lambda(prepared.image().config()) {
            let errors = findings.iter_mut().filter(|found| found.severity == Severity::Error);
            errors.for_each(|found| found.severity = Severity::Warning);
        }
        self.report.findings(&findings);
        if unread > 0 && !self.is_on_aws_base {
            let layers = if unread == 1 { "1 layer".to_owned() } else { format!("{unread} layers") };
            self.report.note(&format!(
                "{layers} of the base were not read: the registry has them already; `lbuild check IMAGE` reads them"
            ));
        }
        if findings.iter().all(|found: &Finding| found.severity != Severity::Error) {
            return Ok(is_judged);
        }
        prepared.base_sent().await;
        Err(Failure::Findings { image: self.name.clone(), count: text::count(&findings, Severity::Error) })
    }

    /// The findings, and the number of layers that were not read for them.
    async fn findings(&self, prepared: &mut Prepared) -> Result<(Found, usize), Failure> {
        let annotator = Arc::new(Annotator::of(prepared.image().config()));
        let name = |unread: &[Digest]| self.name_of(prepared.image(), &annotator, unread);
        // A run that sends nothing reads the layers on this machine to the end.
        if let Some(known) = self.known(&name(&[])).filter(|_| !self.dry_run) {
            return Ok((known, 0));
        }
        let reach = if self.dry_run { Reach::Remote } else { Reach::Local };
        if !self.dry_run {
            let unread = prepared.unread(&*annotator).await;
            if let Some(known) = self.known(&name(&unread)).filter(|_| !unread.is_empty()) {
                return Ok((known, unread.len()));
            }
        }
        let mut scans = prepared.scan(annotator.clone(), reach).await?;
        let mut verdict = self.verdict(prepared.image(), &scans);
        if verdict.doubt && unread_bytes(prepared.image(), &scans) <= FETCHED && scans.faults.is_empty() {
            scans = prepared.scan(annotator.clone(), Reach::Remote).await?;
            verdict = self.verdict(prepared.image(), &scans);
        }
        let layers = prepared.image().layers();
        let unread: Vec<Digest> = scans.unread().map(|number| layers[number].blob.digest).collect();
        let name = self.name_of(prepared.image(), &annotator, &unread);
        let found = Found { findings: verdict.findings, has_handler: verdict.has_handler };
        // The next run reads a faulty layer again. An unwritable cache only costs time.
        if scans.faults.is_empty()
            && let Ok(text) = serde_json::to_vec(&found)
        {
            let _ = self.engine.cache().remember(&name, &text);
        }
        Ok((found, unread.len()))
    }

    /// The name of the findings in the cache. They depend on the date, which is part of `asked`, and on lbuild's version.
    fn name_of(&self, image: &Image, annotator: &Annotator, unread: &[Digest]) -> String {
        let (version, digest) = (env!("CARGO_PKG_VERSION"), image.manifest(self.format).digest);
        format!("findings-3 {version} {digest} {} {:?} {unread:?}", annotator.name(), self.asked)
    }

    fn known(&self, name: &str) -> Option<Found> {
        serde_json::from_slice(&self.engine.cache().remembered(name)?).ok()
    }

    fn verdict(&self, image: &Image, scans: &Scans<Fact>) -> Verdict {
        of_image(image, self.format, scans, &self.asked, Severity::Warning)
    }
}

/// The base of the last stage that does not begin with another one.
fn base(recipe: &Recipe) -> Option<&Base> {
    let mut base = &recipe.stages.last()?.base;
    while let Base::Stage(number) = base {
        base = &recipe.stages.get(*number)?.base;
    }
    Some(base)
}

/// The number of bytes of the layers that were not scanned.
fn unread_bytes(image: &Image, scans: &Scans<Fact>) -> u64 {
    scans.unread().map(|number| image.layers()[number].blob.size).fold(0, u64::saturating_add)
}

/// The repositories to which an image for Lambda is pushed.
pub fn repositories(lowered: &Lowered, to: &[(Destination, Format)]) -> Vec<String> {
    let name = |(to, _): &(Destination, Format)| match to {
        Destination::Registry { repository, .. } if lowered.for_lambda => Some(repository.repository_name()),
        _ => None,
    };
    to.iter().filter_map(name).collect()
}

/// The verdict on a built image.
pub fn of_image(
    image: &Image,
    format: Format,
    scans: &Scans<Fact>,
    asked: &Asked,
    least: Severity,
) -> Verdict {
    let (manifest, layers) = (image.manifest(format), image.descriptors(format));
    let (manifest, layers, config) = (&manifest, &layers[..], image.config());
    let config_size = image.config_blob().size;
    check::verdict(&Subject { manifest, layers, config, config_size, scans, asked }, least)
}
