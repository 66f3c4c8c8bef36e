//! Commands that write to their output: `echo`, `printf`, `cat`, `ls`, and `true`, which writes nothing.

use super::super::command::{Command, Operations};
use super::super::context::Context;
use super::super::options::{Known, Takes, parse};
use super::super::refusal::Attempt;
use super::super::shell::expand::Field;
use super::format;
use crate::image::paths;
use crate::recipe::{Operation, Pathname, Piece};

/// The options that only change how the files are shown.
const LS: &[Known] = &[
    (&["all", "a"], Takes::Nothing),
    (&["almost-all", "A"], Takes::Nothing),
    (&["recursive", "R"], Takes::Nothing),
    (&["l"], Takes::Nothing),
    (&["1"], Takes::Nothing),
    (&["h"], Takes::Nothing),
    (&["t"], Takes::Nothing),
    (&["r"], Takes::Nothing),
    (&["S"], Takes::Nothing),
    (&["d"], Takes::Nothing),
    (&["F"], Takes::Nothing),
    (&["i"], Takes::Nothing),
    (&["n"], Takes::Nothing),
];

pub fn nothing(command: &Command<'_>, _: &Context<'_, '_>) -> Operations {
    Ok(vec![written(command, Vec::new())])
}

/// The operation of a command with this output.
fn written(command: &Command<'_>, content: Vec<Piece>) -> Operation {
    match &command.output {
        None => Operation::Nothing,
        Some(file) => Operation::Write { path: file.path.clone(), append: file.append, content },
    }
}

pub fn echo(command: &Command<'_>, _: &Context<'_, '_>) -> Operations {
    if command.output.is_none() {
        return Ok(vec![Operation::Nothing]);
    }
    if command.by_path {
        return Err(command.refuse("is another program than the shell's own echo"));
    }
    let (words, newline) = match command.arguments {
        [first, rest @ ..] if first.text == "-n" => (rest, ""),
        words => (words, "\n"),
    };
    let is_option = |text: &str| {
        let letters = text.strip_prefix('-').unwrap_or_default();
        !letters.is_empty() && letters.chars().all(|c| matches!(c, 'n' | 'e' | 'E'))
    };
    let mut texts = Vec::new();
    for (number, word) in words.iter().enumerate() {
        let text = sole(word)?;
        if number == 0 && is_option(text) {
            return Err(word.refuse("is an option in some shells only"));
        }
        if text.contains('\\') {
            return Err(word.refuse("has a backslash, which shells print differently"));
        }
        texts.push(text);
    }
    Ok(vec![written(command, vec![Piece::Text(texts.join(" ") + newline)])])
}

pub fn printf(command: &Command<'_>, _: &Context<'_, '_>) -> Operations {
    let (format, arguments) = match command.arguments {
        [dashes, format, rest @ ..] if dashes.text == "--" => (format, rest),
        [format, rest @ ..] => (format, rest),
        [] => return Err(command.refuse("has no format")),
    };
    if command.by_path && command.output.is_some() {
        return Err(command.refuse("is another program than the shell's own printf"));
    }
    let text = format::print(format, arguments)?;
    Ok(vec![written(command, vec![Piece::Text(text)])])
}

pub fn cat(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    let arguments = parse(command, &[])?;
    let files = arguments.some_operands(command)?;
    let paths = context.paths(files)?;
    let Some(OutputPath(output)) = output_path(command, context)? else {
        return Ok(vec![Operation::Look { paths }]);
    };
    if command.messages_to_file {
        return Err(command.refuse("writes its messages into the file"));
    }
    for file in files {
        sole(file)?;
        if context.resolved(file) == output {
            return Err(file.refuse("is read and written at once"));
        }
    }
    Ok(vec![written(command, paths.into_iter().map(Piece::File).collect())])
}

/// The absolute path of the file that takes the output.
struct OutputPath(String);

fn output_path(command: &Command<'_>, context: &Context<'_, '_>) -> Attempt<Option<OutputPath>> {
    Ok(match command.output.as_ref().map(|file| &file.path) {
        Some(Pathname::Path(path)) => Some(OutputPath(paths::resolve(context.directory, path))),
        Some(Pathname::Pattern(_)) => return Err(command.refuse("writes into a pattern")),
        None => None,
    })
}

/// The text of an argument that is printed. The matches of a pattern have an order that depends on the locale.
fn sole(field: &Field) -> Attempt<&str> {
    match field.pattern {
        None => Ok(&field.text),
        Some(_) => Err(field.refuse("is a pattern, whose matches have no sure order")),
    }
}

pub fn ls(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    let arguments = parse(command, LS)?;
    match &*arguments.operands {
        [] => Ok(vec![Operation::Nothing]),
        files => Ok(vec![Operation::Look { paths: context.paths(files)? }]),
    }
}
