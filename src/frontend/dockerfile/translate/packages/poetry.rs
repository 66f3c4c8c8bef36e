//! `poetry install`, `poetry export` and `poetry config`.
//!
//! Where Poetry installs depends on its settings: on variables, and on what `poetry config` of this and earlier lines has
//! set.

use super::super::cleaning::home;
use super::super::command::{Command, Operations};
use super::super::context::Context;
use super::super::options::{Arguments, Known, Takes, parse};
use super::super::refusal::Attempt;
use super::options::{check_project, check_variables, listed, locked, named, switch};
use crate::recipe::{Bytecode, LockExport, LockSelection, LockTool, Operation, PythonInstaller};

/// Options of every command: they change what Poetry prints and asks.
const COMMON: &[Known] = &[
    (&["no-interaction", "n"], Takes::Nothing),
    (&["no-ansi"], Takes::Nothing),
    (&["ansi"], Takes::Nothing),
    (&["no-cache"], Takes::Nothing),
    (&["quiet", "q"], Takes::Nothing),
    (&["verbose", "v"], Takes::Nothing),
];

const SELECTION: &[Known] = &[
    (&["only"], Takes::Value),
    (&["with"], Takes::Value),
    (&["without"], Takes::Value),
    (&["all-groups"], Takes::Nothing),
    (&["extras", "E"], Takes::Value),
    (&["all-extras"], Takes::Nothing),
];

const INSTALL: &[Known] = &[
    (&["no-dev"], Takes::Nothing),
    (&["no-root"], Takes::Nothing),
    (&["sync"], Takes::Nothing),
    (&["compile"], Takes::Nothing),
];

const EXPORT: &[Known] = &[
    (&["format", "f"], Takes::Value),
    (&["output", "o"], Takes::Value),
    (&["without-hashes"], Takes::Nothing),
    (&["without-urls"], Takes::Nothing),
];

/// Variables that change what the commands do, and that are not translated.
const VARIABLES: [&str; 4] = [
    "CONFIG_DIR",
    "VIRTUALENVS_OPTIONS_SYSTEM_SITE_PACKAGES",
    "INSTALLER_NO_BINARY",
    "INSTALLER_ONLY_BINARY",
];

/// The sections of the settings, and the values that they may have. Other settings may hold secrets.
const SETTINGS: [(&str, &str); 7] = [
    ("virtualenvs", "create"),
    ("virtualenvs", "in-project"),
    ("installer", "parallel"),
    ("installer", "max-workers"),
    ("installer", "modern-installation"),
    ("warnings", "export"),
    ("requests", "max-retries"),
];

/// `poetry`
pub fn poetry(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    if command.by_path {
        return Err(command.refuse("is not looked up in PATH"));
    }
    check_variables(command, context, "POETRY_", &VARIABLES)?;
    let verb = command.arguments.iter().find(|field| !field.text.starts_with('-'));
    match verb.map(|field| (&*field.text, field)) {
        Some(("install" | "sync", _)) => install(command, context),
        Some(("export", _)) => export(command, context),
        Some(("config", _)) => config(command, context).map(|(operation, _)| vec![operation]),
        Some((_, field)) => Err(field.refuse("is a command of Poetry that needs a process")),
        None => Err(command.refuse("is translated with `install`, `export` and `config` only")),
    }
}

fn install(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    command.check_output()?;
    let known = [COMMON, SELECTION, INSTALL].concat();
    let arguments = parse(command, &known)?;
    check_operands(command, context, &arguments)?;
    check_variables(command, context, "", &["VIRTUAL_ENV", "CONDA_PREFIX"])?;
    if !arguments.has("no-root") {
        return Err(command.refuse("installs the project as well: --no-root leaves it out"));
    }
    let environment = environment(command, context)?;
    let is_sync = arguments.has("sync") || arguments.operands[0].text == "sync";
    if is_sync && environment.is_none() {
        return Err(command.refuse("removes all other packages of the interpreter"));
    }
    let mut selection = selection(&arguments);
    if arguments.has("no-dev") {
        selection.only = vec!["main".to_owned()];
    }
    selection.checked = true;
    let mut install = locked(selection, PythonInstaller::Poetry, "python3");
    install.environment = environment;
    install.exact = is_sync;
    if arguments.has("compile") {
        install.bytecode = Bytecode::Auto;
    }
    Ok(vec![Operation::InstallPython(install)])
}

