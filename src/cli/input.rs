//! Standard input, read before the runtime starts.

use std::io::Read;

use super::args::Command;
#[cfg(target_os = "linux")]
use super::args::dockerfile::STDIN;
#[cfg(feature = "aws")]
use super::args::ecr::Verb;
use super::output::exit::Failure;

/// Reads standard input for the commands that need it: a password, a Dockerfile, a query, or a request to the credential helper.
pub fn read(command: &mut Command) -> Result<(), Failure> {
    let read_all = |what: &str| {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map(|_| text).map_err(|source| Failure::Read { what: what.to_owned(), source })
    };
    let has_password = command.registry().is_some_and(|registry| registry.password_stdin);
    if let Some(image) = command.image().filter(|image| image.dockerfile.is_stdin()) {
        if has_password {
            return Err(Failure::usage(
                "`-f -` and --password-stdin both read standard input",
                "name a Dockerfile, or log in with any Docker-compatible tool",
            ));
        }
        let mut bytes = Vec::new();
        let read = std::io::stdin().read_to_end(&mut bytes);
        read.map_err(|source| Failure::Read {
            what: "the Dockerfile from standard input".to_owned(),
            source,
        })?;
        image.dockerfile.stdin = Some(bytes);
    }
    #[cfg(target_os = "linux")]
    if let Command::Invoke(args) = command
        && args.event.as_ref().is_some_and(|file| file.as_os_str() == STDIN)
    {
        if has_password || args.image.args.dockerfile.is_stdin() {
            return Err(Failure::usage(
                "`--event -` and another argument both read standard input",
                "name a file for one of them",
            ));
        }
        let mut bytes = Vec::new();
        let read = std::io::stdin().read_to_end(&mut bytes);
        let what = "the event from standard input".to_owned();
        read.map_err(|source| Failure::Read { what, source })?;
        args.stdin = Some(bytes);
    }
    #[cfg(feature = "aws")]
    if let Command::CredentialHelper(helper) = command {
        // A client that stores or erases a login writes it, and would get a broken pipe if lbuild did not read it.
        if !matches!(helper.verb, Verb::List) {
            helper.input = read_all("standard input")?;
        }
        return Ok(());
    }
    if let Command::Terraform(args) = command {
        args.query = read_all("the query from standard input")?;
    }
    if let Some(registry) = command.registry().filter(|registry| registry.password_stdin) {
        let text = read_all("the password from standard input")?;
        registry.password = Some(text.trim_end_matches(['\r', '\n']).to_owned().into());
    }
    Ok(())
}
