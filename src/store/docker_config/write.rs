//! Stores logins, as `docker login` does.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use base64::Engine as _;
use rustix::fs::FlockOperation;
use serde_json::{Map, Value, json};

use super::DockerConfigIn;
use super::login_file::{BASE64, read};
use crate::error::{Error, Result};
use crate::store::credentials::Credentials;
use crate::store::{Password, staged};

impl DockerConfigIn {
    /// Stores a login: with the credential helper that the file names for the registry, else in the file itself, which then
    /// only its owner can read. Its other keys are kept.
    ///
    /// # Errors
    /// When the file cannot be read or written, or the helper fails.
    pub async fn log_in(&self, login: &Password) -> Result<()> {
        let Password { registry, username, password } = login;
        let (helper, key) = self.keeper(registry)?;
        let stored = match &helper {
            Some(helper) => {
                let text = json!({ "ServerURL": key, "Username": username, "Secret": password.expose() });
                helper.tell("store", &text.to_string()).await?;
                json!({})
            }
            None => json!({ "auth": BASE64.encode(format!("{username}:{}", password.expose())) }),
        };
        self.change(registry, |auths| drop(auths.insert(key, stored)))
    }

    /// Removes the login for a registry. Returns whether there was one.
    ///
    /// # Errors
    /// When the file cannot be read or written, or the helper fails.
    pub async fn log_out(&self, registry: &str) -> Result<bool> {
        let (helper, key) = self.keeper(registry)?;
        if let Some(helper) = helper {
            helper.tell("erase", &key).await?;
        }
        let mut was_there = false;
        // Under each key by which Docker finds it.
        let keys = [key.clone(), format!("https://{key}"), format!("http://{key}")];
        self.change(registry, |auths| {
            was_there = keys.iter().filter(|key| auths.remove(*key).is_some()).count() > 0;
        })?;
        Ok(was_there)
    }

    fn keeper(&self, registry: &str) -> Result<(Option<super::helper::Helper>, String)> {
        self.file().keeper(registry).map_err(|fault| self.fault(registry, &fault))
    }

    /// Changes the logins in the file, if the change makes a difference.
    fn change(&self, registry: &str, change: impl FnOnce(&mut Map<String, Value>)) -> Result<()> {
        let path = self.dir.join("config.json");
        let _locked = locked(&self.dir)?;
        let bytes = read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let old: Option<Value> = match bytes {
            Some(bytes) => Some(
                serde_json::from_slice(&bytes).map_err(|error| self.fault(registry, &error.to_string()))?,
            ),
            None => None,
        };
        let mut content = old.clone().unwrap_or_else(|| json!({}));
        let fault = || self.fault(registry, "not a configuration of Docker or Podman");
        let auths = content.as_object_mut().ok_or_else(fault)?.entry("auths").or_insert_with(|| json!({}));
        if auths.is_null() {
            *auths = json!({});
        }
        change(auths.as_object_mut().ok_or_else(fault)?);
        if old.as_ref() == Some(&content) {
            return Ok(());
        }
        private(&path, format!("{content:#}\n").as_bytes())
    }

    fn fault(&self, registry: &str, fault: &str) -> Error {
        let (registry, from) = (registry.to_owned(), self.describe());
        Error::Credentials { registry, from, reason: fault.to_owned() }
    }
}

/// Locks the directory, which is made for its owner only, until the returned value is dropped: another login at the same
/// time would be lost.
fn locked(dir: &Path) -> Result<fs::File> {
    let fail = |source: io::Error| Error::Write { path: dir.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(fail)?;
    let opened = fs::File::open(dir).map_err(fail)?;
    // A file system without locks is no reason to refuse a login.
    let _ = rustix::io::retry_on_intr(|| rustix::fs::flock(&opened, FlockOperation::LockExclusive));
    Ok(opened)
}

/// Replaces a file, which only its owner can read.
fn private(path: &Path, bytes: &[u8]) -> Result<()> {
    let fail = |source: io::Error| Error::Write { path: path.to_owned(), source };
    // A link, as dotfiles often are, keeps leading to the file.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut new = staged::Staged::new_in(target.parent().unwrap_or(Path::new(".")))?;
    let file = new.handle()?;
    file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(fail)?;
    new.write_all(bytes).map_err(fail)?;
    new.replace(&target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(registry: &str, password: &str) -> Password {
        let password = password.to_owned().into();
        Password { registry: registry.to_owned(), username: "u".to_owned(), password }
    }

    #[tokio::test]
    async fn a_login_is_kept_beside_the_other_keys_until_a_logout() {
        let dir = tempfile::tempdir().unwrap();
        let (config, path) =
            (DockerConfigIn { dir: dir.path().join("new") }, dir.path().join("new/config.json"));
        config.log_in(&password("r.example", "one")).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut content: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        content["HttpHeaders"] = json!({ "X": "y" });
        fs::write(&path, content.to_string()).unwrap();
        config.log_in(&password("docker.io", "two")).await.unwrap();
        for registry in ["r.example", "docker.io"] {
            assert!(config.get(registry, false).await.unwrap().is_some(), "{registry}");
        }
        assert!(config.log_out("docker.io").await.unwrap());
        assert!(!config.log_out("docker.io").await.unwrap());
        let content: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(
            content,
            json!({ "HttpHeaders": { "X": "y" }, "auths": { "r.example": { "auth": "dTpvbmU=" } } })
        );
    }

    #[tokio::test]
    async fn a_file_that_is_no_configuration_stays() {
        let dir = tempfile::tempdir().unwrap();
        let config = DockerConfigIn { dir: dir.path().to_owned() };
        for text in ["[]", "{", r#"{"auths": ["s3cret"]}"#] {
            fs::write(dir.path().join("config.json"), text).unwrap();
            let error = config.log_in(&password("r.example", "s3cret")).await.unwrap_err().to_string();
            assert!(error.contains("config.json") && !error.contains("s3cret"), "{error}");
            assert_eq!(fs::read_to_string(dir.path().join("config.json")).unwrap(), text);
        }
    }
}
