//! `lbuild shim`: links by which tools find lbuild as `docker`.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::cli::args::with::Shim;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::print;

/// The names under which tools start Docker's programs.
const NAMES: [&str; 3] = ["docker", "buildx", "docker-buildx"];

pub fn run(command: &Shim) -> Result<(), Failure> {
    let Shim::Install { dir } = command;
    fs::create_dir_all(dir).map_err(|source| Failure::Write { path: dir.clone(), source })?;
    links(dir)?.iter().try_for_each(|link| print(&link.display().to_string()))
}

/// Makes the links in a directory. Before that, it looks for programs of other names: they stay, and fail it.
pub fn links(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let own = std::env::current_exe().map_err(|source| Failure::Start { source })?;
    let links = NAMES.map(|name| dir.join(name));
    let found = links.iter().map(|path| found(path, &own)).collect::<Result<Vec<_>, _>>()?;
    for (path, found) in links.iter().zip(found) {
        let fail = |source| Failure::Write { path: path.clone(), source };
        match found {
            Found::Own => continue,
            Found::Other => fs::remove_file(path).map_err(fail)?,
            Found::Nothing => {}
        }
        symlink(&own, path).map_err(fail)?;
    }
    Ok(links.into())
}

/// The file at the path of a link.
enum Found {
    Nothing,
    Own,
    /// A link to an lbuild that is or was elsewhere.
    Other,
}

fn found(path: &Path, own: &Path) -> Result<Found, Failure> {
    match fs::read_link(path) {
        Ok(target) if target == own => Ok(Found::Own),
        Ok(target) if target.file_stem().is_some_and(|name| name == "lbuild") => Ok(Found::Other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
        _ => {
            let message = format!("{} exists, and is not a link to lbuild", path.display());
            Err(Failure::usage(message, "name another directory, and put it first in PATH"))
        }
    }
}
