//! ECR: immutable tags, endpoint overrides, and hosts from which Lambda does not pull.

use crate::support::aws_api::{AwsApi, user};
use crate::support::aws_network::{REGION, REGISTRY, decode};
use crate::support::fake_ecr::{Auth, EcrBehaviour, FakeEcr};
use crate::support::lbuild::{Lbuild, function, hello, tiny_base};
use crate::support::moto::Moto;
use serde_json::{Value, json};
use std::path::Path;

fn push(code: &Path, to: &str) -> Vec<String> {
    let (code, base) = (code.display().to_string(), tiny_base());
    ["push", &code, "--base", &base, "--arch", "arm64", "--to", to].map(str::to_owned).to_vec()
}

/// A repository in moto, and a registry that accepts moto's token.
fn repository(settings: &Value) -> (Moto, FakeEcr) {
    let moto = Moto::start();
    let mut settings = settings.clone();
    settings["repositoryName"] = "function".into();
    moto.ecr(REGION, "CreateRepository", &settings);
    let login = decode(&moto.token(REGION));
    let password = login.strip_prefix("AWS:").expect("a login").to_owned();
    let registry = FakeEcr::start(EcrBehaviour { auth: Auth::Basic { password }, ..EcrBehaviour::default() });
    (moto, registry)
}

/// Fails unless a push of another image to `tag` is refused before anything is sent.
#[track_caller]
fn assert_immutable(user: &Lbuild, registry: &FakeEcr, code: &Path, tag: &str) {
    let before = registry.tags("function")[tag].clone();
    registry.clear_log();
    let error = user.run(&push(code, &format!("{REGISTRY}/function:{tag}"))).failed(5);
    assert!(error.contains(&format!("{REGISTRY}/function:{tag} is immutable")), "{error}");
    assert!(error.contains(&before) && error.contains("hint: push under a new tag"), "{error}");
    let log = registry.log();
    assert_eq!((log.count("POST", "/uploads/"), log.count("PUT", "")), (0, 0), "{log:?}");
    assert_eq!(registry.tags("function")[tag], before);
}

#[test]
fn an_immutable_tag_is_detected_before_anything_is_sent() {
    let (moto, registry) = repository(&json!({ "imageTagMutability": "IMMUTABLE" }));
    registry.change(|behaviour| behaviour.immutable_tags = true);
    let user = || user(&moto.url(), REGISTRY, &registry);
    let code = function(&[("app.py", "def handler(event, context): pass")]);
    let (first, to) = (user(), format!("{REGISTRY}/function:1"));
    let digest = first.ok(&push(code.path(), &to)).digest();
    // the same image again, with a cache and without
    for user in [&first, &user()] {
        assert_eq!(user.ok(&push(code.path(), &to)).digest(), digest);
    }
    assert_eq!(registry.log().manifest_puts(), 1);

    std::fs::write(code.path().join("app.py"), "changed").expect("ours");
    for user in [&first, &user()] {
        assert_immutable(user, &registry, code.path(), "1");
    }
    // one tag that cannot move stops the others
    let several = [push(code.path(), &to), vec!["--tag".into(), "2".into()]].concat();
    first.run(&several).failed(5);
    assert_eq!(registry.tags("function").len(), 1);
    first.ok(&push(code.path(), &format!("{REGISTRY}/function:2")));
    assert_eq!(registry.tags("function").len(), 2);
}

#[test]
fn exclusion_filters_of_immutability_are_respected() {
    let filters = json!([{ "filterType": "WILDCARD", "filter": "dev-*" }]);
    let settings =
        |kind: &str| json!({ "imageTagMutability": kind, "imageTagMutabilityExclusionFilters": filters });
    for (kind, moves, fixed) in
        [("IMMUTABLE_WITH_EXCLUSION", "dev-1", "1"), ("MUTABLE_WITH_EXCLUSION", "1", "dev-1")]
    {
        let (moto, registry) = repository(&settings(kind));
        let user = user(&moto.url(), REGISTRY, &registry);
        let code = function(&[("app.py", "def handler(event, context): pass")]);
        let name = |tag| format!("{REGISTRY}/function:{tag}");
        user.ok(&push(code.path(), &name(moves)));
        user.ok(&push(code.path(), &name(fixed)));
        std::fs::write(code.path().join("app.py"), "changed").expect("ours");
        assert_immutable(&user, &registry, code.path(), fixed);
        let digest = user.ok(&push(code.path(), &name(moves))).digest();
        assert_eq!(registry.tags("function")[moves], digest, "{kind}");
    }
}

