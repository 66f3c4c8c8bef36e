//! The variables of a line: those of its environment, and those that it sets itself.

use std::collections::HashMap;

use super::super::refusal::{Attempt, Span};
use super::words::is_unreadable;
use crate::frontend::dockerfile::syntax::shell::Variables;

/// Variables that a shell sets itself, whatever its environment has.
const OF_SHELL: [&str; 25] = [
    "_",
    "BASHPID",
    "BASHOPTS",
    "COLUMNS",
    "COMP_WORDBREAKS",
    "DIRSTACK",
    "EUID",
    "FUNCNAME",
    "GROUPS",
    "HISTCMD",
    "IFS",
    "LINENO",
    "LINES",
    "OLDPWD",
    "OPTARG",
    "OPTERR",
    "OPTIND",
    "PIPESTATUS",
    "PPID",
    "PWD",
    "RANDOM",
    "SECONDS",
    "SHELLOPTS",
    "SRANDOM",
    "UID",
];

/// Variables that a shell or the builder sets if the environment does not.
const DEFAULTS: [&str; 19] = [
    "ALL_PROXY",
    "FTP_PROXY",
    "HOME",
    "HOSTNAME",
    "HOSTTYPE",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LOGNAME",
    "MACHTYPE",
    "NO_PROXY",
    "OSTYPE",
    "PATH",
    "PS1",
    "PS2",
    "PS4",
    "SHELL",
    "SHLVL",
    "TERM",
    "USER",
];

/// Variables by which a command does something else. None begins with one of `LC_`, `LD_`, `BASH`.
const INFLUENTIAL: [&str; 17] = [
    "BLOCK_SIZE",
    "CDPATH",
    "ENV",
    "GLOBIGNORE",
    "HOME",
    "IFS",
    "LANG",
    "LANGUAGE",
    "OLDPWD",
    "PATH",
    "POSIXLY_CORRECT",
    "PWD",
    "SHELLOPTS",
    "SIMPLE_BACKUP_SUFFIX",
    "TMPDIR",
    "TZ",
    "VERSION_CONTROL",
];

/// Variables of the environment by which a shell understands a line differently.
const UNUSUAL: [&str; 8] = [
    "BASHOPTS",
    "BASH_COMPAT",
    "BASH_ENV",
    "CDPATH",
    "GLOBIGNORE",
    "POSIXLY_CORRECT",
    "POSIX_PEDANTIC",
    "SHELLOPTS",
];

/// The most bytes that the variables and directories of a line may add to it. A kernel starts no program with an
/// argument of this length.
const MOST: usize = 128 << 10;

#[derive(Clone)]
pub struct ShellVariables<'v> {
    environment: &'v dyn Variables,
    /// The names of variables whose values are secrets.
    secrets: Vec<String>,
    /// Those that the line sets, and whether programs see them.
    own: HashMap<String, (String, bool)>,
    /// `set -u`: a variable that is not set ends the line.
    pub nounset: bool,
    spent: usize,
}

impl<'v> ShellVariables<'v> {
    pub fn new(environment: &'v dyn Variables, secrets: Vec<String>) -> ShellVariables<'v> {
        ShellVariables { environment, secrets, own: HashMap::new(), nounset: false, spent: 0 }
    }

    /// A variable of the environment that changes how a shell reads a line.
    pub fn unusual(&self) -> Option<&'static str> {
        UNUSUAL.into_iter().find(|name| self.environment.get(name).is_some())
    }

    /// The value, if it is set; `span` is where it stands.
    pub fn get(&self, name: &str, span: Span) -> Attempt<Option<&str>> {
        if let Some((value, _)) = self.own.get(name) {
            return Ok(Some(value));
        }
        if OF_SHELL.contains(&name) || name.starts_with("BASH") || name.starts_with("EPOCH") {
            return Err(span.refuse("is a variable that the shell sets"));
        }
        if self.is_secret(name) {
            return Err(span.refuse("is a secret, whose value only a process gets"));
        }
        match self.environment.get(name) {
            // As in a word: shells differ about them, and no message could show the command.
            Some(value) if value.chars().any(is_unreadable) => {
                Err(span.refuse("has a value with control characters"))
            }
            None if DEFAULTS.contains(&&*name.to_ascii_uppercase()) => {
                Err(span.refuse("has a value only where the line runs; ENV sets one"))
            }
            value => Ok(value),
        }
    }

    fn is_secret(&self, name: &str) -> bool {
        self.secrets.iter().any(|secret| secret == name)
    }

    /// The value that a program sees, unless it is a secret.
    pub fn environment(&self, name: &str) -> Option<&str> {
        match self.own.get(name) {
            Some((value, exported)) if *exported || self.environment.get(name).is_some() => Some(value),
            _ if self.is_secret(name) => None,
            _ => self.environment.get(name),
        }
    }

    /// Sets a variable; it stays visible to programs if it was.
    pub fn set(&mut self, name: &str, value: Option<String>, exported: bool, span: Span) -> Attempt<()> {
        check_name(name, span)?;
        if self.is_secret(name) {
            return Err(span.refuse("sets a variable whose value is a secret"));
        }
        match (self.own.get_mut(name), value) {
            (Some(own), value) => {
                own.1 |= exported;
                own.0 = value.unwrap_or_else(|| std::mem::take(&mut own.0));
            }
            (None, Some(value)) => drop(self.own.insert(name.to_owned(), (value, exported))),
            (None, None) => {}
        }
        Ok(())
    }

    /// Counts bytes that the line gets longer by.
    pub fn spend(&mut self, bytes: usize, span: Span) -> Attempt<()> {
        self.spent += bytes;
        match self.spent > MOST {
            true => Err(span.refuse("makes the line too long")),
            false => Ok(()),
        }
    }

    pub fn spent(&self) -> usize {
        self.spent
    }
}

/// Refuses a variable whose value changes what commands do.
pub fn check_name(name: &str, span: Span) -> Attempt<()> {
    let of_family = ["LC_", "LD_", "BASH"].iter().any(|family| name.starts_with(family));
    match of_family || INFLUENTIAL.contains(&name) || OF_SHELL.contains(&name) {
        true => Err(span.refuse("sets a variable that changes what commands do")),
        false => Ok(()),
    }
}
