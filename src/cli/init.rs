//! `lbuild init`: what can be told of a function by looking at it.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use super::args::Init;
use super::config::NAME;
use super::exit::Failure;
use super::packages::{self, NPM_LOCKS};

/// A function as it looks.
#[derive(Debug, PartialEq)]
struct Guess {
    runtime: &'static str,
    handler: String,
    /// What has to be put elsewhere than into the function's directory.
    add: Option<&'static str>,
}

/// The names that tutorials give to a function's file and to the function in it, the likeliest first.
const MODULES: [&str; 7] = ["app", "lambda_function", "index", "main", "handler", "function", "lambda"];
const FUNCTIONS: [&str; 4] = ["handler", "lambda_handler", "main", "run"];

/// Writes `lbuild.toml`, unless there is one.
pub fn run(args: &Init) -> Result<(), Failure> {
    let path = args.path.join(NAME);
    let npm = NPM_LOCKS.iter().any(|name| args.path.join(name).is_file());
    let text = config(guess(&args.path).as_ref(), packages::found(&args.path), npm);
    let file = fs::OpenOptions::new().write(true).create_new(true).open(&path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::usage(format!("{} is there already", path.display()), "edit it, or remove it first")
        }
        _ => Failure::Write { path: path.clone(), source },
    })?;
    println!("{}", path.display());
    Ok(())
}

fn config(guess: Option<&Guess>, packages: Option<(&str, &str)>, npm: bool) -> String {
    let mut text = String::from("# Every key is the flag of the same name: see `lbuild push --help`.\n\n");
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
         # arch = \"arm64\"                 # or \"amd64\"; or --arch\n\
         # to = \"REGISTRY/REPOSITORY:TAG\"  # or --to\n\
         # deps = [\"build/site-packages\"]  # layers below the code\n"
    );
    text
}

fn guess(dir: &Path) -> Option<Guess> {
    if fs::metadata(dir.join("bootstrap"))
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    {
        // The base starts the bootstrap from its own place, and hands it the handler, which may have any name.
        let add = Some("bootstrap:/var/runtime/bootstrap");
        return Some(Guess { runtime: "provided.al2023", handler: "bootstrap".into(), add });
    }
    python(dir).or_else(|| node(dir)).or_else(|| ruby(dir))
}

fn python(dir: &Path) -> Option<Guess> {
    let handler = modules(dir, &["py"], |text, function| {
        text.lines().any(|line| {
            let line = line.strip_prefix("async ").unwrap_or(line);
            line.strip_prefix("def ")
                .and_then(|rest| rest.strip_prefix(function))
                .is_some_and(|r| r.starts_with('('))
                || line.strip_prefix(function).is_some_and(|rest| rest.trim_start().starts_with("= "))
        })
    })?;
    Some(Guess { runtime: "python3.13", handler, add: None })
}

fn node(dir: &Path) -> Option<Guess> {
    let exported = |text: &str, function: &str| {
        let patterns = ["exports.", "export const ", "export function ", "export async function "];
        patterns.iter().any(|pattern| {
            text.match_indices(&format!("{pattern}{function}")).any(|(at, found)| {
                !text[at + found.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
            })
        })
    };
    let main = fs::read(dir.join("package.json")).ok();
    let main = main.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let main = main.as_ref().and_then(|json| json["main"].as_str()).map(|main| main.trim_start_matches("./"));
    let of_main = main.and_then(|main| {
        let text = fs::read_to_string(dir.join(main)).ok()?;
        let function = FUNCTIONS.iter().find(|function| exported(&text, function))?;
        Some(format!("{}.{function}", Path::new(main).with_extension("").display()))
    });
    let handler = of_main.or_else(|| modules(dir, &["js", "mjs", "cjs"], exported))?;
    Some(Guess { runtime: "nodejs24.x", handler, add: None })
}

fn ruby(dir: &Path) -> Option<Guess> {
    let handler = modules(dir, &["rb"], |text, function| {
        text.lines().any(|line| line.strip_prefix("def ").is_some_and(|rest| rest.starts_with(function)))
    })?;
    Some(Guess { runtime: "ruby3.4", handler, add: None })
}

/// The first of the usual modules that defines one of the usual functions.
fn modules(dir: &Path, endings: &[&str], defines: impl Fn(&str, &str) -> bool) -> Option<String> {
    let files = MODULES.iter().flat_map(|module| endings.iter().map(move |ending| (module, ending)));
    files.into_iter().find_map(|(module, ending)| {
        let text = fs::read_to_string(dir.join(format!("{module}.{ending}"))).ok()?;
        let function = FUNCTIONS.iter().find(|function| defines(&text, function))?;
        Some(format!("{module}.{function}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guessed(files: &[(&str, &str)]) -> Option<(&'static str, String)> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        guess(dir.path()).map(|guess| (guess.runtime, guess.handler))
    }

    #[test]
    fn runtime_and_handler_are_read_off_the_files() {
        for (files, runtime, handler) in [
            (&[("app.py", "import os\ndef handler(event, context):\n")][..], "python3.13", "app.handler"),
            (
                &[("lambda_function.py", "def lambda_handler(e, c):")],
                "python3.13",
                "lambda_function.lambda_handler",
            ),
            (&[("app.py", "handler = Mangum(app)")], "python3.13", "app.handler"),
            (&[("index.mjs", "export const handler = async () => {}")], "nodejs24.x", "index.handler"),
            (
                &[("package.json", r#"{"main":"src/x.js"}"#), ("src/x.js", "exports.handler = f")],
                "nodejs24.x",
                "src/x.handler",
            ),
            (&[("app.rb", "def handler(event:, context:)")], "ruby3.4", "app.handler"),
        ] {
            assert_eq!(guessed(files), Some((runtime, handler.to_owned())));
        }
        assert_eq!(guessed(&[("app.py", "def handlers(): pass"), ("notes.txt", "def handler()")]), None);
    }

    #[test]
    fn what_is_written_is_a_valid_config() {
        let guess = |add| Guess { runtime: "provided.al2023", handler: "bootstrap".into(), add };
        let (plain, added) = (guess(None), guess(Some("bootstrap:/var/runtime/bootstrap")));
        for (guess, npm) in [(Some(&plain), true), (Some(&added), false), (None, true)] {
            let text = config(guess, Some(("lock", "uv.lock")), npm);
            let parsed = toml::from_str::<super::super::config::Config>(&text).unwrap();
            assert_eq!((parsed.add.0.len(), parsed.npm), (usize::from(guess == Some(&added)), npm));
            assert_eq!(parsed.lock.as_deref(), Some(Path::new("uv.lock")));
        }
    }
}
