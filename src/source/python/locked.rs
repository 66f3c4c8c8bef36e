//! Installs from the lock of a project in an image.

use std::path::{Path, PathBuf};

use super::image_files::Contents;
use super::interpreter::ImagePython;
use super::lock::{directories, prompt};
use crate::image::paths::relative;
use crate::recipe::{LockSelection, LockTool};

/// Files in which a project may ask for another interpreter or place, which is not supported.
const SETTINGS: [&str; 2] = [".python-version", "poetry.toml"];

/// The project of a lock, by the absolute directory of the command.
pub(super) struct LockedFiles<'i> {
    selection: &'i LockSelection,
    directory: &'i str,
}

impl<'i> LockedFiles<'i> {
    pub(super) fn of(selection: &'i LockSelection, directory: &'i str) -> LockedFiles<'i> {
        LockedFiles { selection, directory }
    }

    fn place(&self, name: &str) -> String {
        relative(&format!("{}/{name}", self.directory))
    }

    /// The files that must exist.
    pub(super) fn required(&self) -> Vec<String> {
        let [lock, project] = self.selection.tool.files();
        let project = (self.selection.tool != LockTool::Pipenv || self.selection.checked).then_some(project);
        [lock].into_iter().chain(project).map(|name| self.place(name)).collect()
    }

    /// All files that are read if they exist, besides the directories of packages.
    pub(super) fn named(&self) -> Vec<String> {
        let [_, project] = self.selection.tool.files();
        let others = [project].into_iter().chain(SETTINGS).map(|name| self.place(name));
        let mut all = self.required();
        all.extend(others.filter(|path| !self.required().contains(path)));
        all
    }

    /// The directories of the image whose packages the lock has.
    pub(super) fn directories(&self, read: &Contents) -> Vec<String> {
        let text = read.get(&self.place(self.selection.tool.files()[0]));
        let text = text.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
        directories(self.selection, &text).iter().map(|path| self.place(path)).collect()
    }

    /// The lock below a copy of the image's files.
    pub(super) fn lock(&self, root: &Path) -> PathBuf {
        root.join(self.place(self.selection.tool.files()[0]))
    }

    /// The name of a virtual environment.
    pub(super) fn prompt(&self, read: &Contents) -> String {
        let project = read.get(&self.place(self.selection.tool.files()[1]));
        let text = project.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
        let dir = self.place("");
        prompt(&text).unwrap_or_else(|| dir.rsplit('/').next().unwrap_or_default().to_owned())
    }

    /// Fails for a project that asks for another interpreter, or for another place of its packages.
    pub(super) fn check(&self, read: &Contents, python: &ImagePython) -> Result<(), String> {
        let text = |name: &str| Some(String::from_utf8_lossy(read.get(&self.place(name))?).into_owned());
        match self.selection.tool {
            LockTool::Uv => {
                let Some(text) = text(".python-version") else { return Ok(()) };
                let mut lines = text.lines().map(str::trim);
                let Some(wanted) = lines.find(|line| !line.is_empty() && !line.starts_with('#')) else {
                    return Ok(());
                };
                let version = wanted.trim_start_matches("cpython").trim_start_matches(['@', '-', ' ']);
                let own = format!("3.{}", python.minor);
                match version.strip_prefix(&own).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                    || version == "3"
                {
                    true => Ok(()),
                    false => Err(format!(
                        ".python-version asks for Python {wanted}, and the image has Python {own}"
                    )),
                }
            }
            LockTool::Poetry => {
                let Some(text) = text("poetry.toml") else { return Ok(()) };
                let table: toml::Table = text
                    .parse()
                    .map_err(|error: toml::de::Error| format!("poetry.toml: {}", error.message()))?;
                let section = table.get("virtualenvs").and_then(toml::Value::as_table);
                match section.is_some_and(|section| section.contains_key("create") || section.contains_key("in-project"))
                {
                    true => Err(
                        "poetry.toml says where Poetry installs, which lbuild follows in the settings of lines only"
                            .to_owned(),
                    ),
                    false => Ok(()),
                }
            }
            LockTool::Pipenv => Ok(()),
        }
    }
}
