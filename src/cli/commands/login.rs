//! `lbuild login` and `lbuild credential-helper`: ECR passwords for other tools.

use lbuild::image::{ECR_PUBLIC, EcrHost};
use lbuild::{Credential, Credentials, Secret};
use serde_json::json;

use crate::cli::args::ecr::{CredentialHelper, Login, Verb};
use crate::cli::context::Context;
use crate::cli::output::exit::Failure;
use crate::cli::output::report;

/// Prints the password of a registry, to standard output only.
pub async fn print(args: Login, context: &Context) -> Result<(), Failure> {
    let registry = match args.registry {
        Some(registry) => registry,
        None => context.aws.registry().await?.to_string(),
    };
    match password(&registry, context).await? {
        Some((_, password)) => report::print(password.expose()),
        None => Err(Failure::usage(
            format!("{registry} is not an ECR registry, or has no credentials"),
            "name it as ACCOUNT.dkr.ecr.REGION.amazonaws.com, or public.ecr.aws",
        )),
    }
}

/// One exchange of <https://docs.docker.com/reference/cli/docker/login/#credential-helper-protocol>.
pub async fn helper(args: CredentialHelper, context: &Context) -> Result<(), Failure> {
    match args.verb {
        Verb::Get => {
            let server = args.input.trim();
            match password(host(server), context).await? {
                Some((username, password)) => report::print_json(
                    &json!({ "ServerURL": server, "Username": username, "Secret": password.expose() })
                        .to_string(),
                ),
                // Docker continues without credentials when it reads this text on standard output.
                None => {
                    report::print("credentials not found in native keychain")?;
                    Err(Failure::usage(format!("no credentials for {server}"), None))
                }
            }
        }
        Verb::List => report::print("{}"),
        // Nothing is stored: each password is fetched when it is needed.
        Verb::Store | Verb::Erase => Ok(()),
    }
}

async fn password(registry: &str, context: &Context) -> Result<Option<(String, Secret)>, Failure> {
    if EcrHost::parse(registry).is_none() && registry != ECR_PUBLIC {
        return Ok(None);
    }
    Ok(match context.aws.get(registry, false).await? {
        Some(Credential::Password { username, password }) => Some((username, password)),
        _ => None,
    })
}

/// The host of a server; some tools give a URL.
fn host(server: &str) -> &str {
    let server = server.strip_prefix("https://").unwrap_or(server);
    server.split('/').next().unwrap_or(server)
}
