//! A package index on loopback for pip, uv and lbuild: the simple API of PEP 503 (HTML) and PEP 691 (JSON) over a
//! directory of wheels and sdists, with hashes, sizes, Requires-Python and metadata files of wheels (PEP 658).
//!
//! A proxy in front of it logs requests and injects faults by script.

use super::part;
use super::proxy::listen::{Body, ConnectionClosed, Listener, full};
use super::proxy::{Proxy, ProxyRequest, Rule};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use hyper::{Request, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Differences from the default index, which needs no login and implements all these PEPs.
#[derive(Clone, Debug, Default)]
pub struct IndexBehaviour {
    /// User and password; a request without them is answered with 401.
    pub login: Option<(String, String)>,
    /// Only PEP 503: always HTML, and no metadata files.
    pub html_only: bool,
    /// Lists have no hashes.
    pub unhashed: bool,
    /// Files are on another host, which needs no login and refuses requests with one.
    pub files_on_other_host: bool,
}

/// Stops when dropped.
pub struct Index {
    behaviour: IndexBehaviour,
    proxy: Proxy,
    /// The proxy of the files, if they are on another host.
    file_proxy: Option<Proxy>,
    _servers: Vec<Listener>,
}

impl Index {
    /// Starts an index of the part `packages`, without a login.
    pub fn start() -> Index {
        Index::with(IndexBehaviour::default())
    }

    pub fn with(behaviour: IndexBehaviour) -> Index {
        Index::of(&part("packages/index"), behaviour)
    }

    pub fn with_login(user: &str, password: &str) -> Index {
        Index::with(IndexBehaviour {
            login: Some((user.to_owned(), password.to_owned())),
            ..IndexBehaviour::default()
        })
    }

    /// Starts an index of the files that are in `directory` at the time of a request.
    pub fn of(directory: &Path, behaviour: IndexBehaviour) -> Index {
        let mut servers = Vec::new();
        let mut serve = |server: IndexServer| {
            let server = Arc::new(server);
            let listener = Listener::start(move |request: Request<Incoming>, _| {
                let response = server.answer(&request);
                async move { Ok::<_, ConnectionClosed>(response) }
            });
            let proxy = Proxy::to(&listener.addr().to_string());
            servers.push(listener);
            proxy
        };
        let server = |behaviour, base: String, login_policy| {
            let sums = Mutex::default();
            IndexServer { directory: directory.to_owned(), behaviour, base, login_policy, sums }
        };
        let file_proxy = behaviour.files_on_other_host.then(|| {
            let open = IndexBehaviour { login: None, ..behaviour.clone() };
            serve(server(open, String::new(), LoginPolicy::RefusesLogins))
        });
        let base = file_proxy.as_ref().map_or("../..".to_owned(), |files| format!("http://{}", files.host()));
        let proxy = serve(server(behaviour.clone(), base, LoginPolicy::Open));
        Index { behaviour, proxy, file_proxy, _servers: servers }
    }

    /// The value of `--index-url`, without the login.
    pub fn url(&self) -> String {
        format!("http://{}/simple/", self.proxy.host())
    }

    /// Like [`url`](Self::url), with the login if the index requires one.
    pub fn url_with_login(&self) -> String {
        let login = self.behaviour.login.as_ref();
        let login = login.map(|(user, password)| format!("{user}:{password}@")).unwrap_or_default();
        format!("http://{login}{}/simple/", self.proxy.host())
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> String {
        self.proxy.host()
    }

    /// Sets the faults for later requests: `Rule::on("GET", "/files/numpy", Fault::CutBody { at: 9 })`.
    pub fn set_script(&self, rules: impl IntoIterator<Item = Rule>) {
        self.files().set_script(rules);
    }

    /// The proxy of the files.
    pub fn files(&self) -> &Proxy {
        self.file_proxy.as_ref().unwrap_or(&self.proxy)
    }

    /// Requests for lists, and for files unless they are on another host.
    pub fn log(&self) -> Vec<ProxyRequest> {
        self.proxy.seen()
    }

    /// The names of the files (without metadata) that were served, in order, from either host.
    pub fn fetched(&self) -> Vec<String> {
        let given =
            |seen: &ProxyRequest| seen.method == "GET" && seen.status.is_some_and(|status| status < 300);
        let seen = self.files().seen().into_iter().filter(given);
        let names = seen.filter_map(|seen| Some(seen.target.strip_prefix("/files/")?.to_owned()));
        names.filter(|name| !name.ends_with(".metadata")).collect()
    }

    /// Total bytes of response bodies, for lists and files.
    pub fn received(&self) -> u64 {
        self.proxy.traffic().received + self.file_proxy.as_ref().map_or(0, |files| files.traffic().received)
    }

    /// Clears the log.
    pub fn clear(&self) {
        self.proxy.clear();
        self.files().clear();
    }
}

#[derive(Clone, Copy, PartialEq)]
enum LoginPolicy {
    Open,
    RefusesLogins,
}

struct IndexServer {
    directory: PathBuf,
    behaviour: IndexBehaviour,
    /// The URL before `/files/…` in a list.
    base: String,
    login_policy: LoginPolicy,
    /// The sha256 of each file that was listed.
    sums: Mutex<BTreeMap<PathBuf, String>>,
}

/// The entry of a file in a list.
struct IndexFile {
    name: String,
    size: u64,
    sha256: String,
    requires_python: Option<String>,
    metadata_sha256: Option<String>,
}

impl IndexServer {
    fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        let (headers, path) = (request.headers(), request.uri().path());
        if self.login_policy == LoginPolicy::RefusesLogins && headers.contains_key(header::AUTHORIZATION) {
            return plain(400, "logins are refused here");
        }
        if !self.admits(headers) {
            let mut response = plain(401, "a login is required");
            let challenge = header::HeaderValue::from_static("Basic realm=\"packages\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            return response;
        }
        let found = match path.strip_prefix("/files/") {
            Some(name) => self.file(name, headers),
            None => path.strip_prefix("/simple/").and_then(|rest| {
                let json = !self.behaviour.html_only && accepts_json(headers);
                if rest.is_empty() {
                    Some(self.projects(json))
                } else {
                    self.project(rest.strip_suffix('/')?, json)
                }
            }),
        };
        found.unwrap_or_else(|| plain(404, "not found"))
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some((user, password)) = &self.behaviour.login else { return true };
        let wanted = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
        headers.get(header::AUTHORIZATION).is_some_and(|given| *given == *wanted)
    }

    /// A file, or the bytes of it in the requested range.
    fn file(&self, name: &str, headers: &HeaderMap) -> Option<Response<Body>> {
        if name.contains('/') || (self.behaviour.html_only && name.ends_with(".metadata")) {
            return None;
        }
        let bytes = std::fs::read(self.directory.join(name)).ok()?;
        let response = Response::builder()
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::ACCEPT_RANGES, "bytes");
        let range = headers.get(header::RANGE).and_then(|value| range(value.to_str().ok()?, bytes.len()));
        let response = match range {
            None => response.body(full(bytes)),
            Some((from, to)) => {
                let part = bytes[from..to].to_vec();
                let place = format!("bytes {from}-{}/{}", to - 1, bytes.len());
                response.status(206).header(header::CONTENT_RANGE, place).body(full(part))
            }
        };
        Some(response.expect("a well-formed response"))
    }

    fn projects(&self, json: bool) -> Response<Body> {
        let mut names: Vec<String> = self.names().iter().map(|name| project_of(name)).collect();
        names.sort();
        names.dedup();
        if json {
            let projects: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
            return listing_json(&json!({ "meta": { "api-version": "1.1" }, "projects": projects }));
        }
        listing_html(names.iter().map(|name| format!("<a href=\"{name}/\">{name}</a>")))
    }

    /// According to the specification, a project is found only by its normalised name.
    fn project(&self, project: &str, json: bool) -> Option<Response<Body>> {
        let names = self.names().into_iter().filter(|name| project_of(name) == project);
        let files: Vec<IndexFile> = names.map(|name| self.listed(name)).collect();
        if files.is_empty() {
            return None;
        }
        if json {
            let mut versions: Vec<&str> = files.iter().map(|file| version_of(&file.name)).collect();
            versions.sort();
            versions.dedup();
            let files: Vec<Value> = files.iter().map(|file| self.entry(file)).collect();
            let meta = json!({ "api-version": "1.1" });
            let list = json!({ "meta": meta, "name": project, "versions": versions, "files": files });
            return Some(listing_json(&list));
        }
        Some(listing_html(files.iter().map(|file| self.anchor(file))))
    }

    fn entry(&self, file: &IndexFile) -> Value {
        let url = format!("{}/files/{}", self.base, file.name);
        let mut entry = json!({ "filename": file.name, "url": url, "size": file.size, "hashes": {} });
        if !self.behaviour.unhashed {
            entry["hashes"] = json!({ "sha256": file.sha256 });
        }
        if let Some(requires) = &file.requires_python {
            entry["requires-python"] = json!(requires);
        }
        if let Some(sum) = &file.metadata_sha256 {
            entry["core-metadata"] = json!({ "sha256": sum });
        }
        entry
    }

    fn anchor(&self, file: &IndexFile) -> String {
        let mut tag = format!("<a href=\"{}/files/{}", self.base, file.name);
        if !self.behaviour.unhashed {
            tag += &format!("#sha256={}", file.sha256);
        }
        tag.push('"');
        if let Some(requires) = &file.requires_python {
            let escaped = requires.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            tag += &format!(" data-requires-python=\"{escaped}\"");
        }
        if let Some(sum) = file.metadata_sha256.as_ref().filter(|_| !self.behaviour.html_only) {
            tag += &format!(" data-core-metadata=\"sha256={sum}\"");
        }
        format!("{tag}>{}</a>", file.name)
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.directory).expect("an index has a directory");
        let names = entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned());
        let mut names: Vec<_> =
            names.filter(|name| name.ends_with(".whl") || name.ends_with(".tar.gz")).collect();
        names.sort();
        names
    }

    fn listed(&self, name: String) -> IndexFile {
        let path = self.directory.join(&name);
        let beside = self.directory.join(format!("{name}.metadata"));
        let text = std::fs::read_to_string(&beside).ok();
        let requires = |text: &String| {
            let mut lines = text.lines().take_while(|line| !line.is_empty());
            lines.find_map(|line| Some(line.strip_prefix("Requires-Python:")?.trim().to_owned()))
        };
        IndexFile {
            size: std::fs::metadata(&path).expect("just listed").len(),
            sha256: self.sum(&path),
            requires_python: text.as_ref().and_then(requires),
            metadata_sha256: text.is_some().then(|| self.sum(&beside)),
            name,
        }
    }

    fn sum(&self, path: &Path) -> String {
        let mut sums = self.sums.lock().expect("no panic holds it");
        let sum = sums.entry(path.to_owned()).or_insert_with(|| {
            let bytes = std::fs::read(path).expect("just listed");
            Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
        });
        sum.clone()
    }
}

