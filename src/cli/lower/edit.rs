//! The edit of the image's config.

use std::collections::BTreeMap;

use lbuild::image::ConfigEdit;

use super::config_file::ConfigFile;
use crate::cli::args::image::ImageArgs;
use crate::cli::output::exit::Failure;

/// The config fields from the flags, else from lbuild.toml.
pub fn lower(args: &ImageArgs, config: &ConfigFile) -> Result<ConfigEdit, Failure> {
    let words = |flag: &Option<String>, file: &Option<Vec<String>>| match flag {
        Some(text) => words(text).map(Some),
        None => Ok(file.clone()),
    };
    let cmd = match (&args.handler, &args.cmd) {
        (Some(handler), _) => Some(vec![handler.clone()]),
        (None, None) if config.cmd.is_none() => config.handler.clone().map(|handler| vec![handler]),
        (None, _) if args.cmd.is_none() && config.handler.is_some() => {
            return Err(Failure::usage("lbuild.toml gives both a handler and a cmd", "keep one of them"));
        }
        (None, flag) => words(flag, &config.cmd)?,
    };
    let mut env: BTreeMap<String, String> = config.env.clone();
    let flags = pairs(&args.env, "--env")?;
    flags.iter().for_each(|(name, _)| drop(env.remove(name)));
    let mut labels = config.label.clone();
    labels.extend(pairs(&args.label, "--label")?);
    Ok(ConfigEdit {
        env: env.into_iter().chain(flags).collect(),
        entrypoint: words(&args.entrypoint, &config.entrypoint)?,
        cmd,
        workdir: args.workdir.clone().or(config.workdir.clone()),
        user: args.user.clone().or(config.user.clone()),
        labels,
        ..ConfigEdit::default()
    })
}

/// The flags `NAME=VALUE`, in order.
pub fn pairs(flags: &[String], name: &str) -> Result<Vec<(String, String)>, Failure> {
    let split = |flag: &String| match flag.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        // The value may be a secret, so the message names only the flag.
        _ => Err(Failure::usage(format!("a value of {name} is not of the form NAME=VALUE"), None)),
    };
    flags.iter().map(split).collect()
}

/// Parses a JSON array of strings, or words between spaces.
fn words(text: &str) -> Result<Vec<String>, Failure> {
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).map_err(|error| {
            Failure::usage(
                format!("`{text}` is not a JSON array of strings: {error}"),
                "quote it as '[\"a\", \"b\"]'",
            )
        });
    }
    Ok(text.split_whitespace().map(str::to_owned).collect())
}
