//! One file with logins, and the login in it that fits a repository.
//!
//! A key names a registry or a part of it, `registry/namespace` or `registry/namespace/repository`; of several that fit,
//! the longest counts: <https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md#format>. Older
//! versions of Docker wrote keys as URLs, `https://registry/v1/`, which name the whole registry.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use super::helper::Helper;
use super::login::Login;

/// The key under which Docker stores the login of Docker Hub: the URL of its first registry.
pub(super) const DOCKER_HUB_URL: &str = "https://index.docker.io/v1/";

pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A file with logins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LoginFile {
    pub(super) path: PathBuf,
    /// Whether Docker wrote the file: Docker asks helpers for the login of Docker Hub by its URL, Podman by its name.
    pub(super) dockers: bool,
}

/// Where a file leads to for a repository.
#[derive(Debug, PartialEq)]
pub(super) enum Lookup {
    Login(Login),
    Helper(Helper),
    None,
}

/// The content of a file.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Content {
    auths: Option<BTreeMap<String, Option<StoredLogin>>>,
    creds_store: Option<String>,
    cred_helpers: Option<BTreeMap<String, Option<String>>>,
}

/// A stored login. Empty ones remain after a logout, and beside a credential store.
#[derive(Deserialize)]
struct StoredLogin {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl LoginFile {
    /// The login for a repository; an empty `repository` stands for the whole registry.
    ///
    /// # Errors
    /// The fault of the file, without its content.
    pub(super) fn lookup(&self, registry: &str, repository: &str) -> Result<Lookup, String> {
        let Some(bytes) = read(&self.path).map_err(|error| error.to_string())? else {
            return Ok(Lookup::None);
        };
        let content: Content = serde_json::from_slice(&bytes).map_err(|error| match error.is_data() {
            // An error about data may quote a value.
            true => "not a configuration of Docker or Podman".to_owned(),
            false => error.to_string(),
        })?;
        let server = if self.dockers && registry == "docker.io" { DOCKER_HUB_URL } else { registry };
        let helper = |name: &str, server: &str| {
            let (program, config) = (format!("docker-credential-{name}"), self.path.clone());
            Lookup::Helper(Helper { program, config, server: server.to_owned() })
        };
        let fits = |key: &str| fit(key, registry, repository, server);
        let helpers = content.cred_helpers.iter().flatten();
        let helpers = helpers.filter_map(|(key, name)| Some((fits(key)?, key, name.as_deref()?)));
        let best = helpers.filter(|(.., name)| !name.is_empty()).min_by_key(|(fit, ..)| Reverse(*fit));
        if let Some((Fit { path, .. }, key, name)) = best {
            return Ok(helper(name, if path == 0 { server } else { key.trim_end_matches('/') }));
        }
        let mut logins: Vec<_> = content
            .auths
            .iter()
            .flatten()
            .filter_map(|(key, login)| Some((fits(key)?, key, login)))
            .collect();
        logins.sort_by_key(|(fit, ..)| Reverse(*fit));
        for (_, key, login) in logins {
            let login = login.as_ref().map_or(Ok(None), StoredLogin::login);
            if let Some(login) = login.map_err(|fault| format!("the login for {key} {fault}"))? {
                return Ok(Lookup::Login(login));
            }
        }
        let store = content.creds_store.filter(|name| !name.is_empty());
        Ok(store.map_or(Lookup::None, |name| helper(&name, server)))
    }
}

impl LoginFile {
    /// The helper that keeps the login of a registry, and the key of the registry; `None` if the file itself does.
    ///
    /// # Errors
    /// The fault of the file, without its content.
    pub(super) fn keeper(&self, registry: &str) -> Result<(Option<Helper>, String), String> {
        let content: Content = match read(&self.path).map_err(|error| error.to_string())? {
            Some(bytes) => serde_json::from_slice(&bytes)
                .map_err(|_| "not a configuration of Docker or Podman".to_owned())?,
            None => Content::default(),
        };
        let server = if registry == "docker.io" { DOCKER_HUB_URL } else { registry };
        let fits = |key: &str| fit(key, registry, "", server).is_some();
        let own = content.cred_helpers.into_iter().flatten().find(|(key, _)| fits(key));
        let name = own.and_then(|(_, name)| name).or(content.creds_store).filter(|name| !name.is_empty());
        let helper = name.map(|name| {
            let (program, config) = (format!("docker-credential-{name}"), self.path.clone());
            Helper { program, config, server: server.to_owned() }
        });
        Ok((helper, server.to_owned()))
    }
}

impl StoredLogin {
    fn login(&self) -> Result<Option<Login>, &'static str> {
        let given = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
        if let Some(token) = given(&self.identitytoken) {
            return Ok(Some(Login::IdentityToken(token)));
        }
        if let Some(auth) = given(&self.auth) {
            let text = BASE64.decode(auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let text = text.ok_or("is not in base64")?;
            let (username, password) = text.split_once(':').ok_or("has no colon after the user's name")?;
            // Docker, too, drops NUL bytes that some tools append.
            return Ok(Login::of(username.to_owned(), password.trim_matches('\0').to_owned()));
        }
        let login = given(&self.username).zip(given(&self.password));
        Ok(login.and_then(|(username, password)| Login::of(username, password)))
    }
}

/// How well a key fits; greater is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fit {
    /// The length of the path after the registry.
    path: usize,
    /// Whether the key is the usual one of the registry.
    usual: bool,
}

