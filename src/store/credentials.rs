//! Credentials for registries: the trait, its types, and a password from the caller.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::error::Result;
use crate::image::Reference;

/// A text that messages, logs and events cannot show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, to be sent to a server.
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
    /// A user's name and password, or the equivalent of a cloud provider.
    Password {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A refresh token, as `docker login` stores it for some registries.
    IdentityToken(Secret),
}

/// The future that the methods of [`Credentials`] return.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A source of credentials: a file, a cloud provider, the caller's own secret store.
pub trait Credentials: Send + Sync {
    /// The credential for `registry` (host, and port if the reference has one), or `None` to defer to the next source.
    ///
    /// Called when a registry demands a credential, once per repository; and again with `renew` after the registry
    /// refused the previous credential.
    ///
    /// # Errors
    /// When a credential should exist but cannot be obtained.
    fn get<'a>(&'a self, registry: &'a str, renew: bool) -> Later<'a, Result<Option<Credential>>>;

    /// The credential for `repository` of `registry`, for a source whose credentials may be for a part of a registry.
    /// The default is the credential for the registry.
    ///
    /// # Errors
    /// Those of [`get`](Credentials::get).
    fn get_for<'a>(
        &'a self,
        registry: &'a str,
        repository: &'a str,
        renew: bool,
    ) -> Later<'a, Result<Option<Credential>>> {
        let _ = repository;
        self.get(registry, renew)
    }

    /// The name of the source in messages: `from Docker's configuration`.
    fn describe(&self) -> String;

    /// The tags among `tags` that the source reports as immutable in `repository`: the API of a cloud provider may
    /// report more about a repository than the registry's protocol.
    ///
    /// Called before anything is sent to a repository that has an image under one of the tags.
    fn immutable_tags<'a>(&'a self, repository: &'a Reference, tags: &'a [String]) -> Later<'a, Vec<String>> {
        let _ = (repository, tags);
        Box::pin(async { Vec::new() })
    }
}

/// One password for one registry, as given on a command line.
#[derive(Clone, Debug)]
pub struct Password {
    /// The registry. No other registry gets the password.
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
    fn a_secret_is_not_in_debug_output() {
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
