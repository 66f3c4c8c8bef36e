//! Python packages.

use std::path::{Path, PathBuf};

use lbuild::lambda::PythonBase;
use lbuild::recipe::{Python, Requirements, Source};

use super::config_file::ConfigFile;
use crate::cli::args::image::{ImageArgs, Python as PythonArgs};
use crate::cli::output::exit::Failure;
use crate::cli::output::report::Report;

/// The Python packages that the arguments request. `base` is the name of the runtime or of the base image.
pub fn packages(
    args: &ImageArgs,
    config: &ConfigFile,
    base: Option<&str>,
) -> Result<Option<Source>, Failure> {
    let flags = &args.python;
    let file = |path: &Option<PathBuf>| path.as_ref().map(|path| args.path.join(path));
    let (requirements, lock) = match (&flags.requirements, &flags.lock) {
        (None, None) => (file(&config.requirements), file(&config.lock)),
        (requirements, lock) => (requirements.clone(), lock.clone()),
    };
    let Some(path) = listed(requirements, lock)? else { return Ok(None) };
    let named = base.map(PythonBase::named).unwrap_or_default();
    if named.is_alpine {
        return Err(Failure::usage(
            "the base is Alpine, whose C library is musl: lbuild takes wheels for glibc",
            "give --runtime, or a --base with glibc, such as python:3.12-slim",
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
        requirements: Requirements::File { path, project: Some(config.code(&args.path)) },
        version,
        glibc,
        musl: false,
        wheels: flags.wheels.clone().or(file(&config.wheels)),
        require_hashes: flags.require_hashes || config.require_hashes,
        slim: flags.slim || config.slim,
        bytecode: flags.compile_bytecode.or(config.compile_bytecode).unwrap_or_default(),
    })))
}

/// The Python packages of a layer, which functions on AWS's bases use. `dir` is the directory of its files.
pub fn of_layer(flags: &PythonArgs, dir: Option<&Path>) -> Result<Option<Source>, Failure> {
    let Some(path) = listed(flags.requirements.clone(), flags.lock.clone())? else { return Ok(None) };
    let Some(version) = flags.python_version.clone() else {
        return Err(Failure::usage(
            "the version of Python that the packages are for is not known",
            "give that of the functions, such as --python-version 3.12",
        ));
    };
    Ok(Some(Source::Python(Python {
        requirements: Requirements::File { path, project: dir.map(Path::to_owned) },
        glibc: PythonBase::glibc(&version, true),
        version,
        musl: false,
        wheels: flags.wheels.clone(),
        require_hashes: flags.require_hashes,
        slim: flags.slim,
        bytecode: flags.compile_bytecode.unwrap_or_default(),
    })))
}

/// The file that lists the packages.
fn listed(requirements: Option<PathBuf>, lock: Option<PathBuf>) -> Result<Option<PathBuf>, Failure> {
    match (requirements, lock) {
        (Some(_), Some(_)) => {
            Err(Failure::usage("lbuild.toml gives both requirements and a lock", "keep one of them"))
        }
        (None, Some(path)) if !is_lock(&path) => {
            let message = format!("{} is not a lock file that lbuild knows", path.display());
            let hint = "give uv.lock, pylock.toml, poetry.lock or Pipfile.lock; or --requirements FILE";
            Err(Failure::usage(message, hint))
        }
        (requirements, lock) => Ok(requirements.or(lock)),
    }
}

/// Virtual environments in the code, which stay out when lbuild installs the packages: their packages would be in the
/// image twice.
pub fn left_out(code: &Path) -> Vec<String> {
    let dirs = |dir: &Path| {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        dirs.map(|entry| entry.path()).collect::<Vec<PathBuf>>()
    };
    // Beside the code, or beside a project of a directory with several.
    let (mut near, mut further) = (dirs(code), Vec::new());
    near.iter().filter(|dir| !is_environment(dir)).for_each(|dir| further.extend(dirs(dir)));
    near.append(&mut further);
    let found = near.iter().filter(|dir| is_environment(dir));
    found.filter_map(|dir| Some(dir.strip_prefix(code).ok()?.to_str()?.to_owned())).collect()
}

/// <https://docs.python.org/3/library/venv.html>
fn is_environment(dir: &Path) -> bool {
    dir.join("pyvenv.cfg").is_file()
}

/// Files that list packages, each with its key in lbuild.toml; the most exact first.
const PACKAGE_LISTS: [(&str, &str); 5] = [
    ("lock", "uv.lock"),
    ("lock", "pylock.toml"),
    ("lock", "poetry.lock"),
    ("lock", "Pipfile.lock"),
    ("requirements", "requirements.txt"),
];

/// The key in lbuild.toml and the name of the file in `dir` that lists the function's packages.
pub fn package_list(dir: &Path) -> Option<(&'static str, &'static str)> {
    PACKAGE_LISTS.into_iter().find(|(key, name)| {
        let text = lbuild::text::read(&dir.join(name));
        // Empty requirements are common; a lock file is never empty.
        let lists_packages = |text: &String| {
            *key == "lock" || text.lines().any(|line| !line.trim().is_empty() && !line.starts_with('#'))
        };
        text.is_ok_and(|text| lists_packages(&text))
    })
}

/// Warns when a file beside the code lists packages that are not put into a layer.
pub fn warn_unused(args: &ImageArgs, config: &ConfigFile, report: &Report) {
    let code = &config.code(&args.path);
    let runtime = args.runtime.as_ref().or(config.runtime.as_ref().filter(|_| args.base.is_none()));
    let other = runtime.is_some_and(|runtime| !runtime.starts_with("python"));
    let given = !(args.deps.is_empty() && config.deps.0.is_empty());
    if other || given || has_packages(code) {
        return;
    }
    let Some((key, name)) = package_list(code) else { return };
    let file = code.join(name);
    let message = format!("the packages of {} are not put into the image", file.display());
    let hint = format!("add --{key} {}, or `{key} = \"{name}\"` to lbuild.toml", file.display());
    report.warn(&message, Some(&hint));
}

/// Whether packages are already installed beside the code.
fn has_packages(code: &Path) -> bool {
    let entries = std::fs::read_dir(code).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.file_name().to_string_lossy().ends_with(".dist-info"))
}

fn is_lock(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let pylock = name.starts_with("pylock.") && name.ends_with("toml");
    pylock || matches!(name, "uv.lock" | "poetry.lock" | "Pipfile.lock")
}
