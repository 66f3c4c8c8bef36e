//! Copies the files that the lock file names into a private directory, and runs the package manager in it.

use std::fs;
use std::path::Path;

use super::files::PACKAGE;
use super::lock::Local;
use super::modules::NodeModules;
use super::tool::{Tool, cpu};
use super::{check, files, foreign, npmrc, package_json, version, yarnrc};
use crate::error::{Error, Result};
use crate::source::directory;
use crate::source::ignore::Ignore;
use crate::source::local;
use crate::source::part::Context;
use crate::source::program::{self, Lines};
use crate::source::text;
use crate::store::Workplace;
use crate::threads::blocking;
use crate::tree::FileTree;

const MODULES: &str = "node_modules";

/// Files that package managers write for their own use; they differ from run to run.
const OWN: [&str; 8] = [
    ".package-lock.json",
    ".package-map.json",
    ".yarn-integrity",
    ".yarn-state.yml",
    ".modules.yaml",
    ".pnpm",
    ".pnpm-workspace-state.json",
    ".pnpm-workspace-state-v1.json",
];

/// Installs the packages. Returns the installed files and the directory that holds them.
pub(super) async fn install(modules: &NodeModules, context: &Context) -> Result<(FileTree, Workplace)> {
    let program = version::usable(modules.lock.tool, &modules.version, &modules.lock.path)?;
    let (this, cache) = (modules.clone(), context.cache.clone());
    let place = blocking(move |_| {
        let place = cache.workplace()?;
        copy(&this, place.path())?;
        Ok(place)
    })
    .await?;
    // Not the directory of the packages, which are collected from there.
    let temporary = context.cache.workplace()?;
    let mut command = program::command(program, &temporary)?;
    command.args(arguments(modules)).envs(variables(modules)).current_dir(place.path());
    // When lbuild runs inside `npm run`, npm would install for the package of that script.
    command.env_remove("npm_config_local_prefix").env_remove("INIT_CWD");
    let failed =
        |reason| Error::Install { tool: modules.lock.tool.name(), path: modules.lock.path.clone(), reason };
    let output = command.output().await.map_err(|error| failed(format!("it does not start: {error}")))?;
    if !output.status.success() {
        let said = [&output.stderr[..], b"\n", &output.stdout].concat();
        return Err(failed(reason(
            &String::from_utf8_lossy(&said),
            &npmrc::secrets(&modules.npm.path),
            place.path(),
        )));
    }
    let this = modules.clone();
    let collected = move |threads, _: &_| Ok((collect(&this, place.path(), threads)?, place));
    context.threads.run(context.threads.all(), collected).await
}

/// <https://docs.npmjs.com/cli/commands/npm-ci>, <https://pnpm.io/cli/install>,
/// <https://classic.yarnpkg.com/en/docs/cli/install>, <https://yarnpkg.com/cli/workspaces/focus>
fn arguments(modules: &NodeModules) -> Vec<String> {
    let own: &[&str] = match modules.lock.tool {
        Tool::Npm => &[
            "ci",
            "--omit=dev",
            "--include=prod",
            "--install-strategy=hoisted",
            "--install-links",
            "--bin-links",
            "--no-audit",
            "--no-fund",
            "--no-update-notifier",
            "--loglevel=error",
        ],
        Tool::Pnpm => &[
            "install",
            "--frozen-lockfile",
            "--prod",
            "--config.node-linker=hoisted",
            // The times of a file that is linked to pnpm's store change when another link to it is created.
            "--config.package-import-method=clone-or-copy",
            "--reporter=append-only",
        ],
        Tool::Yarn => &[
            "install",
            "--frozen-lockfile",
            "--production",
            // The platform and the Node version of this machine do not matter for the image.
            "--ignore-platform",
            "--ignore-engines",
            "--non-interactive",
            "--no-progress",
        ],
        Tool::Berry => &["workspaces", "focus", "--production"],
    };
    let scripts = match (modules.lock.tool, modules.npm.scripts) {
        (Tool::Berry, _) | (Tool::Yarn, true) => None,
        (_, true) => Some("--ignore-scripts=false"),
        (_, false) => Some("--ignore-scripts"),
    };
    let target = match modules.lock.tool {
        Tool::Npm | Tool::Pnpm => {
            vec!["--os=linux".to_owned(), format!("--cpu={}", cpu(modules.arch)), "--libc=glibc".to_owned()]
        }
        Tool::Yarn | Tool::Berry => Vec::new(),
    };
    own.iter().copied().chain(scripts).map(str::to_owned).chain(target).collect()
}

/// Settings of yarn 2 and later that override the function's own.
fn variables(modules: &NodeModules) -> impl Iterator<Item = (&'static str, &'static str)> {
    let scripts = if modules.npm.scripts { "true" } else { "false" };
    let settings = [
        ("YARN_NODE_LINKER", "node-modules"),
        ("YARN_ENABLE_SCRIPTS", scripts),
        ("YARN_ENABLE_TELEMETRY", "false"),
        ("YARN_ENABLE_COLORS", "false"),
        ("YARN_ENABLE_PROGRESS_BARS", "false"),
    ];
    settings.into_iter().filter(|_| modules.lock.tool == Tool::Berry)
}

