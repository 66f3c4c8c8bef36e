//! The variables of a function, from `--env` and `--env-file`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cli::output::exit::Failure;

/// The variables that a function cannot set:
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>.
pub const RESERVED: [&str; 10] = [
    "_HANDLER",
    "AWS_DEFAULT_REGION",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
];

/// More variables that Lambda refuses in the settings of a function; on this machine, they may be given.
#[cfg(feature = "aws")]
pub const OF_LAMBDA: [&str; 8] = [
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_EXECUTION_ENV",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "_X_AMZN_TRACE_ID",
];

/// The variables of the files, and over them those of the flags.
pub fn lower(files: &[PathBuf], flags: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut all = BTreeMap::new();
    for file in files {
        all.extend(of_file(file)?);
    }
    for flag in flags {
        all.extend(variable(flag, "a value of --env")?);
    }
    Ok(all)
}

/// The variables of a file, as `docker run --env-file` reads it: lines NAME=VALUE or NAME, and comments.
fn of_file(path: &Path) -> Result<Vec<(String, String)>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| Failure::Read { what: path.display().to_string(), source })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut all = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if !line.is_empty() && !line.starts_with('#') {
            all.extend(variable(line, &format!("{}:{}", path.display(), number + 1))?);
        }
    }
    Ok(all)
}

/// A variable with its value; without one, that of the environment, if it has one.
fn variable(text: &str, place: &str) -> Result<Option<(String, String)>, Failure> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    if name.is_empty() || name.contains(char::is_whitespace) {
        // The value may be a secret.
        return Err(Failure::usage(format!("{place} is not of the form NAME=VALUE"), None));
    }
    let value = match value {
        Some(value) => Some(value),
        None => std::env::var(name).ok(),
    };
    Ok(value.map(|value| (name.to_owned(), value)))
}
