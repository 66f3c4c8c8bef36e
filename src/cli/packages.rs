//! The arguments for packages of a language become a source.

use std::path::{Path, PathBuf};

use lbuild::lambda::PythonBase;
use lbuild::recipe::{Python, Requirements, Source};

use super::args::What;
use super::config::Config;
use super::exit::Failure;

/// Python packages, when some are asked for. `base` is the runtime's or the base image's name.
pub fn python(args: &What, config: &Config, base: Option<&str>) -> Result<Option<Source>, Failure> {
    let flags = &args.python;
    let file = |path: &Option<PathBuf>| path.as_ref().map(|path| args.path.join(path));
    let (requirements, lock) = match (&flags.requirements, &flags.lock) {
        (None, None) => (file(&config.requirements), file(&config.lock)),
        (requirements, lock) => (requirements.clone(), lock.clone()),
    };
    let path = match (requirements, lock) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(Failure::usage("lbuild.toml gives both requirements and a lock", "keep one of them"));
        }
        (Some(path), None) => path,
        (None, Some(path)) if is_lock(&path) => path,
        (None, Some(path)) => {
            let message = format!("{} is no lock file that lbuild knows", path.display());
            let hint = "give uv.lock, pylock.toml, poetry.lock or Pipfile.lock; or --requirements FILE";
            return Err(Failure::usage(message, hint));
        }
    };
    let named = base.map(PythonBase::named).unwrap_or_default();
    if named.is_alpine {
        return Err(Failure::usage(
            "the base is Alpine, whose C library is musl: lbuild takes wheels for glibc",
            "give --runtime, or a --base with glibc, as python:3.12-slim",
        ));
    }
    let version = flags.python_version.clone().or(config.python_version.clone()).or(named.version);
    let Some(version) = version else {
        return Err(Failure::usage(
            "the image's version of Python is not known",
            "give --runtime, or --python-version 3.12",
        ));
    };
    let glibc = PythonBase::glibc(&version, named.is_lambda);
    Ok(Some(Source::Python(Python {
        requirements: Requirements::File { path },
        version,
        glibc,
        wheels: flags.wheels.clone().or(file(&config.wheels)),
        require_hashes: flags.require_hashes || config.require_hashes,
        slim: flags.slim || config.slim,
    })))
}

fn is_lock(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let pylock = name.starts_with("pylock.") && name.ends_with("toml");
    pylock || matches!(name, "uv.lock" | "poetry.lock" | "Pipfile.lock")
}
