//! Whether a Dockerfile is used, and its text.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use lbuild::recipe::Base;
use lbuild::text;

use crate::cli::args::dockerfile::DockerfileArgs;
use crate::cli::args::image::ImageArgs;
use crate::cli::lower::config_file::ConfigFile;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::Report;

/// The names under which a Dockerfile is found, in the order of `docker build`.
const NAMES: [&str; 2] = ["Dockerfile", "dockerfile"];

/// The name of the base in a text that is lbuild's own.
pub const OWN_BASE: &str = "base";

/// The text of a Dockerfile.
pub struct DockerfileText {
    /// Its name in messages.
    pub name: String,
    /// Its path; `None` if it was read from standard input.
    pub path: Option<PathBuf>,
    pub text: String,
    /// The image of [`OWN_BASE`], for a text that is lbuild's own: it does not add the code.
    pub base: Option<Base>,
}

/// The Dockerfile of the flags, else of lbuild.toml, else that of a directory for which neither names a base.
pub fn chosen(
    args: &ImageArgs,
    config: &ConfigFile,
    report: &Report,
) -> Result<Option<DockerfileText>, Failure> {
    let flags = &args.dockerfile;
    let base = [("--runtime", args.runtime.is_some()), ("--base", args.base.is_some())];
    let base = base.into_iter().find_map(|(flag, given)| given.then_some(flag));
    match (&flags.dockerfile, base) {
        (Some(_), Some(base)) => {
            let hint = format!("leave {base} out, since FROM names the base; or leave -f out");
            let message = format!("-f and {base} are given, but a Dockerfile names its base itself");
            return Err(Failure::Usage { message, hint: Some(hint) });
        }
        (Some(file), None) => return given(flags, file, &config.code(&args.path)).map(Some),
        (None, Some(base)) => {
            return match flags.given() {
                Some(flag) => {
                    let message = format!("{flag} is for a Dockerfile, and {base} builds without one");
                    let hint = Some(format!("leave {flag} or {base} out"));
                    Err(Failure::Usage { message, hint })
                }
                None => Ok(None),
            };
        }
        (None, None) => {}
    }
    let configured = [("runtime", config.runtime.is_some()), ("base", config.base.is_some())];
    let configured = configured.into_iter().find_map(|(key, given)| given.then_some(key));
    let found = match (&config.dockerfile, configured) {
        (Some(_), Some(key)) => {
            let message = format!("lbuild.toml gives both a dockerfile and a {key}");
            return Err(Failure::usage(message, "keep one of them: the Dockerfile's FROM names the base"));
        }
        // Paths in lbuild.toml are relative to the file.
        (Some(file), None) => {
            Some(read(args.path.join(file), "`dockerfile` in lbuild.toml is a path relative to that file")?)
        }
        (None, Some(_)) => None,
        (None, None) => beside(&config.code(&args.path), report)?,
    };
    match (found, flags.given()) {
        (None, Some(flag)) => {
            let message = format!("{flag} is for a Dockerfile, and none is given");
            Err(Failure::usage(message, "add -f DOCKERFILE"))
        }
        (found, _) => Ok(found),
    }
}

/// Whether the image is built from a Dockerfile if the arguments name no base.
#[cfg(feature = "aws")]
pub fn is_used(args: &ImageArgs, config: &ConfigFile) -> bool {
    let is_given = args.dockerfile.dockerfile.is_some() || config.dockerfile.is_some();
    is_given || in_dir(&config.code(&args.path)).is_some()
}

/// The file of `-f`, whose path is relative to the working directory.
fn given(flags: &DockerfileArgs, file: &Path, context: &Path) -> Result<DockerfileText, Failure> {
    if let Some(bytes) = &flags.stdin {
        let text = text::decode(bytes.clone()).map_err(|fault| {
            Failure::usage(
                format!("the Dockerfile on standard input is not text: {fault}"),
                "save it in UTF-8",
            )
        })?;
        return Ok(DockerfileText { name: "<stdin>".to_owned(), path: None, text, base: None });
    }
    let missing = !file.exists();
    read(file.to_owned(), "check the path: -f is relative to the working directory").map_err(|failure| {
        let inside = context.join(file);
        match missing && inside.is_file() {
            true => {
                let message = format!("there is no Dockerfile {}", file.display());
                let hint = format!("-f is relative to the working directory: write -f {}", inside.display());
                Failure::Usage { message, hint: Some(hint) }
            }
            false => failure,
        }
    })
}

/// The Dockerfile in the directory of the code, if there is one.
fn beside(dir: &Path, report: &Report) -> Result<Option<DockerfileText>, Failure> {
    let Some(path) = in_dir(dir) else { return Ok(None) };
    let found = read(path, "run again")?;
    report.note(&format!("no runtime or base is given: building from {}", found.name));
    Ok(Some(found))
}

/// The Dockerfile in a directory.
pub fn in_dir(dir: &Path) -> Option<PathBuf> {
    let dir = if dir == Path::new(".") { Path::new("") } else { dir };
    NAMES.iter().map(|name| dir.join(name)).find(|path| path.is_file())
}

/// Reads a Dockerfile. `hint` is for one that does not exist.
fn read(path: PathBuf, hint: &'static str) -> Result<DockerfileText, Failure> {
    let name = path.display().to_string();
    match text::read(&path) {
        Ok(text) => Ok(DockerfileText { name, path: Some(path), text, base: None }),
        Err(lbuild::Error::Read { source, .. }) => Err(match source.kind() {
            ErrorKind::NotFound => Failure::usage(format!("there is no Dockerfile {name}"), hint),
            ErrorKind::IsADirectory => {
                Failure::usage(format!("{name} is a directory, not a Dockerfile"), "name the file in it")
            }
            _ => Failure::Read { what: name, source },
        }),
        Err(error) => Err(error.into()),
    }
}
