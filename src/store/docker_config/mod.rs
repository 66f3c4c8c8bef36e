//! The logins that Docker and Podman store.

mod helper;
mod login;
mod login_file;
mod write;

use std::path::PathBuf;

use self::helper::PATIENCE;
use self::login_file::{LoginFile, Lookup};
use super::credentials::{Credential, Credentials, Later};
use crate::error::{Error, Result};

/// Docker's `config.json` and Podman's `auth.json`: stored logins, identity tokens, credential helpers and stores.
///
/// Docker's file is in `$DOCKER_CONFIG`, else `~/.docker`. For registries that it lacks, Podman's files follow:
/// `$REGISTRY_AUTH_FILE`, else `containers/auth.json` in `$XDG_RUNTIME_DIR` (else `/run/containers/UID/auth.json`) and
/// in `$XDG_CONFIG_HOME` (else `~/.config`):
/// <https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md>.
#[derive(Clone, Copy, Debug, Default)]
pub struct DockerConfig;

impl DockerConfig {
    /// The configuration in another directory than the usual one of Docker.
    pub fn in_dir(dir: impl Into<PathBuf>) -> DockerConfigIn {
        DockerConfigIn { dir: dir.into() }
    }

    /// The configuration of Docker itself, without Podman's: where `docker login` stores a login.
    ///
    /// # Errors
    /// When no directory is known.
    pub fn dockers() -> Result<DockerConfigIn> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let home = || variable("HOME").map(|home| PathBuf::from(home).join(".docker"));
        let dir = variable("DOCKER_CONFIG").map(PathBuf::from).or_else(home);
        let unknown = || std::io::Error::other("neither DOCKER_CONFIG nor HOME is set");
        let dir = dir.ok_or_else(|| Error::Write { path: "config.json".into(), source: unknown() })?;
        Ok(DockerConfigIn { dir })
    }
}

/// The stored logins in the `config.json` of one directory, as `docker --config DIR` takes them.
#[derive(Clone, Debug)]
pub struct DockerConfigIn {
    dir: PathBuf,
}

impl DockerConfigIn {
    fn file(&self) -> LoginFile {
        LoginFile { path: self.dir.join("config.json"), dockers: true }
    }
}

impl Credentials for DockerConfigIn {
    fn get<'a>(&'a self, registry: &'a str, renew: bool) -> Later<'a, Result<Option<Credential>>> {
        self.get_for(registry, "", renew)
    }

    fn get_for<'a>(
        &'a self,
        registry: &'a str,
        repository: &'a str,
        _renew: bool,
    ) -> Later<'a, Result<Option<Credential>>> {
        Box::pin(async move { first(&[self.file()], registry, repository).await })
    }

    fn describe(&self) -> String {
        format!("from {}", self.file().path.display())
    }
}

impl Credentials for DockerConfig {
    fn get<'a>(&'a self, registry: &'a str, renew: bool) -> Later<'a, Result<Option<Credential>>> {
        self.get_for(registry, "", renew)
    }

    fn get_for<'a>(
        &'a self,
        registry: &'a str,
        repository: &'a str,
        _renew: bool,
    ) -> Later<'a, Result<Option<Credential>>> {
        Box::pin(async move {
            let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
            first(&files(|name| variable(name).map(PathBuf::from)), registry, repository).await
        })
    }

    fn describe(&self) -> String {
        "from Docker's configuration".into()
    }
}

/// The files that may have logins, in order of precedence.
fn files(variable: impl Fn(&str) -> Option<PathBuf>) -> Vec<LoginFile> {
    let home = variable("HOME");
    let below_home = |name: &str| home.as_ref().map(|home| home.join(name));
    let docker =
        variable("DOCKER_CONFIG").or_else(|| below_home(".docker")).map(|dir| dir.join("config.json"));
    let podman = match variable("REGISTRY_AUTH_FILE") {
        Some(file) => vec![file],
        None => {
            let uid = rustix::process::getuid().as_raw();
            let runtime = variable("XDG_RUNTIME_DIR").map(|dir| dir.join("containers"));
            let runtime = runtime.unwrap_or_else(|| format!("/run/containers/{uid}").into());
            let kept = variable("XDG_CONFIG_HOME").or_else(|| below_home(".config"));
            let kept = kept.map(|dir| dir.join("containers"));
            [Some(runtime), kept].into_iter().flatten().map(|dir| dir.join("auth.json")).collect()
        }
    };
    let docker = docker.into_iter().map(|path| LoginFile { path, dockers: true });
    docker.chain(podman.into_iter().map(|path| LoginFile { path, dockers: false })).collect()
}

