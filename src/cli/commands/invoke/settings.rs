//! The settings of a function, from the arguments.

use std::time::Duration;

use lbuild::lambda::invoke::{FunctionNetwork, FunctionSettings};

use crate::cli::args::invoke::{FunctionArgs, NetworkName};
use crate::cli::context::Context;
use crate::cli::lower::variables;
use crate::cli::output::exit::Failure;

/// The Region of a function if nothing names one, as with Lambda's emulator.
const REGION: &str = "us-east-1";

#[cfg(feature = "aws")]
const CREDENTIALS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// The settings; `flags` are the values of `--env`.
#[cfg_attr(not(feature = "aws"), expect(clippy::unused_async, reason = "credentials are asked for"))]
pub async fn settings(
    args: &FunctionArgs,
    flags: &[String],
    context: &Context,
) -> Result<FunctionSettings, Failure> {
    #[cfg_attr(not(feature = "aws"), expect(unused_mut, reason = "only credentials are added"))]
    let mut all = variables::lower(&args.env_file, flags)?;
    if let Some(name) = all.keys().find(|name| variables::RESERVED.contains(&name.as_str())) {
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
