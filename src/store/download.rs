//! Downloads into the cache: several files at once, each verified against its digest and size.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use futures_util::StreamExt;
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode, Url};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use super::cache::{BlobFile, Cache};
use super::credentials::Secret;
use super::http::{Clients, Retry, passing_status, read_refusal, retry_after, sent, watched};
use super::lock::lock;
use super::stream::PIECE;
use crate::error::{Error, Result};
use crate::event::Events;
use crate::image::Digest;

/// Number of concurrent downloads. The servers of wheels accept many connections; more than this do not increase the
/// throughput of a connection to the internet.
const AT_ONCE: usize = 8;
const REDIRECTS: usize = 10;

/// The time for which a large file is downloaded before the next large file is requested. On a fast network the
/// file is complete by then, and is unpacked while the others arrive; on a slow network the delay does not matter.
const HEAD_START: Duration = Duration::from_millis(50);

/// Files of fewer bytes get no head start.
const LARGE: u64 = 1 << 20;

/// A login for a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: Secret,
}

/// The logins for all servers.
pub(crate) trait Logins: Send + Sync {
    /// The login for a URL; called again for the URL of each redirect.
    fn at(&self, url: &Url) -> Option<Login>;
}

/// No login for any server.
pub(crate) struct NoLogins;

impl Logins for NoLogins {
    fn at(&self, _: &Url) -> Option<Login> {
        None
    }
}

/// A file to fetch.
pub(crate) struct Download<'a> {
    /// `https:`, `http:` or `file:`.
    pub(crate) url: &'a str,
    /// Its name in messages.
    pub(crate) file: &'a str,
    /// Its digest, if known beforehand.
    pub(crate) sha256: Option<Digest>,
    /// Its size in bytes, if known beforehand.
    pub(crate) size: Option<u64>,
    pub(crate) logins: &'a dyn Logins,
}

/// Fetches files. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Downloads {
    cache: Cache,
    clients: Clients,
    events: Events,
    slots: Arc<Semaphore>,
    /// Downloads in progress, by URL: a second caller waits, and then finds the file in the cache.
    busy: Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>,
    /// Held by a large file for its [`HEAD_START`].
    first: Arc<tokio::sync::Mutex<()>>,
}

impl Downloads {
    pub(crate) fn new(cache: Cache, events: Events) -> Downloads {
        Downloads {
            cache,
            clients: Clients::default(),
            events,
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            busy: Arc::default(),
            first: Arc::default(),
        }
    }

    /// The file: at its own path if it is on this machine, else from the cache, else downloaded into the cache.
    ///
    /// # Errors
    /// When it cannot be fetched, or does not match its digest and size.
    pub(crate) async fn fetch(&self, wanted: &Download<'_>) -> Result<BlobFile> {
        let url = address(wanted)?;
        if let Some(path) = local(&url, wanted)? {
            return checked(path, wanted.sha256).await;
        }
        let turn = {
            let mut busy = lock(&self.busy);
            busy.entry(url.to_string()).or_default().clone()
        };
        let _turn = turn.lock().await;
        if let Some(held) = self.wanted(wanted).await? {
            return Ok(held);
        }
        let _slot = self.slots.acquire().await.map_err(|_| Error::Interrupted)?;
        let mut whole = pin!(self.whole(&url, wanted));
        if wanted.size.is_some_and(|size| size >= LARGE) {
            let _first = self.first.lock().await;
            if let Ok(done) = tokio::time::timeout(HEAD_START, &mut whole).await {
                return done;
            }
        }
        whole.await
    }

    async fn whole(&self, url: &Url, wanted: &Download<'_>) -> Result<BlobFile> {
        let mut retry = Retry::new(self.events.clone());
        loop {
            let response = self.ask(Method::GET, url, wanted, &mut retry).await?;
            match self.receive(response, wanted).await {
                Err(error) => retry.after(error).await?,
                done => return done,
            }
        }
    }

