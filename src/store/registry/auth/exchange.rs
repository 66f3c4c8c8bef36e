//! Grants, and the exchange of a credential for one.

use base64::Engine as _;
use reqwest::header::HeaderValue;

use crate::error::{Error, Result};
use crate::store::credentials::Credential;
use crate::store::http::Patience;
use crate::store::registry::scope::Scope;

/// The registry and purpose of one exchange.
pub(in crate::store::registry) struct Exchange<'a> {
    pub(in crate::store::registry) host: &'a str,
    pub(in crate::store::registry) scope: &'a Scope,
    pub(in crate::store::registry) operation: &'a str,
    /// The time that the operation may wait in vain. The token service and the registry share it.
    pub(in crate::store::registry) patience: &'a Patience,
}

/// The `Authorization` for one scope.
#[derive(Clone)]
pub(super) struct Grant {
    pub(super) header: HeaderValue,
    /// The name in messages: ``login of `AWS` from Docker's configuration``, `anonymous access`.
    pub(super) credential: String,
}

impl Exchange<'_> {
    /// The error for a refused credential.
    pub(super) fn unauthorized(&self, credential: &str, reason: &str) -> Error {
        Error::Unauthorized {
            operation: self.operation.to_owned(),
            host: self.host.to_owned(),
            credential: credential.to_owned(),
            reason: reason.to_owned(),
        }
    }
}

/// The grant of a login, which is the same for every scope.
pub(super) fn basic(found: Option<(Credential, String)>, exchange: &Exchange<'_>) -> Result<Grant> {
    match found {
        Some((Credential::Password { username, password }, name)) => {
            let header = secret_header(&basic_value(&username, password.expose()));
            let header =
                header.ok_or_else(|| exchange.unauthorized(&name, "it is not a valid HTTP header value"))?;
            Ok(Grant { header, credential: name })
        }
        Some((Credential::IdentityToken(_), name)) => {
            Err(exchange.unauthorized(&name, "the registry accepts passwords only"))
        }
        None => Err(exchange.unauthorized("anonymous access", "the registry requires a login")),
    }
}

pub(super) fn basic_value(username: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}")))
}

/// A header value that stays out of the client's debug output and of HTTP/2's compression tables.
pub(super) fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
