//! Commands that take packages from the lock of a project.

use serde::{Deserialize, Serialize};

use super::pathname::Pathname;

/// A program that writes locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockTool {
    /// uv: `uv.lock` and `pyproject.toml`.
    Uv,
    /// Poetry: `poetry.lock` and `pyproject.toml`.
    Poetry,
    /// Pipenv: `Pipfile.lock` and `Pipfile`.
    Pipenv,
}

impl LockTool {
    /// The lock and the file of the project, which are in one directory.
    pub fn files(self) -> [&'static str; 2] {
        match self {
            LockTool::Uv => ["uv.lock", "pyproject.toml"],
            LockTool::Poetry => ["poetry.lock", "pyproject.toml"],
            LockTool::Pipenv => ["Pipfile.lock", "Pipfile"],
        }
    }
}

/// The packages that a command takes from the lock in its directory. Without groups and extras, they are those that the
/// tool takes by default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LockSelection {
    /// The tool.
    pub tool: LockTool,
    /// Groups that are added to the default ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<String>,
    /// Groups that are left out, whatever else names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// The only groups, unless empty. Poetry names the dependencies of the project itself `main`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// Whether all groups are added.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all_groups: bool,
    /// Whether the default groups are left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_default_groups: bool,
    /// Extras of the project.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extras: Vec<String>,
    /// Whether all extras of the project are added.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all_extras: bool,
    /// Whether the command fails if the lock does not fit the file of the project.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub checked: bool,
    /// What becomes of the project itself.
    #[serde(default, skip_serializing_if = "LockedProject::is_left_out")]
    pub project: LockedProject,
}

/// What a command does with the project of a lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockedProject {
    /// It takes the dependencies only.
    #[default]
    LeftOut,
    /// It takes the project as a package.
    Package,
    /// It takes the project in its directory: an editable package.
    Editable,
}

impl LockedProject {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
    fn is_left_out(&self) -> bool {
        *self == LockedProject::LeftOut
    }
}

impl LockSelection {
    /// What the tool takes by default.
    pub fn of(tool: LockTool) -> LockSelection {
        LockSelection {
            tool,
            with: Vec::new(),
            without: Vec::new(),
            only: Vec::new(),
            all_groups: false,
            no_default_groups: false,
            extras: Vec::new(),
            all_extras: false,
            checked: false,
            project: LockedProject::LeftOut,
        }
    }
}

/// `uv export`, `poetry export`, `pipenv requirements`: the packages of a lock as a requirements file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LockExport {
    /// The packages.
    pub selection: LockSelection,
    /// The file. `None`: it goes to the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Pathname>,
    /// `>>`
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub append: bool,
    /// Whether the hashes of the files are listed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hashes: bool,
    /// Whether it is said which packages need each package.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub annotated: bool,
    /// The command in the comment at the beginning of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
}
