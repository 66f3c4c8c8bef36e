//! `uv sync` and `uv export`: the packages of `uv.lock`.

use super::super::command::{Command, Operations};
use super::super::context::Context;
use super::super::options::{Arguments, Known, Takes, parse};
use super::super::refusal::Attempt;
use super::super::shell::variables::ShellVariables;
use super::options::{check_project, check_variables, is_on, listed, locked, named};
use crate::recipe::{
    Bytecode, LockExport, LockSelection, LockTool, LockedProject, Operation, PythonInstaller,
};

/// Options of both commands. Some change only what uv prints, where it has its cache and which interpreters it looks for
/// outside of the image.
const COMMON: &[Known] = &[
    (&["frozen"], Takes::Nothing),
    (&["locked"], Takes::Nothing),
    (&["dev"], Takes::Nothing),
    (&["no-dev"], Takes::Nothing),
    (&["only-dev"], Takes::Nothing),
    (&["group"], Takes::Value),
    (&["no-group"], Takes::Value),
    (&["only-group"], Takes::Value),
    (&["no-default-groups"], Takes::Nothing),
    (&["all-groups"], Takes::Nothing),
    (&["extra"], Takes::Value),
    (&["all-extras"], Takes::Nothing),
    (&["no-editable"], Takes::Nothing),
    (&["no-cache", "no-cache-dir", "n"], Takes::Nothing),
    (&["cache-dir"], Takes::Value),
    (&["link-mode"], Takes::Value),
    (&["offline"], Takes::Nothing),
    (&["no-python-downloads"], Takes::Nothing),
    (&["no-managed-python"], Takes::Nothing),
    (&["quiet", "q"], Takes::Nothing),
    (&["verbose", "v"], Takes::Nothing),
    (&["no-progress"], Takes::Nothing),
    (&["color"], Takes::Value),
];

const EXPORT: &[Known] = &[
    (&["no-emit-project", "no-install-project"], Takes::Nothing),
    (&["no-emit-workspace", "no-install-workspace"], Takes::Nothing),
    (&["no-emit-local", "no-install-local"], Takes::Nothing),
    (&["no-hashes"], Takes::Nothing),
    (&["no-header"], Takes::Nothing),
    (&["no-annotate"], Takes::Nothing),
    (&["format"], Takes::Value),
    (&["output-file", "o"], Takes::Value),
];

const SYNC: &[Known] = &[
    (&["no-install-project"], Takes::Nothing),
    (&["no-install-workspace"], Takes::Nothing),
    (&["no-install-local"], Takes::Nothing),
    (&["compile-bytecode", "compile"], Takes::Nothing),
    (&["inexact"], Takes::Nothing),
    (&["exact"], Takes::Nothing),
    (&["python", "p"], Takes::Value),
    (&["no-installer-metadata"], Takes::Nothing),
];

/// Variables that change what the commands do, and that are not translated.
const VARIABLES: [&str; 22] = [
    "PROJECT",
    "WORKING_DIR",
    "WORKING_DIRECTORY",
    "CONFIG_FILE",
    "NO_GROUP",
    "NO_SYNC",
    "NO_SOURCES",
    "NO_BINARY",
    "NO_BINARY_PACKAGE",
    "NO_BUILD",
    "NO_BUILD_ISOLATION",
    "OVERRIDE",
    "CONSTRAINT",
    "EXCLUDE",
    "ISOLATED",
    "MANAGED_PYTHON",
    "PYTHON_PLATFORM",
    "REINSTALL",
    "TORCH_BACKEND",
    "UPGRADE",
    "VENV_RELOCATABLE",
    "VENV_SYSTEM_SITE_PACKAGES",
];

/// `uv export`
pub fn export(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    let known = [COMMON, EXPORT].concat();
    let arguments = parse(command, &known)?;
    check_operands(command, context, &arguments)?;
    if let Some(format) = arguments.value("format").filter(|format| format.text != "requirements-txt") {
        return Err(format.refuse("is a format that is not translated"));
    }
    let leaves_out = ["no-emit-project", "no-emit-workspace", "no-emit-local"];
    let selection = selection(command, context, &arguments, &leaves_out)?;
    let (to, append) = match (arguments.value("output-file"), &command.output) {
        (Some(file), None) => (Some(context.path(file)?), false),
        (None, Some(file)) => (Some(file.path.clone()), file.append),
        (None, None) => (None, false),
        (Some(file), Some(_)) => return Err(file.refuse("is a second file for the output")),
    };
    let header = (!arguments.has("no-header")).then(|| header(command));
    Ok(vec![Operation::ExportLock(LockExport {
        selection,
        to,
        append,
        hashes: !arguments.has("no-hashes"),
        annotated: !arguments.has("no-annotate"),
        header,
    })])
}

