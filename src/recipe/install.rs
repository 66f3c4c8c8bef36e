//! Installs of packages by a command that needs no process.

use serde::{Deserialize, Serialize};

use super::lock::LockSelection;
use super::source::Bytecode;

/// `pip install`, `uv pip install`, and installs from a lock: `uv sync`, `poetry install`, `pipenv install`. Paths are
/// absolute, or relative to the command's directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PythonInstall {
    /// The program that the metadata of the packages name.
    pub installer: PythonInstaller,
    /// The program of the command, which decides the interpreter: `pip3`, `python3.12`.
    pub program: String,
    /// Packages: names with versions and extras, URLs, paths of archives and directories in the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// Those of the packages that are patterns of the shell, as `name[extra]` is without quotes. They stand for themselves
    /// unless a file matches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<String>,
    /// `-r`: requirements files in the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requirements: Vec<String>,
    /// `-c`: constraints files in the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<String>,
    /// `-t`: the directory. `None`: where the interpreter has its packages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The packages of a lock. There are no other packages and files then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockSelection>,
    /// The directory of a virtual environment, made if it is missing. `None`: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Whether packages that the lock does not have are removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exact: bool,
    /// `--user`: the directory, with `bin` and `lib`, below the home directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_base: Option<String>,
    /// `-U`
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upgrade: bool,
    /// `--no-deps`
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_dependencies: bool,
    /// `--require-hashes`
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_hashes: bool,
    /// Options as lines of a requirements file: `--index-url URL`, `--pre`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// `--find-links`: directories and pages of the image that name packages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub find_links: Vec<String>,
    /// The file with settings that `PIP_CONFIG_FILE` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
    /// Whether modules are compiled.
    #[serde(default, skip_serializing_if = "Bytecode::is_never")]
    pub bytecode: Bytecode,
    /// Whether the packages say which program installed them.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub installer_metadata: bool,
}

/// A program that installs Python packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PythonInstaller {
    /// pip.
    Pip,
    /// uv.
    Uv,
    /// Poetry.
    Poetry,
}

impl PythonInstall {
    /// What the command installs, for messages.
    pub(crate) fn named(&self) -> String {
        let lock = self.lock.iter().map(|lock| lock.tool.files()[0].to_owned());
        lock.chain(self.requirements.clone()).chain(self.packages.clone()).collect::<Vec<_>>().join(" ")
    }
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_yes(value: &bool) -> bool {
    *value
}

/// `npm ci`, `npm install`, and the like of yarn and pnpm: the packages of the lock file in a directory of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NodeInstall {
    /// The program.
    pub program: NodeInstaller,
    /// The directory with `package.json`: absolute, or relative to the command's directory.
    pub directory: String,
    /// Whether the lock file must exist and fit `package.json`: `npm ci`, `--frozen-lockfile`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub frozen: bool,
    /// Whether packages for development are left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub production: bool,
    /// Whether install scripts are not run (`--ignore-scripts`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignore_scripts: bool,
    /// Further options of the program: `--legacy-peer-deps`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// A program that installs Node packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeInstaller {
    /// npm.
    Npm,
    /// yarn, of any version.
    Yarn,
    /// pnpm.
    Pnpm,
}
