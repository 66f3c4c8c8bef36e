//! Who we are to a registry: its challenge, the credential for it, the token in exchange.
//!
//! A registry is asked without credentials first. When it answers 401 with a challenge, a Basic one is met
//! with the stored password, a [Bearer](https://distribution.github.io/distribution/spec/auth/token/) one
//! with a token from the service that the challenge names. Grants are kept in memory only.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use http_auth::ChallengeParser;
use reqwest::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Response, Url};
use serde::Deserialize;
use tokio::sync::Mutex as AsyncMutex;

use super::transport::Answer;
use crate::error::{Error, Result};
use crate::event::Events;
use crate::image::{EcrHost, Reference};
use crate::store::credentials::{Credential, Credentials};
use crate::store::http::{
    Clients, Retry, STALL, answer, answered, limited_bytes, lock, passing_status, retry_after,
};

/// What is asked of a repository, and perhaps of a second one. The empty one is for whatever a password opens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Scope(Vec<String>);

impl Scope {
    pub(super) fn pull(repository: &str) -> Scope {
        Scope(vec![format!("repository:{repository}:pull")])
    }

    /// A mount needs one token for both repositories.
    pub(super) fn push(repository: &str, mount_from: Option<&str>) -> Scope {
        let mount = mount_from.filter(|from| *from != repository);
        let mut scope = vec![format!("repository:{repository}:pull,push")];
        scope.extend(mount.map(|from| format!("repository:{from}:pull")));
        Scope(scope)
    }

    fn only_pulls(&self) -> bool {
        self.0.iter().all(|scope| scope.ends_with(":pull"))
    }
}

/// What a failed exchange is called.
const OPERATION: &str = "get a token";
/// Tokens are some kilobytes long at most.
const TOKEN_LIMIT: usize = 1 << 20;

pub(super) struct Auth {
    clients: Clients,
    sources: Vec<Arc<dyn Credentials>>,
    grants: Mutex<HashMap<(String, Scope), Arc<Slot>>>,
    /// What each registry demands, once it has said so: other scopes need not be refused first.
    challenges: Mutex<HashMap<String, Challenge>>,
    events: Events,
}

/// The grant for one scope; the lock lets one task fetch it while the others wait.
type Slot = AsyncMutex<Option<Grant>>;

#[derive(Clone)]
struct Grant {
    header: HeaderValue,
    /// For messages: `login of AWS from Docker's configuration`, `anonymous access`.
    credential: String,
}

#[derive(Clone)]
enum Challenge {
    Basic,
    Bearer { realm: Url, service: Option<String> },
}

/// What a token service answers; the two names mean the same.
#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

/// The party and purpose of one exchange.
pub(super) struct Call<'a> {
    pub(super) host: &'a str,
    pub(super) scope: &'a Scope,
    pub(super) operation: &'a str,
}

impl Auth {
    pub(super) fn new(clients: Clients, sources: Vec<Arc<dyn Credentials>>, events: Events) -> Auth {
        Auth { clients, sources, grants: Mutex::default(), challenges: Mutex::default(), events }
    }

    /// The `Authorization` for the scope, when one has been granted or can be had without being refused first.
    pub(super) async fn grant(
        &self,
        host: &str,
        scope: &Scope,
        operation: &str,
    ) -> Result<Option<HeaderValue>> {
        let slot = self.slot(host, scope);
        let mut held = slot.lock().await;
        if held.is_none() {
            let Some(challenge) = self.challenge_of(host) else { return Ok(None) };
            *held = Some(self.acquire(&challenge, &Call { host, scope, operation }, false).await?);
        }
        Ok(held.as_ref().map(|grant| grant.header.clone()))
    }

    /// Answers a 401: gets a grant, unless another task has got one since the refused request was made. `reached` says
    /// where the token service's address leads.
    pub(super) async fn challenged(
        &self,
        refusal: &Answer,
        url: &Url,
        reached: impl FnOnce(Url) -> Url,
        call: &Call<'_>,
    ) -> Result<()> {
        let challenge = match challenge(&refusal.response, url, call.host, call.operation)? {
            Challenge::Bearer { realm, service } => Challenge::Bearer { realm: reached(realm), service },
            Challenge::Basic => Challenge::Basic,
        };
        lock(&self.challenges).insert(call.host.to_owned(), challenge.clone());
        self.replace(&challenge, refusal.grant.as_ref(), call).await
    }

