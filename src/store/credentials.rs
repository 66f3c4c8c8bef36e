//! Credentials for registries: the trait, its types, and a password from the caller.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::error::Result;
use crate::image::Reference;

/// A text that no message, log or event can show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the wire.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A credential for a registry or its token service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A user's name and password, or a cloud's substitute for them.
    Password {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A refresh token, as `docker login` stores it for some registries.
    IdentityToken(Secret),
}

/// The future that [`Credentials`] return.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A source of credentials: a file, a cloud, a caller's own vault.
pub trait Credentials: Send + Sync {
    /// The credential for `registry` (host, and port when it is named), or `None` to leave it to the next source.
    ///
    /// Asked when a registry demands one: once for a registry that takes passwords, once for each repository
    /// of one that takes tokens; and again with `renew` when the registry has refused the former credential.
    ///
    /// # Errors
    /// When there should be a credential but it cannot be obtained.
    fn get<'a>(&'a self, registry: &'a str, renew: bool) -> Later<'a, Result<Option<Credential>>>;

    /// The source for messages: `from Docker's configuration`.
    fn describe(&self) -> String;

    /// Those of `tags` that can never name another image of `repository` than they name now, as far as the
    /// source knows: a cloud's API may know more of its repositories than the registry's protocol gives.
    ///
    /// Asked before anything is sent to a repository that has an image under one of the tags.
    fn immutable_tags<'a>(&'a self, repository: &'a Reference, tags: &'a [String]) -> Later<'a, Vec<String>> {
        let _ = (repository, tags);
        Box::pin(async { Vec::new() })
    }
}

/// One password for one registry, as given on a command line.
#[derive(Clone, Debug)]
pub struct Password {
    /// The registry; no other one gets the password.
    pub registry: String,
    /// The user.
    pub username: String,
    /// The password.
    pub password: Secret,
}

impl Credentials for Password {
    fn get<'a>(&'a self, registry: &'a str, _renew: bool) -> Later<'a, Result<Option<Credential>>> {
        let credential = (registry == self.registry).then(|| Credential::Password {
            username: self.username.clone(),
            password: self.password.clone(),
        });
        Box::pin(async move { Ok(credential) })
    }

    fn describe(&self) -> String {
        "from the caller".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let credential =
            Credential::Password { username: "AWS".into(), password: Secret::from("hunter2".to_owned()) };
        assert!(!format!("{credential:?}").contains("hunter2"));
    }

    #[tokio::test]
    async fn a_password_is_for_its_registry_only() {
        let password = Password {
            registry: "a.example".into(),
            username: "u".into(),
            password: Secret::from("p".to_owned()),
        };
        assert!(password.get("a.example", false).await.unwrap().is_some());
        assert!(password.get("b.example", false).await.unwrap().is_none());
    }
}
