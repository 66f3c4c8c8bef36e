//! The token service of a bearer registry: anonymous pull, and every requested action with a login.

use super::http::{Request, Response, Server};
use super::{nonce, part, run, tool};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

pub const SERVICE: &str = "test registry";
pub const ISSUER: &str = "test token service";

pub struct TokenService {
    server: Server,
    requests: Arc<Mutex<Vec<Request>>>,
    /// The lifetime of later tokens, in seconds.
    lifetime: Arc<AtomicU64>,
}

impl TokenService {
    pub fn start(user: &str, password: &str) -> TokenService {
        let login = BASE64_STANDARD.encode(format!("{user}:{password}"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let lifetime = Arc::new(AtomicU64::new(300));
        let (seen, seconds) = (requests.clone(), lifetime.clone());
        let server = Server::start("127.0.0.1", move |request| {
            seen.lock().expect("no panic holds it").push(request.clone());
            answer(&request, &login, seconds.load(Ordering::SeqCst))
        });
        TokenService { server, requests, lifetime }
    }

    pub fn url(&self) -> String {
        format!("http://{}/token", self.server.address)
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic holds it").clone()
    }

    /// Sets the lifetime of later tokens; the registry accepts them a minute longer.
    pub fn set_lifetime(&self, seconds: u64) {
        self.lifetime.store(seconds, Ordering::SeqCst);
    }
}

fn answer(request: &Request, login: &str, seconds: u64) -> Response {
    let refused = Response { status: 401, body: br#"{"details":"incorrect username or password"}"#.to_vec() };
    let known = match request.header("authorization").map(|value| value.split_once(' ')) {
        None => false,
        Some(Some((scheme, given))) if scheme.eq_ignore_ascii_case("basic") && given == login => true,
        Some(_) => return refused,
    };
    // the parameter may be repeated, and may contain several scopes separated by spaces
    let scopes = request.query("scope");
    let access: Vec<Value> =
        scopes.iter().flat_map(|scope| scope.split(' ')).filter_map(|s| grant(s, known)).collect();
    let token = sign(&access, seconds);
    let body = json!({ "token": token, "access_token": token, "expires_in": seconds });
    Response { status: 200, body: body.to_string().into_bytes() }
}

/// The grant for `repository:name:pull,push`: all requested actions with a login, otherwise only pull.
fn grant(scope: &str, known: bool) -> Option<Value> {
    let (kind, rest) = scope.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    let actions: Vec<&str> = actions.split(',').filter(|&action| known || action == "pull").collect();
    Some(json!({ "type": kind, "name": name, "actions": actions }))
}

fn sign(access: &[Value], seconds: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let certificate =
        std::fs::read_to_string(part("ca").join("token.pem")).expect("the part ca has token.pem");
    let der: String = certificate.lines().filter(|line| !line.starts_with('-')).collect();
    let header = json!({ "typ": "JWT", "alg": "RS256", "x5c": [der] });
    let claims = json!({
        "iss": ISSUER, "sub": "", "aud": SERVICE, "jti": nonce(), "access": access,
        "iat": now, "nbf": now - 10, "exp": now + seconds,
    });
    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", encode(&header), encode(&claims));

    let dir = tempfile::tempdir().expect("a temporary directory");
    let (input, output) = (dir.path().join("input"), dir.path().join("signature"));
    std::fs::write(&input, &text).expect("writable");
    let key = part("ca").join("token-key.pem");
    let mut openssl = Command::new(tool("openssl"));
    run(openssl.args(["dgst", "-sha256", "-sign"]).arg(key).arg("-out").arg(&output).arg(input))
        .expect("openssl signs");
    let signature = std::fs::read(output).expect("openssl wrote it");
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}