pub(super) fn fit(key: &str, registry: &str, repository: &str, usual: &str) -> Option<Fit> {
    let name = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let (host, path) = name.unwrap_or(key).split_once('/').unwrap_or((name.unwrap_or(key), ""));
    let path = path.trim_end_matches('/');
    // The path of a URL, and the version of the protocol, do not belong to a repository's name.
    let path = if name.is_some() || matches!(path, "v1" | "v2") { "" } else { path };
    let below = repository.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let fits = canonical(host).eq_ignore_ascii_case(canonical(registry)) && (path.is_empty() || below);
    fits.then_some(Fit { path: path.len(), usual: key == usual })
}

/// One name for each registry; Docker Hub has three.
fn canonical(registry: &str) -> &str {
    match registry {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        _ => registry,
    }
}

/// The file's bytes; `None` for a missing or blank file.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes).filter(|bytes| !bytes.trim_ascii().is_empty())),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The password for a repository, or `HELPER SERVER`.
    fn found(dockers: bool, content: &Value, registry: &str, repository: &str) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth.json");
        std::fs::write(&path, content.to_string()).unwrap();
        match (LoginFile { path, dockers }).lookup(registry, repository).unwrap() {
            Lookup::Login(Login::Password { password, .. }) => Some(password),
            Lookup::Login(Login::IdentityToken(token)) => Some(token),
            Lookup::Helper(Helper { program, server, .. }) => Some(format!("{program} {server}")),
            Lookup::None => None,
        }
    }

    fn auth(password: &str) -> Value {
        json!({ "auth": BASE64.encode(format!("u:{password}")) })
    }

    #[test]
    fn the_longest_key_that_fits_counts() {
        let content = json!({ "auths": {
            "r.example": auth("all"), "r.example/org": auth("org"), "r.example/org/team/": auth("team"),
            "r.example/organ": auth("organ"), "r.example:5000/org": auth("port"), "r.example/org/gone": {},
        } });
        for (registry, repository, password) in [
            ("r.example", "org/team/app", Some("team")),
            ("r.example", "org/team", Some("team")),
            ("r.example", "org/teams", Some("org")),
            ("r.example", "organ", Some("organ")),
            ("r.example", "other", Some("all")),
            ("r.example", "", Some("all")),
            ("R.Example", "org/x", Some("org")),
            // A login that was removed does not hide the one above it.
            ("r.example", "org/gone/x", Some("org")),
            ("r.example:5000", "org/x", Some("port")),
            ("r.example:5000", "x", None),
            ("a.r.example", "org/x", None),
        ] {
            let found = found(false, &content, registry, repository);
            assert_eq!(found.as_deref(), password, "{registry}/{repository}");
        }
    }

    #[test]
    fn keys_of_every_age_name_a_registry() {
        for key in ["r.example", "r.example/", "https://r.example", "http://r.example/v2/", "r.example/v1/"] {
            let content = json!({ "auths": { key: auth("p") } });
            assert_eq!(found(true, &content, "r.example", "a/b").as_deref(), Some("p"), "{key}");
        }
        for key in [
            "docker.io",
            "index.docker.io",
            "registry-1.docker.io",
            "https://index.docker.io/v1/",
            "https://index.docker.io/v1",
            "docker.io/library",
        ] {
            let content = json!({ "auths": { key: auth("p") } });
            for dockers in [true, false] {
                assert_eq!(
                    found(dockers, &content, "docker.io", "library/python").as_deref(),
                    Some("p"),
                    "{key}"
                );
            }
        }
        let both = json!({ "auths": {
            "https://index.docker.io/v1/": auth("docker"), "docker.io": auth("podman"),
            "https://index.docker.io/v1/access-token": auth("token"),
        } });
        assert_eq!(found(true, &both, "docker.io", "a/b").as_deref(), Some("docker"));
        assert_eq!(found(false, &both, "docker.io", "a/b").as_deref(), Some("podman"));
    }

    #[test]
    fn helpers_are_asked_for_the_key_that_fits() {
        let content = json!({
            "auths": { "r.example": auth("stored"), "other.example": auth("other"), "empty.example": {} },
            "credHelpers": { "r.example": "all", "r.example/org/": "org", "off.example": "", "https://url.example": "url" },
            "credsStore": "store",
        });
        for (registry, repository, expected) in [
            ("r.example", "x", "docker-credential-all r.example"),
            ("r.example", "org/x", "docker-credential-org r.example/org"),
            ("url.example", "x", "docker-credential-url url.example"),
            ("other.example", "x", "other"),
            ("empty.example", "x", "docker-credential-store empty.example"),
            ("off.example", "x", "docker-credential-store off.example"),
            ("docker.io", "library/x", "docker-credential-store https://index.docker.io/v1/"),
        ] {
            assert_eq!(found(true, &content, registry, repository).as_deref(), Some(expected), "{registry}");
        }
        let podmans = found(false, &content, "docker.io", "library/x");
        assert_eq!(podmans.as_deref(), Some("docker-credential-store docker.io"));
    }

    #[test]
    fn every_form_of_a_login_is_read() {
        for (login, expected) in [
            (json!({ "auth": "dTpwOnE=" }), Some("p:q")),
            (json!({ "auth": "dTpwOnE" }), Some("p:q")),
            (json!({ "auth": BASE64.encode("u:p\0\0") }), Some("p")),
            (json!({ "auth": "dTpw", "username": "v", "password": "w" }), Some("p")),
            (json!({ "auth": "dTpw", "identitytoken": "t" }), Some("t")),
            (json!({ "auth": "dTpw", "identitytoken": "" }), Some("p")),
            (json!({ "username": "u", "password": "p", "email": "e" }), Some("p")),
            (json!({ "auth": "" }), None),
            (json!({ "auth": BASE64.encode(":p") }), None),
            (json!(null), None),
        ] {
            let content = json!({ "auths": { "r.example": login }, "HttpHeaders": { "x": "y" } });
            assert_eq!(found(true, &content, "r.example", "a").as_deref(), expected, "{content}");
        }
        for content in [json!({}), json!({ "auths": null, "credHelpers": null, "credsStore": null })] {
            assert_eq!(found(true, &content, "r.example", "a"), None);
        }
    }
}
