//! The challenge of a 401 response.

use http_auth::ChallengeParser;
use reqwest::header::WWW_AUTHENTICATE;
use reqwest::{Response, Url};

use crate::error::{Error, Result};

/// The kind of credential that a registry demands.
#[derive(Clone)]
pub(super) enum Challenge {
    /// A user's name and password.
    Basic,
    /// A token from the service at `realm`.
    Bearer { realm: Url, service: Option<String> },
}

/// Parses the challenge of a refusal that came from `url`.
pub(super) fn challenge(refusal: &Response, url: &Url, host: &str, operation: &str) -> Result<Challenge> {
    let fail = |fault| Error::Protocol { operation: operation.to_owned(), host: host.to_owned(), fault };
    let headers = refusal.headers().get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let challenges = headers.flat_map(ChallengeParser::new).filter_map(|challenge| challenge.ok());
    let mut basic = false;
    for challenge in challenges {
        let param = |name: &str| {
            let (_, value) = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
            Some(value.to_unescaped())
        };
        if challenge.scheme.eq_ignore_ascii_case("bearer") {
            let realm = param("realm").and_then(|realm| url.join(&realm).ok());
            let realm = realm.ok_or_else(|| fail("does not name a token service in its challenge"))?;
            // The service gets the password, so it must not use plain HTTP if the registry used HTTPS.
            if url.scheme() == "https" && realm.scheme() != "https" {
                return Err(fail("names a token service on plain HTTP"));
            }
            return Ok(Challenge::Bearer { realm, service: param("service") });
        }
        basic |= challenge.scheme.eq_ignore_ascii_case("basic");
    }
    if basic { Ok(Challenge::Basic) } else { Err(fail("answered 401 without a challenge that lbuild knows")) }
}
