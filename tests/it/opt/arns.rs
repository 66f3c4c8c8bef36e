//! Layers by the ARNs of their versions.

use super::zip;
use crate::invoke::rig::python_base;
use crate::support::bases;
use crate::support::lambda_layers::{LambdaLayersApi, SIGNATURE, StoredLayer};
use crate::support::lbuild::{Lbuild, RunOutput, function, image_of};
use crate::support::moto::NO_METADATA;
use crate::support::registry::{Mode, Registry};
use crate::support::root_tree::RootTree;
use serde_json::Value;
use tempfile::TempDir;

const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:layer:shared-code:3";
const OTHER: &str = "arn:aws:lambda:us-east-1:210987654321:layer:other:12";

/// A user with keys for AWS, a function, and the layer `ARN`.
struct Rig {
    api: LambdaLayersApi,
    code: TempDir,
}

impl Rig {
    fn new(layer: StoredLayer) -> Rig {
        let rig = Rig {
            api: LambdaLayersApi::start(),
            code: function(&[("app.py", "def handler(event, context): return 1\n")]),
        };
        rig.api.put(ARN, layer);
        rig
    }

    fn user(&self) -> Lbuild {
        let mut user = Lbuild::new();
        for (name, value) in [
            NO_METADATA,
            ("AWS_ENDPOINT_URL", &*self.api.url()),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        ] {
            user.set(name, value);
        }
        user
    }

    fn arguments(&self, command: &str, more: &[&str]) -> Vec<String> {
        let (code, base) = (self.code.path().display().to_string(), python_base());
        let all = [command, &code, "--arch", "amd64", "--base", &base, "--handler", "app.handler"];
        all.iter().chain(more).map(|&word| word.to_owned()).collect()
    }

    fn build(&self, user: &Lbuild, more: &[&str]) -> RunOutput {
        let to = format!("oci:{}:1", user.text("out"));
        user.run(&self.arguments("build", &[&["--to", &to], more].concat()))
    }
}

fn layer(files: &[(&str, &str)]) -> StoredLayer {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("layer.zip");
    zip(&path, files);
    StoredLayer { zip: std::fs::read(path).unwrap(), ..StoredLayer::default() }
}

fn shared() -> StoredLayer {
    layer(&[("python/shared.py", "value = 1\n"), ("bin/tool", "tool")])
}

#[test]
fn a_layer_by_its_arn_is_that_of_its_zip() {
    let rig = Rig::new(StoredLayer { redirects: true, ..shared() });
    let user = rig.user();
    let done = rig.build(&user, &["--layer", ARN]).succeeded();
    let tree = RootTree::of(&user.path("out"), "1", "amd64", None);
    assert_eq!(rig.api.calls(), [format!("describe {ARN}"), format!("download {ARN}")]);
    let (_, config) = image_of(&user.path("out"), "1", "amd64");
    let history = config["history"].to_string();
    assert!(history.contains(ARN), "{history}");
    assert!(!history.contains("Signature") && !done.stderr.contains("Signature"), "{}", done.stderr);
    // a second build asks nobody
    let again = rig.build(&user, &["--layer", ARN]).succeeded();
    assert_eq!((rig.api.calls().len(), again.stdout), (0, done.stdout));
    // nor does one that packs the files again
    rig.build(&user, &["--layer", ARN, "--no-cache"]).succeeded();
    assert_eq!(rig.api.calls(), [""; 0]);
    let file = user.path("layer.zip");
    std::fs::write(&file, shared().zip).unwrap();
    rig.build(&user, &["--layer", file.to_str().unwrap()]).succeeded();
    assert_eq!(RootTree::of(&user.path("out"), "1", "amd64", None), tree);
}

/// The layer is found in the image that the tag names, by the ARN alone.
#[test]
fn a_fresh_machine_needs_neither_aws_nor_the_zip() {
    let (rig, registry) = (Rig::new(shared()), Registry::start(Mode::Plain));
    let to = format!("{}/function:1", registry.host());
    let push = |user: &Lbuild| user.ok(&rig.arguments("push", &["--layer", ARN, "--to", &to]));
    let first = push(&rig.user());
    assert_eq!(rig.api.calls().len(), 2);
    let second = push(&rig.user());
    assert_eq!((rig.api.calls(), second.digest()), (Vec::new(), first.digest()), "{}", second.stderr);
}

#[test]
fn a_plan_has_the_digest() {
    let rig = Rig::new(shared());
    let user = rig.user();
    let plan: Value =
        serde_json::from_str(&user.ok(&rig.arguments("plan", &["--layer", ARN])).stdout).unwrap();
    let source = &plan["stages"][0]["steps"];
    let text = source.to_string();
    assert!(text.contains(ARN) && text.contains("\"sha256\":\"sha256:"), "{text}");
    assert_eq!(rig.api.calls(), [format!("describe {ARN}")]);
}

