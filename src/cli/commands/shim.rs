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

/// Makes the links in a directory. A program of another name stays.
pub fn links(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let own = std::env::current_exe().map_err(|source| Failure::Start { source })?;
    let link = |name: &&str| {
        let path = dir.join(name);
        let fail = |source| Failure::Write { path: path.clone(), source };
        match fs::read_link(&path) {
            Ok(target) if target == own => return Ok(path),
            // A link to an lbuild that was elsewhere.
            Ok(target) if target.file_stem().is_some_and(|name| name == "lbuild") => {
                fs::remove_file(&path).map_err(fail)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => {
                let message = format!("{} exists, and is not a link to lbuild", path.display());
                return Err(Failure::usage(message, "name another directory, and put it first in PATH"));
            }
        }
        symlink(&own, &path).map_err(fail)?;
        Ok(path)
    };
    NAMES.iter().map(link).collect()
}
