//! `mkdir`, `touch`.

use super::super::command::{Command, Operations};
use super::super::context::Context;
use super::super::options::{Known, Takes, parse};
use super::mode;
use crate::recipe::Operation;

const MKDIR: &[Known] = &[
    (&["parents", "p"], Takes::Nothing),
    (&["mode", "m"], Takes::Value),
    (&["verbose", "v"], Takes::Nothing),
];

/// Options that name a time are not here; those that choose between times change nothing, as no time is kept.
const TOUCH: &[Known] = &[
    (&["no-create", "c"], Takes::Nothing),
    (&["access", "a"], Takes::Nothing),
    (&["modification", "m"], Takes::Nothing),
];

pub fn mkdir(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    let arguments = parse(command, MKDIR)?;
    Ok(vec![Operation::MakeDirectories {
        paths: context.paths(arguments.some_operands(command)?)?,
        parents: arguments.has("parents"),
        mode: arguments.value("mode").map(mode::of_directory).transpose()?,
    }])
}

pub fn touch(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    let arguments = parse(command, TOUCH)?;
    let paths = context.paths(arguments.some_operands(command)?)?;
    Ok(vec![Operation::Touch { paths, create: !arguments.has("no-create") }])
}
