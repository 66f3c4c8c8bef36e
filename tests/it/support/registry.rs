//! The real registry of Debian's docker-registry package, with each kind of login, TLS and redirect.

use super::http::{Request, Response, Server};
use super::token_service::{ISSUER, SERVICE, TokenService};
use super::{KillOnDrop, part, run, tool};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode<'a> {
    Plain,
    Basic {
        user: &'a str,
        password: &'a str,
    },
    Tls,
    /// Anonymous clients may pull; the login may do everything.
    Bearer {
        user: &'a str,
        password: &'a str,
    },
    /// Basic, with blobs on another host, which refuses requests with a login.
    Redirect {
        user: &'a str,
        password: &'a str,
    },
}

/// A running registry. When it is dropped, the process ends and the storage is removed.
pub struct Registry {
    port: u16,
    login: Option<(String, String)>,
    tls: bool,
    token: Option<TokenService>,
    blobs: Option<BlobHost>,
    _process: KillOnDrop,
    dir: TempDir,
}

/// One line of the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogEntry {
    pub method: String,
    /// With its query.
    pub path: String,
    pub status: u16,
    pub bytes_sent: u64,
    pub user_agent: String,
}

impl AccessLogEntry {
    /// Whether the request is part of the upload of a blob.
    pub fn is_blob_upload(&self) -> bool {
        self.path.contains("/blobs/uploads/") && ["POST", "PATCH", "PUT"].contains(&self.method.as_str())
    }

    pub fn is_manifest_put(&self) -> bool {
        self.path.contains("/manifests/") && self.method == "PUT"
    }
}

