//! The arguments by which package managers install for the image's machine.
//!
//! <https://docs.npmjs.com/cli/commands/npm-ci>, <https://pnpm.io/cli/install>,
//! <https://classic.yarnpkg.com/en/docs/cli/install>, <https://yarnpkg.com/cli/workspaces/focus>

use super::machine::NodeMachine;
use super::tool::Tool;
use crate::recipe::NodeInstall;

/// Options of npm that change only what it prints.
const QUIET: [&str; 4] = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];

/// Options of pnpm that make the files independent of its store.
const OF_PNPM: [&str; 3] = [
    "--config.node-linker=hoisted",
    // The times of a file that is linked to pnpm's store change when another link to it is created.
    "--config.package-import-method=clone-or-copy",
    "--reporter=append-only",
];

/// Options of yarn 1. The platform and the Node version of this machine do not matter for the image.
const OF_YARN: [&str; 4] = ["--ignore-platform", "--ignore-engines", "--non-interactive", "--no-progress"];

/// The arguments that install a function's packages.
pub(super) fn of_function(tool: Tool, scripts: bool, machine: NodeMachine) -> Vec<String> {
    let own: &[&str] = match tool {
        Tool::Npm => &[
            "ci",
            "--omit=dev",
            "--include=prod",
            "--install-strategy=hoisted",
            "--install-links",
            "--bin-links",
        ],
        Tool::Pnpm => &["install", "--frozen-lockfile", "--prod"],
        Tool::Yarn => &["install", "--frozen-lockfile", "--production"],
        Tool::Berry => &["workspaces", "focus", "--production"],
    };
    let scripts = match (tool, scripts) {
        (Tool::Berry, _) | (Tool::Yarn, true) => None,
        (_, true) => Some("--ignore-scripts=false"),
        (_, false) => Some("--ignore-scripts"),
    };
    let own = own.iter().copied().chain(scripts).map(str::to_owned);
    own.chain(common(tool, machine)).collect()
}

/// The arguments that do what a command of a Dockerfile does. Scripts do not run: they would run on this machine.
pub(super) fn of_command(tool: Tool, install: &NodeInstall, machine: NodeMachine) -> Vec<String> {
    let own: &[&str] = match (tool, install.frozen) {
        (Tool::Npm, true) => &["ci", "--ignore-scripts"],
        (Tool::Npm, false) => &["install", "--ignore-scripts"],
        (Tool::Pnpm, true) => &["install", "--ignore-scripts", "--frozen-lockfile"],
        // Otherwise the variable CI would decide.
        (Tool::Pnpm, false) => &["install", "--ignore-scripts", "--no-frozen-lockfile"],
        (Tool::Yarn, true) => &["install", "--ignore-scripts", "--frozen-lockfile"],
        (Tool::Yarn, false) => &["install", "--ignore-scripts"],
        (Tool::Berry, true) => &["install", "--immutable"],
        (Tool::Berry, false) => &["install", "--no-immutable"],
    };
    let own = own.iter().copied().map(str::to_owned).chain(install.options.iter().cloned());
    own.chain(common(tool, machine)).collect()
}

fn common(tool: Tool, machine: NodeMachine) -> Vec<String> {
    let own: &[&str] = match tool {
        Tool::Npm => &QUIET,
        Tool::Pnpm => &OF_PNPM,
        Tool::Yarn => &OF_YARN,
        Tool::Berry => &[],
    };
    let target = match tool {
        Tool::Npm | Tool::Pnpm => vec![
            "--os=linux".to_owned(),
            format!("--cpu={}", machine.cpu()),
            format!("--libc={}", machine.libc()),
        ],
        Tool::Yarn | Tool::Berry => Vec::new(),
    };
    own.iter().copied().map(str::to_owned).chain(target).collect()
}

/// Settings of yarn 2 and later that override the function's own.
pub(super) fn variables(tool: Tool, scripts: bool) -> Vec<(String, String)> {
    let settings = [
        ("YARN_NODE_LINKER", "node-modules"),
        ("YARN_ENABLE_SCRIPTS", if scripts { "true" } else { "false" }),
        ("YARN_ENABLE_TELEMETRY", "false"),
        ("YARN_ENABLE_COLORS", "false"),
        ("YARN_ENABLE_PROGRESS_BARS", "false"),
    ];
    let settings = settings.into_iter().filter(|_| tool == Tool::Berry);
    settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
