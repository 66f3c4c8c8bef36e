//! Resolution of requirements by `uv`, else by `pip`: for the target, regardless of this machine.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde::Deserialize;

use super::hashes::Hashes;
use super::installed::Installed;
use super::lock::{LockedFile, LockedPackage, pylock};
use super::markers::Environment;
use super::settings::InstallSettings;
use super::target::Target;
use crate::error::{Error, Result};
use crate::programs::Program;
use crate::recipe::Python;
use crate::source::address::{file_name, file_path};
use crate::source::program::{self, Lines, on_path};
use crate::store::Workplace;

/// Requirements to resolve.
pub(super) struct Question<'a> {
    /// The user's file. Messages name it, and the program runs in its directory.
    pub(super) path: &'a Path,
    /// The file that the program reads.
    pub(super) requirements: &'a Path,
    /// Whether the requirements name every package, as those made from a lock do.
    pub(super) complete: bool,
    /// The indexes that have the packages, with their logins; if empty, those of the program's settings.
    pub(super) indexes: &'a [String],
    /// What the environment of the packages has already.
    pub(super) present: &'a Present,
    /// The names of the packages that the requirements name.
    pub(super) named: &'a [String],
    pub(super) python: &'a Python,
    pub(super) target: &'a Target,
    pub(super) environment: &'a Environment,
    /// The directory for temporary files.
    pub(super) place: &'a Workplace,
}

/// What the environment has, into which packages are installed, and how they are added to it.
#[derive(Debug, Default)]
pub(crate) struct Present {
    pub(crate) installed: Installed,
    pub(crate) settings: InstallSettings,
    /// Whether the packages that are named are replaced by newer versions.
    pub(crate) upgrade: bool,
    /// Whether nothing but the packages that are named is installed.
    pub(crate) no_dependencies: bool,
}

/// The packages that the requirements need on the target. Those that are installed already are among them, perhaps
/// without the URL of a file that exists.
pub(super) async fn packages(question: &Question<'_>) -> Result<Vec<LockedPackage>> {
    let Some(uv) = on_path("uv") else { return with_pip(question).await };
    match with_uv(question, &uv, true).await {
        // A package may have no wheels at all. A version with a wheel is preferred to a newer version without one, so
        // sources are allowed only in a second attempt.
        Err(error) => with_uv(question, &uv, false).await.map_err(|_| error),
        done => done,
    }
}

/// The glibc minor version for the options of both programs. uv accepts only the `known` versions; each also admits
/// wheels for older versions.
/// <https://docs.astral.sh/uv/reference/cli/#uv-pip-compile--python-platform>
fn known_glibc(target: &Target) -> u32 {
    let known = [40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 28, 17];
    known.into_iter().find(|minor| *minor <= target.glibc_minor()).unwrap_or(17)
}

async fn with_uv(question: &Question<'_>, uv: &Path, wheels_only: bool) -> Result<Vec<LockedPackage>> {
    let target = question.target;
    let platform = match target.is_musl() {
        true => format!("{}-unknown-linux-musl", target.machine.as_str()),
        false => format!("{}-manylinux_2_{}", target.machine.as_str(), known_glibc(target)),
    };
    let mut command = program::command(uv, question.place)?;
    command.args(["pip", "compile", "--quiet", "--no-header", "--color", "never"]);
    command.args(["--format", "pylock.toml", "--python-platform", &platform]);
    if wheels_only {
        command.args(["--only-binary", ":all:"]);
    }
    command.args(["--python-version", &target.python()]);
    let preferring = prefer_installed(&mut command, question)?;
    let output = run(command, question, "uv").await?;
    let text = match preferring {
        Some(lock) => crate::source::text::read(&lock)?,
        None => String::from_utf8_lossy(&output.stdout).into_owned(),
    };
    // The paths in uv's output are relative to its working directory, which is that of the user's file.
    pylock::read(&text, question.path, question.environment)
}

/// Makes uv prefer what is installed. Returns the file that it writes.
fn prefer_installed(command: &mut Program, question: &Question<'_>) -> Result<Option<PathBuf>> {
    let Present { installed, upgrade, .. } = question.present;
    if installed.is_empty() {
        return Ok(None);
    }
    let wheels = installed.write_wheels(question.place.path())?;
    // The paths in the lock are relative to its directory.
    let lock = std::path::absolute(directory(question.path).join("pylock.lbuild.toml"))
        .map_err(|source| Error::Read { path: question.path.to_owned(), source })?;
    let is_upgraded = |name: &str| *upgrade && question.named.iter().any(|named| named == name);
    std::fs::write(&lock, installed.preferences(is_upgraded))
        .map_err(|source| Error::Write { path: lock.clone(), source })?;
    let wheels =
        std::path::absolute(&wheels).map_err(|source| Error::Read { path: wheels.clone(), source })?;
    command.arg("--find-links").arg(wheels).arg("--output-file").arg(&lock);
    Ok(Some(lock))
}

