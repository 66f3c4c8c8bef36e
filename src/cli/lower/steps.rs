//! The recipe's steps: the edit of the config, then the layers: dependencies, code, and added files.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use lbuild::image::ConfigEdit;
use lbuild::recipe::{Add, Npm, Source, Step};

use super::config_file::ConfigFile;
use super::layers::{self, LAYERS};
use super::{node, python};
use crate::cli::args::image::ImageArgs;
use crate::cli::output::exit::Failure;

/// The Python and Node packages of an image.
pub struct Packages {
    pub python: Option<Source>,
    pub npm: Option<Npm>,
}

/// The steps of an image from a base, in the order of their layers.
pub fn of_function(
    args: &ImageArgs,
    config: &ConfigFile,
    edit: ConfigEdit,
    packages: Packages,
    base: Option<&str>,
) -> Result<Vec<Step>, Failure> {
    let code = code(args, config, &packages);
    let mut steps = below_code(args, config, edit, packages, base)?;
    steps.push(code);
    steps.extend(above_code(args, config)?);
    Ok(steps)
}

/// The steps on top of a Dockerfile, which has added the code.
pub fn on_dockerfile(
    args: &ImageArgs,
    config: &ConfigFile,
    edit: ConfigEdit,
    packages: Packages,
    base: Option<&str>,
) -> Result<Vec<Step>, Failure> {
    let mut steps = below_code(args, config, edit, packages, base)?;
    steps.extend(above_code(args, config)?);
    Ok(steps)
}

/// The edit of the config, and the layers of dependencies.
fn below_code(
    args: &ImageArgs,
    config: &ConfigFile,
    edit: ConfigEdit,
    packages: Packages,
    base: Option<&str>,
) -> Result<Vec<Step>, Failure> {
    let mut steps = Vec::new();
    if edit != ConfigEdit::default() {
        steps.push(Step::Edit(edit));
    }
    steps.extend(layers::steps(args, config, base)?);
    steps.extend(packages.python.map(|source| Step::Add(Add { source, to: None })));
    for deps in given(&args.deps, &config.deps.0, &args.path) {
        let (path, to) = split_path(&deps);
        let source = source(path.into(), false);
        let layer = matches!(source, Source::Zip { .. }).then(|| LAYERS.to_owned());
        steps.push(Step::Add(Add { source, to: to.or(layer) }));
    }
    steps.extend(packages.npm.map(|npm| Step::Add(Add { source: Source::Npm(npm), to: None })));
    Ok(steps)
}

/// The layer of the code, without the files that the packages replace.
fn code(args: &ImageArgs, config: &ConfigFile, packages: &Packages) -> Step {
    let mut without = Vec::new();
    if packages.python.is_some() {
        without.extend(python::left_out(&config.code(&args.path)));
    }
    without.extend(packages.npm.as_ref().map(node::left_out).unwrap_or_default());
    let source = match source(config.code(&args.path), true) {
        Source::Directory { path, ignore, .. } => Source::Directory { path, ignore, without },
        other => other,
    };
    Step::Add(Add { source, to: None })
}

/// The layers of added files.
fn above_code(args: &ImageArgs, config: &ConfigFile) -> Result<Vec<Step>, Failure> {
    let mut steps = Vec::new();
    for added in given(&args.add, &config.add.0, &args.path) {
        match split_path(&added) {
            (path, to @ Some(_)) => {
                let source = Source::Directory { path: path.into(), ignore: false, without: Vec::new() };
                steps.push(Step::Add(Add { source, to }));
            }
            (path, None) => {
                let message = format!("--add {path} has no path in the image");
                return Err(Failure::usage(message, "write it as SRC:/PATH"));
            }
        }
    }
    Ok(steps)
}

/// The values of the flag, else those of lbuild.toml, whose paths are relative to the file.
fn given(flags: &[String], file: &[String], dir: &Path) -> Vec<String> {
    match flags {
        [] => file.iter().map(|text| dir.join(text).display().to_string()).collect(),
        flags => flags.to_vec(),
    }
}

/// Splits `SRC:/PATH` at the last `:/`, since the source's name may contain one.
pub fn split_path(text: &str) -> (String, Option<String>) {
    match text.rfind(":/") {
        Some(colon) => (text[..colon].to_owned(), Some(text[colon + 1..].to_owned())),
        None => (text.to_owned(), None),
    }
}

/// A zip source if `path` is a zip archive, else a directory source, which may be a single file.
pub fn source(path: PathBuf, ignore: bool) -> Source {
    // Reading a pipe would block.
    match path.is_file() && (is_named_zip(&path) || begins_as_zip(&path)) {
        true => Source::Zip { path },
        false => Source::Directory { path, ignore, without: Vec::new() },
    }
}

/// Whether the file's name ends in `.zip`. A zip archive may begin with other data, such as a script that unpacks it, but
/// other files that begin with a script and end as a zip archive are programs, such as those of PEX.
fn is_named_zip(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip"))
}

/// Whether the file begins with the header of a zip archive's first member, or with the end of the central directory in
/// an empty archive.
fn begins_as_zip(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = File::open(path).is_ok_and(|mut file| file.read_exact(&mut magic).is_ok());
    read && [b"PK\x03\x04", b"PK\x05\x06"].contains(&&magic)
}
