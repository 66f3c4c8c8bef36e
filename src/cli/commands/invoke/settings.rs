//! The settings of a function, from the arguments.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use lbuild::lambda::invoke::{FunctionNetwork, FunctionSettings};

use crate::cli::args::invoke::{FunctionArgs, NetworkName};
use crate::cli::context::Context;
use crate::cli::output::exit::Failure;

/// The Region of a function if nothing names one, as with Lambda's emulator.
const REGION: &str = "us-east-1";

/// The variables that a function cannot set:
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>.
const RESERVED: [&str; 10] = [
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
#[cfg(feature = "aws")]
const CREDENTIALS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// The settings; `variables` are those of `--env`.
#[cfg_attr(not(feature = "aws"), expect(clippy::unused_async, reason = "credentials are asked for"))]
pub async fn settings(
    args: &FunctionArgs,
    variables: &[String],
    context: &Context,
) -> Result<FunctionSettings, Failure> {
    let mut all = BTreeMap::new();
    for file in &args.env_file {
        all.extend(of_file(file)?);
    }
    for flag in variables {
        all.extend(variable(flag, "a value of --env")?);
    }
    if let Some(name) = all.keys().find(|name| RESERVED.contains(&name.as_str())) {
        let message = format!("Lambda sets {name} itself");
        let hint = match name.as_str() {
            "AWS_REGION" | "AWS_DEFAULT_REGION" => "--region sets it here",
            "AWS_LAMBDA_FUNCTION_NAME" => "--function-name sets it here",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE" => "--memory sets it here",
            _ => "choose another name",
        };
        return Err(Failure::usage(message, hint));
    }
    let from_environment = || {
        let names = ["AWS_REGION", "AWS_DEFAULT_REGION"];
        names.into_iter().find_map(|name| std::env::var(name).ok().filter(|region| !region.is_empty()))
    };
    #[cfg_attr(not(feature = "aws"), expect(unused_mut, reason = "credentials may have a Region"))]
    let mut region = args.region.clone().or_else(from_environment);
    #[cfg(feature = "aws")]
    if args.with_credentials {
        if let Some(name) = all.keys().find(|name| CREDENTIALS.contains(&name.as_str())) {
            let message = format!("--with-credentials gives the function a {name}, and --env another one");
            return Err(Failure::usage(message, "leave one of them out"));
        }
        let login = context.aws.login().await?;
        region = region.or(login.region);
        all.insert("AWS_ACCESS_KEY_ID".to_owned(), login.access_key_id);
        all.insert("AWS_SECRET_ACCESS_KEY".to_owned(), login.secret_access_key);
        all.extend(login.session_token.map(|token| ("AWS_SESSION_TOKEN".to_owned(), token)));
    }
    #[cfg(not(feature = "aws"))]
    let _ = context;
    let region = region.unwrap_or_else(|| REGION.to_owned());
    let is_name = |text: &str| {
        !text.is_empty()
            && text.len() <= 64
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    for (flag, text) in [("--function-name", &args.function_name), ("--region", &region)] {
        if !is_name(text) {
            let message = format!(
                "{flag} `{text}` has other characters than letters, digits, - and _, or more than 64"
            );
            return Err(Failure::usage(message, None));
        }
    }
    Ok(FunctionSettings {
        name: args.function_name.clone(),
        memory: args.memory,
        timeout: Duration::from_secs_f64(args.timeout),
        ephemeral_storage: args.ephemeral_storage,
        variables: all,
        region,
        network: match args.network {
            NetworkName::Host => FunctionNetwork::Host,
            NetworkName::None => FunctionNetwork::None,
        },
    })
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