#[test]
fn several_registries_with_endpoint_overrides_keep_their_names() {
    const OTHER: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com";
    let open = || FakeEcr::start(EcrBehaviour::default());
    let (registry, other, api) = (open(), open(), AwsApi::start(&["good"]));
    let mut user = user(&api.url(), REGISTRY, &registry);
    let endpoints = format!("{REGISTRY}=http://{}, {OTHER}=http://{}", registry.host(), other.host());
    user.set("LBUILD_REGISTRY_ENDPOINT", &endpoints);
    let mut all = push(&hello(), &format!("{REGISTRY}/function:1"));
    all.extend(["--to".to_owned(), format!("{OTHER}/function:1")]);
    all.extend(["--metadata-file", "metadata", "--json"].map(str::to_owned));
    let done = user.ok(&all);
    let mut names: Vec<_> = done.digests().into_iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!(names, [format!("{REGISTRY}/function"), format!("{OTHER}/function")]);
    for registry in [&registry, &other] {
        assert_eq!(registry.tags("function")["1"], done.digests()[0].1);
    }
    let metadata = std::fs::read_to_string(user.path("metadata")).expect("written");
    let outputs = [&metadata, &done.stdout, &done.stderr];
    assert!(outputs.iter().all(|text| text.contains(OTHER) && !text.contains("127.0.0.1")), "{outputs:?}");
    assert_eq!(api.token_calls(), (2, 0), "one token per region");
}

#[test]
fn an_invalid_endpoint_is_an_error() {
    let (registry, api) = (FakeEcr::start(EcrBehaviour::default()), AwsApi::start(&["good"]));
    for (value, said) in [
        (&*format!("{REGISTRY}=http://10.0.0.1:5000"), "plain HTTP would show credentials to the network"),
        (&*format!("{REGISTRY}=http://registry.example"), "plain HTTP would show credentials to the network"),
        (&*format!("{REGISTRY}=https://registry.example/v2"), "more than a host and a port"),
        (&*format!("{REGISTRY}=https://user:secret@registry.example"), "more than a host and a port"),
        (&*format!("{REGISTRY}=ftp://registry.example"), "it is not a URL, as https://HOST[:PORT]"),
        (&*format!("{REGISTRY}="), "it is not a URL, as https://HOST[:PORT]"),
        ("registry.example", "write it as REGISTRY=https://HOST[:PORT]"),
        ("=https://registry.example", "write it as REGISTRY=https://HOST[:PORT]"),
    ] {
        let mut user = user(&api.url(), REGISTRY, &registry);
        user.set("LBUILD_REGISTRY_ENDPOINT", value);
        let error = user.run(&push(&hello(), &format!("{REGISTRY}/function:1"))).failed(2);
        assert!(error.contains(said), "{value}: {error}");
        assert!(!error.contains("secret"), "{value}: {error}");
        if value.starts_with(REGISTRY) {
            assert!(
                error.contains("LBUILD_REGISTRY_ENDPOINT") && error.contains("hint:"),
                "{value}: {error}"
            );
        }
    }
    assert_eq!((api.calls(), registry.log().0.len()), (0, 0));
}

#[test]
fn a_fips_host_is_refused_for_lambda_without_a_request() {
    const FIPS: &str = "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com";
    let (registry, api) = (FakeEcr::start(EcrBehaviour::default()), AwsApi::start(&["good"]));
    let user = user(&api.url(), FIPS, &registry);
    let (hello, base, to) = (hello().display().to_string(), tiny_base(), format!("{FIPS}/function:1"));
    for what in [&["--runtime", "python3.12"][..], &["--base", &base, "--handler", "app.handler"]] {
        let all = [&["push", &hello, "--arch", "arm64", "--to", &to][..], what].concat();
        let error = user.run(&all).failed(2);
        assert!(error.contains(&format!("Lambda pulls no image from {FIPS}")), "{error}");
        assert!(error.contains("FIPS endpoint"), "{error}");
        assert!(error.contains("hint: push to 123456789012.dkr.ecr.us-east-1.amazonaws.com"), "{error}");
    }
    assert_eq!((api.calls(), registry.log().0.len()), (0, 0));
    // the host is accepted for images that are not for Lambda
    let all = ["push", &hello, "--arch", "arm64", "--to", &to, "--base", &base, "--cmd", "app.handler"];
    assert_eq!(user.ok(&all).digest(), registry.tags("function")["1"]);
}
