//! The settings of an install: where they are in the image, and what they say.

use std::path::Path;

use super::image_files::{Contents, text_of};
use super::install::PythonInstallation;
use super::listed::lines_of;
use super::settings::{self, InstallSettings, InstallSurroundings, PipOptions, files_of_pip};
use crate::image::paths::{joined, relative};
use crate::recipe::PythonInstaller;
use crate::source::program::on_path;

impl PythonInstallation {
    /// The paths of the interpreter and of its packages.
    pub(crate) fn places(&self) -> Vec<String> {
        let target = self.target.iter().cloned();
        self.python.places().chain(target).collect()
    }

    /// The path of the image that a path of the command is, without a slash at either end.
    pub(super) fn path(&self, path: &str) -> String {
        relative(&joined(&self.surroundings.directory, path))
    }

    /// The files with settings, of which later ones take precedence.
    pub(super) fn settings(&self) -> Vec<String> {
        let InstallSurroundings { directory, home, .. } = &self.surroundings;
        match self.install.installer {
            PythonInstaller::Poetry => Vec::new(),
            PythonInstaller::Pip => {
                let named = self.install.settings.as_deref();
                let files = files_of_pip(&self.python.prefix, home, named);
                files.iter().map(|path| self.path(path)).collect()
            }
            PythonInstaller::Uv => {
                let of_user = format!("{home}/.config/uv/uv.toml");
                let of_project =
                    directory.match_indices('/').map(|(at, _)| &directory[..at]).chain([&**directory]);
                let names = ["uv.toml", "pyproject.toml"];
                let of_project = of_project.flat_map(|dir| names.map(|name| format!("{dir}/{name}")));
                ["/etc/uv/uv.toml".to_owned(), of_user]
                    .into_iter()
                    .chain(of_project)
                    .map(|path| relative(&path))
                    .collect()
            }
        }
    }

    /// The files with logins, of which the first is used.
    pub(super) fn netrc(&self) -> Vec<String> {
        let InstallSurroundings { home, netrc, .. } = &self.surroundings;
        match netrc {
            Some(path) => vec![self.path(path)],
            None => [".netrc", "_netrc"].map(|name| relative(&format!("{home}/{name}"))).to_vec(),
        }
    }

    /// The lines that name indexes, and the settings for programs. `root` has the files that were read.
    pub(super) fn settled(
        &self,
        read: &Contents,
        root: &Path,
    ) -> std::result::Result<(Vec<String>, InstallSettings), String> {
        let is_pip = self.install.installer == PythonInstaller::Pip;
        // A lock has the addresses of all packages.
        let is_uv = self.install.installer == PythonInstaller::Uv && self.install.lock.is_none();
        let (secrets, files) = (&self.surroundings.secrets, self.settings());
        let mut options = PipOptions::default();
        if is_pip {
            let named = self.install.settings.as_deref().map(|path| self.path(path));
            // A file that is named stands for the user's own.
            let home = relative(&self.surroundings.home);
            let is_of_user = |path: &str| path.starts_with(&format!("{home}/."));
            let has_named = named.is_some_and(|path| read.contains_key(&path));
            let found = files.iter().filter_map(|path| Some((path, read.get(path)?)));
            let found = found.filter(|(path, _)| !(has_named && is_of_user(path)));
            options = PipOptions::read(found.map(|(path, bytes)| (&**path, &bytes[..])))?;
        } else if let Some(path) = files.iter().take(2).find(|path| is_uv && read.contains_key(*path)) {
            return Err(format!("the settings of uv in /{path} are not translated"));
        }
        let of_uv =
            files.iter().find(|path| is_uv && settings::names_index_of_uv(path, &text_of(read, path)));
        if let Some(path) = of_uv.filter(|_| on_path("uv").is_none()) {
            return Err(format!("the settings of uv in /{path} need uv on this machine"));
        }
        let (lines, index) =
            settings::lines(self.install.installer, &self.install.options, secrets, &options)?;
        let netrc = self.netrc().into_iter().find(|path| read.contains_key(path)).map(|path| root.join(path));
        let names_index =
            |line: &String| ["-i ", "-i=", "--index-url"].iter().any(|flag| line.starts_with(flag));
        let mut lists = self.lists(read).into_iter();
        let has_index = index.is_some()
            || lists.any(|path| lines_of(&path, read).iter().any(names_index))
            || of_uv.is_some();
        let variables = secrets.clone();
        let settings = InstallSettings { variables, netrc, index, has_index, best_of_all: is_pip };
        Ok((lines, settings))
    }
}
