//! `lbuild init`: writes an lbuild.toml, guessed from the function's files.

mod guess;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use self::guess::{Guess, guess};
use crate::cli::args::init::Init;
use crate::cli::lower::config_file::NAME;
use crate::cli::lower::dockerfile;
use crate::cli::lower::node::NPM_LOCKS;
use crate::cli::lower::python;
use crate::cli::output::exit::Failure;
use crate::cli::output::human::one_line;
use crate::cli::output::report::print;

/// Writes `lbuild.toml`, unless it exists.
pub fn run(args: &Init) -> Result<(), Failure> {
    let path = args.path.join(NAME);
    let npm = NPM_LOCKS.iter().any(|name| args.path.join(name).is_file());
    let text = match dockerfile::in_dir(&args.path) {
        Some(file) => of_dockerfile(&file),
        None => config(guess(&args.path).as_ref(), python::package_list(&args.path), npm),
    };
    let file = fs::OpenOptions::new().write(true).create_new(true).open(&path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::usage(format!("{} already exists", path.display()), "edit it, or remove it first")
        }
        _ => Failure::Write { path: path.clone(), source },
    })?;
    print(&one_line(&path.display().to_string()))
}

/// The beginning of the file.
const HEAD: &str = "# Every key is the flag of the same name: see `lbuild push --help`.\n\n";

/// The end of the file.
const TAIL: &str = "# arch = \"arm64\"                 # or \"amd64\"; or --arch
# to = \"REGISTRY/REPOSITORY:TAG\"  # or --to
";

/// The config for a directory with a Dockerfile, which says everything about the image.
fn of_dockerfile(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().display();
    format!("{HEAD}dockerfile = \"{name}\"\n# target = \"STAGE\"\n\n{TAIL}")
}

fn config(guess: Option<&Guess>, packages: Option<(&str, &str)>, npm: bool) -> String {
    let mut text = String::from(HEAD);
    let (comment, runtime, handler) = match guess {
        Some(guess) => ("", guess.runtime, guess.handler.as_str()),
        None => ("# ", "python3.13", "app.handler"),
    };
    let add = guess.and_then(|guess| guess.add).map(|add| format!("add = \"{add}\"\n")).unwrap_or_default();
    let packages = packages.map(|(key, file)| format!("{key} = \"{file}\"\n")).unwrap_or_default();
    let npm = if npm { "npm = true  # node_modules as package-lock.json has it\n" } else { "" };
    let _ = write!(
        text,
        "{comment}runtime = \"{runtime}\"\n\
         {comment}handler = \"{handler}\"\n\
         {add}\
         {packages}\
         {npm}\
         \n\
         {TAIL}\
         # deps = [\"build/site-packages\"]  # layers below the code\n"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::lower::config_file::ConfigFile;

    #[test]
    fn the_written_file_is_a_valid_config() {
        let guess = |add| Guess { runtime: "provided.al2023", handler: "bootstrap".into(), add };
        let (plain, added) = (guess(None), guess(Some("bootstrap:/var/runtime/bootstrap")));
        for (guess, npm) in [(Some(&plain), true), (Some(&added), false), (None, true)] {
            let text = config(guess, Some(("lock", "uv.lock")), npm);
            let parsed = toml::from_str::<ConfigFile>(&text).unwrap();
            assert_eq!((parsed.add.0.len(), parsed.npm), (usize::from(guess == Some(&added)), npm));
            assert_eq!(parsed.lock.as_deref(), Some(Path::new("uv.lock")));
        }
        let parsed = toml::from_str::<ConfigFile>(&of_dockerfile(Path::new("x/Dockerfile"))).unwrap();
        assert_eq!((parsed.dockerfile.as_deref(), parsed.runtime), (Some(Path::new("Dockerfile")), None));
    }
}
