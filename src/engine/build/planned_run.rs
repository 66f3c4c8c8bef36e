//! The file operations and the installs of a `RUN` line, before they are done.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::key;
use super::mounts::LineMounts;
use crate::image::{Config, LayerKey};
use crate::operations::Line;
use crate::recipe::{Mount, NodeInstall, Operation, Origin, PythonInstall, Run, Translation};

/// The home of root, who runs the commands.
const ROOT_HOME: &str = "/root";

/// The shortest value of a build argument that messages do not show.
const SHORTEST_HIDDEN: usize = 6;

/// The operations of a `RUN` line.
pub(super) struct PlannedLine {
    pub(super) line: Line,
    pub(super) run: Arc<PlannedRun>,
    /// The instruction.
    pub(super) origin: Origin,
}

/// The mounts and variables that all commands of a `RUN` line share.
pub(super) struct PlannedRun {
    pub(super) mounts: LineMounts,
    /// Variables with secret values: their names, and those of the secrets.
    pub(super) secrets: Vec<(String, String)>,
    /// The build arguments, whose values messages do not show.
    pub(super) arguments: Arc<BTreeMap<String, String>>,
    /// The values of `PATH`, `HOME` and `NETRC`.
    pub(super) path: String,
    pub(super) home: String,
    pub(super) netrc: Option<String>,
}

/// An install of a `RUN` line.
pub(super) struct PlannedInstall {
    pub(super) packages: InstallOf,
    /// The absolute directory of the command.
    pub(super) directory: String,
    /// The command.
    pub(super) text: String,
    pub(super) run: Arc<PlannedRun>,
    /// The instruction.
    pub(super) origin: Origin,
}

/// The packages of an install.
#[derive(Clone)]
pub(super) enum InstallOf {
    Python(Box<PythonInstall>),
    Node(NodePackages),
}

/// Node packages, and the variables of the command, some of which may be logins: the settings of npm name them.
#[derive(Clone)]
pub(super) struct NodePackages {
    pub(super) install: NodeInstall,
    pub(super) variables: Arc<BTreeMap<String, String>>,
}

impl PlannedRun {
    pub(super) fn of(run: &Run, config: &Config) -> PlannedRun {
        let variable = |name: &str| {
            run.arguments.get(name).map(String::as_str).or_else(|| config.var(name)).map(str::to_owned)
        };
        let secrets = run.mounts.iter().filter_map(|mount| match mount {
            Mount::Secret { id, env: Some(name), .. } => Some((name.clone(), id.clone())),
            _ => None,
        });
        PlannedRun {
            mounts: LineMounts::of(run),
            secrets: secrets.collect(),
            arguments: run.arguments.clone(),
            path: variable("PATH").unwrap_or_default(),
            home: variable("HOME").unwrap_or_else(|| ROOT_HOME.to_owned()),
            netrc: variable("NETRC"),
        }
    }

    /// The text without the values of build arguments, which may be secrets.
    pub(super) fn hide(&self, text: &str) -> String {
        let mut values: Vec<(&String, &String)> =
            self.arguments.iter().filter(|(_, value)| value.len() >= SHORTEST_HIDDEN).collect();
        values.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&**value, &format!("${name}")))
    }
}

impl PlannedInstall {
    /// The key of its layers, without the layers below and the files of mounts.
    pub(super) fn key(&self, epoch: u64) -> LayerKey {
        let PlannedInstall { packages, directory, run, .. } = self;
        let PlannedRun { path, home, netrc, secrets, .. } = &**run;
        let variables = (path.as_str(), home.as_str(), netrc.as_deref(), &secrets[..]);
        match packages {
            InstallOf::Python(install) => key::of_install(install, directory, variables, epoch),
            InstallOf::Node(packages) => key::of_node_install(&packages.install, directory, variables, epoch),
        }
    }
}

/// The install that an operation is.
pub(super) fn install_of(
    operation: &Operation,
    variables: &Arc<BTreeMap<String, String>>,
) -> Option<InstallOf> {
    match operation {
        Operation::InstallPython(install) => Some(InstallOf::Python(Box::new(install.clone()))),
        Operation::InstallNode(install) => {
            Some(InstallOf::Node(NodePackages { install: install.clone(), variables: variables.clone() }))
        }
        _ => None,
    }
}

/// Whether commands may put links or files into the place of directories. Then the directories of the base matter for
/// all that follows, even where AWS's bases are known to have plain ones.
pub(super) fn may_redirect(translation: &Translation) -> bool {
    let is_harmless = |operation: &Operation| {
        matches!(
            operation,
            Operation::Nothing
                | Operation::Look { .. }
                | Operation::Enter { .. }
                | Operation::MakeDirectories { .. }
                | Operation::SetMode { .. }
                | Operation::SetOwner { .. }
                | Operation::Touch { .. }
                | Operation::Write { .. }
                | Operation::AddUser(_)
                | Operation::AddGroup(_)
                | Operation::ExportLock(_)
                | Operation::WriteSettings { .. }
                | Operation::InstallPython(_)
                | Operation::InstallNode(_)
                | Operation::OmitTools { .. }
        )
    };
    !translation.chains.iter().flatten().all(|command| is_harmless(&command.operation))
}
