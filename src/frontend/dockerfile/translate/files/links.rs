//! `ln`.

use super::super::command::{Command, Operations};
use super::super::context::Context;
use super::super::options::{Known, Takes, parse};
use super::super::refusal::Attempt;
use super::super::shell::expand::Field;
use super::transfer::{Destination, destination};
use crate::recipe::{IntoDirectory, Operation, Pathname};

const LN: &[Known] = &[
    (&["symbolic", "s"], Takes::Nothing),
    (&["force", "f"], Takes::Nothing),
    (&["no-dereference", "n"], Takes::Nothing),
    (&["verbose", "v"], Takes::Nothing),
    (&["target-directory", "t"], Takes::Value),
    (&["no-target-directory", "T"], Takes::Nothing),
];

pub fn ln(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    let arguments = parse(command, LN)?;
    let symbolic = arguments.has("symbolic");
    let is_alone = arguments.value("target-directory").is_none() && !arguments.has("no-target-directory");
    let (targets, to, into) = match &*arguments.operands {
        targets @ [target] if is_alone => {
            target.plain()?;
            (targets, None, IntoDirectory::Guessed)
        }
        _ => {
            let Destination { sources, to, into } = destination(command, &arguments)?;
            (sources, Some(context.path(to)?), into)
        }
    };
    let is_one = targets.len() == 1 && targets[0].pattern.is_none();
    if arguments.has("no-dereference") && !is_one {
        return Err(command.refuse("is translated with one target if it has -n"));
    }
    let target = |field: &&Field| if symbolic { link_text(field) } else { context.path(field) };
    Ok(vec![Operation::Link {
        targets: targets.iter().map(target).collect::<Attempt<_>>()?,
        to,
        into,
        symbolic,
        force: arguments.has("force"),
        no_dereference: arguments.has("no-dereference"),
    }])
}

/// The text of a symbolic link, which may lead anywhere.
fn link_text(field: &Field) -> Attempt<Pathname> {
    match (&field.pattern, &*field.text) {
        (_, "") => Err(field.refuse("is an empty path")),
        (None, text) => Ok(Pathname::Path(text.to_owned())),
        (Some(pattern), _) => Ok(Pathname::Pattern(pattern.clone())),
    }
}