    /// Gets a grant in place of one that has run out.
    pub(super) async fn expired(
        &self,
        grant: &HeaderValue,
        host: &str,
        scope: &Scope,
        operation: &str,
    ) -> Result<()> {
        // A grant is only ever held for a registry whose challenge is known.
        let Some(challenge) = self.challenge_of(host) else { return Ok(()) };
        self.replace(&challenge, Some(grant), &Call { host, scope, operation }).await
    }

    async fn replace(&self, challenge: &Challenge, old: Option<&HeaderValue>, call: &Call<'_>) -> Result<()> {
        let slot = self.slot(call.host, call.scope);
        let mut held = slot.lock().await;
        if held.as_ref().map(|grant| &grant.header) == old {
            *held = Some(self.acquire(challenge, call, old.is_some()).await?);
        }
        Ok(())
    }

    /// The error for a registry that refuses what it was shown.
    pub(super) async fn refused(&self, host: &str, scope: &Scope, operation: &str, said: String) -> Error {
        let held = self.slot(host, scope).lock().await.clone();
        let credential = held.map_or("anonymous access".to_owned(), |grant| grant.credential);
        Error::Unauthorized {
            operation: operation.to_owned(),
            host: host.to_owned(),
            credential,
            reason: said,
        }
    }

    /// What a registry is known to demand. ECR's private ones always want a password: to know it saves the
    /// refusal that would say so.
    fn challenge_of(&self, host: &str) -> Option<Challenge> {
        let known = lock(&self.challenges).get(host).cloned();
        known.or_else(|| EcrHost::parse(host).map(|_| Challenge::Basic))
    }

    /// A password is the same for every repository, a token is for its scope alone.
    fn slot(&self, host: &str, scope: &Scope) -> Arc<Slot> {
        let scope = match self.challenge_of(host) {
            Some(Challenge::Basic) => Scope::default(),
            Some(Challenge::Bearer { .. }) | None => scope.clone(),
        };
        lock(&self.grants).entry((host.to_owned(), scope)).or_default().clone()
    }

    /// Which of the tags can move no more, as far as the sources of credentials know.
    pub(super) async fn immutable_tags(&self, repository: &Reference, tags: &[String]) -> HashSet<String> {
        let mut immutable = HashSet::new();
        for source in &self.sources {
            immutable.extend(source.immutable_tags(repository, tags).await);
        }
        immutable
    }

    async fn acquire(&self, challenge: &Challenge, call: &Call<'_>, renew: bool) -> Result<Grant> {
        let found = match self.credential(call.host, renew).await {
            // What is public can be had without the credential that cannot. Who asks for a password gives nothing
            // without.
            Err(error) if call.scope.only_pulls() && matches!(challenge, Challenge::Bearer { .. }) => {
                self.events
                    .warn(format!("{}; going on without", error.with_causes()), error.hint().as_deref());
                None
            }
            found => found?,
        };
        match challenge {
            Challenge::Basic => basic(found, call),
            Challenge::Bearer { realm, service } => self.bearer(realm, service.as_deref(), found, call).await,
        }
    }

    async fn credential(&self, host: &str, renew: bool) -> Result<Option<(Credential, String)>> {
        let mut failure = None;
        for source in &self.sources {
            let credential = match source.get(host, renew).await {
                Ok(Some(credential)) => credential,
                Ok(None) => continue,
                // Another source may do.
                Err(error) => {
                    failure.get_or_insert(error);
                    continue;
                }
            };
            let name = match &credential {
                Credential::Password { username, .. } => format!("login of `{username}`"),
                Credential::IdentityToken(_) => "identity token".to_owned(),
            };
            let name = format!("{name} {}", source.describe());
            if let Some(error) = failure.filter(|error| !matches!(error, Error::NoAwsCredentials { .. })) {
                let message = format!("{}; going on with the {name}", error.with_causes());
                self.events.warn(message, error.hint().as_deref());
            }
            return Ok(Some((credential, name)));
        }
        failure.map_or(Ok(None), Err)
    }

    async fn bearer(
        &self,
        realm: &Url,
        service: Option<&str>,
        found: Option<(Credential, String)>,
        call: &Call<'_>,
    ) -> Result<Grant> {
        let Some((credential, name)) = found else {
            return self.token(realm, service, None, "anonymous access", call).await;
        };
        match self.token(realm, service, Some(&credential), &name, call).await {
            // A login that has gone stale must not stand in the way of a public image.
            Err(Error::Unauthorized { reason, .. }) if call.scope.only_pulls() => {
                let grant = self.token(realm, service, None, "anonymous access", call).await;
                if grant.is_ok() {
                    let host = call.host;
                    let message = format!("{host} refused the {name} ({reason}); going on without it");
                    self.events.warn(message, Some("log in again, or remove the login"));
                }
                grant
            }
            grant => grant,
        }
    }

