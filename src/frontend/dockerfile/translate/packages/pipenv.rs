//! `pipenv install` and `pipenv sync` from a lock, and `pipenv requirements`.

use super::super::command::{Command, Operations};
use super::super::context::Context;
use super::super::options::{Arguments, Known, Takes, parse};
use super::super::refusal::Attempt;
use super::options::{check_project, check_variables, is_on, listed, locked, named};
use crate::recipe::{LockExport, LockSelection, LockTool, Operation, PythonInstaller};

const INSTALL: &[Known] = &[
    (&["system"], Takes::Nothing),
    (&["deploy"], Takes::Nothing),
    (&["ignore-pipfile"], Takes::Nothing),
    (&["dev", "d"], Takes::Nothing),
    (&["categories"], Takes::Value),
    (&["clear"], Takes::Nothing),
    (&["verbose", "v"], Takes::Nothing),
    (&["quiet", "q"], Takes::Nothing),
];

const REQUIREMENTS: &[Known] = &[
    (&["dev"], Takes::Nothing),
    (&["dev-only"], Takes::Nothing),
    (&["hash"], Takes::Nothing),
    (&["categories"], Takes::Value),
];

/// Variables that change what the commands do, and that are not translated.
const VARIABLES: [&str; 7] = [
    "PIPFILE",
    "PROJECT_DIR",
    "CUSTOM_VENV_NAME",
    "INSTALL_DEPENDENCIES",
    "PYPI_MIRROR",
    "PYTHON",
    "SITE_PACKAGES",
];

/// `pipenv`
pub fn pipenv(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    if command.by_path {
        return Err(command.refuse("is not looked up in PATH"));
    }
    check_variables(command, context, "PIPENV_", &VARIABLES)?;
    let verb = command.arguments.iter().find(|field| !field.text.starts_with('-'));
    match verb.map(|field| (&*field.text, field)) {
        Some((verb @ ("install" | "sync"), _)) => install(command, context, verb == "install"),
        Some(("requirements", _)) => requirements(command, context),
        Some((_, field)) => Err(field.refuse("is a command of Pipenv that needs a process")),
        None => Err(command.refuse("is translated with `install`, `sync` and `requirements` only")),
    }
}

fn install(command: &Command<'_>, context: &Context<'_, '_>, may_lock: bool) -> Operations {
    command.check_output()?;
    let arguments = parse(command, INSTALL)?;
    check_operands(command, context, &arguments)?;
    check_variables(command, context, "", &["VIRTUAL_ENV", "CONDA_PREFIX"])?;
    let ignores = arguments.has("ignore-pipfile") || is_on(context, "PIPENV_IGNORE_PIPFILE");
    if may_lock && !arguments.has("deploy") && !ignores {
        return Err(
            command.refuse("may write a new lock: --deploy or --ignore-pipfile takes the one that exists")
        );
    }
    let environment = match arguments.has("system") {
        true => None,
        false if is_on(context, "PIPENV_VENV_IN_PROJECT") => Some(".venv".to_owned()),
        false => {
            return Err(
                command.refuse("installs into a virtual environment that only Pipenv knows: --system")
            );
        }
    };
    if let Some(place) = &environment {
        context.place(&named(command, place))?;
    }
    let selection = LockSelection { checked: arguments.has("deploy"), ..selection(&arguments) };
    let mut install = locked(selection, PythonInstaller::Pip, "python3");
    install.environment = environment;
    Ok(vec![Operation::InstallPython(install)])
}

fn requirements(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    let arguments = parse(command, REQUIREMENTS)?;
    check_operands(command, context, &arguments)?;
    let (to, append) = match &command.output {
        Some(file) => (Some(file.path.clone()), file.append),
        None => (None, false),
    };
    Ok(vec![Operation::ExportLock(LockExport {
        selection: selection(&arguments),
        to,
        append,
        hashes: arguments.has("hash"),
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
        [_] => check_project(command, context, LockTool::Pipenv),
        [_, operand, ..] => Err(operand.refuse("is a package, which only a new lock has")),
        [] => Err(command.refuse("is translated with `install`, `sync` and `requirements` only")),
    }
}

fn selection(arguments: &Arguments<'_>) -> LockSelection {
    let categories = listed(arguments, "categories", &[' ', ',']);
    let only = match arguments.has("dev-only") {
        true => vec!["develop".to_owned()],
        false => categories,
    };
    let with = arguments.has("dev").then(|| "develop".to_owned()).into_iter().collect();
    LockSelection { only, with, ..LockSelection::of(LockTool::Pipenv) }
}