const JSON: &str = "application/vnd.pypi.simple.v1+json";

fn accepts_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.into_iter().any(|value| value.contains(JSON))
}

fn listing_json(list: &Value) -> Response<Body> {
    let response = Response::builder().header(header::CONTENT_TYPE, JSON);
    response.body(full(list.to_string())).expect("a well-formed response")
}

fn listing_html(anchors: impl Iterator<Item = String>) -> Response<Body> {
    let anchors: Vec<String> = anchors.map(|anchor| format!("    {anchor}<br/>\n")).collect();
    let meta = "<meta name=\"pypi:repository-version\" content=\"1.1\">";
    let text = format!(
        "<!DOCTYPE html>\n<html>\n  <head>{meta}</head>\n  <body>\n{}  </body>\n</html>\n",
        anchors.concat()
    );
    let response = Response::builder().header(header::CONTENT_TYPE, "text/html; charset=utf-8");
    response.body(full(text)).expect("a well-formed response")
}

fn plain(status: u16, text: &'static str) -> Response<Body> {
    Response::builder().status(status).body(full(text)).expect("a well-formed response")
}

/// The normalised name of the project that a file belongs to.
fn project_of(file: &str) -> String {
    let name = file.split('-').next().unwrap_or_default();
    name.to_lowercase().replace(['_', '.'], "-")
}

fn version_of(file: &str) -> &str {
    let version = file.split('-').nth(1).unwrap_or_default();
    version.strip_suffix(".tar.gz").unwrap_or(version)
}

/// `bytes=a-b`, `bytes=a-` or `bytes=-n` as a half-open range within `length`.
fn range(value: &str, length: usize) -> Option<(usize, usize)> {
    let (from, to) = value.strip_prefix("bytes=")?.split_once('-')?;
    let (from, to) = match (from, to) {
        ("", last) => (length.saturating_sub(last.parse().ok()?), length),
        (from, "") => (from.parse().ok()?, length),
        (from, to) => (from.parse().ok()?, to.parse::<usize>().ok()?.saturating_add(1).min(length)),
    };
    (from < to).then_some((from, to))
}
