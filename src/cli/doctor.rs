//! `lbuild doctor`: what a push would meet.

use std::io::Write;

use lbuild::aws::EcrRepository;
use lbuild::image::Format;
use lbuild::{Destination, Engine, Probe};
use serde_json::json;

use super::Context;
use super::args::ecr::Doctor;
use super::config::Config;
use super::ecr::{self, Wanted};
use super::exit::Failure;
use super::handler;
use super::lower;
use super::push;
use super::report;

/// The findings so far, told as they come.
struct Findings<'a> {
    context: &'a Context,
    /// The exit code of the first failure: a push would come no further.
    first: Option<u8>,
}

/// A finding that is as it should be.
const DONE: Result<(), Failure> = Ok(());

/// Looks at everything that a push needs, and goes on after what is missing.
pub async fn run(args: Doctor, context: &Context) -> Result<(), Failure> {
    let mut findings = Findings { context, first: None };
    let config = Config::load(&args.what.path)?;
    let configured = [&args.what.base, &args.what.runtime, &config.base, &config.runtime]
        .iter()
        .any(|name| name.is_some());
    // Without a base there is still the registry to look at.
    let lowered = configured.then(|| lower::recipe(&args.what, &context.report)).transpose()?;
    let to = destinations(&args, &config, &mut findings).await?;
    if to.is_empty() && findings.first.is_none() {
        context.report.warn("no destination is given", Some("add --to or --repo to have it looked at"));
    }
    let login: Vec<_> = to.iter().filter_map(|(to, _)| push::registry(to)).collect();
    let engine = lower::engine(&args.registry, &config.insecure.0, context, &login)?.build()?;
    findings.add("write to the cache", writable(&engine))?;
    if let Some(lowered) = &lowered {
        findings.add("find the handler", handler::check(&engine, lowered, &context.report))?;
        let pinned = engine.pin(lowered.recipe.clone()).await;
        findings.add("read the base", pinned.map(drop))?;
    }
    if lowered.is_none_or(|lowered| lowered.for_lambda) {
        findings.add("push to where Lambda pulls from", push::refuse_what_lambda_cannot_pull(&to))?;
    }
    let wanted = ecr::wanted(&args.ecr, &config, &to);
    let wanted = match wanted {
        Ok(wanted) => wanted,
        // The account that is unknown has been told of already.
        Err(_) if to.is_empty() => Wanted { create: false, allow: false },
        Err(failure) => return Err(failure),
    };
    for (to, _) in &to {
        registry(to, wanted, &engine, &mut findings).await?;
    }
    match findings.first {
        None => Ok(()),
        Some(code) => Err(Failure::Found { code }),
    }
}

/// What a push would meet at one destination, if that is a registry.
async fn registry(
    to: &Destination,
    wanted: Wanted,
    engine: &Engine,
    findings: &mut Findings<'_>,
) -> Result<(), Failure> {
    let Destination::Registry { repository, tags } = to else { return Ok(()) };
    let exists = aws(to, tags, wanted, findings).await?;
    for probe in engine.probe(repository).await {
        // Of a repository that is not there the registry tells no more than that, which has been told.
        if exists || !is_about_absence(&probe) {
            findings.add(&format!("{} at {to}", probe.what), probe.result)?;
        }
    }
    Ok(())
}

fn is_about_rights(error: &lbuild::Error) -> bool {
    matches!(error, lbuild::Error::Aws { answer, .. } if answer.missing.is_some())
}

fn is_about_absence(probe: &Probe) -> bool {
    matches!(&probe.result, Err(lbuild::Error::Registry { answer, .. }) if answer.status == 404)
}

async fn destinations(
    args: &Doctor,
    config: &Config,
    findings: &mut Findings<'_>,
) -> Result<Vec<(Destination, Format)>, Failure> {
    let to = ecr::destinations(&args.what.path, &args.to, args.ecr.repo.as_deref(), config, findings.context)
        .await;
    match to {
        Ok(to) => lower::destinations(&to, &config.tag.0, config.format),
        // Without an account there is no registry to ask; the rest can be looked at.
        Err(failure @ Failure::Library(_)) => {
            findings.add("find the registry of the AWS account", Err::<(), _>(failure))?;
            Ok(Vec::new())
        }
        Err(failure) => Err(failure),
    }
}

