//! `rm`, `rmdir`.

use super::super::command::{Command, Operations};
use super::super::context::Context;
use super::super::options::{Known, Takes, parse};
use super::super::refusal::Attempt;
use super::super::shell::expand::Field;
use crate::recipe::{Operation, Pathname};

const RM: &[Known] = &[
    (&["recursive", "r", "R"], Takes::Nothing),
    (&["force", "f"], Takes::Nothing),
    (&["verbose", "v"], Takes::Nothing),
];

const RMDIR: &[Known] = &[(&["parents", "p"], Takes::Nothing), (&["verbose", "v"], Takes::Nothing)];

pub fn rm(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    let arguments = parse(command, RM)?;
    let (recursive, force) = (arguments.has("recursive"), arguments.has("force"));
    if force && arguments.operands.is_empty() {
        return Ok(vec![Operation::Nothing]);
    }
    let paths = arguments.some_operands(command)?.iter();
    let paths = paths.map(|field| removed(field, context, recursive)).collect::<Attempt<_>>()?;
    Ok(vec![Operation::Remove { paths, recursive, force }])
}

/// A path that `rm` removes. It refuses `.` and `..`, with or without a slash at the end.
fn removed(field: &Field, context: &Context<'_, '_>, recursive: bool) -> Attempt<Pathname> {
    let last = field.text.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    match last {
        "" | "." | ".." => Err(field.refuse("is a directory that rm does not remove")),
        _ if recursive => context.tree(field),
        _ => context.path(field),
    }
}

pub fn rmdir(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    let arguments = parse(command, RMDIR)?;
    let paths = context.paths(arguments.some_operands(command)?)?;
    Ok(vec![Operation::RemoveDirectories { paths, parents: arguments.has("parents") }])
}
