//! The user's programs: where they write, and their messages when they fail.

use std::ffi::OsStr;

use super::address::redacted;
use crate::error::Result;
use crate::error::text::is_control;
pub(super) use crate::programs::on_path;
use crate::programs::{self, Program};
use crate::store::Workplace;

/// Upper bound on the lines of a program's output that an error quotes.
const REASON_LINES: usize = 6;
const REASON_LIMIT: usize = 800;

/// Variables that ask programs for colours although they write to a pipe. CI systems and AWS's CDK set them; pip colours
/// even its report, which is JSON.
const FOR_COLOURS: [&str; 2] = ["FORCE_COLOR", "CLICOLOR_FORCE"];

/// A command whose temporary files are in `place`, and whose output has no colours. The files are removed when lbuild ends,
/// even if it is killed.
pub(super) fn command(program: impl AsRef<OsStr>, place: &Workplace) -> Result<Program> {
    let mut command = programs::command(program);
    command.env("TMPDIR", place.absolute()?);
    for name in FOR_COLOURS {
        command.env_remove(name);
    }
    Ok(command)
}

/// The lines of a program's output that best explain a failure.
#[derive(Clone, Copy)]
pub(super) enum Lines {
    First,
    Last,
}

/// Lines of output as the reason of an error: short, printable, and without logins in URLs.
pub(super) fn reason<'a>(lines: impl Iterator<Item = &'a str>, which: Lines) -> String {
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let chosen = match which {
        Lines::First => &lines[..lines.len().min(REASON_LINES)],
        Lines::Last => &lines[lines.len().saturating_sub(REASON_LINES)..],
    };
    let text = redacted(&chosen.join(" "));
    let said: String = text.chars().filter(|c| !is_control(*c)).take(REASON_LIMIT).collect();
    if said.is_empty() { "it gives no reason".to_owned() } else { said }
}