/// `-c` puts the working directory first in `sys.path`, so `import json` would run a `json.py` of the function. `-P`
/// exists only since Python 3.11, and `-I` would hide a pip in the user's site directory.
macro_rules! without_working_directory {
    () => {
        "import sys\nsys.path[:] = [place for place in sys.path if place]\n"
    };
}

/// pip evaluates markers, and in some versions `Requires-Python`, for the interpreter that it runs on; this script
/// replaces both by the values of the target.
const PIP: &str = concat!(
    without_working_directory!(),
    "import json
environment = json.loads(sys.argv.pop(1))
from pip._vendor.packaging import markers
markers.default_environment = lambda: dict(environment)
from pip._internal.resolution.resolvelib.candidates import RequiresPythonCandidate as Python
version = tuple(map(int, environment['python_full_version'].split('.')))
original = Python.__init__
Python.__init__ = lambda self, _: original(self, version)
import os
place = os.environ.pop('LBUILD_INSTALLED', None)
if place:
    from pip._internal.metadata import get_environment
    from pip._internal.resolution.resolvelib.factory import Factory
    begin = Factory.__init__
    def known(self, *arguments, **named):
        begin(self, *arguments, **named)
        found = get_environment([place]).iter_installed_distributions(local_only=False, skip=())
        self._installed_dists = {dist.canonical_name: dist for dist in found}
    Factory.__init__ = known
from pip._internal.cli.main import main
sys.exit(main(sys.argv[1:]))
"
);

#[derive(Deserialize)]
struct Report {
    install: Vec<Reported>,
}

