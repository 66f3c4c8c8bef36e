//! The user's programs that lbuild runs, and their messages when they fail.

use std::path::{Path, PathBuf};

use super::address::redacted;
use crate::error::text::is_control;

/// Upper bound on the lines of a program's output that an error quotes.
const REASON_LINES: usize = 6;
const REASON_LIMIT: usize = 800;

/// A program on `PATH`.
pub(super) fn on_path(name: &str) -> Option<PathBuf> {
    let dirs = std::env::var_os("PATH")?;
    std::env::split_paths(&dirs).map(|dir| dir.join(name)).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
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
