//! The transport of all registries: scheme, authorization, redirects, retries.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, HeaderValue, LOCATION};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use tokio::sync::Semaphore;

use super::addresses::Addresses;
use super::auth::{Auth, Exchange};
use super::call::Call;
use super::request::{Answer, Request};
use crate::error::{Error, Result};
use crate::event::Events;
use crate::image::Reference;
use crate::store::credentials::Credentials;
use crate::store::http::{
    Clients, Patience, Retry, answered, passing_status, read_refusal, refusal, retry_after, sent, stalled,
};
use crate::store::lock::lock;

/// ECR drops connections when it is sent more than about four blobs at once.
const UPLOADS_PER_HOST: usize = 4;

pub(super) struct Transport {
    clients: Clients,
    auth: Auth,
    pub(super) addresses: Addresses,
    uploads: Mutex<HashMap<String, Arc<Semaphore>>>,
    events: Events,
}

impl Transport {
    pub(super) fn new(
        credentials: Vec<Arc<dyn Credentials>>,
        addresses: Addresses,
        events: Events,
    ) -> Result<Transport> {
        let clients = Clients::default();
        Ok(Transport {
            auth: Auth::new(clients.clone(), credentials, events.clone()),
            clients,
            addresses,
            uploads: Mutex::default(),
            events,
        })
    }

    /// Sends the request until it succeeds or fails permanently. Returns a success, a 404, or, unless the request is a
    /// GET, a redirect; every other response is an error.
    pub(super) async fn send(&self, request: &Request) -> Result<Response> {
        let sent = self.attempts(request).await;
        sent.map_err(|error| self.addresses.named(error, &request.host))
    }

    /// Sends the request once. A refused grant is not renewed.
    pub(super) async fn send_once(&self, request: &Request) -> Result<Response> {
        let grant = self.auth.grant(&exchange(request)).await?;
        let answer = self.once(request, grant).await?;
        let accepted = self.accepted(answer, request, true).await?;
        // A grant is only renewed if it was not `renewed`.
        accepted.ok_or(Error::Interrupted)
    }

    async fn attempts(&self, request: &Request) -> Result<Response> {
        let mut retry = self.retry(&request.patience);
        let mut renewed = false;
        loop {
            // A token service has had its attempts when it fails.
            let grant = self.auth.grant(&exchange(request)).await?;
            let began = Instant::now();
            let answer = match self.once(request, grant).await {
                Ok(answer) => answer,
                Err(error) => {
                    retry.after(error).await?;
                    continue;
                }
            };
            match self.accepted(answer, request, renewed).await? {
                None => renewed = true,
                Some(response) if passing_status(response.status().as_u16()) => {
                    let (waited, asked) = (began.elapsed(), retry_after(&response));
                    let error = refusal(response, request.operation.clone()).await;
                    retry.refused(error, waited, asked).await?;
                }
                Some(response) => return Ok(response),
            }
        }
    }

    /// The response; `None` if it demanded a grant or a newer grant. This method has obtained it then, and the caller
    /// sends the request again.
    ///
    /// # Errors
    /// A refusal for any other reason, or of a grant that was just `renewed`.
    pub(super) async fn accepted(
        &self,
        answer: Answer,
        request: &Request,
        renewed: bool,
    ) -> Result<Option<Response>> {
        let Request { host, operation, .. } = request;
        let status = answer.response.status();
        let url = self.addresses.url(host, &request.path, operation)?;
        // The server that a redirect leads to may refuse, but must not get the registry's password.
        let own = answer.response.url().origin() == url.origin();
        if status == StatusCode::UNAUTHORIZED && own && renewed {
            let said = read_refusal(answer.response).await.message;
            return Err(self.auth.refused(&exchange(request), &said).await);
        }
        if status == StatusCode::UNAUTHORIZED && own {
            let reached = |realm| self.addresses.reached(realm, host);
            self.auth.challenged(&answer, &url, reached, &exchange(request)).await?;
            return Ok(None);
        }
        if !status.is_client_error() || is_for_caller(status) {
            return Ok(Some(answer.response));
        }
        let mut refusal = read_refusal(answer.response).await;
        // For an expired token ECR answers 403 and ECR Public 400, both without a challenge. The answer to a HEAD has
        // no body that would give the reason.
        let silent = request.call == Call::FindBlob && matches!(refusal.status, 400 | 403);
        if let Some(grant) = answer.grant.filter(|_| own && !renewed && (silent || ran_out(&refusal.message)))
        {
            self.auth.expired(&grant, &exchange(request)).await?;
            return Ok(None);
        }
        if own {
            refusal.missing = request.missing_permission(&refusal);
        }
        let error = Error::Registry { operation: operation.clone(), answer: Box::new(refusal) };
        Err(self.addresses.named(error, host))
    }

