//! Generated wheels, and servers for them.

use super::http::{Request, Response, Server};
use super::{digest, run, tool};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// A directory of wheels.
pub struct Wheelhouse(TempDir);

impl Wheelhouse {
    pub fn new() -> Wheelhouse {
        let dir = tempfile::Builder::new().prefix("wheels-").tempdir().expect("a temporary directory");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/wheelhouse.py");
        run(Command::new(tool("python3")).arg(script).arg(dir.path())).expect("the wheels are made");
        Wheelhouse(dir)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn wheel(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The sha256 of a wheel in hexadecimal.
    pub fn sha256(&self, name: &str) -> String {
        digest(&self.wheel(name)).trim_start_matches("sha256:").to_owned()
    }

    /// An entry of a `pylock.toml` for one wheel; `place` is its location, such as `url = '…'`.
    pub fn locked(&self, file: &str, place: &str) -> String {
        let name = file.split('-').next().expect("a wheel's name");
        let hash = self.sha256(file);
        format!("[[packages]]\nname = '{name}'\nwheels = [{{ {place}, hashes = {{ sha256 = '{hash}' }} }}]\n")
    }

    /// Serves the wheels on a loopback address, and logs the requests.
    pub fn serve(&self, ip: &str) -> WheelServer {
        let (dir, seen) = (self.0.path().to_owned(), Arc::new(Mutex::new(Vec::new())));
        let asked = seen.clone();
        let server = Server::start(ip, move |request: Request| {
            let name = request.target.rsplit('/').next().unwrap_or_default().to_owned();
            asked.lock().expect("no panic").push(request);
            match std::fs::read(dir.join(name)) {
                Ok(body) => Response { status: 200, body },
                Err(_) => Response { status: 404, body: Vec::new() },
            }
        });
        WheelServer { server, seen }
    }
}

/// A server of wheels.
pub struct WheelServer {
    server: Server,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl WheelServer {
    pub fn url(&self, file: &str) -> String {
        format!("url = 'http://{}/{file}'", self.server.address)
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> String {
        self.server.address.to_string()
    }

    /// The requests since the last call.
    pub fn seen(&self) -> Vec<Request> {
        std::mem::take(&mut self.seen.lock().expect("no panic"))
    }
}

/// The beginning of every `pylock.toml`.
pub const LOCK: &str = "lock-version = '1.0'\ncreated-by = 'tests'\n";
