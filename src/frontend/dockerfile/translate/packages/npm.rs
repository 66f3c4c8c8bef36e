//! `npm ci` and `npm install`.

use super::super::cleaning;
use super::super::command::{Command, Operations};
use super::super::context::Context;
use super::super::shell::expand::Field;
use super::node_options::{Effect, Known, Takes, read, verb};
use crate::recipe::{NodeInstall, NodeInstaller, Operation};

const OPTIONS: &[Known] = &[
    (&["omit"], Takes::Value, Effect::Group),
    (&["include"], Takes::Value, Effect::Group),
    (&["production"], Takes::Nothing, Effect::Production),
    (&["ignore-scripts"], Takes::Nothing, Effect::IgnoreScripts),
    (&["prefix", "C"], Takes::Value, Effect::Directory),
    (&["legacy-peer-deps"], Takes::Nothing, Effect::Passed),
    (&["strict-peer-deps"], Takes::Nothing, Effect::Passed),
    (&["force", "f"], Takes::Nothing, Effect::Passed),
    (&["no-save"], Takes::Nothing, Effect::Passed),
    (&["save"], Takes::Nothing, Effect::Passed),
    (&["no-package-lock"], Takes::Nothing, Effect::Passed),
    (&["package-lock"], Takes::Nothing, Effect::Passed),
    (&["no-optional"], Takes::Nothing, Effect::Passed),
    (&["no-bin-links"], Takes::Nothing, Effect::Passed),
    (&["bin-links"], Takes::Nothing, Effect::Passed),
    (&["prefer-dedupe"], Takes::Nothing, Effect::Passed),
    (&["registry"], Takes::Value, Effect::Passed),
    (&["audit", "no-audit"], Takes::Nothing, Effect::Nothing),
    (&["fund", "no-fund"], Takes::Nothing, Effect::Nothing),
    (&["progress", "no-progress"], Takes::Nothing, Effect::Nothing),
    (&["update-notifier", "no-update-notifier"], Takes::Nothing, Effect::Nothing),
    (&["color", "no-color"], Takes::Nothing, Effect::Nothing),
    (&["prefer-offline"], Takes::Nothing, Effect::Nothing),
    (&["prefer-online"], Takes::Nothing, Effect::Nothing),
    (&["silent", "s", "quiet", "q", "verbose", "d"], Takes::Nothing, Effect::Nothing),
    (&["yes", "y"], Takes::Nothing, Effect::Nothing),
    (&["foreground-scripts"], Takes::Nothing, Effect::Nothing),
    // npm has no such option, and passes it over.
    (&["ci"], Takes::Nothing, Effect::Nothing),
    (&["loglevel"], Takes::Value, Effect::Nothing),
    (&["cache"], Takes::Value, Effect::Nothing),
    (&["maxsockets"], Takes::Value, Effect::Nothing),
    (&["fetch-retries"], Takes::Value, Effect::Nothing),
    (&["fetch-retry-mintimeout"], Takes::Value, Effect::Nothing),
    (&["fetch-retry-maxtimeout"], Takes::Value, Effect::Nothing),
    (&["fetch-timeout"], Takes::Value, Effect::Nothing),
];

/// `npm`, with its command among the options.
pub fn npm(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    if command
        .arguments
        .iter()
        .find(|field| !field.text.starts_with('-'))
        .is_some_and(|verb| verb.text == "cache")
    {
        return cleaning::npm(command, context);
    }
    // `--only=production` is an old spelling.
    let renamed = |field: &Field| match &*field.text {
        "--only=production" | "--only=prod" => Field { text: "--production".to_owned(), ..field.clone() },
        _ => field.clone(),
    };
    let arguments: Vec<Field> = command.arguments.iter().map(renamed).collect();
    let command = &Command { arguments: &arguments, ..command.clone() };
    let words = read(command, context, NodeInstaller::Npm, OPTIONS);
    let frozen = match verb(command, &words) {
        Some(field) if matches!(&*field.text, "ci" | "clean-install") => true,
        Some(field) if matches!(&*field.text, "install" | "i") => false,
        Some(field) => return Err(field.refuse("is a command of npm that needs a process")),
        None => return Err(command.refuse("is translated with `ci` and `install` only")),
    };
    let words = words?;
    words.check_operands(1)?;
    Ok(vec![Operation::InstallNode(NodeInstall { frozen, ..words.install })])
}
