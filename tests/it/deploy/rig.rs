//! A user, two images in a registry of ECR, and Lambda.

use crate::invoke::rig::python_base;
use crate::support::lambda_api::{LambdaApi, LambdaBehaviour, REGION, REGISTRY};
use crate::support::lbuild::{Lbuild, RunOutput, function};
use crate::support::moto::NO_METADATA;
use crate::support::registry::{Mode, Registry};
use serde_json::json;

pub struct Rig {
    pub api: LambdaApi,
    pub user: Lbuild,
    _registry: Registry,
    /// The digests of `hello:v1` and `hello:v2`.
    pub v1: String,
    pub v2: String,
}

/// A user with keys, for whom AWS and the registry are servers of the test.
pub fn user(aws: &str, registry: &Registry) -> Lbuild {
    let mut user = Lbuild::new();
    for (name, value) in [
        NO_METADATA,
        ("AWS_ENDPOINT_URL", aws),
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        ("LBUILD_REGISTRY_ENDPOINT", &format!("{REGISTRY}=http://{}", registry.host())),
    ] {
        user.set(name, value);
    }
    user
}

/// Pushes an image whose handler returns this number; returns its digest.
pub fn push(user: &Lbuild, name: &str, number: usize, arch: &str) -> String {
    let code = function(&[("app.py", format!("def handler(event, context): return {number}\n"))]);
    let to = format!("{REGISTRY}/{name}");
    let (path, base) = (code.path().to_str().unwrap(), python_base());
    let all = ["push", path, "--base", &base, "--handler", "app.handler", "--arch", arch, "--to", &to];
    user.ok(&all).digest()
}

impl Rig {
    /// Without a function.
    pub fn new(behaviour: LambdaBehaviour) -> Rig {
        let (api, registry) = (LambdaApi::start(behaviour), Registry::start(Mode::Plain));
        let user = user(&api.url(), &registry);
        let (v1, v2) = (push(&user, "hello:v1", 1, "amd64"), push(&user, "hello:v2", 2, "amd64"));
        Rig { api, user, _registry: registry, v1, v2 }
    }

    /// With the function `hello`, which runs `hello:v1`.
    pub fn with_function(behaviour: LambdaBehaviour) -> Rig {
        let rig = Rig::new(behaviour);
        rig.api.put("hello", &format!("{REGISTRY}/hello@{}", rig.v1), &json!({}));
        rig
    }

    pub fn arguments(&self, tag: &str, more: &[&str]) -> Vec<String> {
        let image = format!("{REGISTRY}/hello:{tag}");
        ["deploy", "hello", &image].iter().chain(more).map(|&word| word.to_owned()).collect()
    }

    /// Deploys an image to `hello`.
    pub fn deploy(&self, tag: &str, more: &[&str]) -> RunOutput {
        self.user.run(&self.arguments(tag, more))
    }
}