#[derive(Deserialize)]
struct Reported {
    download_info: DownloadInfo,
    #[serde(default)]
    is_direct: bool,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct DownloadInfo {
    url: String,
    archive_info: Option<ArchiveInfo>,
    /// Present for a directory.
    dir_info: Option<serde_json::Value>,
    vcs_info: Option<serde_json::Value>,
    subdirectory: Option<String>,
}

#[derive(Deserialize)]
struct ArchiveInfo {
    #[serde(default)]
    hashes: std::collections::BTreeMap<String, String>,
    /// The form before pip 23: `sha256=…`.
    hash: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    version: String,
}

async fn with_pip(question: &Question<'_>) -> Result<Vec<LockedPackage>> {
    let python = pythons(question.place).await?;
    let python = python.ok_or_else(|| Error::NoResolver { path: question.path.to_owned() })?;
    let target = question.target;
    let values: serde_json::Map<String, serde_json::Value> = question
        .environment
        .values()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let mut command = program::command(python, question.place)?;
    command.args(["-c", PIP, &serde_json::Value::Object(values).to_string()]);
    command.args(["install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]);
    command.args(["--disable-pip-version-check", "--no-input", "--only-binary", ":all:"]);
    // pip requires a target directory with `--platform`, but does not write to it in a dry run.
    command.args(["--target", "lbuild-is-only-asking"]);
    command.args(["--implementation", "cp", "--abi", &format!("cp3{}", target.minor)]);
    command.args(["--python-version", &target.python()]);
    let known = match target.is_musl() {
        true => target.clone(),
        false => Target::new(target.minor, target.machine, (2, known_glibc(target))),
    };
    command.args(known.platforms().iter().flat_map(|platform| ["--platform", platform]));
    let Present { installed, upgrade, .. } = question.present;
    if *upgrade {
        command.arg("--upgrade");
    }
    if !installed.is_empty() {
        command.env("LBUILD_INSTALLED", installed.write_environment(question.place.path())?);
    }
    command.arg("-r");
    let output = run(command, question, "pip").await?;
    let report: Report = serde_json::from_slice(&output.stdout)
        .map_err(|error| failed(question, "pip", format!("its report cannot be read: {error}")))?;
    report.install.into_iter().map(|reported| reported.locked(question)).collect()
}

impl Reported {
    fn locked(self, question: &Question<'_>) -> Result<LockedPackage> {
        let DownloadInfo { url, archive_info, dir_info, vcs_info, subdirectory } = self.download_info;
        let Metadata { name, version } = self.metadata;
        let file = if vcs_info.is_some() || subdirectory.is_some() {
            let fault = "it is in a version control system, or in a directory of an archive".to_owned();
            return Err(Error::Locked { path: question.path.to_owned(), package: name, fault });
        } else if dir_info.is_some() {
            file_path(&url)
                .and_then(|path| LockedFile::directory(&name, &version, Path::new("/"), path.to_str()?))
        } else {
            let of = |info: ArchiveInfo| {
                let old = info.hash.map(|hash| hash.replacen('=', ":", 1));
                let new = info.hashes.iter().map(|(algorithm, hex)| format!("{algorithm}:{hex}"));
                Hashes::of(new.chain(old))
            };
            let hashes = archive_info.map(of).unwrap_or_default();
            file_name(&url).map(|name| LockedFile { name, url, hashes, size: None })
        };
        let fault = || failed(question, "pip", "its report has a URL without a file name".to_owned());
        let files = vec![file.ok_or_else(fault)?];
        Ok(LockedPackage { name, version, files, requested: false, direct: self.is_direct })
    }
}

async fn run(mut command: Program, question: &Question<'_>, tool: &'static str) -> Result<Output> {
    let requirements = std::path::absolute(question.requirements)
        .map_err(|source| Error::Read { path: question.requirements.to_owned(), source })?;
    command.arg(requirements);
    if question.complete || question.present.no_dependencies {
        command.arg("--no-deps");
    }
    if let Some(wheels) = &question.python.wheels {
        let wheels =
            std::path::absolute(wheels).map_err(|source| Error::Read { path: wheels.clone(), source })?;
        command.arg("--no-index").arg("--find-links").arg(wheels);
    }
    if !question.indexes.is_empty() && question.python.wheels.is_none() {
        look_only_in(&mut command, question.indexes);
    }
    settle(&mut command, &question.present.settings);
    // uv reads its settings in this directory, also if the requirements were made from a lock.
    command.current_dir(directory(question.path));
    // The caller's virtual environment must not affect the image.
    command.env("PIP_REQUIRE_VIRTUALENV", "0").env_remove("VIRTUAL_ENV").env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.output().await;
    let output = output.map_err(|error| failed(question, tool, format!("it does not start: {error}")))?;
    match output.status.success() {
        true => Ok(output),
        false => Err(failed(question, tool, reason(&String::from_utf8_lossy(&output.stderr)))),
    }
}

/// Variables that name indexes.
const INDEXES: [&str; 6] = [
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
];

/// Gives a program the settings of an install instead of those of this machine.
fn settle(command: &mut Program, settings: &InstallSettings) {
    let InstallSettings { variables, netrc, index, has_index, best_of_all } = settings;
    if *has_index {
        for name in INDEXES {
            command.env_remove(name);
        }
        command.env("PIP_CONFIG_FILE", "/dev/null");
    }
    if let Some(index) = index {
        command.env("UV_DEFAULT_INDEX", index.expose());
    }
    // The indexes themselves are in the requirements.
    for (name, value) in variables.iter().filter(|(name, _)| !INDEXES.contains(&&**name)) {
        command.env(name, value.expose());
    }
    if let Some(netrc) = netrc {
        command.env("NETRC", netrc);
    }
    if *best_of_all {
        command.env("UV_INDEX_STRATEGY", "unsafe-best-match");
    }
}

/// Makes uv ask these indexes and no other. Variables, because a URL may have a login, and every user of the machine can
/// read arguments; they take precedence over uv's settings. pip takes the indexes from the requirements.
fn look_only_in(command: &mut Program, indexes: &[String]) {
    for name in ["UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"] {
        command.env_remove(name);
    }
    command.env("UV_DEFAULT_INDEX", &indexes[0]).env("UV_INDEX", indexes.join(" "));
    // The lock does not say which of several indexes has a version; its hash decides whether a file is the right one.
    command.env("UV_INDEX_STRATEGY", "unsafe-first-match");
}

fn directory(file: &Path) -> &Path {
    match file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

fn failed(question: &Question<'_>, tool: &'static str, reason: String) -> Error {
    Error::Resolve { tool, path: question.path.to_owned(), reason }
}

/// The last lines of the program's output, without decoration and passwords.
pub(super) fn reason(text: &str) -> String {
    let ornament = ['×', '╰', '─', '▶', '│', '├', ' ', '\t'];
    let lines = text.lines().map(|line| line.trim_matches(ornament));
    let lines = lines.map(|line| {
        ["error:", "ERROR:"].iter().find_map(|prefix| line.strip_prefix(prefix)).unwrap_or(line).trim()
    });
    let dull = |line: &&str| {
        line.starts_with("WARNING:") || line.starts_with("[notice]") || line.starts_with("DEPRECATION:")
    };
    program::reason(lines.filter(|line| !dull(line)), Lines::Last)
}

/// An interpreter that has pip.
pub(super) async fn pythons(place: &Workplace) -> Result<Option<PathBuf>> {
    for name in ["python3", "python"] {
        let Some(python) = on_path(name) else { continue };
        let mut command = program::command(&python, place)?;
        command.args(["-c", concat!(without_working_directory!(), "import pip")]);
        if command.output().await.is_ok_and(|done| done.status.success()) {
            return Ok(Some(python));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::target::Machine;
    use super::*;

    #[test]
    fn the_reason_is_short_and_shows_no_password() {
        let uv = "  × No solution found when resolving dependencies:\n  ╰─▶ Because a was not found at https://u:hunter2@i.example/simple\n      we can conclude";
        let said = reason(uv);
        assert!(said.starts_with("No solution found") && !said.contains("hunter2"), "{said}");
        let pip =
            "WARNING: x\nERROR: Could not find a version\nERROR: No matching distribution found for a==9\n";
        assert_eq!(reason(pip), "Could not find a version No matching distribution found for a==9");
        assert_eq!(reason(""), "it gives no reason");
    }

    #[test]
    fn the_glibc_option_is_a_version_that_uv_accepts() {
        let known = |minor| known_glibc(&Target::new(12, Machine::X86_64, (2, minor)));
        assert_eq!([known(34), known(26), known(30), known(99)], [34, 17, 28, 40]);
    }
}