#[test]
fn an_expired_link_is_asked_for_again_once() {
    let rig = Rig::new(StoredLayer { expired: 1, ..shared() });
    rig.build(&rig.user(), &["--layer", ARN]).succeeded();
    let describe = format!("describe {ARN}");
    assert_eq!(rig.api.calls(), [describe.clone(), describe.clone(), format!("download {ARN}")]);
    let rig = Rig::new(StoredLayer { expired: 100, ..shared() });
    let error = rig.build(&rig.user(), &["--layer", ARN]).failed(6);
    assert!(
        error.contains(ARN) && error.contains("its link was refused") && error.contains("hint: "),
        "{error}"
    );
    assert!(!error.contains(SIGNATURE), "{error}");
    assert_eq!(rig.api.calls(), [describe.clone(), describe]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let missing = "arn:aws:lambda:eu-west-1:123456789012:layer:missing:1";
    for (stored, arn, code, messages) in [
        (StoredLayer { is_damaged: true, ..shared() }, ARN, 5, ["is corrupt: expected sha256:", ARN]),
        (
            StoredLayer { architectures: vec!["arm64"], ..shared() },
            ARN,
            3,
            ["is for arm64, but the image is for linux/amd64", "hint: "],
        ),
        (StoredLayer { is_private: true, ..shared() }, ARN, 6, ["lambda:GetLayerVersion", "hint: "]),
        (shared(), missing, 5, ["ResourceNotFoundException", missing]),
        (StoredLayer { zip: b"no zip".to_vec(), ..shared() }, ARN, 3, ["is not a readable zip archive", ARN]),
    ] {
        let rig = Rig::new(stored);
        let user = rig.user();
        let error = rig.build(&user, &["--layer", arn]).failed(code);
        assert!(messages.iter().all(|message| error.contains(message)), "{messages:?}: {error}");
        assert!(!error.contains(SIGNATURE) && !user.path("out").join("index.json").exists(), "{error}");
    }
}

/// Lambda takes such a layer, and so does lbuild.
#[test]
fn a_layer_for_another_runtime_is_told() {
    let rig = Rig::new(StoredLayer {
        architectures: vec!["x86_64", "arm64"],
        runtimes: vec!["python3.13", "python3.14"],
        ..shared()
    });
    let registry = Registry::start(Mode::Plain);
    bases::push(&registry, "oci-index", "lambda/python", "3.12");
    let mut user = rig.user();
    user.set("LBUILD_REGISTRY_ENDPOINT", &format!("public.ecr.aws=http://{}", registry.host()));
    let to = format!("oci:{}:1", user.text("out"));
    let code = rig.code.path().to_str().unwrap();
    let all = [
        "build",
        code,
        "--runtime",
        "python3.12",
        "--handler",
        "app.handler",
        "--arch",
        "amd64",
        "--layer",
        ARN,
    ];
    let done = user.ok(&[&all[..], &["--to", &to]].concat());
    let expected = "is for python3.13, python3.14, but the image is for python3.12";
    assert!(done.stderr.contains(expected), "{}", done.stderr);
}

#[test]
fn a_later_layer_wins_and_the_file_is_told() {
    let rig = Rig::new(shared());
    rig.api.put(OTHER, layer(&[("python/shared.py", "value = 'other'\n"), ("python/own.py", "")]));
    let user = rig.user();
    let done = rig.build(&user, &["--layer", ARN, "--layer", OTHER]).succeeded();
    let tree = RootTree::of(&user.path("out"), "1", "amd64", None);
    assert!(tree.line("opt/python/shared.py").is_some_and(|line| line.contains("other")), "{tree:?}");
    assert!(tree.line("opt/bin/tool").is_some() && tree.line("opt/python/own.py").is_some());
    let told = "/opt/python/shared.py (layer ";
    assert!(done.stderr.contains(told) && done.stderr.contains("layer-overlap"), "{}", done.stderr);
    // the same from the cache
    let done = rig.build(&user, &["--layer", ARN, "--layer", OTHER]).succeeded();
    assert!(done.stderr.contains(told), "{}", done.stderr);
    let done = rig.build(&user, &["--layer", OTHER, "--layer", ARN]).succeeded();
    let tree = RootTree::of(&user.path("out"), "1", "amd64", None);
    assert!(tree.line("opt/python/shared.py").is_some_and(|line| line.contains("value = 1")), "{done:?}");
}

/// A Dockerfile that gets layers with credentials is warned of, with the way out.
#[test]
fn a_dockerfile_with_credentials_is_told_of_the_flag() {
    let rig = Rig::new(shared());
    let case = crate::support::testdata("dockerfile/cases/s2-layers-by-arn");
    let base = format!("alpine:3.20={}", python_base());
    let case = case.to_str().unwrap();
    let done = rig.user().ok(&["plan", case, "--arch", "amd64", "--build-context", &base]);
    let hint = "hint: no image needs AWS credentials: --layer ARN adds a Lambda layer";
    assert!(done.stderr.contains("SecretsUsedInArgOrEnv") && done.stderr.contains(hint), "{}", done.stderr);
}