/// The virtual environment; `None`: the interpreter's own packages.
fn environment(command: &Command<'_>, context: &Context<'_, '_>) -> Attempt<Option<String>> {
    let setting = |variable: &str, name: &str| {
        switch(context, variable).or_else(|| context.settings.poetry("virtualenvs", name))
    };
    if setting("POETRY_VIRTUALENVS_CREATE", "create") == Some(false) {
        return Ok(None);
    }
    if setting("POETRY_VIRTUALENVS_IN_PROJECT", "in-project") == Some(true) {
        context.place(&named(command, ".venv"))?;
        return Ok(Some(".venv".to_owned()));
    }
    let reason = match context.settings.knows_poetry() {
        true => {
            "installs into a virtual environment that only Poetry knows: `poetry config virtualenvs.create false`"
        }
        false => "has settings that are not known: no line before it installs Poetry",
    };
    Err(command.refuse(reason))
}

fn export(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    let known = [COMMON, SELECTION, EXPORT].concat();
    let arguments = parse(command, &known)?;
    check_operands(command, context, &arguments)?;
    if let Some(format) = arguments.value("format").filter(|format| format.text != "requirements.txt") {
        return Err(format.refuse("is a format that is not translated"));
    }
    let (to, append) = match (arguments.value("output"), &command.output) {
        (Some(file), None) => (Some(context.path(file)?), false),
        (None, Some(file)) => (Some(file.path.clone()), file.append),
        (None, None) => (None, false),
        (Some(file), Some(_)) => return Err(file.refuse("is a second file for the output")),
    };
    let mut selection = selection(&arguments);
    // Other than an install, an export has no groups of its own accord.
    selection.no_default_groups = true;
    Ok(vec![Operation::ExportLock(LockExport {
        selection,
        to,
        append,
        hashes: !arguments.has("without-hashes"),
        annotated: false,
        header: None,
    })])
}

fn check_operands(
    command: &Command<'_>,
    context: &Context<'_, '_>,
    arguments: &Arguments<'_>,
) -> Attempt<()> {
    match &*arguments.operands {
        [_] => check_project(command, context, LockTool::Poetry),
        [_, operand, ..] => Err(operand.refuse("is an operand that is not translated")),
        [] => Err(command.refuse("is translated with `install`, `export` and `config` only")),
    }
}

fn selection(arguments: &Arguments<'_>) -> LockSelection {
    let groups = |name| listed(arguments, name, &[',']);
    LockSelection {
        only: groups("only"),
        with: groups("with"),
        without: groups("without"),
        all_groups: arguments.has("all-groups"),
        extras: listed(arguments, "extras", &[' ', ',']),
        all_extras: arguments.has("all-extras"),
        ..LockSelection::of(LockTool::Poetry)
    }
}

/// A setting: its section, its name and its value.
pub type Setting = (&'static str, &'static str, String);

/// `poetry config KEY VALUE`: writes the file of all settings. Also returns the setting.
pub fn config(command: &Command<'_>, context: &Context<'_, '_>) -> Attempt<(Operation, Setting)> {
    command.check_output()?;
    let arguments = parse(command, COMMON)?;
    let [_, key, value] = &*arguments.operands else {
        return Err(command.refuse("is translated with `config KEY VALUE` only"));
    };
    if !context.settings.knows_poetry() {
        return Err(command.refuse("has settings that are not known: no line before it installs Poetry"));
    }
    let known = SETTINGS.into_iter().find(|(section, name)| key.text == format!("{section}.{name}"));
    let (section, name) = known.ok_or_else(|| key.refuse("is a setting that is not translated"))?;
    let text = value.plain()?.to_ascii_lowercase();
    let is_number = name.starts_with("max-") && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = match &*text {
        "true" | "1" if !name.starts_with("max-") => "true".to_owned(),
        "false" | "0" if !name.starts_with("max-") => "false".to_owned(),
        _ if is_number && !text.is_empty() => text,
        _ => return Err(value.refuse("is not a value of this setting")),
    };
    let mut settings = context.settings.clone();
    settings.set_poetry(section, name, &text);
    let path = format!("{}/.config/pypoetry/config.toml", home(command, context)?);
    let path = context.path(&named(command, &path))?;
    let write = Operation::WriteSettings { path, content: settings.poetry_file() };
    Ok((write, (section, name, text)))
}