/// The command as uv repeats it in the file.
fn header(command: &Command<'_>) -> String {
    let is_shown = |word: &&str| !["-q", "--quiet", "-v", "--verbose", "--no-progress"].contains(word);
    let words = command.arguments.iter().map(|field| &*field.text).filter(is_shown);
    ["uv"].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

/// `uv sync`
pub fn sync(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    command.check_output()?;
    let known = [COMMON, SYNC].concat();
    let arguments = parse(command, &known)?;
    check_operands(command, context, &arguments)?;
    let leaves_out = ["no-install-project", "no-install-workspace", "no-install-local"];
    let selection = selection(command, context, &arguments, &leaves_out)?;
    let variable =
        |name| ShellVariables::environment(context.variables, name).filter(|value| !value.is_empty());
    let place = variable("UV_PROJECT_ENVIRONMENT").unwrap_or(".venv").to_owned();
    context.place(&named(command, &place))?;
    let python = arguments.value("python").map(|field| &*field.text).or(variable("UV_PYTHON"));
    let Some(program) = program(python) else {
        return Err(command.refuse("asks for an interpreter in a way that is not translated"));
    };
    let mut install = locked(selection, PythonInstaller::Uv, &program);
    install.environment = Some(place);
    install.exact = !arguments.has("inexact");
    if arguments.has("compile-bytecode") || is_on(context, "UV_COMPILE_BYTECODE") {
        install.bytecode = Bytecode::Auto;
    }
    install.installer_metadata =
        !arguments.has("no-installer-metadata") && !is_on(context, "UV_NO_INSTALLER_METADATA");
    Ok(vec![Operation::InstallPython(install)])
}

/// The program of a request such as `3.12` or `python3.12`.
fn program(request: Option<&str>) -> Option<String> {
    let Some(request) = request else { return Some("uv".to_owned()) };
    let version = request.strip_prefix("python").unwrap_or(request);
    let minor = version.strip_prefix("3.")?;
    let is_number = !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| format!("python3.{minor}"))
}

/// The verb is the only operand; the files of the project must be in the image.
fn check_operands(
    command: &Command<'_>,
    context: &Context<'_, '_>,
    arguments: &Arguments<'_>,
) -> Attempt<()> {
    if let Some(operand) = arguments.operands.get(1) {
        return Err(operand.refuse("is an operand that is not translated"));
    }
    check_variables(command, context, "UV_", &VARIABLES)?;
    check_project(command, context, LockTool::Uv)
}

fn selection(
    command: &Command<'_>,
    context: &Context<'_, '_>,
    arguments: &Arguments<'_>,
    leaves_out: &[&str],
) -> Attempt<LockSelection> {
    let has = |name: &str| arguments.has(name);
    let is_frozen = has("frozen") || is_on(context, "UV_FROZEN");
    if has("frozen") && has("locked") {
        return Err(command.refuse("has both --frozen and --locked"));
    }
    let mut selection = LockSelection::of(LockTool::Uv);
    let values = |name| listed(arguments, name, &[]);
    let dev = |name: &str| has(name).then(|| "dev".to_owned());
    selection.with = values("group").into_iter().chain(dev("dev")).collect();
    selection.only = values("only-group").into_iter().chain(dev("only-dev")).collect();
    let no_dev = has("no-dev") || (is_on(context, "UV_NO_DEV") && !has("dev"));
    selection.without = values("no-group").into_iter().chain(no_dev.then(|| "dev".to_owned())).collect();
    selection.all_groups = has("all-groups");
    selection.no_default_groups = has("no-default-groups") || is_on(context, "UV_NO_DEFAULT_GROUPS");
    selection.extras = values("extra");
    selection.all_extras = has("all-extras");
    selection.checked = !is_frozen || has("locked");
    selection.project = match leaves_out.iter().any(|name| has(name)) {
        true => LockedProject::LeftOut,
        false if has("no-editable") || is_on(context, "UV_NO_EDITABLE") => LockedProject::Package,
        false => LockedProject::Editable,
    };
    Ok(selection)
}