/// What AWS knows of a destination, and whether it is there to be asked for more.
async fn aws(
    to: &Destination,
    tags: &[String],
    wanted: Wanted,
    findings: &mut Findings<'_>,
) -> Result<bool, Failure> {
    let context = findings.context;
    let Some(repository) = ecr::repository(to, context) else { return Ok(true) };
    let identity = context.aws.identity().await;
    let known = identity.is_ok();
    let who = identity
        .as_ref()
        .map_or("log in to AWS".to_owned(), |identity| format!("log in to AWS as {}", identity.arn));
    findings.add(&who, identity.map(drop))?;
    if !known {
        return Ok(true);
    }
    match repository.find().await {
        Ok(None) if wanted.create => {
            findings.add("find the repository: it is missing, and the push will create it", DONE)?;
            return Ok(false);
        }
        Ok(None) => {
            let message = format!("there is no repository {repository}");
            let hint = "create it with `lbuild repo create`, or push with --create-repo";
            findings.add("find the repository", Err(Failure::usage(message, hint)))?;
            return Ok(false);
        }
        Ok(Some(found)) => {
            findings.add("find the repository", DONE)?;
            if let Some(tag) = tags.iter().find(|tag| found.is_immutable(tag)) {
                let message = format!("the tag {tag} of {repository} is immutable");
                let hint = "once it is there, a push under it succeeds for the same image only";
                context.report.warn(&message, Some(hint));
            }
        }
        // To push needs no such right, not even to create: that is tried all the same.
        Err(error) if wanted.create && !is_about_rights(&error) => {
            findings.add("find the repository", Err(error))?;
        }
        Err(error) => context.report.warn(&error.to_string(), error.hint().as_deref()),
    }
    policy(&repository, wanted, findings).await?;
    Ok(true)
}

/// Whether Lambda may pull. A push does not need that, unless it is asked to see to it.
async fn policy(
    repository: &EcrRepository,
    wanted: Wanted,
    findings: &mut Findings<'_>,
) -> Result<(), Failure> {
    let report = &findings.context.report;
    match repository.policy_for_lambda(&[]).await {
        Ok(None) => findings.add("let Lambda pull", DONE),
        Ok(Some(_)) if wanted.allow => {
            findings.add("let Lambda pull: it may not, and the push will allow it", DONE)
        }
        // Who may not look for the repository learns only here that it is missing.
        Err(lbuild::Error::Aws { answer, .. })
            if wanted.create && answer.code == "RepositoryNotFoundException" =>
        {
            Ok(())
        }
        Err(error) if wanted.allow => findings.add("let Lambda pull", Err(error)),
        Ok(Some(_)) => {
            let message = format!("the policy of {repository} does not let Lambda pull");
            let hint = "push with --allow-lambda, or set it with `lbuild repo policy NAME --allow-lambda`; who deploys \
                        may leave it to Lambda";
            report.warn(&message, Some(hint));
            Ok(())
        }
        Err(error) => {
            report.warn(&error.to_string(), error.hint().as_deref());
            Ok(())
        }
    }
}

/// Whether the cache can be written to, tried as a push would.
fn writable(engine: &Engine) -> Result<(), Failure> {
    let root = engine.cache().root();
    let tried = std::fs::create_dir_all(root).and_then(|()| tempfile::tempfile_in(root).map(drop));
    tried.map_err(|source| Failure::Write { path: root.to_owned(), source })
}

impl Findings<'_> {
    fn add<E: Into<Failure>>(&mut self, what: &str, result: Result<(), E>) -> Result<(), Failure> {
        let failure: Option<Failure> = result.err().map(Into::into);
        if let Some(failure) = &failure {
            self.first.get_or_insert(failure.code());
        }
        let text = match self.context.output.json {
            true => json!({
                "check": what,
                "ok": failure.is_none(),
                "message": failure.as_ref().map(|failure| failure.chain().join(": ")),
                "hint": failure.as_ref().and_then(Failure::hint),
            })
            .to_string(),
            false => text(what, failure.as_ref()),
        };
        report::print(&text)?;
        // A finding may take long; what is known is shown.
        let _ = std::io::stdout().flush();
        Ok(())
    }
}

fn text(what: &str, failure: Option<&Failure>) -> String {
    let Some(failure) = failure else { return format!("ok      {what}") };
    let hint = failure.hint().map(|hint| format!("\n        hint: {hint}")).unwrap_or_default();
    format!("failed  {what}\n        {}{hint}", failure.chain().join(": "))
}
