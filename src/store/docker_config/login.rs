//! A login, before it becomes a credential.

use crate::store::credentials::Credential;

/// A login in a file, or from a helper.
#[derive(Debug, PartialEq)]
pub(super) enum Login {
    Password { username: String, password: String },
    IdentityToken(String),
}

impl Login {
    /// The login of a user; `None` for an empty name. Helpers give identity tokens with a special name.
    pub(super) fn of(username: String, password: String) -> Option<Login> {
        match username.as_str() {
            "" => None,
            "<token>" => Some(Login::IdentityToken(password)),
            _ => Some(Login::Password { username, password }),
        }
    }
}

impl From<Login> for Credential {
    fn from(login: Login) -> Credential {
        match login {
            Login::Password { username, password } => {
                Credential::Password { username, password: password.into() }
            }
            Login::IdentityToken(token) => Credential::IdentityToken(token.into()),
        }
    }
}
