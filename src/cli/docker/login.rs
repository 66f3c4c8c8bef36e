//! `docker login` and `docker logout`.

use std::io::Read;

use lbuild::{DockerConfig, DockerConfigIn, Engine, Password};

use super::args::{Login, Logout};
use crate::cli::context::{Context, Logins};
use crate::cli::engine::endpoints;
use crate::cli::logins;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::print;

/// Docker Hub, which is meant without a name.
const DEFAULT: &str = "docker.io";

/// Stores a login that the registry accepts.
pub async fn log_in(args: Login, context: &Context) -> Result<(), Failure> {
    let registry = registry(args.server.as_deref());
    let usage = |message: &str, hint: &'static str| Failure::docker(1, message, hint);
    let Some(username) = args.username.filter(|name| !name.is_empty()) else {
        return Err(usage("a login needs a user", "add --username USER and --password-stdin"));
    };
    let password = match (args.password, args.password_stdin) {
        (Some(_), true) => {
            return Err(usage(
                "--password and --password-stdin are given, and only one can be",
                "leave out --password",
            ));
        }
        (Some(password), false) => {
            let hint = Some("use --password-stdin");
            context.report.warn("a password in the arguments can be seen by other users", hint);
            password
        }
        (None, true) => read_password()?,
        (None, false) => return Err(usage("a login needs a password", "write it to --password-stdin")),
    };
    let login = Password { registry: registry.clone(), username, password: password.into() };
    let mut builder = Engine::builder().credentials(login.clone());
    for (registry, endpoint) in endpoints()? {
        builder = builder.endpoint(registry, endpoint);
    }
    builder.build()?.log_in(&registry).await?;
    config(context)?.log_in(&login).await?;
    print("Login Succeeded")
}

fn read_password() -> Result<String, Failure> {
    let mut text = String::new();
    let what = "the password from standard input".to_owned();
    std::io::stdin().read_to_string(&mut text).map_err(|source| Failure::Read { what, source })?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => {
            Err(Failure::docker(1, "the password on standard input is empty", "write it to --password-stdin"))
        }
        password => Ok(password.to_owned()),
    }
}

/// Removes a login.
pub async fn log_out(args: &Logout, context: &Context) -> Result<(), Failure> {
    let registry = registry(args.server.as_deref());
    match config(context)?.log_out(&registry).await? {
        true => print(&format!("Removing login credentials for {registry}")),
        false => print(&format!("Not logged in to {registry}")),
    }
}

fn config(context: &Context) -> Result<DockerConfigIn, Failure> {
    Ok(match &context.logins {
        Logins::Stored { config: Some(dir) } => DockerConfig::in_dir(dir),
        Logins::Stored { config: None } | Logins::Usual => DockerConfig::dockers()?,
    })
}

/// The registry of a server, which may be a URL.
fn registry(server: Option<&str>) -> String {
    let server = server.unwrap_or(DEFAULT);
    let name = server.strip_prefix("https://").or_else(|| server.strip_prefix("http://")).unwrap_or(server);
    logins::registry_of(name.split('/').next().unwrap_or(name)).to_owned()
}
