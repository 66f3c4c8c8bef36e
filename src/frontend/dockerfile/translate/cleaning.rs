//! The cleaning up of package managers, as the removal of the files that they would remove.

use super::command::{Command, Operations};
use super::context::Context;
use super::options::{Known, Takes, parse};
use super::refusal::Attempt;
use super::shell::expand::Field;
use super::shell::variables::ShellVariables;
use crate::recipe::{Operation, Pathname};

const YES: &[Known] = &[(&["assumeyes", "yes", "y"], Takes::Nothing), (&["quiet", "q"], Takes::Nothing)];

const NPM: &[Known] = &[(&["force", "f"], Takes::Nothing)];

/// The caches of yum, dnf and microdnf. `yum` is a link to dnf where there is one, and microdnf shares a cache with
/// either. Empty directories and locks that the programs leave there are not kept.
const DNF: [&str; 2] = ["/var/cache/yum/*", "/var/cache/dnf/*"];

/// The files that `apt-get clean` removes. It keeps its locks.
const APT: [&str; 5] = [
    "/var/cache/apt/archives/*.deb",
    "/var/cache/apt/archives/partial/*",
    "/var/lib/apt/lists/partial/*",
    "/var/cache/apt/pkgcache.bin",
    "/var/cache/apt/srcpkgcache.bin",
];

/// The parts of pip's cache, below its directory.
const PIP: [&str; 3] = ["http/*", "http-v2/*", "wheels/*"];

/// Variables and options by which pip and npm have their caches elsewhere.
const ELSEWHERE: [&str; 8] = [
    "PIP_CACHE_DIR",
    "PIP_CONFIG_FILE",
    "PIP_NO_CACHE_DIR",
    "XDG_CACHE_HOME",
    "npm_config_cache",
    "NPM_CONFIG_CACHE",
    "npm_config_userconfig",
    "NPM_CONFIG_USERCONFIG",
];

/// `dnf clean all`
pub(super) fn dnf(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    expect(command, YES, &["clean", "all"])?;
    removal(command, context, DNF.map(str::to_owned).to_vec())
}

/// `apt-get clean`. What `autoclean` removes depends on the lists of packages.
pub(super) fn apt(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    expect(command, YES, &["clean"])?;
    removal(command, context, APT.map(str::to_owned).to_vec())
}

/// `pip cache purge`
pub(super) fn pip(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    expect(command, &[], &["cache", "purge"])?;
    let home = home(command, context)?;
    removal(command, context, PIP.map(|part| format!("{home}/.cache/pip/{part}")).to_vec())
}

/// `npm cache clean --force`; without the option it is an error.
pub(super) fn npm(command: &Command<'_>, context: &Context<'_, '_>) -> Operations {
    expect(command, NPM, &["cache", "clean"])?;
    if !parse(command, NPM)?.has("force") {
        return Err(command.refuse("refuses to clean without --force"));
    }
    let home = home(command, context)?;
    removal(command, context, vec![format!("{home}/.npm/_cacache")])
}

/// Refuses a command that has other words than these.
fn expect(command: &Command<'_>, known: &[Known], words: &[&str]) -> Attempt<()> {
    // The first word says what the command does, so it is the one to name.
    let verb = command.arguments.iter().find(|field| !field.text.starts_with('-'));
    match verb {
        Some(field) if field.text == words[0] => {}
        Some(field) => {
            return Err(field.refuse(format!("is a command of {} that needs a process", command.name)));
        }
        None => return Err(command.refuse("is not a command that is translated")),
    }
    let operands = parse(command, known)?.operands;
    match operands.iter().map(|field| &*field.text).eq(words.iter().copied()) {
        true => Ok(()),
        false => Err(command.refuse("is not a command that is translated")),
    }
}

/// The home directory of root, with the caches.
pub(super) fn home(command: &Command<'_>, context: &Context<'_, '_>) -> Attempt<String> {
    let value = |name| ShellVariables::environment(context.variables, name);
    if ELSEWHERE.into_iter().any(|name| value(name).is_some()) {
        return Err(command.refuse("has its cache where a variable says"));
    }
    match value("HOME") {
        None => Ok("/root".to_owned()),
        Some(home) if home.starts_with('/') && !home.contains(['*', '?', '[', '\\']) => {
            Ok(home.trim_end_matches('/').to_owned())
        }
        Some(_) => Err(command.refuse("has its cache in an unusual home directory")),
    }
}

fn removal(command: &Command<'_>, context: &Context<'_, '_>, paths: Vec<String>) -> Operations {
    let field = |path: String| {
        let pattern = path.contains('*').then(|| path.clone());
        Field { span: command.span, text: path, pattern }
    };
    let paths = paths.into_iter().map(|path| context.tree(&field(path)));
    let paths = paths.collect::<Attempt<Vec<Pathname>>>()?;
    Ok(vec![Operation::Remove { paths, recursive: true, force: true }])
}