    async fn token(
        &self,
        realm: &Url,
        service: Option<&str>,
        credential: Option<&Credential>,
        name: &str,
        call: &Call<'_>,
    ) -> Result<Grant> {
        let mut retry = Retry::new(self.events.clone());
        let host = realm.host_str().unwrap_or_default();
        let bytes = loop {
            let sent = self.token_request(realm, service, credential, call)?.send();
            let read = match answered(tokio::time::timeout(STALL, sent).await, OPERATION, host) {
                Ok(response) if response.status().is_success() => {
                    limited_bytes(response, OPERATION, host, TOKEN_LIMIT).await
                }
                Ok(response) if passing_status(response.status().as_u16()) => {
                    let asked = retry_after(&response);
                    retry.pause(super::refusal(response, OPERATION.to_owned()).await, asked).await?;
                    continue;
                }
                Ok(response) => {
                    let answer = answer::read(response).await;
                    let reason = format!("{}, at {}", answer.message, answer.host);
                    return Err(unauthorized(call, name, &reason));
                }
                Err(error) => Err(error),
            };
            match read {
                Ok(bytes) => break bytes,
                Err(error) => retry.after(error).await?,
            }
        };
        let answer: Option<TokenAnswer> = serde_json::from_slice(&bytes).ok();
        let token = answer.and_then(|answer| answer.token.or(answer.access_token));
        let header = token.and_then(|token| secret_header(&format!("Bearer {token}")));
        let Some(header) = header else {
            return Err(unauthorized(call, name, "its token service gave no token"));
        };
        Ok(Grant { header, credential: name.to_owned() })
    }

    fn token_request(
        &self,
        realm: &Url,
        service: Option<&str>,
        credential: Option<&Credential>,
        call: &Call<'_>,
    ) -> Result<reqwest::RequestBuilder> {
        let client = self.clients.at(realm)?;
        let service = service.map(|service| ("service", service));
        if let Some(Credential::IdentityToken(token)) = credential {
            let scope = call.scope.0.join(" ");
            let form = [
                ("grant_type", "refresh_token"),
                ("refresh_token", token.expose()),
                ("client_id", "lbuild"),
                ("scope", &scope),
            ];
            return Ok(client.post(realm.clone()).form(&form.into_iter().chain(service).collect::<Vec<_>>()));
        }
        let scopes = call.scope.0.iter().map(|scope| ("scope", scope.as_str()));
        let request = client.get(realm.clone()).query(&service.into_iter().chain(scopes).collect::<Vec<_>>());
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

fn basic(found: Option<(Credential, String)>, call: &Call<'_>) -> Result<Grant> {
    match found {
        Some((Credential::Password { username, password }, name)) => {
            let header = secret_header(&basic_value(&username, password.expose()));
            let header = header.ok_or_else(|| unauthorized(call, &name, "not a text that HTTP can carry"))?;
            Ok(Grant { header, credential: name })
        }
        Some((Credential::IdentityToken(_), name)) => {
            Err(unauthorized(call, &name, "it takes passwords only"))
        }
        None => Err(unauthorized(call, "anonymous access", "it wants a login")),
    }
}

fn basic_value(username: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}")))
}

fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    // Keeps it out of the client's own debug output and of HTTP/2's compression tables.
    value.set_sensitive(true);
    Some(value)
}

fn unauthorized(call: &Call<'_>, credential: &str, reason: &str) -> Error {
    Error::Unauthorized {
        operation: call.operation.to_owned(),
        host: call.host.to_owned(),
        credential: credential.to_owned(),
        reason: reason.to_owned(),
    }
}

fn challenge(refusal: &Response, url: &Url, host: &str, operation: &str) -> Result<Challenge> {
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
            let realm = realm.ok_or_else(|| fail("names no token service in its challenge"))?;
            // The service is shown the password: it must not go in the open where the registry's answer did not.
            if url.scheme() == "https" && realm.scheme() != "https" {
                return Err(fail("names a token service on plain HTTP"));
            }
            return Ok(Challenge::Bearer { realm, service: param("service") });
        }
        basic |= challenge.scheme.eq_ignore_ascii_case("basic");
    }
    if basic { Ok(Challenge::Basic) } else { Err(fail("answered 401 with no challenge that lbuild knows")) }
}
