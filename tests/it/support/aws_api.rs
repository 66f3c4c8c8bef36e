//! A fake of AWS's GetAuthorizationToken, for tests that moto does not support: moto always returns the same token, and
//! none for the public registry. Also users whose AWS endpoint and registries are servers of the test.

use super::aws_network::REGION;
use super::fake_ecr::{CALLER, FakeEcr};
use super::http::{Request, Response, Server};
use super::lbuild::Lbuild;
use super::moto::NO_METADATA;
use base64::Engine as _;
use serde_json::json;
use std::sync::{Arc, Mutex};

const PRIVATE: &str = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
const PUBLIC: &str = "SpencerFrontendService.GetAuthorizationToken";

pub struct AwsApi {
    server: Server,
    calls: Arc<Mutex<Vec<String>>>,
}

impl AwsApi {
    /// Returns tokens with these passwords in order, then the last one for every further call. Without passwords, and
    /// for all other calls, it answers that the caller lacks the permission.
    pub fn start(passwords: &[&str]) -> AwsApi {
        let passwords: Vec<String> = passwords.iter().map(|&password| password.to_owned()).collect();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let log = calls.clone();
        let server = Server::start("127.0.0.1", move |request| {
            let target = request.header("x-amz-target").unwrap_or("no target").to_owned();
            let mut calls = log.lock().expect("no caller panics");
            let before = calls.iter().filter(|call| **call == target).count();
            calls.push(target.clone());
            answer(&request, &target, passwords.get(before).or(passwords.last()))
        });
        AwsApi { server, calls }
    }

    /// For `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    pub fn calls(&self) -> usize {
        self.calls.lock().expect("no caller panics").len()
    }

    /// The number of token requests for the private registries and for the public one.
    pub fn token_calls(&self) -> (usize, usize) {
        let calls = self.calls.lock().expect("no caller panics");
        let count = |target| calls.iter().filter(|call| *call == target).count();
        (count(PRIVATE), count(PUBLIC))
    }
}

fn answer(request: &Request, target: &str, password: Option<&String>) -> Response {
    let signed = request.header("authorization").is_some_and(|value| value.starts_with("AWS4-HMAC-SHA256 "));
    let token = |password: &String| {
        let token = base64::prelude::BASE64_STANDARD.encode(format!("AWS:{password}"));
        json!({ "authorizationToken": token, "expiresAt": 2000000000 })
    };
    let (status, body) = match (target, password) {
        (PRIVATE, Some(password)) if signed => (200, json!({ "authorizationData": [token(password)] })),
        (PUBLIC, Some(password)) if signed => (200, json!({ "authorizationData": token(password) })),
        _ => {
            let service = if target == PUBLIC { "ecr-public" } else { "ecr" };
            let action = target.rsplit('.').next().unwrap_or_default();
            let message = format!(
                "User: {CALLER} is not authorized to perform: {service}:{action} on resource: * because no \
                 identity-based policy allows the {service}:{action} action"
            );
            (400, json!({ "__type": "AccessDeniedException", "message": message }))
        }
    };
    Response { status, body: body.to_string().into_bytes() }
}

/// A user without keys, for whom the registry of this name is at the test registry's address.
pub fn user_without_keys(aws: &str, name: &str, registry: &FakeEcr) -> Lbuild {
    let mut user = Lbuild::new();
    user.set(NO_METADATA.0, NO_METADATA.1);
    user.set("AWS_ENDPOINT_URL", aws);
    user.set("AWS_REGION", REGION);
    user.set("LBUILD_REGISTRY_ENDPOINT", &format!("{name}=http://{}", registry.host()));
    user
}

/// Like [`user_without_keys`], but with keys for AWS.
pub fn user(aws: &str, name: &str, registry: &FakeEcr) -> Lbuild {
    let mut user = user_without_keys(aws, name, registry);
    user.set("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE");
    user.set("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    user
}
