//! Runs a package manager.

use std::path::Path;

use super::npmrc;
use super::tool::Tool;
use super::version::{self, Version};
use crate::error::{Error, Result};
use crate::source::program::{self, Lines};
use crate::store::Cache;

/// A run of a package manager.
pub(super) struct InstallerRun<'r> {
    pub(super) tool: Tool,
    pub(super) version: &'r Version,
    /// The lock file, as messages name it.
    pub(super) lock: &'r Path,
    pub(super) arguments: Vec<String>,
    pub(super) variables: Vec<(String, String)>,
    /// The directory that it runs in.
    pub(super) directory: &'r Path,
    /// The beginning of paths that messages do not show.
    pub(super) hidden: String,
    /// Texts that messages do not show.
    pub(super) secrets: Vec<String>,
}

impl InstallerRun<'_> {
    /// Runs it to its end.
    pub(super) async fn finish(self, cache: &Cache) -> Result<()> {
        let program = version::usable(self.tool, self.version, self.lock)?;
        // Not the directory of the packages, which are collected from there.
        let temporary = cache.workplace()?;
        let mut command = program::command(program, &temporary)?;
        command.args(self.arguments).envs(self.variables).current_dir(self.directory);
        // When lbuild runs inside `npm run`, npm would install for the package of that script.
        command.env_remove("npm_config_local_prefix").env_remove("INIT_CWD");
        let failed = |reason| Error::Install { tool: self.tool.name(), path: self.lock.to_owned(), reason };
        let output = command.output().await.map_err(|error| failed(format!("it does not start: {error}")))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [&output.stderr[..], b"\n", &output.stdout].concat();
        Err(failed(reason(&String::from_utf8_lossy(&said), &self.secrets, &self.hidden)))
    }
}

/// The first lines of the program's output, without those that it always prints.
fn reason(text: &str, secrets: &[String], hidden: &str) -> String {
    let text = npmrc::redacted(text, secrets).replace(hidden, "");
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
        let said = reason(text, &["hunter2".to_owned()], "/c/work/x/");
        assert_eq!(said, "code EUSAGE `npm ci` can only install with ***");
        let said =
            reason("npm error at https://u:p@r.example/a in /c/work/x/package.json", &[], "/c/work/x/");
        assert_eq!(said, "at https://r.example/a in package.json");
        let text = "➤ YN0000: · Yarn 4\n➤ YN0035: │ a@npm:9 not found\n➤ YN0000: └ Completed\nwarning x\nerror bad\n[1/4] y";
        assert_eq!(reason(text, &[], "/c/"), "a@npm:9 not found bad");
    }
}
