//! `lbuild doctor`: what a push would meet.

use std::io::Write;

use lbuild::image::Format;
use lbuild::{Destination, Engine};
use serde_json::json;

use super::Context;
use super::args::ecr::Doctor;
use super::config::Config;
use super::ecr;
use super::exit::Failure;
use super::lower;
use super::handler;
use super::push;
use super::report;

/// The findings so far, told as they come.
struct Findings<'a> {
    context: &'a Context,
    worst: Option<u8>,
}

/// Looks at everything that a push needs, and goes on after what is missing.
pub async fn run(args: Doctor, context: &Context) -> Result<(), Failure> {
    let mut findings = Findings { context, worst: None };
    let config = Config::load(&args.what.path)?;
    let configured = [&args.what.base, &args.what.runtime, &config.base, &config.runtime]
        .iter()
        .any(|name| name.is_some());
    // Without a base there is still the registry to look at.
    let lowered = configured.then(|| lower::recipe(&args.what, &context.report)).transpose()?;
    let to = destinations(&args, &config, &mut findings).await?;
    if to.is_empty() && findings.worst.is_none() {
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
    for (to, _) in &to {
        if let Destination::Registry { repository, tags } = to {
            aws(to, tags, &mut findings).await?;
            for probe in engine.probe(repository).await {
                findings.add(&format!("{} at {to}", probe.what), probe.result)?;
            }
        }
    }
    match findings.worst {
        None => Ok(()),
        Some(code) => Err(Failure::Found { code }),
    }
}

async fn destinations(
    args: &Doctor,
    config: &Config,
    findings: &mut Findings<'_>,
) -> Result<Vec<(Destination, Format)>, Failure> {
    let to =
        ecr::destinations(&args.what.path, &args.to, args.repo.as_deref(), config, findings.context).await;
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

/// What AWS knows of a destination.
async fn aws(to: &Destination, tags: &[String], findings: &mut Findings<'_>) -> Result<(), Failure> {
    let context = findings.context;
    let Some(repository) = ecr::repository(to, context) else { return Ok(()) };
    let identity = context.aws.identity().await;
    let known = identity.is_ok();
    let who = identity
        .as_ref()
        .map_or("log in to AWS".to_owned(), |identity| format!("log in to AWS as {}", identity.arn));
    findings.add(&who, identity.map(drop))?;
    if !known {
        return Ok(());
    }
    match repository.find().await {
        Ok(None) => {
            let hint = "create it with `lbuild repo create`, or push with --create-repo";
            findings.add("find the repository", Err::<(), _>(missing(&repository.to_string(), hint)))?;
        }
        Ok(Some(found)) => {
            findings.add("find the repository", Ok::<_, Failure>(()))?;
            if let Some(tag) = tags.iter().find(|tag| found.is_immutable(tag)) {
                context.report.warn(
                    &format!("the tag {tag} of {repository} is immutable"),
                    Some("once it is there, a push under it succeeds for the same image only"),
                );
            }
            let policy = repository.policy_for_lambda(&[]).await;
            let open = policy.map_err(Failure::from).and_then(|change| match change {
                None => Ok(()),
                Some(_) => Err(Failure::Usage {
                    message: format!("the policy of {repository} does not let Lambda pull"),
                    hint: Some("set it with `lbuild repo policy NAME --allow-lambda`, or push with --allow-lambda; who deploys may leave it to Lambda".into()),
                }),
            });
            findings.add("let Lambda pull", open)?;
        }
        // To push needs no such right.
        Err(error) => context.report.warn(&error.to_string(), error.hint().as_deref()),
    }
    Ok(())
}

fn missing(repository: &str, hint: &str) -> Failure {
    Failure::Usage { message: format!("there is no repository {repository}"), hint: Some(hint.to_owned()) }
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
            self.worst.get_or_insert(failure.code());
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
