//! `cp`, `mv`.

use super::super::command::{Command, Operations};
use super::super::context::Context;
use super::super::options::{Arguments, Given, Known, Takes, parse};
use super::super::refusal::Attempt;
use super::super::shell::expand::Field;
use crate::recipe::{Follow, IntoDirectory, Operation, Transfer};

/// `-n` is not here: whether a file that stays is a failure depends on the version.
const CP: &[Known] = &[
    (&["recursive", "r", "R"], Takes::Nothing),
    (&["archive", "a"], Takes::Nothing),
    (&["p"], Takes::Nothing),
    (&["preserve"], Takes::Value),
    (&["no-dereference", "P"], Takes::Nothing),
    (&["dereference", "L"], Takes::Nothing),
    (&["H"], Takes::Nothing),
    (&["d"], Takes::Nothing),
    (&["force", "f"], Takes::Nothing),
    (&["verbose", "v"], Takes::Nothing),
    (&["target-directory", "t"], Takes::Value),
    (&["no-target-directory", "T"], Takes::Nothing),
];

const MV: &[Known] = &[
    (&["force", "f"], Takes::Nothing),
    (&["verbose", "v"], Takes::Nothing),
    (&["target-directory", "t"], Takes::Value),
    (&["no-target-directory", "T"], Takes::Nothing),
];

pub fn cp(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    let arguments = parse(command, CP)?;
    let recursive = arguments.has("recursive") || arguments.has("archive");
    let mut transfer = Transfer { recursive, ..files(command, context, &arguments, recursive)? };
    let mut follow = None;
    for option in &arguments.options {
        match option.name {
            "archive" => {
                (transfer.preserve, transfer.preserve_links) = (true, true);
                follow = Some(Follow::Nothing);
            }
            "d" => {
                transfer.preserve_links = true;
                follow = Some(Follow::Nothing);
            }
            "p" => transfer.preserve = true,
            "preserve" => preserve(&mut transfer, option)?,
            "no-dereference" => follow = Some(Follow::Nothing),
            "dereference" => follow = Some(Follow::All),
            "H" => follow = Some(Follow::Named),
            _ => {}
        }
    }
    transfer.follow = follow.unwrap_or(if recursive { Follow::Nothing } else { Follow::All });
    Ok(vec![Operation::Copy(transfer)])
}

/// `--preserve=LIST`. Times are not kept in any case.
fn preserve(transfer: &mut Transfer, option: &Given<'_>) -> Attempt<()> {
    let list = option.value.as_ref().map(|value| &*value.text).unwrap_or_default();
    let (mut mode, mut owner) = (false, false);
    for attribute in list.split(',') {
        match attribute {
            "mode" => mode = true,
            "ownership" => owner = true,
            "timestamps" => {}
            "links" => transfer.preserve_links = true,
            "all" => (mode, owner, transfer.preserve_links) = (true, true, true),
            _ => return Err(option.field.refuse("keeps an attribute that is not translated")),
        }
    }
    match mode && owner {
        true => transfer.preserve = true,
        false => return Err(option.field.refuse("is translated with mode and ownership only")),
    }
    Ok(())
}

pub fn mv(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    let arguments = parse(command, MV)?;
    let transfer = files(command, context, &arguments, true)?;
    Ok(vec![Operation::Move(Transfer { follow: Follow::Nothing, ..transfer })])
}

/// The sources and the target.
fn files(
    command: &Command<'_>,
    context: &Context<'_, '_>,
    arguments: &Arguments<'_>,
    whole_trees: bool,
) -> Attempt<Transfer> {
    let Destination { sources, to, into } = destination(command, arguments)?;
    let sources = if whole_trees { context.trees(sources)? } else { context.paths(sources)? };
    Ok(Transfer {
        sources,
        to: context.path(to)?,
        into,
        recursive: false,
        preserve: false,
        preserve_links: false,
        follow: Follow::All,
        no_clobber: false,
        force: arguments.has("force"),
    })
}

/// The operands of a command that puts files somewhere.
pub struct Destination<'a, 'f> {
    pub sources: &'a [&'f Field],
    pub to: &'a Field,
    pub into: IntoDirectory,
}

pub fn destination<'a, 'f>(
    command: &Command<'_>,
    arguments: &'a Arguments<'f>,
) -> Attempt<Destination<'a, 'f>> {
    let never = arguments.has("no-target-directory");
    let (sources, to, into) = match (arguments.value("target-directory"), &*arguments.operands) {
        (Some(_), _) if never => return Err(command.refuse("has both -t and -T")),
        (Some(to), sources) => (sources, to, IntoDirectory::Always),
        (None, [sources @ .., to]) if never => (sources, *to, IntoDirectory::Never),
        (None, [sources @ .., to]) => (sources, *to, IntoDirectory::Guessed),
        (None, []) => return Err(command.refuse("has no operand")),
    };
    to.plain()?;
    match sources {
        [] => Err(command.refuse("has no target")),
        [first] if never => first.plain().map(|_| Destination { sources, to, into }),
        _ if never => Err(command.refuse("has several files for one target")),
        _ => Ok(Destination { sources, to, into }),
    }
}
