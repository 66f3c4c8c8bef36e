//! `uv pip install`.

use super::super::command::{Command, Operations};
use super::super::context::Context;
use super::super::options::{Known, Takes, parse};
use super::super::shell::variables::ShellVariables;
use super::options::{check_variables, install};
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

/// `uv pip install`
pub fn uv(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    let words: Vec<&str> = command.arguments.iter().take(2).map(|field| &*field.text).collect();
    if words != ["pip", "install"] || command.has_directory {
        return Err(command.refuse("is translated with `pip install` only"));
    }
    check_variables(command, context, "UV_", &VARIABLES)?;
    check_variables(command, context, "", &["VIRTUAL_ENV", "CONDA_PREFIX"])?;
    let command = Command { arguments: &command.arguments[1..], ..command.clone() };
    let arguments = parse(&command, OPTIONS)?;
    let is_on = |name: &str| {
        let value = ShellVariables::environment(context.variables, name);
        value.is_some_and(|value| matches!(&*value.to_ascii_lowercase(), "1" | "true" | "yes" | "on"))
    };
    if arguments.value("target").is_none() && !arguments.has("system") && !is_on("UV_SYSTEM_PYTHON") {
        return Err(command.refuse("installs into a virtual environment that only the image knows"));
    }
    let mut install = install(&command, context, &arguments, (PythonInstaller::Uv, "UV_"))?;
    if arguments.has("compile-bytecode") || is_on("UV_COMPILE_BYTECODE") {
        install.bytecode = Bytecode::Auto;
    }
    install.installer_metadata =
        !arguments.has("no-installer-metadata") && !is_on("UV_NO_INSTALLER_METADATA");
    Ok(vec![Operation::InstallPython(install)])
}