    /// Sends the request once to this URL.
    pub(super) async fn once_at(
        &self,
        url: Url,
        request: &Request,
        grant: Option<HeaderValue>,
    ) -> Result<Answer> {
        let client = self.clients.at(&url)?;
        let mut builder = client.request(request.call.method(), url).headers(request.headers.clone());
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        if let Some(grant) = &grant {
            builder = builder.header(AUTHORIZATION, grant);
        }
        let response = self.answer(builder, request).await?;
        Ok(Answer { response: self.follow(response, request).await?, grant })
    }

    async fn answer(&self, builder: RequestBuilder, request: &Request) -> Result<Response> {
        sent(builder, request.patience.limit(), &request.operation, &request.host).await
    }

    /// Follows the redirects of a GET, because registries keep blobs on other servers. These servers do not get the
    /// registry's grant.
    async fn follow(&self, mut response: Response, request: &Request) -> Result<Response> {
        let fail = |fault| {
            let (operation, host) = (request.operation.clone(), request.host.clone());
            Error::Protocol { operation, host, fault }
        };
        for _ in 0..10 {
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let next = location.and_then(|location| response.url().join(location).ok());
            let Some(next) =
                next.filter(|_| response.status().is_redirection() && request.call.method() == Method::GET)
            else {
                return Ok(response);
            };
            if response.url().scheme() == "https" && next.scheme() != "https" {
                return Err(fail("redirects from HTTPS to plain HTTP"));
            }
            let builder = self.clients.at(&next)?.get(next).headers(request.headers.clone());
            response = self.answer(builder, request).await?;
        }
        Err(fail("redirects in circles"))
    }

    /// Sends a body that can be sent only once, to a URL from the registry. `watch` ends when it has stalled, with the
    /// time without progress.
    pub(super) async fn send_body(
        &self,
        url: Url,
        request: &Request,
        size: u64,
        body: reqwest::Body,
        watch: impl Future<Output = Duration>,
    ) -> Result<Answer> {
        let own = self.addresses.url(&request.host, "/", &request.operation)?;
        let client = self.clients.at(&url)?;
        let mut builder = client
            .request(request.call.method(), url.clone())
            .header(reqwest::header::CONTENT_LENGTH, size)
            .header(reqwest::header::CONTENT_TYPE, "application/octet-stream")
            .body(body);
        // The URL may have another host; the grant is for the registry only.
        let grant = match url.origin() == own.origin() {
            true => self.auth.grant(&exchange(request)).await?,
            false => None,
        };
        if let Some(grant) = &grant {
            builder = builder.header(AUTHORIZATION, grant);
        }
        tokio::select! {
            answer = builder.send() => {
                Ok(Answer { response: answered(answer, &request.operation, &request.host)?, grant })
            }
            after = watch => Err(stalled(&request.operation, &request.host, after)),
        }
    }

    pub(super) async fn immutable_tags(&self, repository: &Reference, tags: &[String]) -> HashSet<String> {
        self.auth.immutable_tags(repository, tags).await
    }

    /// The semaphore that limits concurrent uploads to `host`.
    pub(super) fn upload_slots(&self, host: &str) -> Arc<Semaphore> {
        let mut uploads = lock(&self.uploads);
        uploads.entry(host.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(UPLOADS_PER_HOST))).clone()
    }

    /// Whether the registry is reached over plain HTTP.
    pub(super) fn is_plain(&self, host: &str) -> bool {
        self.addresses.url(host, "/", "push").is_ok_and(|url| url.scheme() == "http")
    }

    pub(super) fn warn(&self, message: String, hint: &str) {
        self.events.warn(message, Some(hint));
    }

    /// The retries of an operation with this patience.
    pub(super) fn retry(&self, patience: &Patience) -> Retry {
        Retry::with(patience.clone(), self.events.clone())
    }
}

/// The exchange for the grant of a request.
fn exchange(request: &Request) -> Exchange<'_> {
    let Request { host, scope, operation, patience, .. } = request;
    Exchange { host, scope, operation, patience }
}

/// Whether the caller handles the status: not found, or a transient failure.
fn is_for_caller(status: StatusCode) -> bool {
    status == StatusCode::NOT_FOUND || passing_status(status.as_u16())
}

fn ran_out(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("token has expired") || message.contains("authorization token is invalid")
}
