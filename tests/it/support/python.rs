//! The real pip and uv of the part `packages`, with their own home and cache.

use super::index::Index;
use super::{part, run};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The target machines, with their names in wheels.
pub const MACHINES: [&str; 2] = ["x86_64", "aarch64"];

/// A user of pip and uv; home, caches and results are removed when it is dropped.
pub struct Clients {
    dir: TempDir,
}

impl Clients {
    pub fn new() -> Clients {
        Clients { dir: tempfile::Builder::new().prefix("clients-").tempdir().expect("a temporary directory") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes the `.netrc` in the user's home.
    pub fn set_netrc(&self, text: &str) {
        std::fs::write(self.path(".netrc"), text).expect("ours");
    }

    pub fn pip(&self, arguments: &[&str]) -> Command {
        self.program("pip", arguments)
    }

    pub fn uv(&self, arguments: &[&str]) -> Command {
        self.program("uv", arguments)
    }

    fn program(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(part("packages/only").join(name).join(name));
        command.args(arguments).current_dir(self.dir.path());
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.dir.path());
        command
            .env("PIP_CONFIG_FILE", "/dev/null")
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            .env("PIP_NO_INPUT", "1");
        command.env("UV_NO_CONFIG", "1").env("UV_PYTHON_DOWNLOADS", "never").env("UV_LINK_MODE", "copy");
        command
    }

    /// The result of `pip install --target` for a machine with Python 3.11; wheels only.
    pub fn pip_tree(&self, index: &str, machine: &str, wanted: &[&str]) -> Result<PathBuf, String> {
        let target = self.path(&format!("pip-{machine}"));
        let place = target.display().to_string();
        let newest = format!("--platform=manylinux_2_28_{machine}");
        let platforms = [&newest, &newest.replace("2_28", "2_27"), &newest.replace("_2_28", "2014")];
        let mut arguments =
            vec!["install", "--index-url", index, "--only-binary=:all:", "--python-version=3.11"];
        arguments.extend(["--root-user-action=ignore", "--retries=0", "--target", &place]);
        arguments.extend(platforms.iter().map(|platform| platform.as_str()));
        arguments.extend(wanted);
        run(&mut self.pip(&arguments)).map(|_| target)
    }

    /// Like [`pip_tree`](Self::pip_tree), by `uv pip install --target`.
    pub fn uv_tree(&self, index: &str, machine: &str, wanted: &[&str]) -> Result<PathBuf, String> {
        let target = self.path(&format!("uv-{machine}"));
        let (place, platform) = (target.display().to_string(), format!("{machine}-manylinux_2_28"));
        let mut arguments =
            vec!["pip", "install", "--index-url", index, "--only-binary=:all:", "--target", &place];
        arguments.extend(["--python-version=3.11", "--python-platform", &platform]);
        arguments.extend(wanted);
        run(&mut self.uv(&arguments)).map(|_| target)
    }

    /// A project with these requirements, and the `uv.lock` that uv writes for it from this index.
    pub fn uv_lock(&self, index: &str, wanted: &[&str]) -> Result<PathBuf, String> {
        let project = self.path("project");
        std::fs::create_dir_all(&project).expect("ours");
        let wanted: Vec<String> = wanted.iter().map(|wanted| format!("{wanted:?}")).collect();
        let text = format!(
            "[project]\nname = \"project\"\nversion = \"1\"\nrequires-python = \">=3.11,<3.13\"\ndependencies = [{}]\n\n\
             [tool.uv]\nenvironments = [\"sys_platform == 'linux'\"]\n",
            wanted.join(", ")
        );
        std::fs::write(project.join("pyproject.toml"), text).expect("ours");
        let place = project.display().to_string();
        run(&mut self.uv(&["lock", "--project", &place, "--default-index", index])).map(|_| project)
    }

    /// The `pylock.toml` that uv writes for one machine with Python 3.11 (PEP 751).
    pub fn pylock(&self, index: &str, machine: &str, wanted: &[&str]) -> Result<PathBuf, String> {
        let (requirements, lock) =
            (self.path("requirements.in"), self.path(&format!("pylock.{machine}.toml")));
        std::fs::write(&requirements, wanted.join("\n")).expect("ours");
        let (from, to) = (requirements.display().to_string(), lock.display().to_string());
        let platform = format!("{machine}-manylinux_2_28");
        let mut arguments = vec!["pip", "compile", "--format=pylock.toml", "--index-url", index, &from];
        arguments.extend(["-o", &to, "--python-version=3.11", "--python-platform", &platform]);
        run(&mut self.uv(&arguments)).map(|_| lock)
    }

    /// `requirements.txt` with hashes, for one machine with Python 3.11.
    pub fn requirements(&self, index: &str, machine: &str, wanted: &[&str]) -> Result<PathBuf, String> {
        let (requirements, out) =
            (self.path("requirements.in"), self.path(&format!("requirements.{machine}.txt")));
        std::fs::write(&requirements, wanted.join("\n")).expect("ours");
        let (from, to) = (requirements.display().to_string(), out.display().to_string());
        let platform = format!("{machine}-manylinux_2_28");
        let mut arguments =
            vec!["pip", "compile", "--generate-hashes", "--index-url", index, &from, "-o", &to];
        arguments.extend(["--python-version=3.11", "--python-platform", &platform, "--no-header"]);
        run(&mut self.uv(&arguments)).map(|_| out)
    }
}

/// The text of a lock file of the index `from`, with the address of the index `to`.
pub fn moved(lock: &Path, from: &Index, to: &Index) -> String {
    let text = std::fs::read_to_string(lock).expect("just made");
    text.replace(&from.host(), &to.host())
}