/// The first login for the repository in the files.
async fn first(files: &[LoginFile], registry: &str, repository: &str) -> Result<Option<Credential>> {
    for file in files {
        let lookup = file.lookup(registry, repository).map_err(|fault| Error::Credentials {
            registry: registry.to_owned(),
            from: DockerConfig.describe(),
            reason: format!("{}: {fault}", file.path.display()),
        })?;
        let login = match lookup {
            Lookup::Login(login) => Some(login),
            Lookup::Helper(helper) => helper.login(PATIENCE).await?,
            Lookup::None => None,
        };
        if let Some(login) = login {
            return Ok(Some(login.into()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `u:one`, `u:two`
    const ONE: &str = "dTpvbmU=";
    const TWO: &str = "dTp0d28=";

    fn auths(registry: &str, auth: &str) -> String {
        format!(r#"{{"auths": {{"{registry}": {{"auth": "{auth}"}}}}}}"#)
    }

    /// The password for a registry, given the contents of Docker's file and of Podman's file.
    async fn found(docker: &str, podman: &str, registry: &str) -> Result<Option<String>> {
        let dir = tempfile::tempdir().unwrap();
        let files =
            [("config.json", docker, true), ("auth.json", podman, false)].map(|(name, text, dockers)| {
                std::fs::write(dir.path().join(name), text).unwrap();
                LoginFile { path: dir.path().join(name), dockers }
            });
        let found = first(&files, registry, "").await?;
        Ok(found.map(|credential| match credential {
            Credential::Password { password, .. } => password.expose().to_owned(),
            Credential::IdentityToken(_) => panic!("the files have no identity token"),
        }))
    }

    #[tokio::test]
    async fn a_login_is_found_in_either_file() {
        let (a, b) = (auths("a.example", ONE), auths("b.example", TWO));
        for (docker, podman, registry, password) in [
            (&*a, &*b, "a.example", Some("one")),
            (&a, &b, "b.example", Some("two")),
            (&a, &b, "c.example", None),
            (&a, &auths("a.example", TWO), "a.example", Some("one")),
            ("{}", &b, "b.example", Some("two")),
            (" \n", &b, "b.example", Some("two")),
            // The file that `docker logout` leaves, and an empty credential store.
            (r#"{"auths": {"b.example": {}}}"#, &b, "b.example", Some("two")),
            (&auths("https://index.docker.io/v1/", ONE), "{}", "docker.io", Some("one")),
            ("{}", &auths("docker.io", TWO), "docker.io", Some("two")),
        ] {
            let found = found(docker, podman, registry).await.unwrap();
            assert_eq!(found.as_deref(), password, "{docker} {podman}");
        }
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_is_named_and_not_quoted() {
        let secret = r#"{"auths": {"a.example": {"auth": "s3cret" "#;
        let good = auths("a.example", ONE);
        for (docker, podman, name) in [
            (secret, &*good, "config.json: "),
            (r#"{"auths": ["s3cret"]}"#, &good, "config.json: not a configuration"),
            ("{}", secret, "auth.json: "),
        ] {
            let error = found(docker, podman, "a.example").await.unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("s3cret"), "{error}");
        }
        // A fault in a later file does not matter once a login is found.
        assert_eq!(found(&good, secret, "a.example").await.unwrap().as_deref(), Some("one"));
    }

    #[test]
    fn the_paths_are_those_of_docker_and_podman() {
        let paths = |variables: &[(&str, &str)]| {
            let value = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
            };
            files(value).into_iter().map(|file| file.path.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            paths(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/r")]),
            ["/h/.docker/config.json", "/r/containers/auth.json", "/h/.config/containers/auth.json"]
        );
        assert_eq!(
            paths(&[("HOME", "/h"), ("DOCKER_CONFIG", "/d"), ("REGISTRY_AUTH_FILE", "/a")]),
            ["/d/config.json", "/a"]
        );
        let uid = rustix::process::getuid().as_raw();
        assert_eq!(paths(&[]), [format!("/run/containers/{uid}/auth.json")]);
    }
}
