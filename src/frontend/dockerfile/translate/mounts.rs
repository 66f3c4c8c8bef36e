//! The mounts of a line: which of them its commands read, and which no command may reach.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::refusal::{Attempt, Span};
use super::shell::variables::check_name;
use crate::image::paths::{is_within, resolve};
use crate::recipe::{Mount, MountFrom};

/// Variables that change what a command does begin with one of these.
const FAMILIES: [&str; 13] = [
    "CONDA_",
    "NODE_",
    "NPM_CONFIG_",
    "PIPENV_",
    "PIP_",
    "PNPM_",
    "POETRY_",
    "POSIX",
    "PYTHON",
    "UV_",
    "VIRTUAL_ENV",
    "YARN_",
    "CDPATH",
];

/// Those among them that only say where packages are, or who asks for them.
const OF_INDEXES: [&str; 9] = [
    "NODE_AUTH_TOKEN",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "UV_DEFAULT_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_INDEX_URL",
];

/// Names of files beside which no package has one.
const LISTS: [&str; 7] = [".cfg", ".in", ".json", ".lock", ".toml", ".txt", ".yaml"];

/// Where installers look for their settings, as the user root.
const SETTINGS: [&str; 5] = ["/etc/pip.conf", "/etc/xdg", "/etc/uv", "/root", "."];

/// The mounts of a line.
pub(super) struct Mounts<'m> {
    all: &'m [Mount],
    /// The numbers of those whose files commands read.
    read: RefCell<BTreeSet<usize>>,
}

impl<'m> Mounts<'m> {
    pub fn new(all: &'m [Mount]) -> Mounts<'m> {
        Mounts { all, read: RefCell::default() }
    }

    /// Refuses a mount that a command may use without naming it; `start` is where the command stands.
    pub fn check(&self, start: Span) -> Attempt<()> {
        for mount in self.all {
            match mount {
                Mount::Ssh { .. } => return Err(start.refuse("is run with an SSH agent")),
                Mount::Secret { env: Some(name), .. } if !may_be_secret(name) => {
                    let reason = format!("is run with the secret {name}, which may change what it does");
                    return Err(start.refuse(reason));
                }
                // The files are found as COPY would find them.
                Mount::Bind { source, .. } if source.contains(['*', '?', '[', '\\']) => {
                    return Err(start.refuse("is run with a mount whose source looks like a pattern"));
                }
                Mount::Secret { .. } | Mount::Bind { .. } | Mount::Cache { .. } | Mount::Tmpfs { .. } => {}
            }
        }
        Ok(())
    }

    /// Notes that a command uses a path. The error says why it must not.
    pub fn reach(&self, path: &str) -> Result<(), &'static str> {
        self.reach_where(|target| is_within(path, target) || is_within(target, path))
    }

    /// Notes that the line enters a directory. What is below it does not matter yet.
    pub fn enter(&self, path: &str) -> Result<(), &'static str> {
        self.reach_where(|target| is_within(path, target))
    }

    fn reach_where(&self, is_reached: impl Fn(&str) -> bool) -> Result<(), &'static str> {
        let is_reached = |(_, mount): &(usize, &Mount)| mount.target().is_some_and(&is_reached);
        let reached = self.all.iter().enumerate().filter(is_reached);
        for (number, mount) in reached {
            match mount {
                Mount::Bind { .. } => drop(self.read.borrow_mut().insert(number)),
                Mount::Secret { .. } => {
                    return Err("is in the place of a secret, which only a process reads");
                }
                Mount::Cache { .. } | Mount::Tmpfs { .. } | Mount::Ssh { .. } => {
                    return Err("is in the place of a mount");
                }
            }
        }
        Ok(())
    }

    /// Checks a directory that packages are installed into. The error says why it must not be it.
    pub fn fill(&self, dir: &str) -> Result<(), &'static str> {
        for target in self.all.iter().filter_map(Mount::target) {
            let name = target.rsplit('/').next().unwrap_or_default();
            let is_list = name.starts_with('.') || LISTS.iter().any(|ending| name.ends_with(ending));
            if is_within(dir, target) || is_within(target, dir) && !is_list {
                return Err("is in the place of a mount");
            }
        }
        Ok(())
    }

    /// Notes what an install in a directory may read: its settings, of which one file may be named, and any file of a
    /// context.
    pub fn reach_install(&self, directory: &str, named: Option<&str>) {
        self.reach_contexts();
        for place in SETTINGS.into_iter().chain(named) {
            self.reach_settings(&resolve(directory, place));
        }
    }

    /// Notes that a command reads the settings at a path, which may be a secret.
    fn reach_settings(&self, path: &str) {
        let of_place = self.all.iter().enumerate().filter(|(_, mount)| match mount {
            Mount::Bind { target, .. } => is_within(path, target) || is_within(target, path),
            _ => false,
        });
        self.read.borrow_mut().extend(of_place.map(|(number, _)| number));
    }

    /// Notes that a command may read any file of a build context: files name others.
    fn reach_contexts(&self) {
        let of_context = |mount: &Mount| matches!(mount, Mount::Bind { from: MountFrom::Context(_), .. });
        let numbers = self.all.iter().enumerate().filter(|(_, mount)| of_context(mount));
        self.read.borrow_mut().extend(numbers.map(|(number, _)| number));
    }

    /// The variables whose values are secrets.
    pub fn secrets(&self) -> Vec<String> {
        let variables = self.all.iter().filter_map(|mount| match mount {
            Mount::Secret { env, .. } => env.clone(),
            _ => None,
        });
        variables.collect()
    }

    /// The numbers of the mounts whose files are read.
    pub fn read(&self) -> Vec<usize> {
        self.read.borrow().iter().copied().collect()
    }
}

/// Whether commands do the same whatever the value of a variable is, apart from the place of packages.
fn may_be_secret(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let is_login =
        name.starts_with("UV_INDEX_") && (name.ends_with("_USERNAME") || name.ends_with("_PASSWORD"));
    let is_influential =
        FAMILIES.iter().any(|family| upper.starts_with(family)) || check_name(name, Span::default()).is_err();
    is_login || OF_INDEXES.contains(&name) || !is_influential
}