/// Copies the files that the program reads into the directory `to`, and no other file of the function.
fn copy(modules: &NodeModules, to: &Path) -> Result<()> {
    let (dir, lock) = (&modules.npm.path, &modules.lock);
    let write = |path: &Path, bytes: &[u8]| {
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, bytes));
        written.map_err(|source| Error::Write { path: path.to_owned(), source })
    };
    write(&to.join(lock.name), &lock.bytes)?;
    for name in files::BESIDE {
        match files::read(&dir.join(name))? {
            Some(bytes) if name == PACKAGE && lock.tool == Tool::Berry && !modules.npm.scripts => {
                write(&to.join(name), &package_json::without_scripts(&bytes))?;
            }
            Some(bytes) => write(&to.join(name), &bytes)?,
            None => {}
        }
    }
    // Links instead of copies, so that secrets are not written again. Only `.yarnrc.yml` has to be changed.
    for name in [npmrc::NAME, ".yarnrc"] {
        let Ok(settings) = dir.join(name).canonicalize() else { continue };
        let link = to.join(name);
        match fs::read(&settings).ok().and_then(|bytes| marked(&bytes)) {
            // npm would not find the first setting of such a file, or any.
            Some(text) => write(&link, &text)?,
            None => std::os::unix::fs::symlink(settings, &link)
                .map_err(|source| Error::Write { path: link, source })?,
        }
    }
    if lock.tool == Tool::Berry {
        write(&to.join(yarnrc::SETTINGS), &yarnrc::settings(dir, modules.arch)?)?;
    }
    for (place, kind) in &lock.local {
        let (from, to) = (dir.join(place), to.join(place));
        if *kind != Local::Unused {
            local::copy(&files::local(&from)?, &to, Some(files::SINGLE))?;
        }
    }
    Ok(())
}

/// The settings in UTF-8, if their file is in UTF-16 or begins with a byte order mark.
fn marked(bytes: &[u8]) -> Option<Vec<u8>> {
    text::recoded(bytes.to_vec()).ok().filter(|text| text != bytes)
}

/// Collects every `node_modules` of the installation: the function's, and those of its workspaces.
fn collect(modules: &NodeModules, place: &Path, jobs: usize) -> Result<FileTree> {
    let spaces = modules.lock.local.iter().filter(|(_, local)| **local == Local::Workspace);
    let dirs = spaces.map(|(path, _)| format!("{}/{MODULES}", path.trim_start_matches("./")));
    let mut tree = FileTree::new();
    for dir in [MODULES.to_owned()].into_iter().chain(dirs) {
        if place.join(&dir).is_dir() {
            let rules = Ignore::none().without(&OWN.map(str::to_owned));
            tree.extend(directory::collect(&place.join(&dir), dir.as_bytes(), &rules, jobs)?);
        }
    }
    if modules.lock.tool == Tool::Yarn {
        let package = files::read(&modules.npm.path.join(PACKAGE))?.unwrap_or_default();
        foreign::remove(&mut tree, &package, modules.arch)?;
    }
    check::links(&tree, place)?;
    check::machines(&tree, modules.arch)?;
    Ok(tree)
}

/// The first lines of the program's output, without those that it always prints.
fn reason(text: &str, secrets: &[String], place: &Path) -> String {
    let text = npmrc::redacted(text, secrets).replace(&format!("{}/", place.display()), "");
    // After the error, npm prints its manual and pnpm prints advice for a developer's machine.
    let lines = text.lines().map(plain).take_while(|line| !line.starts_with("Clean install a project"));
    program::reason(lines.filter(|line| !is_dull(line)), Lines::First)
}

/// The line without the program's prefix: `npm error`, `error`, `➤ YN0028: │`.
fn plain(line: &str) -> &str {
    let line =
        ["npm error", "npm ERR!", "error "].iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line);
    let coded = line.strip_prefix("➤ YN").and_then(|line| line.split_once(": "));
    coded
        .map_or(line, |(code, line)| if code == "0000" { "" } else { line.trim_start_matches(['│', ' ']) })
        .trim()
}

fn is_dull(line: &str) -> bool {
    ["A complete log of this run", "npm warn", "yarn install v", "[1/", "warning ", "info "]
        .iter()
        .any(|start| line.starts_with(start))
        || line.contains("-debug-0.log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_short_and_without_secrets() {
        let text = "npm error code EUSAGE\nnpm error\nnpm error `npm ci` can only install with hunter2\nnpm error\n\
            npm error Clean install a project\nnpm error Usage:\nnpm error A complete log of this run can be found in: x";
        let said = reason(text, &["hunter2".to_owned()], Path::new("/c/work/x"));
        assert_eq!(said, "code EUSAGE `npm ci` can only install with ***");
        let said = reason(
            "npm error at https://u:p@r.example/a in /c/work/x/package.json",
            &[],
            Path::new("/c/work/x"),
        );
        assert_eq!(said, "at https://r.example/a in package.json");
        let text = "➤ YN0000: · Yarn 4\n➤ YN0035: │ a@npm:9 not found\n➤ YN0000: └ Completed\nwarning x\nerror bad\n[1/4] y";
        assert_eq!(reason(text, &[], Path::new("/c")), "a@npm:9 not found bad");
    }
}
