//! Lambda's GetLayerVersionByArn, which moto does not have, and the store of the layers' zips with its signed links.

use super::fake_ecr::CALLER;
use super::http::{Request, Response, Server};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

/// The part of a link that nobody may see.
pub const SIGNATURE: &str = "X-Amz-Signature=5ec4e7";

/// A version of a layer, and how its link behaves.
#[derive(Clone, Default)]
pub struct StoredLayer {
    pub zip: Vec<u8>,
    pub architectures: Vec<&'static str>,
    pub runtimes: Vec<&'static str>,
    /// How many links are refused as expired before one is good.
    pub expired: usize,
    /// Links lead to another host first.
    pub redirects: bool,
    /// The store has other bytes than those of which Lambda tells.
    pub is_damaged: bool,
    /// Its account does not let the caller read it.
    pub is_private: bool,
}

#[derive(Default)]
struct State {
    layers: BTreeMap<String, StoredLayer>,
    calls: Vec<String>,
}

pub struct LambdaLayersApi {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl LambdaLayersApi {
    pub fn start() -> LambdaLayersApi {
        let state: Arc<Mutex<State>> = Arc::default();
        let (shared, address) = (state.clone(), Arc::new(OnceLock::new()));
        let own = address.clone();
        let server = Server::with_headers("127.0.0.1", move |request| {
            let own: &String = own.wait();
            answer(&mut shared.lock().expect("no caller panics"), &request, own)
        });
        address.set(format!("http://{}", server.address)).expect("once");
        LambdaLayersApi { server, state }
    }

    /// For `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    pub fn put(&self, arn: &str, layer: StoredLayer) {
        self.state.lock().expect("no caller panics").layers.insert(arn.to_owned(), layer);
    }

    /// The calls since the last time, as `describe ARN`, `download ARN`.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().expect("no caller panics").calls)
    }
}

fn answer(state: &mut State, request: &Request, own: &str) -> (Response, Vec<(String, String)>) {
    let path = request.target.split('?').next().unwrap_or_default();
    match path.strip_prefix("/zips/") {
        Some(_) => zip(state, request, own),
        None => (describe(state, request, own), vec![("Content-Type".into(), "application/json".into())]),
    }
}

fn describe(state: &mut State, request: &Request, own: &str) -> Response {
    let is_signed =
        request.header("authorization").is_some_and(|value| value.starts_with("AWS4-HMAC-SHA256 "));
    let arn = request.query("Arn").pop().unwrap_or_default();
    let refused = |status, code: &str, message: String| Response {
        status,
        body: json!({ "__type": code, "Message": message }).to_string().into_bytes(),
    };
    if !request.target.starts_with("/2018-10-31/layers?") || !is_signed {
        return refused(404, "UnknownOperationException", request.target.clone());
    }
    state.calls.push(format!("describe {arn}"));
    let Some(layer) = state.layers.get(&arn) else {
        return refused(
            404,
            "ResourceNotFoundException",
            "The resource you requested does not exist.".to_owned(),
        );
    };
    if layer.is_private {
        let message = format!(
            "User: {CALLER} is not authorized to perform: lambda:GetLayerVersion on resource: {arn} because no \
             resource-based policy allows the lambda:GetLayerVersion action"
        );
        return refused(403, "AccessDeniedException", message);
    }
    Response { status: 200, body: description(&arn, layer, own).to_string().into_bytes() }
}

fn description(arn: &str, layer: &StoredLayer, own: &str) -> Value {
    let start = if layer.redirects { "redirected" } else { "direct" };
    json!({
        "LayerArn": arn.rsplit_once(':').expect("a version").0,
        "LayerVersionArn": arn,
        "Version": 1,
        "CreatedDate": "2026-01-01T00:00:00.000+0000",
        "CompatibleArchitectures": layer.architectures,
        "CompatibleRuntimes": layer.runtimes,
        "Content": {
            "Location": format!("{own}/zips/{start}/{arn}?{SIGNATURE}&n={}", layer.expired),
            "CodeSha256": BASE64_STANDARD.encode(Sha256::digest(&layer.zip)),
            "CodeSize": layer.zip.len(),
        },
    })
}

fn zip(state: &mut State, request: &Request, own: &str) -> (Response, Vec<(String, String)>) {
    let path = request.target.split('?').next().unwrap_or_default();
    let (start, arn) = path["/zips/".len()..].split_once('/').expect("the form of its own links");
    // a server may repeat what it was asked for
    let refused = || {
        let body = json!({ "message": request.target }).to_string().into_bytes();
        (Response { status: 403, body }, Vec::new())
    };
    let signed = request.target.contains(SIGNATURE) && request.header("authorization").is_none();
    let Some(layer) = state.layers.get_mut(arn).filter(|_| signed) else { return refused() };
    if start == "redirected" {
        let location = format!("{own}/zips/direct/{arn}?{SIGNATURE}");
        return (Response { status: 307, body: Vec::new() }, vec![("Location".into(), location)]);
    }
    if layer.expired > 0 {
        layer.expired -= 1;
        return refused();
    }
    state.calls.push(format!("download {arn}"));
    let mut body = layer.zip.clone();
    if layer.is_damaged {
        let last = body.len() - 1;
        body[last] ^= 1;
    }
    (Response { status: 200, body }, Vec::new())
}
