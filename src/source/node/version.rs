//! The version of npm, pnpm or yarn on this machine: the files that it installs for another machine depend on it.

use std::path::{Path, PathBuf};

use super::package_json;
use super::tool::Tool;
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::source::program::{self, on_path};
use crate::store::Cache;

/// The version of a program on this machine.
#[derive(Clone, Debug)]
pub(super) enum Version {
    /// The program does not exist.
    Missing,
    /// The program does not report its version, so it is not used.
    Unknown,
    /// The program's path and major version.
    Major(PathBuf, u32),
}

/// The oldest version with options for machine, system and libc.
fn least(tool: Tool) -> (u32, u32) {
    match tool {
        // 9.9.4 has --os and --cpu, 10.3 has --libc. Older versions ignore unknown options.
        Tool::Npm => (10, 3),
        // https://github.com/pnpm/pnpm/releases/tag/v10.14.0
        Tool::Pnpm => (10, 14),
        // yarn 1 has no such options: it installs for every machine, and `foreign` removes packages for other machines.
        Tool::Yarn => (1, 22),
        // The first version that has `workspaces focus` without a plugin.
        Tool::Berry => (4, 0),
    }
}

/// Major versions that may have made a layer: those that exist, and some future versions.
fn majors(tool: Tool) -> impl Iterator<Item = u32> {
    let number = if tool == Tool::Yarn { 1 } else { 10 };
    (least(tool).0..least(tool).0 + number).rev()
}

/// The identities of an installation, one for each version of the program that may have made it. `decisive` is all else
/// that decides the files.
pub(super) fn identities(tool: Tool, version: &Version, decisive: &str) -> Vec<Digest> {
    let of = |major: u32| Digest::of(format!("{} {major} {decisive}", tool.name()).as_bytes());
    match version {
        Version::Major(_, major) => vec![of(*major)],
        Version::Missing | Version::Unknown => majors(tool).map(of).collect(),
    }
}

/// The version of the program on `PATH`; an error when it is too old.
pub(super) async fn find(tool: Tool, dir: &Path, cache: &Cache) -> Result<Version> {
    let Some(program) = on_path(tool.name()) else { return Ok(Version::Missing) };
    let known = if tool == Tool::Berry { package_json::pinned_yarn(dir) } else { None };
    let text = match known.or_else(|| of_package(&program, tool)) {
        Some(text) => Some(text),
        None => said(&program, dir, cache).await?,
    };
    let Some((text, version)) = text.and_then(|text| Some((text.clone(), parse(&text)?))) else {
        return Ok(Version::Unknown);
    };
    let (major, minor) = least(tool);
    if version < (major, minor) {
        let least = format!("{major}.{minor}");
        let package = tool.package();
        return Err(Error::OldInstaller { tool: tool.name(), version: text, least, package });
    }
    if tool == Tool::Yarn && version.0 > 1 {
        let reason = format!("it is a lock of yarn 1, and this is yarn {text}");
        return Err(Error::Install { tool: tool.name(), path: dir.join("yarn.lock"), reason });
    }
    Ok(Version::Major(program, version.0))
}

/// The path of the program, if it can install.
pub(super) fn usable(tool: Tool, version: &Version, lock: &Path) -> Result<PathBuf> {
    let path = lock.to_owned();
    match version {
        Version::Major(program, _) => Ok(program.clone()),
        Version::Missing => Err(Error::NoInstaller { tool: tool.name(), path }),
        Version::Unknown => {
            let reason = "it does not report its version".to_owned();
            Err(Error::Install { tool: tool.name(), path, reason })
        }
    }
}

/// The version in the package.json of the program's package. Running the program would take a tenth of a second.
fn of_package(program: &Path, tool: Tool) -> Option<String> {
    let real = program.canonicalize().ok()?;
    let package = std::fs::read(real.parent()?.parent()?.join("package.json")).ok()?;
    let package: serde_json::Value = serde_json::from_slice(&package).ok()?;
    let named = package["name"] == tool.package().trim_end_matches("@1");
    named.then(|| package["version"].as_str().map(str::to_owned)).flatten()
}

async fn said(program: &Path, dir: &Path, cache: &Cache) -> Result<Option<String>> {
    let place = cache.workplace()?;
    let mut command = program::command(program, &place)?;
    command.arg("--version").current_dir(dir);
    let output = command.output().await.ok().filter(|output| output.status.success());
    let text = output.and_then(|output| String::from_utf8(output.stdout).ok());
    Ok(text.map(|text| text.trim().to_owned()))
}

fn parse(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.trim_start_matches('v').split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let texts = ["10.9.4", "v11.0.0-pre.1", "9.9", "none", ""];
        assert_eq!(texts.map(parse), [Some((10, 9)), Some((11, 0)), Some((9, 9)), None, None]);
    }
}
