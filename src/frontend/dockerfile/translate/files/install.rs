//! `install -d`.

use super::super::command::{Command, Operations};
use super::super::context::Context;
use super::super::options::{Known, Takes, parse};
use super::mode;
use crate::recipe::Operation;

/// Without `-d` it is not translated: it replaces a file at the target, and follows no link there.
const INSTALL: &[Known] = &[
    (&["directory", "d"], Takes::Nothing),
    (&["mode", "m"], Takes::Value),
    (&["verbose", "v"], Takes::Nothing),
];

/// The mode of a directory without `-m`.
const MODE: &str = "0755";

pub fn install(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    let arguments = parse(command, INSTALL)?;
    if !arguments.has("directory") {
        return Err(command.refuse("is translated with -d only"));
    }
    let paths = context.paths(arguments.some_operands(command)?)?;
    let mode = arguments.value("mode").map(mode::of_directory).transpose()?;
    let made = Operation::MakeDirectories { paths: paths.clone(), parents: true, mode: None };
    // Directories that exist get the mode as well.
    let mode = mode.unwrap_or_else(|| MODE.to_owned());
    Ok(vec![made, Operation::SetMode { paths, mode, recursive: false }])
}
