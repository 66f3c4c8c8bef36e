//! Tokens from the [service](https://distribution.github.io/distribution/spec/auth/token/) that a challenge names.

use std::time::Instant;

use reqwest::Url;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;

use super::exchange::{Exchange, Grant, basic_value, secret_header};
use crate::error::Result;
use crate::event::Events;
use crate::store::credentials::Credential;
use crate::store::http::{
    Clients, Retry, limited_bytes, passing_status, read_refusal, refusal, retry_after, sent,
};
use crate::store::registry::scope::Scope;

/// The operation's name in messages.
const OPERATION: &str = "get a token";
/// Upper bound on the response of a token service, in bytes. Tokens have a few kilobytes.
const TOKEN_LIMIT: usize = 1 << 20;

/// A token service.
pub(super) struct TokenService<'a> {
    pub(super) clients: &'a Clients,
    pub(super) events: &'a Events,
    pub(super) realm: &'a Url,
    pub(super) service: Option<&'a str>,
}

/// The response of a token service. Both names have the same meaning, and a service may leave one empty.
#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

impl TokenAnswer {
    fn token(self) -> Option<String> {
        [self.token, self.access_token].into_iter().flatten().find(|token| !token.is_empty())
    }
}

impl TokenService<'_> {
    /// A token in exchange for `credential`, whose name in messages is `name`; `None` requests anonymous access.
    pub(super) async fn token(
        &self,
        credential: Option<&Credential>,
        name: &str,
        exchange: &Exchange<'_>,
    ) -> Result<Grant> {
        let mut retry = Retry::with(exchange.patience.clone(), self.events.clone());
        let host = self.realm.host_str().unwrap_or_default();
        let bytes = loop {
            let began = Instant::now();
            let request = self.request(credential, exchange.scope)?;
            let read = match sent(request, retry.limit(), OPERATION, host).await {
                Ok(response) if response.status().is_success() => {
                    limited_bytes(response, OPERATION, host, TOKEN_LIMIT).await
                }
                Ok(response) if passing_status(response.status().as_u16()) => {
                    let (waited, asked) = (began.elapsed(), retry_after(&response));
                    let error = refusal(response, OPERATION.to_owned()).await;
                    retry.refused(error, waited, asked).await?;
                    continue;
                }
                Ok(response) => {
                    let answer = read_refusal(response).await;
                    let reason = format!("{}, at {}", answer.message, answer.host);
                    return Err(exchange.unauthorized(name, &reason));
                }
                Err(error) => Err(error),
            };
            match read {
                Ok(bytes) => break bytes,
                Err(error) => retry.after(error).await?,
            }
        };
        let answer: Option<TokenAnswer> = serde_json::from_slice(&bytes).ok();
        let token = answer.and_then(TokenAnswer::token);
        let header = token.and_then(|token| secret_header(&format!("Bearer {token}")));
        let Some(header) = header else {
            return Err(exchange.unauthorized(name, "the token service sent no token"));
        };
        Ok(Grant { header, credential: name.to_owned() })
    }

    fn request(&self, credential: Option<&Credential>, scope: &Scope) -> Result<reqwest::RequestBuilder> {
        let client = self.clients.at(self.realm)?;
        let service = self.service.map(|service| ("service", service));
        if let Some(Credential::IdentityToken(token)) = credential {
            let scope = scope.texts().join(" ");
            let form = [
                ("grant_type", "refresh_token"),
                ("refresh_token", token.expose()),
                ("client_id", "lbuild"),
                ("scope", &scope),
            ];
            return Ok(client
                .post(self.realm.clone())
                .form(&form.into_iter().chain(service).collect::<Vec<_>>()));
        }
        let scopes = scope.texts().iter().map(|scope| ("scope", scope.as_str()));
        let request =
            client.get(self.realm.clone()).query(&service.into_iter().chain(scopes).collect::<Vec<_>>());
        Ok(match credential {
            Some(Credential::Password { username, password }) => {
                match secret_header(&basic_value(username, password.expose())) {
                    Some(header) => request.header(AUTHORIZATION, header),
                    None => request,
                }
            }
            _ => request,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;
    use crate::error::Error;
    use crate::store::http::Patience;

    #[tokio::test]
    async fn a_silent_token_service_uses_up_the_time_of_the_operation() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let realm = Url::parse(&format!("http://{}/", silent.local_addr().unwrap())).unwrap();
        let (clients, events) = (Clients::default(), Events::default());
        let service = TokenService { clients: &clients, events: &events, realm: &realm, service: None };
        let (scope, patience) = (Scope::pull("x"), Patience::default());
        patience.spend(Duration::from_millis(118_900));
        let exchange = Exchange { host: "r.example", scope: &scope, operation: "read", patience: &patience };
        let error = service.token(None, "anonymous access", &exchange).await.err().unwrap();
        assert!(matches!(error, Error::Stalled { .. }) && patience.is_spent(), "{error}");
    }

    #[test]
    fn the_name_with_a_token_counts() {
        for (answer, token) in [
            (r#"{"token":"t","access_token":"a"}"#, Some("t")),
            (r#"{"token":"","access_token":"a"}"#, Some("a")),
            (r#"{"token":null,"access_token":"a","expires_in":300}"#, Some("a")),
            (r#"{"access_token":"a"}"#, Some("a")),
            (r#"{"token":"t","access_token":""}"#, Some("t")),
            (r#"{"token":"","access_token":""}"#, None),
            ("{}", None),
        ] {
            let answer: TokenAnswer = serde_json::from_str(answer).unwrap();
            assert_eq!(answer.token().as_deref(), token);
        }
    }
}
