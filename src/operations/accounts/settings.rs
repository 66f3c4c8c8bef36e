//! Settings in `/etc`: `login.defs`, `default/useradd`, `adduser.conf`.

use std::collections::HashMap;

use crate::operations::files::Filesystem;

/// Values by their names.
#[derive(Debug, Default)]
pub(super) struct Settings(HashMap<String, String>);

impl Settings {
    /// `NAME VALUE` or `NAME=VALUE` in each line; `#` begins a comment.
    pub fn read(files: &mut Filesystem, path: &str) -> Settings {
        let text = files.text(path).unwrap_or_default();
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let pair = |line: &str| {
            let (name, value) = line.split_once(|letter: char| letter == '=' || letter.is_whitespace())?;
            let value = value.trim().trim_start_matches('=').trim().trim_matches(['"', '\'']);
            Some((name.to_owned(), value.to_owned()))
        };
        Settings(lines.filter_map(pair).collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// A number in octal.
    pub fn mode(&self, name: &str) -> Option<u32> {
        u32::from_str_radix(self.get(name)?, 8).ok()
    }

    /// `yes` or not.
    pub fn is_yes(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("yes"))
    }
}
