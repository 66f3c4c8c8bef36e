//! Authorization: a registry's challenge, the credential for it, and the token in exchange for the credential.
//!
//! The first request to a registry has no credentials. If the registry answers 401, its challenge decides: for Basic,
//! the stored password is sent; for [Bearer](https://distribution.github.io/distribution/spec/auth/token/), a token of
//! the service that the challenge names. Grants are kept in memory only.

mod challenge;
mod exchange;
mod token;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use reqwest::Url;
use reqwest::header::HeaderValue;
use tokio::sync::Mutex as AsyncMutex;

use self::challenge::{Challenge, challenge};
pub(super) use self::exchange::Exchange;
use self::exchange::{Grant, basic};
use self::token::TokenService;
use super::request::Answer;
use super::scope::Scope;
use crate::error::{Error, Result};
use crate::event::Events;
use crate::image::{EcrHost, Reference};
use crate::store::credentials::{Credential, Credentials};
use crate::store::http::Clients;
use crate::store::lock::lock;

/// The name in messages for a grant without a credential.
const ANONYMOUS: &str = "anonymous access";

pub(super) struct Auth {
    clients: Clients,
    sources: Vec<Arc<dyn Credentials>>,
    grants: Mutex<HashMap<(String, Scope), Arc<Slot>>>,
    /// The challenge of each registry that sent one. With it, requests for other scopes are not refused first.
    challenges: Mutex<HashMap<String, Challenge>>,
    events: Events,
}

/// The grant for one scope. With the lock, one task fetches it while the others wait.
type Slot = AsyncMutex<Option<Grant>>;

impl Auth {
    pub(super) fn new(clients: Clients, sources: Vec<Arc<dyn Credentials>>, events: Events) -> Auth {
        Auth { clients, sources, grants: Mutex::default(), challenges: Mutex::default(), events }
    }

    /// The `Authorization` for the scope, if one is held or can be obtained without a refusal first.
    pub(super) async fn grant(&self, exchange: &Exchange<'_>) -> Result<Option<HeaderValue>> {
        let slot = self.slot(exchange.host, exchange.scope);
        let mut held = slot.lock().await;
        if held.is_none() {
            let Some(challenge) = self.challenge_of(exchange.host) else { return Ok(None) };
            *held = Some(self.acquire(&challenge, exchange, false).await?);
        }
        Ok(held.as_ref().map(|grant| grant.header.clone()))
    }

    /// Handles a 401: gets a grant, unless another task got one after the refused request was sent. `reached` maps the
    /// URL of the token service to its endpoint.
    pub(super) async fn challenged(
        &self,
        refusal: &Answer,
        url: &Url,
        reached: impl FnOnce(Url) -> Url,
        exchange: &Exchange<'_>,
    ) -> Result<()> {
        let challenge = match challenge(&refusal.response, url, exchange.host, exchange.operation)? {
            Challenge::Bearer { realm, service } => Challenge::Bearer { realm: reached(realm), service },
            Challenge::Basic => Challenge::Basic,
        };
        lock(&self.challenges).insert(exchange.host.to_owned(), challenge.clone());
        self.replace(&challenge, refusal.grant.as_ref(), exchange).await
    }

    /// Gets a grant in place of an expired grant.
    pub(super) async fn expired(&self, grant: &HeaderValue, exchange: &Exchange<'_>) -> Result<()> {
        // Grants are held only for registries whose challenge is known.
        let Some(challenge) = self.challenge_of(exchange.host) else { return Ok(()) };
        self.replace(&challenge, Some(grant), exchange).await
    }

    async fn replace(
        &self,
        challenge: &Challenge,
        old: Option<&HeaderValue>,
        exchange: &Exchange<'_>,
    ) -> Result<()> {
        let slot = self.slot(exchange.host, exchange.scope);
        let mut held = slot.lock().await;
        if held.as_ref().map(|grant| &grant.header) == old {
            *held = Some(self.acquire(challenge, exchange, old.is_some()).await?);
        }
        Ok(())
    }

    /// The error for a registry that refuses the grant.
    pub(super) async fn refused(&self, exchange: &Exchange<'_>, said: &str) -> Error {
        let held = self.slot(exchange.host, exchange.scope).lock().await.clone();
        let credential = held.map_or(ANONYMOUS.to_owned(), |grant| grant.credential);
        exchange.unauthorized(&credential, said)
    }

    /// The known challenge of a registry. ECR's private registries always demand a password, so the first request,
    /// which would be refused, is omitted.
    fn challenge_of(&self, host: &str) -> Option<Challenge> {
        let known = lock(&self.challenges).get(host).cloned();
        known.or_else(|| EcrHost::parse(host).map(|_| Challenge::Basic))
    }

    /// The slot of a grant: a password is valid for every action on a repository, a token for its scope only. A source may
    /// have other passwords for other repositories.
    fn slot(&self, host: &str, scope: &Scope) -> Arc<Slot> {
        let scope = match self.challenge_of(host) {
            Some(Challenge::Basic) => scope.of_password(),
            Some(Challenge::Bearer { .. }) | None => scope.clone(),
        };
        lock(&self.grants).entry((host.to_owned(), scope)).or_default().clone()
    }

    /// The immutable tags among `tags`, as far as the sources of credentials report them.
    pub(super) async fn immutable_tags(&self, repository: &Reference, tags: &[String]) -> HashSet<String> {
        let mut immutable = HashSet::new();
        for source in &self.sources {
            immutable.extend(source.immutable_tags(repository, tags).await);
        }
        immutable
    }

    async fn acquire(&self, challenge: &Challenge, exchange: &Exchange<'_>, renew: bool) -> Result<Grant> {
        let found = match self.credential(exchange, renew).await {
            // A token service may grant anonymous access to a public image; a registry that demands a password does
            // not.
            Err(error) if exchange.scope.only_pulls() && matches!(challenge, Challenge::Bearer { .. }) => {
                self.events.warn(
                    format!("{}; continuing without credentials", error.with_causes()),
                    error.hint().as_deref(),
                );
                None
            }
            found => found?,
        };
        match challenge {
            Challenge::Basic => basic(found, exchange),
            Challenge::Bearer { realm, service } => {
                self.bearer(realm, service.as_deref(), found, exchange).await
            }
        }
    }

    async fn credential(
        &self,
        Exchange { host, scope, .. }: &Exchange<'_>,
        renew: bool,
    ) -> Result<Option<(Credential, String)>> {
        let mut failure = None;
        for source in &self.sources {
            let credential = match source.get_for(host, scope.repository(), renew).await {
                Ok(Some(credential)) => credential,
                Ok(None) => continue,
                // Another source may have a credential.
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
                let message = format!("{}; continuing with the {name}", error.with_causes());
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
        exchange: &Exchange<'_>,
    ) -> Result<Grant> {
        let service = TokenService { clients: &self.clients, events: &self.events, realm, service };
        let Some((credential, name)) = found else {
            return service.token(None, ANONYMOUS, exchange).await;
        };
        match service.token(Some(&credential), &name, exchange).await {
            // An expired login must not prevent pulling a public image.
            Err(Error::Unauthorized { reason, .. }) if exchange.scope.only_pulls() => {
                let grant = service.token(None, ANONYMOUS, exchange).await;
                if grant.is_ok() {
                    let host = exchange.host;
                    let message = format!("{host} refused the {name} ({reason}); continuing without it");
                    self.events.warn(message, Some("log in again, or remove the login"));
                }
                grant
            }
            grant => grant,
        }
    }
}
