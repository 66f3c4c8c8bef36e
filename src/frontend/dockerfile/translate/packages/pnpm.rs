//! `pnpm install`.

use super::super::command::{Command, Operations};
use super::super::context::Context;
use super::node_options::{Effect, Known, Takes, read, verb};
use crate::recipe::{NodeInstaller, Operation};

const OPTIONS: &[Known] = &[
    (&["frozen-lockfile"], Takes::Nothing, Effect::Frozen),
    (&["prod", "production", "P"], Takes::Nothing, Effect::Passed),
    (&["ignore-scripts"], Takes::Nothing, Effect::IgnoreScripts),
    (&["no-optional"], Takes::Nothing, Effect::Passed),
    (&["registry"], Takes::Value, Effect::Passed),
    (&["dir", "C"], Takes::Value, Effect::Directory),
    (&["shamefully-hoist"], Takes::Nothing, Effect::Nothing),
    (&["prefer-offline"], Takes::Nothing, Effect::Nothing),
    (&["silent", "s"], Takes::Nothing, Effect::Nothing),
    (&["loglevel"], Takes::Value, Effect::Nothing),
    (&["reporter"], Takes::Value, Effect::Nothing),
    (&["store-dir"], Takes::Value, Effect::Nothing),
    (&["network-concurrency"], Takes::Value, Effect::Nothing),
    (&["fetch-timeout"], Takes::Value, Effect::Nothing),
];

/// `pnpm`
pub fn pnpm(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    let words = read(command, context, NodeInstaller::Pnpm, OPTIONS);
    match verb(command, &words) {
        Some(field) if matches!(&*field.text, "install" | "i") => {}
        Some(field) => return Err(field.refuse("is a command of pnpm that needs a process")),
        None => return Err(command.refuse("is translated with `install` only")),
    }
    let words = words?;
    words.check_operands(1)?;
    Ok(vec![Operation::InstallNode(words.install)])
}