    /// The file's size in bytes, if possible without downloading the file.
    ///
    /// # Errors
    /// When the server does not report the size.
    pub(crate) async fn size(&self, wanted: &Download<'_>) -> Result<u64> {
        let url = address(wanted)?;
        if let Some(path) = local(&url, wanted)? {
            let found = std::fs::metadata(&path).map_err(|source| Error::Read { path, source })?;
            return Ok(found.len());
        }
        if let Some(held) = self.wanted(wanted).await? {
            return Ok(held.size);
        }
        let slot = self.slots.acquire().await.map_err(|_| Error::Interrupted)?;
        let mut retry = Retry::new(self.events.clone());
        // A server refuses HEAD for a URL that is signed for GET.
        for method in [Method::HEAD, Method::GET] {
            let last = method == Method::GET;
            match self.ask(method, &url, wanted, &mut retry).await {
                Ok(response) => {
                    let header = response.headers().get(CONTENT_LENGTH);
                    let length = header.and_then(|value| value.to_str().ok()?.parse().ok());
                    if let Some(length) = length {
                        return Ok(length);
                    }
                }
                Err(error @ Error::Download { .. }) if last => return Err(error),
                Err(Error::Download { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        drop(slot);
        Ok(self.fetch(wanted).await?.size)
    }

    async fn wanted(&self, wanted: &Download<'_>) -> Result<Option<BlobFile>> {
        match wanted.sha256 {
            Some(digest) => self.held(digest).await,
            None => Ok(None),
        }
    }

    /// The file in the cache, whose bytes have been verified.
    ///
    /// # Errors
    /// When they cannot be read for another reason than that they are gone.
    pub(crate) async fn held(&self, digest: Digest) -> Result<Option<BlobFile>> {
        let Some(held) = self.cache.held(digest) else { return Ok(None) };
        match checked(held.path, Some(digest)).await {
            Ok(blob) => Ok(Some(blob)),
            Err(Error::CorruptFile { expected, .. }) => {
                self.cache.evict(expected);
                Ok(None)
            }
            // The next attempt replaces a file that cannot be read, or that is gone.
            Err(Error::Read { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends the request until it succeeds or fails permanently.
    async fn ask(
        &self,
        method: Method,
        url: &Url,
        wanted: &Download<'_>,
        retry: &mut Retry,
    ) -> Result<Response> {
        loop {
            let began = Instant::now();
            let response = match self.follow(&method, url, wanted, retry.limit()).await {
                Ok(response) => response,
                Err(error) => {
                    retry.after(error).await?;
                    continue;
                }
            };
            let status = response.status();
            if status == StatusCode::OK {
                return Ok(response);
            }
            let (waited, asked) = (began.elapsed(), retry_after(&response));
            let answer = Box::new(read_refusal(response).await);
            let error = Error::Download { file: wanted.file.to_owned(), answer };
            match passing_status(status.as_u16()) {
                true => retry.refused(error, waited, asked).await?,
                false => return Err(error),
            }
        }
    }

    /// Follows redirects, and waits for each answer at most for the time `limit`. Each URL gets the login of its own
    /// server only.
    async fn follow(
        &self,
        method: &Method,
        url: &Url,
        wanted: &Download<'_>,
        limit: Duration,
    ) -> Result<Response> {
        let operation = format!("fetch {}", wanted.file);
        let mut url = url.clone();
        for _ in 0..REDIRECTS {
            // The client would send them as a second header. Neither call can fail for a URL with a host.
            let _ = (url.set_username(""), url.set_password(None));
            let host = authority(&url);
            let mut request = self.clients.at(&url)?.request(method.clone(), url.clone());
            // The digest is over the stored bytes, so the server must not compress them for the transfer.
            request = request.header(ACCEPT_ENCODING, "identity");
            if let Some(value) = wanted.logins.at(&url).and_then(|login| basic(&login)) {
                request = request.header(AUTHORIZATION, value);
            }
            let response = sent(request, limit, &operation, &host).await?;
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let next = location.and_then(|location| url.join(location).ok());
            let Some(next) = next.filter(|_| response.status().is_redirection()) else { return Ok(response) };
            if url.scheme() == "https" && next.scheme() != "https" {
                return Err(Error::Protocol { operation, host, fault: "redirects from HTTPS to plain HTTP" });
            }
            url = next;
        }
        Err(Error::Protocol { operation, host: authority(&url), fault: "redirects in circles" })
    }

    async fn receive(&self, response: Response, wanted: &Download<'_>) -> Result<BlobFile> {
        let host = authority(response.url());
        let mut staged = self.cache.stage()?;
        let mut file = tokio::fs::File::from_std(staged.handle()?);
        let mut pieces = watched(response, format!("fetch {}", wanted.file), host);
        let (mut hash, mut size) = (Sha256::new(), 0_u64);
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            hash.update(&piece);
            size += piece.len() as u64;
            if wanted.size.is_some_and(|expected| size > expected) {
                break;
            }
            file.write_all(&piece).await.map_err(|source| staged.failure(source))?;
        }
        file.flush().await.map_err(|source| staged.failure(source))?;
        let got = Digest::from_bytes(hash.finalize().into());
        let expected = wanted.sha256.unwrap_or(got);
        if got != expected || wanted.size.is_some_and(|expected| size != expected) {
            let (what, got_size) = (wanted.file.to_owned(), size);
            return Err(Error::Corrupt { what, expected, size: wanted.size.unwrap_or(size), got, got_size });
        }
        debug_assert_eq!(staged.position().ok(), Some(size));
        self.cache.keep_file(staged, got, size)
    }
}

fn address(wanted: &Download<'_>) -> Result<Url> {
    let fail = |fault| Error::Address { file: wanted.file.to_owned(), fault };
    let url = Url::parse(wanted.url).map_err(|_| fail("its URL cannot be parsed"))?;
    match url.scheme() {
        "https" | "http" | "file" => Ok(url),
        _ => Err(fail("its URL is not https, http or file")),
    }
}

fn local(url: &Url, wanted: &Download<'_>) -> Result<Option<PathBuf>> {
    if url.scheme() != "file" {
        return Ok(None);
    }
    let fault = "its URL does not name a file of this machine";
    url.to_file_path().map(Some).map_err(|()| Error::Address { file: wanted.file.to_owned(), fault })
}

/// Verifies an existing file against its digest, if known beforehand.
async fn checked(path: PathBuf, sha256: Option<Digest>) -> Result<BlobFile> {
    let (got, size) = digest_of(&path).await?;
    match sha256 {
        Some(expected) if expected != got => Err(Error::CorruptFile { path, expected, got }),
        _ => Ok(BlobFile { path, digest: got, size }),
    }
}

/// The digest and the size of a file.
async fn digest_of(path: &Path) -> Result<(Digest, u64)> {
    let fail = |source| Error::Read { path: path.to_owned(), source };
    let mut file = tokio::fs::File::open(path).await.map_err(fail)?;
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut buffer = vec![0; PIECE];
    loop {
        match file.read(&mut buffer).await.map_err(fail)? {
            0 => return Ok((Digest::from_bytes(hash.finalize().into()), size)),
            read => {
                hash.update(&buffer[..read]);
                size += read as u64;
            }
        }
    }
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"))
}

fn basic(login: &Login) -> Option<HeaderValue> {
    let pair = format!("{}:{}", login.username, login.password.expose());
    let text = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    let mut value = HeaderValue::from_str(&text).ok()?;
    // Keeps the value out of the client's debug output and of HTTP/2's compression tables.
    value.set_sensitive(true);
    Some(value)
}
