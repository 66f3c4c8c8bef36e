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
}

impl Output {
    /// Writes the template. A file is replaced at once, with the whole text.
    pub fn write(&self, project: &Project, built: &[BuiltImage]) -> Result<(), Failure> {
        let images: Vec<_> =
            built.iter().map(|image| (&project.functions[image.function], &*image.uri)).collect();
        let text = project.template.with_images(&images, self.build_keys)?;
        let Some(path) = &self.path else { return print_exact(&text) };
        let fail = |source| Failure::Write { path: path.clone(), source };
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(dir).map_err(fail)?;
        let text = moved(text, &project.path, dir).map_err(fail)?;
        let mut file = tempfile::Builder::new().prefix(".lbuild-").tempfile_in(dir).map_err(fail)?;
        file.write_all(text.as_bytes()).map_err(fail)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        file.as_file().set_permissions(mode).map_err(fail)?;
        file.persist(path).map_err(|error| fail(error.error))?;
        Ok(())
    }
}

/// The text for another directory, where its relative paths lead back to the template's.
fn moved(text: String, template: &Path, to: &Path) -> std::io::Result<String> {
    let from = template.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (from, to) = (from.canonicalize()?, to.canonicalize()?);
    if from == to {
        return Ok(text);
    }
    let shared = from.components().zip(to.components()).take_while(|(from, to)| from == to).count();
    let up = to.components().skip(shared).map(|_| "..".to_owned());
    let down = from.components().skip(shared).map(|part| part.as_os_str().to_string_lossy().into_owned());
    let prefix: Vec<String> = up.chain(down).collect();
    // The text was parsed when it was made.
    Ok(Template::parse("template", &text).map_or(text, |template| template.moved(&prefix.join("/"))))
}