impl Registry {
    pub fn start(mode: Mode) -> Registry {
        let dir = tempfile::Builder::new().prefix("registry-").tempdir().expect("a temporary directory");
        std::fs::create_dir(dir.path().join("storage")).expect("writable");
        let login = match mode {
            Mode::Plain | Mode::Tls => None,
            Mode::Basic { user, password }
            | Mode::Bearer { user, password }
            | Mode::Redirect { user, password } => Some((user.to_owned(), password.to_owned())),
        };
        let token = match mode {
            Mode::Bearer { user, password } => Some(TokenService::start(user, password)),
            _ => None,
        };
        let blobs =
            matches!(mode, Mode::Redirect { .. }).then(|| BlobHost::start(&dir.path().join("storage")));
        let config = configuration(mode, dir.path(), token.as_ref(), blobs.as_ref());
        std::fs::write(dir.path().join("config.yml"), config).expect("writable");

        let log = dir.path().join("log");
        let arguments = [Path::new("serve"), &dir.path().join("config.yml")];
        let process = KillOnDrop::spawn(&tool("docker-registry"), &arguments, &log);
        let port = wait_for_port(&log);
        Registry { port, login, tls: mode == Mode::Tls, token, blobs, _process: process, dir }
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn login(&self) -> Option<(&str, &str)> {
        self.login.as_ref().map(|(user, password)| (user.as_str(), password.as_str()))
    }

    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The certificate that a client must trust in mode `Tls`.
    pub fn ca_path(&self) -> PathBuf {
        part("ca").join("ca.crt")
    }

    /// The token service of mode `Bearer`.
    pub fn token_service(&self) -> &TokenService {
        self.token.as_ref().expect("only a bearer registry has a token service")
    }

    /// The other host of mode `Redirect`.
    pub fn blob_host(&self) -> &BlobHost {
        self.blobs.as_ref().expect("only a redirecting registry has a blob host")
    }

    /// The directory that holds `docker/registry/v2`.
    pub fn storage(&self) -> PathBuf {
        self.dir.path().join("storage")
    }

    /// The digest and the text of the manifest that a tag names.
    pub fn manifest(&self, repository: &str, tag: &str) -> (String, String) {
        let read = |path: String| {
            let file = self.storage().join("docker/registry/v2").join(path);
            std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        };
        let digest = read(format!("repositories/{repository}/_manifests/tags/{tag}/current/link"));
        let hex = digest.strip_prefix("sha256:").expect("a digest");
        let manifest = read(format!("blobs/sha256/{}/{hex}/data", &hex[..2]));
        (digest, manifest)
    }

    /// Every request so far. The registry writes a line shortly after its answer, so this waits until the log is stable.
    pub fn log(&self) -> Vec<AccessLogEntry> {
        let read = || std::fs::read_to_string(self.dir.path().join("log")).expect("the registry has a log");
        let mut text = read();
        loop {
            std::thread::sleep(Duration::from_millis(30));
            let now = read();
            if now == text {
                return text.lines().filter_map(access).collect();
            }
            text = now;
        }
    }

    /// The number of requests so far, for `log_since`.
    pub fn mark(&self) -> usize {
        self.log().len()
    }

    pub fn log_since(&self, mark: usize) -> Vec<AccessLogEntry> {
        self.log().split_off(mark)
    }
}

fn configuration(mode: Mode, dir: &Path, token: Option<&TokenService>, blobs: Option<&BlobHost>) -> String {
    let ca = part("ca");
    let storage = dir.join("storage");
    let mut text = format!(
        "version: 0.1\nlog: {{level: info}}\nstorage:\n  filesystem: {{rootdirectory: {storage:?}}}\n  delete: {{enabled: true}}\n"
    );
    text += "http:\n  addr: 127.0.0.1:0\n";
    if mode == Mode::Tls {
        text += &format!(
            "  tls: {{certificate: {:?}, key: {:?}}}\n",
            ca.join("server.pem"),
            ca.join("server-key.pem")
        );
    }
    if let Mode::Basic { user, password } | Mode::Redirect { user, password } = mode {
        let file = dir.join("htpasswd");
        let line = run(Command::new(tool("htpasswd")).args(["-nbB", "-C", "4", user, password]));
        std::fs::write(&file, line.expect("htpasswd hashes")).expect("writable");
        text += &format!("auth:\n  htpasswd: {{realm: test, path: {file:?}}}\n");
    }
    if let Some(token) = token {
        let (url, roots) = (token.url(), ca.join("token.pem"));
        text += &format!(
            "auth:\n  token: {{realm: {url:?}, service: {SERVICE:?}, issuer: {ISSUER:?}, rootcertbundle: {roots:?}}}\n"
        );
    }
    if let Some(blobs) = blobs {
        let url = blobs.url();
        text +=
            &format!("middleware:\n  storage:\n    - {{name: redirect, options: {{baseurl: {url:?}}}}}\n");
    }
    text
}

fn wait_for_port(log: &Path) -> u16 {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let after = text.split_once("listening on 127.0.0.1:").map(|(_, after)| after);
        let digits =
            after.and_then(|after| after.split_once(|c: char| !c.is_ascii_digit())).map(|(digits, _)| digits);
        if let Some(port) = digits.and_then(|digits| digits.parse().ok()) {
            return port;
        }
        assert!(Instant::now() < deadline, "docker-registry does not start:\n{text}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// `127.0.0.1 - - [date] "GET /v2/ HTTP/1.1" 200 2 "" "skopeo/1.9.3"`; other lines are not accesses.
fn access(line: &str) -> Option<AccessLogEntry> {
    let mut quoted = line.split_once("] \"")?.1.split('"');
    let (request, numbers) = (quoted.next()?, quoted.next()?);
    let mut words = request.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut numbers = numbers.split_whitespace();
    let (status, bytes_sent) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    Some(AccessLogEntry {
        method,
        path,
        status,
        bytes_sent,
        user_agent: quoted.nth(2).unwrap_or_default().to_owned(),
    })
}

/// The host to which a redirecting registry redirects requests for blobs. Like an object store, it refuses a request
/// with a login in addition to the one in the URL.
pub struct BlobHost {
    server: Server,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl BlobHost {
    fn start(storage: &Path) -> BlobHost {
        let (storage, requests) = (storage.to_owned(), Arc::new(Mutex::new(Vec::new())));
        let seen = requests.clone();
        // not 127.0.0.1: some clients treat another port as the same host
        let server = Server::start("127.0.0.2", move |request| {
            seen.lock().expect("no panic holds it").push(request.clone());
            if request.header("authorization").is_some() {
                return Response { status: 400, body: b"only one authorisation may be given".to_vec() };
            }
            let path = request.target.split('?').next().unwrap_or_default().trim_start_matches('/');
            match std::fs::read(storage.join(path)) {
                Ok(body) => Response { status: 200, body },
                Err(_) => Response { status: 404, body: Vec::new() },
            }
        });
        BlobHost { server, requests }
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic holds it").clone()
    }

    /// The number of requests with a login, which was not meant for this host.
    pub fn leaked_logins(&self) -> usize {
        self.requests().iter().filter(|request| request.header("authorization").is_some()).count()
    }
}
