//! `yarn install`, of yarn 1 and of later versions: the lock file tells them apart.

use super::super::command::{Command, Operations};
use super::super::context::Context;
use super::node_options::{Effect, Known, Takes, read, verb};
use crate::recipe::{NodeInstaller, Operation, Pathname};

const OPTIONS: &[Known] = &[
    (&["frozen-lockfile", "immutable"], Takes::Nothing, Effect::Frozen),
    (&["production", "prod"], Takes::Nothing, Effect::Passed),
    (&["ignore-scripts"], Takes::Nothing, Effect::IgnoreScripts),
    (&["ignore-optional"], Takes::Nothing, Effect::Passed),
    (&["pure-lockfile"], Takes::Nothing, Effect::Passed),
    (&["no-lockfile"], Takes::Nothing, Effect::Passed),
    (&["no-bin-links"], Takes::Nothing, Effect::Passed),
    (&["registry"], Takes::Value, Effect::Passed),
    (&["cwd"], Takes::Value, Effect::Directory),
    (&["ignore-engines"], Takes::Nothing, Effect::Nothing),
    (&["non-interactive"], Takes::Nothing, Effect::Nothing),
    (&["no-progress"], Takes::Nothing, Effect::Nothing),
    (&["silent", "s"], Takes::Nothing, Effect::Nothing),
    (&["verbose"], Takes::Nothing, Effect::Nothing),
    (&["prefer-offline"], Takes::Nothing, Effect::Nothing),
    (&["check-files"], Takes::Nothing, Effect::Nothing),
    (&["network-timeout"], Takes::Value, Effect::Nothing),
    (&["network-concurrency"], Takes::Value, Effect::Nothing),
    (&["cache-folder"], Takes::Value, Effect::Nothing),
    (&["mutex"], Takes::Value, Effect::Nothing),
];

/// The caches of yarn 1: that of root, and that of any user.
const CACHES: [&str; 2] = ["/usr/local/share/.cache/yarn", "/root/.cache/yarn"];

/// `yarn`, which installs unless it is told otherwise.
pub fn yarn(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    let words = read(command, context, NodeInstaller::Yarn, OPTIONS);
    let verbs = match verb(command, &words) {
        None => 0,
        Some(field) if field.text == "install" => 1,
        Some(field) if field.text == "cache" => return clean(command),
        Some(field) => return Err(field.refuse("is a command of yarn that needs a process")),
    };
    let words = words?;
    words.check_operands(verbs)?;
    Ok(vec![Operation::InstallNode(words.install)])
}

/// `yarn cache clean`
fn clean(command: &Command<'_>) -> Operations {
    match command.arguments {
        [cache, clean] if cache.text == "cache" && clean.text == "clean" => {
            let paths = CACHES.map(|path| Pathname::Path(path.to_owned())).to_vec();
            Ok(vec![Operation::Remove { paths, recursive: true, force: true }])
        }
        _ => Err(command.refuse("is not a command that is translated")),
    }
}
