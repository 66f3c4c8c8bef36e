//! `RUN` and its mounts.

use super::types::{MountText, RunCommand, RunLine};
use super::unparsed::Unparsed;
use crate::frontend::dockerfile::syntax::flags::{Table, Takes};
use crate::frontend::dockerfile::syntax::heredoc::{Heredoc, parse as announced};
use crate::frontend::dockerfile::syntax::text::{Places, Word};
use crate::frontend::fault::{Fault, Parsed, did_you_mean};

const FLAGS: &Table = &[
    ("mount", Takes::Values),
    ("network", Takes::Value),
    ("security", Takes::Value),
    ("device", Takes::Values),
];

/// The keys of `--mount`, each with its other names.
const MOUNT_KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "readonly",
    "ro",
    "readwrite",
    "rw",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "env",
];

/// The keys that may stand without a value.
const MOUNT_SWITCHES: [&str; 5] = ["readonly", "ro", "readwrite", "rw", "required"];

pub(super) fn run(unparsed: &Unparsed<'_>) -> Parsed<RunLine> {
    let flags = unparsed.flags(FLAGS)?;
    if let Some(device) = flags.value("device") {
        return Err(Fault::new(device.at, "RUN --device is not supported: a build has no devices"));
    }
    if let Some(security) = flags.value("security").filter(|security| security.text != "sandbox") {
        let fault = format!("RUN --security={} is not supported", security.text);
        return Err(Fault::new(security.at, fault).hint("lbuild runs commands without privileges"));
    }
    let network = flags.value("network").cloned();
    if let Some(word) = network.as_ref().filter(|word| !matches!(&*word.text, "default" | "none" | "host")) {
        let fault = Fault::new(word.at, format!("unknown network `{}`", word.text));
        return Err(fault.hint("it is default, none or host"));
    }
    let mounts = flags.values("mount").map(mount).collect::<Parsed<Vec<_>>>()?;
    let (command, places) = command(unparsed)?;
    Ok(RunLine { command, places, mounts, network })
}

fn command(unparsed: &Unparsed<'_>) -> Parsed<(RunCommand, Places)> {
    let text = unparsed.rest.text;
    let places = unparsed.rest.places();
    match unparsed.json()? {
        Some(words) if words.is_empty() => Err(unparsed.fault("RUN requires a command")),
        Some(words) => Ok((RunCommand::Exec(words), Places::fixed(places.at(0)))),
        None if text.is_empty() => Err(unparsed.fault("RUN requires a command")),
        None => Ok(match unparsed.heredocs {
            [] => (RunCommand::Shell(text.to_owned()), places),
            [heredoc, ..] if announced(text).is_some() => whole(heredoc, places),
            // The shell reads the here-documents itself.
            heredocs => {
                let (mut text, mut pieces) = (text.to_owned(), Vec::new());
                for Heredoc { name, body, at, .. } in heredocs {
                    pieces.push((text.len() + 1, *at));
                    text.extend(["\n", body, name]);
                }
                (RunCommand::Shell(text), places.and(&pieces))
            }
        }),
    }
}

/// The command of a `RUN` that is nothing but a here-document.
fn whole(heredoc: &Heredoc, places: Places) -> (RunCommand, Places) {
    let content = heredoc.stripped();
    // A line may have lost its tabs.
    let mut pieces = vec![(0, heredoc.at)];
    let (mut start, mut at) = (0, heredoc.at);
    for line in heredoc.body.split_inclusive('\n') {
        let tabs = if heredoc.strip_tabs { line.len() - line.trim_start_matches('\t').len() } else { 0 };
        pieces.push((start, at + tabs));
        (start, at) = (start + line.len() - tabs, at + line.len());
    }
    let command = match content.starts_with("#!") {
        true => RunCommand::Script { name: heredoc.name.clone(), content },
        false => RunCommand::Shell(content),
    };
    (command, places.and(&pieces))
}

fn mount(word: &Word) -> Parsed<MountText> {
    let fault = |message: String| Fault::new(word.at, message);
    let mut fields = Vec::new();
    for field in comma_separated(&word.text).map_err(|message| fault(message.to_owned()))? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (&*field, None),
        };
        let key = key.to_ascii_lowercase();
        if !MOUNT_KEYS.contains(&&*key) {
            let hint = did_you_mean(&key, MOUNT_KEYS);
            let hint = hint.unwrap_or_else(|| format!("the keys are {}", MOUNT_KEYS.join(", ")));
            return Err(fault(format!("unknown key `{key}` of --mount")).hint(hint));
        }
        if value.is_none() && !MOUNT_SWITCHES.contains(&&*key) {
            return Err(fault(format!("`{key}` of --mount has no value")).hint(format!("write {key}=VALUE")));
        }
        if key == "from" && value.as_ref().is_some_and(|value| value.trim_end_matches('$').contains('$')) {
            return Err(fault("variables are not expanded in `from` of --mount".to_owned())
                .hint("name a stage there that has the variable: FROM $IMAGE AS tools"));
        }
        fields.push((key, value));
    }
    Ok(MountText { at: word.at, fields })
}

/// The fields of one line of CSV.
fn comma_separated(text: &str) -> Result<Vec<String>, &'static str> {
    let mut fields = Vec::new();
    let mut rest = Some(text);
    while let Some(text) = rest {
        let (field, after) = match text.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = text.find(',').unwrap_or(text.len());
                (text[..end].to_owned(), &text[end..])
            }
        };
        rest = match after.strip_prefix(',') {
            Some(next) => Some(next),
            None if after.is_empty() => None,
            None => return Err("text follows a quoted field of --mount"),
        };
        fields.push(field);
    }
    Ok(fields)
}

/// A field after its opening quote, in which two quotes are one; and the text after it.
fn quoted_field(text: &str) -> Result<(String, &str), &'static str> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let quote = rest.find('"').ok_or("a quote in --mount is not closed")?;
        field.push_str(&rest[..quote]);
        rest = &rest[quote + 1..];
        match rest.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => return Ok((field, rest)),
        }
    }
}
