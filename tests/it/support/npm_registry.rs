//! A registry of Node packages on loopback: lists of versions and tarballs, made from the files of the test.

use super::http::{Request, Response, Server};
use super::image_builder::{Tar, gzip};
use super::lbuild::Lbuild;
use super::part;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha512};
use std::sync::{Arc, Mutex};

/// A version of a package.
#[derive(Clone)]
pub struct NpmPackage {
    /// Its package.json, with name and version.
    package: Value,
    tarball: Vec<u8>,
}

impl NpmPackage {
    /// A package whose package.json has `more`. A name that ends in `*` is that of a program.
    pub fn new(name: &str, version: &str, more: &Value, files: &[(&str, &[u8])]) -> NpmPackage {
        let mut package = json!({ "name": name, "version": version });
        let fields = more.as_object().expect("an object");
        package.as_object_mut().expect("an object").extend(fields.clone());
        let tar = Tar::new().file("package/package.json", 0o644, package.to_string());
        let tar = files.iter().fold(tar, |tar, (path, content)| {
            let mode = if path.ends_with('*') { 0o755 } else { 0o644 };
            tar.file(&format!("package/{}", path.trim_end_matches('*')), mode, content)
        });
        NpmPackage { package, tarball: gzip(&tar.bytes()) }
    }

    fn name(&self) -> &str {
        self.package["name"].as_str().expect("set")
    }

    fn version(&self) -> &str {
        self.package["version"].as_str().expect("set")
    }

    /// The name of the tarball, which is that of case `06-node-npm-ci` as well.
    fn file(&self) -> String {
        format!("{}-{}.tgz", self.name().rsplit('/').next().expect("a name"), self.version())
    }
}

/// Stops when dropped.
pub struct NpmRegistry {
    server: Server,
    asked: Arc<Mutex<Vec<String>>>,
}

impl NpmRegistry {
    pub fn of(packages: Vec<NpmPackage>) -> NpmRegistry {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = asked.clone();
        let server = Server::start("127.0.0.1", move |request| {
            log.lock().expect("no panic").push(request.target.clone());
            answer(&packages, &request)
        });
        NpmRegistry { server, asked }
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.server.address)
    }

    /// The requests since the last call.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("no panic"))
    }

    /// A user whose npm has this registry in place of any other.
    pub fn user(&self) -> Lbuild {
        let mut lbuild = Lbuild::new();
        for (name, value) in self.variables(&lbuild.text("npm-cache")) {
            lbuild.set(name, &value);
        }
        lbuild
    }

    /// The variables of an npm with this cache.
    pub fn variables(&self, cache: &str) -> [(&'static str, String); 5] {
        [
            ("PATH", format!("{}:/usr/bin:/bin", part("npm/bin").display())),
            ("NPM_CONFIG_REGISTRY", self.url()),
            ("NPM_CONFIG_REPLACE_REGISTRY_HOST", "always".to_owned()),
            ("NPM_CONFIG_CACHE", cache.to_owned()),
            ("NPM_CONFIG_LOGS_MAX", "0".to_owned()),
        ]
    }
}

fn answer(packages: &[NpmPackage], request: &Request) -> Response {
    let path = request.target.trim_start_matches('/').replace("%2f", "/").replace("%2F", "/");
    let found = path.split('?').next().unwrap_or_default();
    let file = found.rsplit('/').next().unwrap_or_default();
    if let Some(package) = packages.iter().find(|package| package.file() == file) {
        return Response { status: 200, body: package.tarball.clone() };
    }
    let host = request.header("host").unwrap_or_default();
    let mut versions = Map::new();
    for package in packages.iter().filter(|package| package.name() == found) {
        let mut entry = package.package.clone();
        let sum = BASE64_STANDARD.encode(Sha512::digest(&package.tarball));
        entry["dist"] = json!({
            "tarball": format!("http://{host}/{}/-/{}", package.name(), package.file()),
            "integrity": format!("sha512-{sum}"),
        });
        versions.insert(package.version().to_owned(), entry);
    }
    match versions.keys().next_back().cloned() {
        None => Response { status: 404, body: b"{}".to_vec() },
        Some(latest) => {
            let list = json!({ "name": found, "dist-tags": { "latest": latest }, "versions": versions });
            Response { status: 200, body: list.to_string().into_bytes() }
        }
    }
}
