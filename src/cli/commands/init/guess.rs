//! The runtime and the handler of a function, guessed from its files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

/// A guess about a function.
#[derive(Debug, PartialEq)]
pub struct Guess {
    pub runtime: &'static str,
    pub handler: String,
    /// The value of `add`, for a file whose path in the image is outside of the function's directory.
    pub add: Option<&'static str>,
}

/// Names of a function's file and of the function in it, as in tutorials; the most likely first.
const MODULES: [&str; 7] = ["app", "lambda_function", "index", "main", "handler", "function", "lambda"];
const FUNCTIONS: [&str; 4] = ["handler", "lambda_handler", "main", "run"];

/// The guess about the function in `dir`; `None` if its files suggest none.
pub fn guess(dir: &Path) -> Option<Guess> {
    if fs::metadata(dir.join("bootstrap"))
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    {
        // The base starts /var/runtime/bootstrap and passes it the handler, which may have any name.
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
    let main = lbuild::text::read(&dir.join("package.json")).ok();
    let main = main.and_then(|text| serde_json::from_str::<Value>(&text).ok());
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
    fn the_files_suggest_a_runtime_and_a_handler() {
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
}
