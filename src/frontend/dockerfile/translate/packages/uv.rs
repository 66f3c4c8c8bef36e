//! `uv pip install`, and the choice among the commands of uv.

use super::super::command::{Command, Operations};
use super::super::context::Context;
use super::super::options::{Known, Takes, parse};
use super::options::{check_variables, install, is_on};
use super::uv_project;
use crate::recipe::{Bytecode, Operation, PythonInstaller};

const OPTIONS: &[Known] = &[
    (&["requirement", "requirements", "r"], Takes::Value),
    (&["constraint", "constraints", "c"], Takes::Value),
    (&["target", "t"], Takes::Value),
    (&["system"], Takes::Nothing),
    (&["upgrade", "U"], Takes::Nothing),
    (&["no-deps"], Takes::Nothing),
    (&["require-hashes"], Takes::Nothing),
    (&["index-url", "default-index", "i"], Takes::Value),
    (&["extra-index-url", "index"], Takes::Value),
    (&["find-links", "f"], Takes::Value),
    (&["no-index"], Takes::Nothing),
    (&["only-binary"], Takes::Value),
    (&["compile-bytecode", "compile"], Takes::Nothing),
    (&["no-installer-metadata"], Takes::Nothing),
    (&["break-system-packages"], Takes::Nothing),
    (&["link-mode"], Takes::Value),
    (&["no-cache", "no-cache-dir", "n"], Takes::Nothing),
    (&["cache-dir"], Takes::Value),
    (&["quiet", "q"], Takes::Nothing),
    (&["verbose", "v"], Takes::Nothing),
    (&["no-progress"], Takes::Nothing),
    (&["color"], Takes::Value),
];

/// Variables that change what an install does, and that are not translated.
const VARIABLES: [&str; 14] = [
    "CONSTRAINT",
    "OVERRIDE",
    "EXCLUDE",
    "PRERELEASE",
    "RESOLUTION",
    "NO_BINARY",
    "PYTHON",
    "PROJECT_ENVIRONMENT",
    "CONFIG_FILE",
    "INDEX",
    "DEFAULT_INDEX",
    "REQUIRE_HASHES",
    "NO_BUILD_ISOLATION",
    "TORCH_BACKEND",
];

/// `uv`
pub fn uv(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    let words: Vec<&str> = command.arguments.iter().take(2).map(|field| &*field.text).collect();
    match words[..] {
        _ if command.has_directory => Err(command.refuse("is not looked up in PATH")),
        ["export", ..] => uv_project::export(command, context),
        ["sync", ..] => uv_project::sync(command, context),
        ["pip", "install"] => pip_install(command, context),
        [] | [_] => Err(command.refuse("is translated with `pip install`, `sync` and `export` only")),
        [first, ..] => {
            let field = &command.arguments[usize::from(first == "pip")];
            Err(field.refuse("is a command of uv that needs a process"))
        }
    }
}

fn pip_install(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    command.check_output()?;
    check_variables(command, context, "UV_", &VARIABLES)?;
    check_variables(command, context, "", &["VIRTUAL_ENV", "CONDA_PREFIX"])?;
    let command = Command { arguments: &command.arguments[1..], ..command.clone() };
    let arguments = parse(&command, OPTIONS)?;
    if arguments.value("target").is_none() && !arguments.has("system") && !is_on(context, "UV_SYSTEM_PYTHON")
    {
        return Err(command.refuse("installs into a virtual environment that only the image knows"));
    }
    let mut install = install(&command, context, &arguments, (PythonInstaller::Uv, "UV_"))?;
    if arguments.has("compile-bytecode") || is_on(context, "UV_COMPILE_BYTECODE") {
        install.bytecode = Bytecode::Auto;
    }
    install.installer_metadata =
        !arguments.has("no-installer-metadata") && !is_on(context, "UV_NO_INSTALLER_METADATA");
    Ok(vec![Operation::InstallPython(install)])
}
