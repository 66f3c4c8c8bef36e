//! `chmod`, `chown`, `chgrp`.

use super::super::command::{Command, Operations};
use super::super::context::Context;
use super::super::options::{Known, Takes, parse};
use super::super::refusal::Attempt;
use super::super::shell::expand::Field;
use super::mode;
use crate::recipe::{Operation, Pathname};

const CHMOD: &[Known] = &[
    (&["recursive", "R"], Takes::Nothing),
    (&["verbose", "v"], Takes::Nothing),
    (&["changes", "c"], Takes::Nothing),
    (&["silent", "quiet", "f"], Takes::Nothing),
];

/// `-H` and `-L` are not here: with them `-R` leaves the tree.
const CHOWN: &[Known] = &[
    (&["recursive", "R"], Takes::Nothing),
    (&["no-dereference", "h"], Takes::Nothing),
    (&["P"], Takes::Nothing),
    (&["verbose", "v"], Takes::Nothing),
    (&["changes", "c"], Takes::Nothing),
    (&["silent", "quiet", "f"], Takes::Nothing),
];

/// A command that changes files: what they get, and the files.
struct Change<'f> {
    value: &'f Field,
    paths: Vec<Pathname>,
    recursive: bool,
    no_dereference: bool,
}

pub fn chmod(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    let Change { value, paths, recursive, .. } = change(command, context, CHMOD)?;
    Ok(vec![Operation::SetMode { paths, mode: mode::mode(value)?, recursive }])
}

pub fn chown(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    let Change { value, paths, recursive, no_dereference } = change(command, context, CHOWN)?;
    let text = value.plain()?;
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    if group == Some("") && user.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(value.refuse("has no name whose group it could take"));
    }
    let names = [Some(user).filter(|user| !user.is_empty()), group.filter(|group| !group.is_empty())];
    if names == [None, None] || !names.into_iter().flatten().all(is_account) {
        return Err(value.refuse("is not an owner that is translated"));
    }
    let (user, group) = (names[0].map(str::to_owned), group.map(str::to_owned));
    Ok(vec![Operation::SetOwner { paths, user, group, recursive, no_dereference }])
}

pub fn chgrp(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    let Change { value, paths, recursive, no_dereference } = change(command, context, CHOWN)?;
    match value.plain()? {
        group if is_account(group) => {
            let group = Some(group.to_owned());
            Ok(vec![Operation::SetOwner { paths, user: None, group, recursive, no_dereference }])
        }
        _ => Err(value.refuse("is not a group that is translated")),
    }
}

fn change<'f>(command: &Command<'f>, context: &Context<'_, '_>, known: &[Known]) -> Attempt<Change<'f>> {
    // A mode such as `-x` looks like an option; it is translated in the first place only.
    let removes = |field: &&Field| matches!(&*field.text, "-x" | "-r" | "-rx");
    let first = command.arguments.first().filter(removes).filter(|_| command.name == "chmod");
    let rest = Command { arguments: &command.arguments[usize::from(first.is_some())..], ..command.clone() };
    let arguments = parse(&rest, known)?;
    let (value, files) = match (first, arguments.some_operands(command)?) {
        (Some(value), files) => (value, files),
        (None, [_]) => return Err(command.refuse("names no file")),
        (None, [value, files @ ..]) => (*value, files),
        (None, []) => return Err(command.refuse("has no operand")),
    };
    let recursive = arguments.has("recursive");
    let paths = if recursive { context.trees(files)? } else { context.paths(files)? };
    value.plain()?;
    Ok(Change { value, paths, recursive, no_dereference: arguments.has("no-dereference") })
}

/// Whether a text is a number, or the name of a user or a group. The dot is an old separator of the two.
fn is_account(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    first && is_name && (!is_number || name.parse::<u32>().is_ok_and(|number| number < u32::MAX))
}
