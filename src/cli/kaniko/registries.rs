//! How registries are reached: by plain HTTP, and in the place of another.

use std::net::IpAddr;

use lbuild::image::Reference;

use super::args::Executor;
use super::environment::Environment;
use crate::cli::logins::registry_of;
use crate::cli::output::exit::Failure;

/// The settings of registries.
#[derive(Default)]
pub struct Registries {
    /// Those that use plain HTTP.
    pub insecure: Vec<String>,
    /// Registries, and from where their images are pulled.
    pub endpoints: Vec<(String, String)>,
    pub notes: Vec<String>,
}

impl Registries {
    /// The settings for a build that pushes these names, and whose bases are in these registries.
    pub fn of(
        args: &Executor,
        environment: &Environment,
        pushed: &[Reference],
        bases: &[&str],
    ) -> Result<Registries, Failure> {
        let mut registries = Registries { insecure: args.insecure_registry.clone(), ..Registries::default() };
        let pushed: Vec<&str> = pushed.iter().map(Reference::registry).collect();
        if args.insecure {
            registries.insecure.extend(pushed.iter().map(|registry| (*registry).to_owned()));
        }
        registries.refuse_unverified(args, &pushed, bases)?;
        if !args.registry_certificate.is_empty() {
            registries.certificate()?;
        }
        for (registry, mirror) in mapped(args, environment)? {
            registries.map(&registry, &mirror, &pushed)?;
        }
        Ok(registries)
    }

    /// lbuild verifies every certificate: what asks for less is served only where there is none.
    fn refuse_unverified(&self, args: &Executor, pushed: &[&str], bases: &[&str]) -> Result<(), Failure> {
        let verified = |registries: &[&str]| {
            registries.iter().find(|registry| !self.is_plain(registry)).map(|registry| (*registry).to_owned())
        };
        let named: Vec<&str> = args.skip_tls_verify_registry.iter().map(String::as_str).collect();
        for (flag, given, registries) in [
            ("--skip-tls-verify", args.skip_tls_verify, pushed),
            ("--skip-tls-verify-pull", args.skip_tls_verify_pull, bases),
            ("--skip-tls-verify-registry", true, &named),
        ] {
            if let Some(registry) = verified(registries).filter(|_| given) {
                let message = format!("{flag}: lbuild verifies the certificate of {registry}");
                let hint = "set SSL_CERT_FILE to a file of PEM certificates with that of its authority; or use plain \
                            HTTP: --insecure-registry HOST[:PORT]";
                return Err(Failure::usage(message, hint));
            }
        }
        match verified(bases).filter(|_| args.insecure_pull) {
            Some(registry) => Err(Failure::Usage {
                message: format!(
                    "--insecure-pull does not say which registries use plain HTTP; is {registry} one?"
                ),
                hint: Some(format!(
                    "name them, as --insecure-registry {registry}, and leave --insecure-pull out"
                )),
            }),
            None => Ok(()),
        }
    }

    fn certificate(&mut self) -> Result<(), Failure> {
        match std::env::var("SSL_CERT_FILE") {
            Ok(file) if !file.is_empty() => {
                self.notes.push(format!("--registry-certificate has no effect: SSL_CERT_FILE names {file}"));
                Ok(())
            }
            _ => Err(Failure::usage(
                "--registry-certificate: lbuild trusts the same certificates for all registries",
                "set SSL_CERT_FILE to a file of PEM certificates that has this one and those of the system",
            )),
        }
    }

    /// Pulls the images of a registry from another one.
    fn map(&mut self, registry: &str, mirror: &str, pushed: &[&str]) -> Result<(), Failure> {
        if pushed.contains(&registry) {
            let message = format!("{registry} is replaced by {mirror}, and the image is pushed there");
            return Err(Failure::usage(message, "name the mirror in FROM, and leave the flag out"));
        }
        if mirror.contains('/') {
            let message = format!("lbuild takes a host in the place of {registry}, not {mirror}");
            return Err(Failure::usage(message, "name the images of the mirror in FROM"));
        }
        if self.endpoints.iter().any(|(other, _)| other == registry) {
            self.notes.push(format!("{mirror} is not asked for images of {registry}: the first mirror is"));
            return Ok(());
        }
        let scheme = if self.is_plain(mirror) { "http" } else { "https" };
        self.endpoints.push((registry.to_owned(), format!("{scheme}://{mirror}")));
        Ok(())
    }

    /// Whether a registry uses plain HTTP.
    fn is_plain(&self, registry: &str) -> bool {
        let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        let host =
            registry.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(registry, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_loopback =
            host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        is_loopback || self.insecure.iter().any(|insecure| insecure == registry)
    }
}

/// The registries of the flags and the environment, each with one that replaces it.
fn mapped(args: &Executor, environment: &Environment) -> Result<Vec<(String, String)>, Failure> {
    let maps = args.registry_map.iter().chain(&environment.map);
    let pairs = maps.flat_map(|map| map.split(';')).filter(|pair| !pair.is_empty());
    let split = |pair: &str| match pair.split_once('=') {
        Some((registry, mirror)) => Ok((registry_of(registry).to_owned(), mirror.to_owned())),
        None => {
            let hint = "write --registry-map REGISTRY=MIRROR, with `;` between several";
            Err(Failure::usage(format!("--registry-map has `{pair}`"), hint))
        }
    };
    let mut mapped = pairs.map(split).collect::<Result<Vec<_>, _>>()?;
    let mirrors = args.registry_mirror.iter().chain(&environment.mirror);
    mapped.extend(mirrors.map(|mirror| ("docker.io".to_owned(), mirror.clone())));
    Ok(mapped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_plain_on_loopback_or_by_name() {
        let registries = Registries { insecure: vec!["r.example:80".into()], ..Registries::default() };
        for (registry, plain) in [
            ("127.0.0.1:5000", true),
            ("localhost", true),
            ("[::1]:5000", true),
            ("r.example:80", true),
            ("r.example", false),
            ("10.0.0.1:5000", false),
        ] {
            assert_eq!(registries.is_plain(registry), plain, "{registry}");
        }
    }
}
