//! `pip install`, and `python -m pip install`.

use super::super::cleaning;
use super::super::command::{Command, Operations};
use super::super::context::Context;
use super::super::options::{Arguments, Known, Takes, parse};
use super::super::refusal::Attempt;
use super::super::shell::variables::ShellVariables;
use super::options::{check_variables, install};
use super::requirement::are_of_pip;
use crate::recipe::{Operation, PythonInstaller};

/// The options, of which some change only what pip prints or where it has its cache.
const OPTIONS: &[Known] = &[
    (&["requirement", "r"], Takes::Value),
    (&["constraint", "c"], Takes::Value),
    (&["target", "t"], Takes::Value),
    (&["user"], Takes::Nothing),
    (&["upgrade", "U"], Takes::Nothing),
    (&["upgrade-strategy"], Takes::Value),
    (&["no-deps", "no-dependencies"], Takes::Nothing),
    (&["require-hashes"], Takes::Nothing),
    (&["index-url", "i", "pypi-url"], Takes::Value),
    (&["extra-index-url"], Takes::Value),
    (&["find-links", "f"], Takes::Value),
    (&["trusted-host"], Takes::Value),
    (&["no-index"], Takes::Nothing),
    // Wheels are preferred anyway.
    (&["prefer-binary"], Takes::Nothing),
    (&["only-binary"], Takes::Value),
    (&["no-compile"], Takes::Nothing),
    (&["break-system-packages"], Takes::Nothing),
    (&["no-cache-dir"], Takes::Nothing),
    (&["cache-dir"], Takes::Value),
    (&["disable-pip-version-check"], Takes::Nothing),
    (&["no-python-version-warning"], Takes::Nothing),
    (&["no-warn-script-location"], Takes::Nothing),
    (&["no-warn-conflicts"], Takes::Nothing),
    (&["no-input"], Takes::Nothing),
    (&["no-color"], Takes::Nothing),
    (&["quiet", "q"], Takes::Nothing),
    (&["verbose", "v"], Takes::Nothing),
    (&["progress-bar"], Takes::Value),
    (&["root-user-action"], Takes::Value),
    (&["timeout", "default-timeout"], Takes::Value),
    (&["retries"], Takes::Value),
];

/// Variables that change what an install does, and that are not translated.
const VARIABLES: [&str; 23] = [
    "TARGET",
    "PREFIX",
    "ROOT",
    "USER",
    "REQUIREMENT",
    "CONSTRAINT",
    "EDITABLE",
    "NO_BINARY",
    "PLATFORM",
    "PYTHON",
    "PYTHON_VERSION",
    "IMPLEMENTATION",
    "ABI",
    "UPGRADE",
    "UPGRADE_STRATEGY",
    "FORCE_REINSTALL",
    "IGNORE_INSTALLED",
    "NO_DEPS",
    "NO_INDEX",
    "PRE",
    "REQUIRE_HASHES",
    "REQUIRE_VIRTUALENV",
    "NO_BUILD_ISOLATION",
];

/// `pip`, by any name with a version.
pub fn pip(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    let verb = command.arguments.iter().find(|field| !field.text.starts_with('-'));
    match verb.map(|field| &*field.text) {
        Some("install") => of_install(command, context),
        Some("cache") => cleaning::pip(command, context),
        Some(_) => Err(verb.map_or_else(
            || command.refuse("is not a command that is translated"),
            |field| field.refuse("is a command of pip that needs a process"),
        )),
        None => Err(command.refuse("is translated with `install` only")),
    }
}

/// `python -m pip`
pub fn python(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    let words: Vec<&str> = command.arguments.iter().take(2).map(|field| &*field.text).collect();
    match words[..] {
        ["-m", "pip"] => pip(&Command { arguments: &command.arguments[2..], ..command.clone() }, context),
        _ => Err(command.refuse("runs a program of the image")),
    }
}

fn of_install(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    check(command, context)?;
    let arguments = parse(command, OPTIONS)?;
    check_operands(command, &arguments)?;
    let mut install = install(command, context, &arguments, (PythonInstaller::Pip, "PIP_"))?;
    if arguments.has("user") {
        if install.target.is_some() {
            return Err(command.refuse("has both a target and --user"));
        }
        install.user_base = Some(user_base(command, context)?);
    }
    let only_packages = install.requirements.is_empty() && install.target.is_none();
    if only_packages && are_of_pip(&install.packages) {
        return Ok(vec![Operation::OmitTools { packages: install.packages }]);
    }
    Ok(vec![Operation::InstallPython(install)])
}

/// The directory of `--user`.
fn user_base(command: &Command<'_>, context: &Context<'_, '_>) -> Attempt<String> {
    let home = ShellVariables::environment(context.variables, "HOME").unwrap_or("/root");
    match home.trim_end_matches('/') {
        home if home.starts_with('/') => Ok(format!("{home}/.local")),
        _ => Err(command.refuse("has its packages in an unusual home directory")),
    }
}

fn check(command: &Command<'_>, context: &Context<'_, '_>) -> Attempt<()> {
    if command.has_directory {
        return Err(command.refuse("is not looked up in PATH"));
    }
    check_variables(command, context, "PIP_", &VARIABLES)?;
    check_variables(command, context, "", &["VIRTUAL_ENV", "PYTHONUSERBASE", "PYTHONHOME"])
}

/// The first operand is the command of pip; a second one of this name would be a package.
fn check_operands(command: &Command<'_>, arguments: &Arguments<'_>) -> Attempt<()> {
    match arguments.operands.first() {
        Some(first) if first.text == "install" => {}
        _ => return Err(command.refuse("is translated with `install` only")),
    }
    let strategy = arguments.value("upgrade-strategy");
    match strategy.filter(|strategy| strategy.text != "only-if-needed") {
        Some(strategy) => Err(strategy.refuse("is a strategy that is not translated")),
        None => Ok(()),
    }
}
