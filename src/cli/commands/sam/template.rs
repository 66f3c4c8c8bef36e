//! Writes the template with the images.

use std::io::Write;
use std::path::{Path, PathBuf};

use lbuild::frontend::sam::{BuildKeys, Template};

use super::images::BuiltImage;
use crate::cli::lower::sam::Project;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::print_exact;

/// Where the template goes, and what it keeps.
pub struct Output {
    /// `None` for standard output.
    pub path: Option<PathBuf>,
    pub build_keys: BuildKeys,
    /// Whether paths of the template are relative to another directory than its own.
    pub has_base_dir: bool,
}

impl Output {
    /// Fails if the template could not be written, before anything is built: in the forms of its text, or at its path.
    pub fn check(&self, project: &Project) -> Result<(), Failure> {
        let images: Vec<_> =
            project.functions.iter().map(|function| (function, "localhost/name:tag")).collect();
        project.template.with_images(&images, self.build_keys)?;
        let Some(path) = &self.path else { return Ok(()) };
        if path.is_dir() {
            let message = format!("{} is a directory", path.display());
            return Err(Failure::usage(message, "name a file for the template"));
        }
        if is_same(path, &project.path) {
            let message =
                format!("{} is the template itself, from which the next build is made", path.display());
            return Err(Failure::usage(message, "name another file or directory, such as packaged.yaml"));
        }
        Ok(())
    }

    /// Writes the template. A file is replaced at once, with the whole text.
    pub fn write(&self, project: &Project, built: &[BuiltImage]) -> Result<(), Failure> {
        let images: Vec<_> =
            built.iter().map(|image| (&project.functions[image.function], &*image.uri)).collect();
        let text = project.template.with_images(&images, self.build_keys)?;
        let Some(path) = &self.path else { return print_exact(&text) };
        // Behind a link.
        let path = path.canonicalize().unwrap_or_else(|_| path.clone());
        let fail = |source| Failure::Write { path: path.clone(), source };
        let dir = parent(&path);
        std::fs::create_dir_all(dir).map_err(fail)?;
        let text = self.moved(text, project, dir)?;
        if path.exists() && !path.is_file() {
            // A pipe, or a device.
            return std::fs::write(&path, text).map_err(fail);
        }
        let mut file = tempfile::Builder::new().prefix(".lbuild-").tempfile_in(dir).map_err(fail)?;
        file.write_all(text.as_bytes()).map_err(fail)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        file.as_file().set_permissions(mode).map_err(fail)?;
        file.persist(&path).map_err(|error| fail(error.error))?;
        Ok(())
    }

    /// The text for another directory, where its relative paths lead back to the template's. With `--base-dir` they do not
    /// depend on the template's place.
    fn moved(&self, text: String, project: &Project, to: &Path) -> Result<String, Failure> {
        let resolved = |dir: &Path| {
            dir.canonicalize().map_err(|source| Failure::Read { what: dir.display().to_string(), source })
        };
        let (from, to) = (resolved(parent(&project.path))?, resolved(to)?);
        if self.has_base_dir || from == to {
            return Ok(text);
        }
        let shared = from.components().zip(to.components()).take_while(|(from, to)| from == to).count();
        let up = to.components().skip(shared).map(|_| "..".to_owned());
        let down = from.components().skip(shared).map(|part| part.as_os_str().to_string_lossy().into_owned());
        let prefix: Vec<String> = up.chain(down).collect();
        Ok(Template::parse(&project.path.display().to_string(), &text)?.moved(&prefix.join("/"))?)
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn is_same(path: &Path, other: &Path) -> bool {
    match (path.canonicalize(), other.canonicalize()) {
        (Ok(path), Ok(other)) => path == other,
        _ => false,
    }
}
