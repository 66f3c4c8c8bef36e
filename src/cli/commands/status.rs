//! `lbuild status`.

use lbuild::aws::{FunctionState, Reason, explained};
use lbuild::image::{Digest, EcrHost, Reference};
use lbuild::recipe::Base;
use lbuild::{Inspected, Result};
use serde_json::json;

use crate::cli::args::function::Status;
use crate::cli::context::Context;
use crate::cli::engine;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::{print, print_json};

/// Prints the state of a function; one that does not work is a failure.
pub async fn run(args: &Status, context: &Context) -> Result<(), Failure> {
    let function = context.aws.function(&args.function).await?;
    let Some(found) = function.find().await? else {
        return Err(lbuild::Error::NoFunction { function: function.to_string() }.into());
    };
    let tag = tagged(&found, args, context).await;
    match context.json {
        true => print_json(&format!("{:#}", as_json(&found, tag.as_ref())))?,
        false => print(&lines(&found, tag.as_ref()))?,
    }
    match failed(&found) {
        Some((what, reason)) => {
            let (code, text) = (reason.code.clone(), reason.text.clone());
            let hint = explained(&reason.code).map(|(_, hint)| hint);
            let function = function.to_string();
            Err(lbuild::Error::FunctionFailed { function, what, code, reason: text, hint }.into())
        }
        None => Ok(()),
    }
}

/// The image that the given name, else the function's tag, names now; an error if it cannot be looked up. `None` if the
/// function was deployed by digest.
async fn tagged(found: &FunctionState, args: &Status, context: &Context) -> Option<Result<Digest, Failure>> {
    let own = || found.image.as_ref().filter(|name| !name.contains('@'));
    let name = args.image.as_ref().or_else(own)?;
    let look = async {
        let reference: Reference = name.parse()?;
        let registry = reference.registry().to_owned();
        EcrHost::parse(&registry).ok_or_else(|| Failure::usage(format!("{registry} is not in ECR"), None))?;
        let engine = engine::builder(&args.registry, &[], context, &[&registry])?.build()?;
        Ok(match engine.inspect(&Base::Registry(reference), None).await? {
            Inspected::Image(image) => image.manifest.digest,
            Inspected::Index { digest, .. } => digest,
        })
    };
    Some(look.await)
}

fn failed(found: &FunctionState) -> Option<(&'static str, Reason)> {
    let none = || Reason { code: String::new(), text: String::new() };
    match (found.last_update.as_str(), found.state.as_str()) {
        (_, "Failed") => Some(("it is in the state Failed", found.state_reason.clone().unwrap_or_else(none))),
        ("Failed", _) => {
            Some(("the last update failed", found.last_update_reason.clone().unwrap_or_else(none)))
        }
        _ => None,
    }
}

fn with_reason(state: &str, reason: Option<&Reason>) -> String {
    match reason {
        Some(Reason { code, text }) => {
            let meaning = explained(code).map_or(text.as_str(), |(meaning, _)| meaning);
            format!("{state} ({code}: {meaning})")
        }
        None => state.to_owned(),
    }
}

fn lines(found: &FunctionState, tag: Option<&Result<Digest, Failure>>) -> String {
    let (memory, timeout, storage) = found.limits();
    let mut lines = vec![
        format!("function    {}", found.arn),
        format!("version     {}", found.version),
        format!("state       {}", with_reason(&found.state, found.state_reason.as_ref())),
        format!("update      {}", with_reason(&found.last_update, found.last_update_reason.as_ref())),
        format!("arch        {}", found.arch),
        format!("limits      {memory} MB of memory, {timeout} s, {storage} MB of /tmp"),
        format!("role        {}", found.role()),
    ];
    if !found.is_image {
        lines.push("code        a zip".to_owned());
    }
    lines.extend(found.image.as_ref().map(|image| format!("image       {image}")));
    lines.extend(found.digest.map(|digest| format!("digest      {digest}")));
    lines.extend(match tag {
        Some(Ok(now)) if Some(*now) == found.digest => Some("tag         names this image".to_owned()),
        Some(Ok(now)) => Some(format!("tag         names another image now: {now}")),
        Some(Err(failure)) => Some(format!("tag         cannot be looked up: {failure}")),
        None => None,
    });
    let overrides = found.overrides();
    let words = |name: &str, words: &Option<Vec<String>>| {
        words.as_ref().map(|words| format!("{name}{}", json!(words)))
    };
    lines.extend(words("entrypoint  ", &overrides.entrypoint));
    lines.extend(words("cmd         ", &overrides.cmd));
    lines.extend(overrides.workdir.as_ref().map(|dir| format!("workdir     {dir}")));
    lines.extend(match found.variables().map(|names| names.collect::<Vec<_>>()) {
        Some(names) if names.is_empty() => None,
        Some(names) => Some(format!("variables   {}", names.join(", "))),
        None => Some("variables   cannot be read: the caller may not use their KMS key".to_owned()),
    });
    lines.join("\n")
}

fn as_json(found: &FunctionState, tag: Option<&Result<Digest, Failure>>) -> serde_json::Value {
    let (memory, timeout, storage) = found.limits();
    let reason = |reason: &Option<Reason>| {
        reason.as_ref().map(|reason| json!({ "code": reason.code, "text": reason.text }))
    };
    let overrides = found.overrides();
    json!({
        "schema": 1,
        "function": found.arn,
        "version": found.version,
        "state": found.state,
        "state_reason": reason(&found.state_reason),
        "last_update": found.last_update,
        "last_update_reason": reason(&found.last_update_reason),
        "package_type": if found.is_image { "Image" } else { "Zip" },
        "arch": found.arch,
        "memory_mb": memory,
        "timeout_s": timeout,
        "ephemeral_storage_mb": storage,
        "role": found.role(),
        "image": found.image,
        "digest": found.digest,
        "tag_digest": tag.and_then(|tag| tag.as_ref().ok()),
        "entrypoint": overrides.entrypoint,
        "cmd": overrides.cmd,
        "workdir": overrides.workdir,
        "variables": found.variables().map(|names| names.collect::<Vec<_>>()),
    })
}
