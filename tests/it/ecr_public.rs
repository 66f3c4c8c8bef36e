//! public.ecr.aws with and without AWS credentials, and its rate limits.

use crate::support::aws_api::{AwsApi, user, user_without_keys};
use crate::support::bases;
use crate::support::fake_ecr::{Auth, EcrBehaviour, FakeEcr, Refusal, RefusalAnswer};
use crate::support::lbuild::{Lbuild, RunOutput, hello};

const HOST: &str = "public.ecr.aws";

/// The public registry with a base for Lambda.
fn registry() -> FakeEcr {
    let auth = Auth::Bearer { password: Some("good".into()), anonymous_pull: true, denial: None };
    let registry = FakeEcr::start(EcrBehaviour { auth, ..EcrBehaviour::default() });
    bases::seed_base(&registry, "lambda/python", "3.12");
    registry
}

/// Builds an image on that base.
fn build(user: &Lbuild) -> RunOutput {
    let (hello, to) = (hello().display().to_string(), format!("oci:{}:it", user.text("image")));
    let base = format!("{HOST}/lambda/python:3.12");
    user.run(&["push", &hello, "--arch", "arm64", "--base", &base, "--cmd", "app.handler", "--to", &to])
}

/// The authorization scheme of each request to the token service.
fn shown(registry: &FakeEcr) -> Vec<Option<String>> {
    let log = registry.log();
    log.0.iter().filter(|entry| entry.path == "/token").map(|entry| entry.authorization.clone()).collect()
}

#[test]
fn without_credentials_no_token_is_requested_from_aws() {
    let (registry, api) = (registry(), AwsApi::start(&["good"]));
    let done = build(&user_without_keys(&api.url(), HOST, &registry)).succeeded();
    assert_eq!((api.calls(), shown(&registry)), (0, vec![None]));
    assert!(!done.stderr.contains("warning"), "{}", done.stderr);
}

#[test]
fn with_credentials_a_token_is_requested_from_aws() {
    let (registry, api) = (registry(), AwsApi::start(&["good"]));
    let done = build(&user(&api.url(), HOST, &registry)).succeeded();
    assert_eq!((api.calls(), api.token_calls()), (1, (0, 1)));
    assert_eq!(shown(&registry), [Some("Basic".to_owned())]);
    assert!(!done.stderr.contains("warning"), "{}", done.stderr);
}

#[test]
fn credentials_without_the_permission_are_skipped_with_a_warning() {
    let (registry, api) = (registry(), AwsApi::start(&[]));
    let done = build(&user(&api.url(), HOST, &registry)).succeeded();
    assert_eq!((api.token_calls(), shown(&registry)), ((0, 1), vec![None]));
    assert!(
        done.stderr.contains("warning") && done.stderr.contains("continuing without credentials"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("ecr-public:GetAuthorizationToken"), "{}", done.stderr);
}

#[test]
fn a_token_that_the_registry_refuses_is_dropped_with_a_warning() {
    let (registry, api) = (registry(), AwsApi::start(&["stale"]));
    let done = build(&user(&api.url(), HOST, &registry)).succeeded();
    assert_eq!(api.token_calls(), (0, 1));
    assert_eq!(shown(&registry), [Some("Basic".to_owned()), None]);
    assert!(
        done.stderr.contains("warning") && done.stderr.contains("continuing without it"),
        "{}",
        done.stderr
    );
}

#[test]
fn a_short_rate_limit_is_waited_for() {
    for retry_after in [None, Some(1)] {
        let (registry, api) = (registry(), AwsApi::start(&[]));
        let with = RefusalAnswer::TooMany { message: "Rate exceeded", retry_after };
        let calls = ["token", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];
        registry.change(|behaviour| {
            behaviour.refusals =
                calls.map(|call| Refusal { times: 1, ..Refusal::always(call, with) }).to_vec();
        });
        let done = build(&user_without_keys(&api.url(), HOST, &registry)).succeeded();
        assert_eq!(registry.log().answered(429), 3);
        let said = if retry_after.is_some() { "retry    in 1.0 s" } else { "retry    in 0." };
        assert_eq!(done.stderr.matches(said).count(), 3, "{}", done.stderr);
    }
}

#[test]
fn a_long_rate_limit_is_explained() {
    for call in ["token", "ecr:BatchGetImage"] {
        let (registry, api) = (registry(), AwsApi::start(&[]));
        // longer than lbuild waits
        let with = RefusalAnswer::TooMany { message: "Rate exceeded", retry_after: Some(3600) };
        registry.change(|behaviour| behaviour.refusals = vec![Refusal::always(call, with)]);
        let error = build(&user_without_keys(&api.url(), HOST, &registry)).failed(5);
        assert_eq!(registry.log().answered(429), 1, "{call}: {error}");
        explained(&error);
    }
}

#[test]
fn a_monthly_data_limit_is_not_waited_for() {
    for call in ["token", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"] {
        let (registry, api) = (registry(), AwsApi::start(&[]));
        let with = RefusalAnswer::TooMany { message: "Data limit exceeded", retry_after: None };
        registry.change(|behaviour| behaviour.refusals = vec![Refusal::always(call, with)]);
        let error = build(&user_without_keys(&api.url(), HOST, &registry)).failed(5);
        assert_eq!(registry.log().answered(429), 1, "{call}: {error}");
        assert!(error.contains("Data limit exceeded"), "{call}: {error}");
        explained(&error);
    }
}

#[track_caller]
fn explained(error: &str) {
    assert!(
        error.contains("hint: without AWS credentials public.ecr.aws allows 1 request a second"),
        "{error}"
    );
    assert!(error.contains("ecr-public:GetAuthorizationToken"), "{error}");
}
