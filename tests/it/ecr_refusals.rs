//! Requests that ECR refuses during a push: an expired token is renewed, a missing right is named.

use crate::support::aws_api::{AwsApi, user};
use crate::support::aws_network::{REGION, REGISTRY, decode};
use crate::support::bases;
use crate::support::fake_ecr::{
    Auth, EcrBehaviour, ExpiredAnswer, Expiry, ExpiryTrigger, FakeEcr, MissingRepository, Refusal,
    RefusalAnswer,
};
use crate::support::lbuild::{hello, tiny_base};
use crate::support::moto::Moto;
use serde_json::json;

const ARN: &str = "arn:aws:ecr:eu-west-1:123456789012:repository";

/// The rights that a push needs for the registry's API.
const RIGHTS: [&str; 6] = [
    "ecr:BatchGetImage",
    "ecr:BatchCheckLayerAvailability",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
];

/// The right in the hint if the registry's answer names none: a blob is sent in one request, which needs two rights.
fn guess(right: &'static str) -> &'static str {
    match right {
        "ecr:UploadLayerPart" | "ecr:CompleteLayerUpload" => "ecr:UploadLayerPart or ecr:CompleteLayerUpload",
        right => right,
    }
}

/// The arguments that push `hello` to the repository `function`.
fn push(base: &str) -> Vec<String> {
    let (hello, to) = (hello().display().to_string(), format!("{REGISTRY}/function:1"));
    ["push", &hello, "--base", base, "--arch", "arm64", "--to", &to].map(str::to_owned).to_vec()
}

/// A registry with the repository `function` and a password that does not change.
fn registry(password: &str) -> FakeEcr {
    let auth = Auth::Basic { password: password.to_owned() };
    let missing_repository = MissingRepository::NameUnknown;
    let registry = FakeEcr::start(EcrBehaviour { auth, missing_repository, ..EcrBehaviour::default() });
    registry.create_repository("function");
    registry
}

#[test]
fn a_token_that_expires_after_the_second_blob_is_renewed() {
    for answer in [ExpiredAnswer::Challenge, ExpiredAnswer::Forbidden, ExpiredAnswer::BadRequest] {
        let registry = registry("first");
        let next_password = Some("second".to_owned());
        registry.change(|behaviour| {
            behaviour.expires = Some(Expiry { after: ExpiryTrigger::BlobPuts(2), answer, next_password });
        });
        let api = AwsApi::start(&["first", "second"]);
        let user = user(&api.url(), REGISTRY, &registry);
        let done = user.ok(&push(&tiny_base()));
        assert_eq!(done.stdout, format!("{REGISTRY}/function@{}\n", done.digest()));
        assert_eq!(registry.tags("function")["1"], done.digest(), "{answer:?}");
        assert_eq!(api.token_calls(), (2, 0), "{answer:?}: requested and renewed");
        assert!(done.stderr.contains(REGISTRY) && !done.stderr.contains("second"), "{}", done.stderr);
        // the registry is known to require a password, so even the first request has one
        assert!(registry.log().0.iter().all(|entry| entry.authorization.as_deref() == Some("Basic")));
    }
}

#[test]
fn a_token_that_is_refused_after_renewal_is_an_error() {
    let (registry, api) = (registry("another"), AwsApi::start(&["wrong"]));
    let error = user(&api.url(), REGISTRY, &registry).run(&push(&tiny_base())).failed(6);
    assert!(error.contains(REGISTRY) && error.contains("from AWS") && error.contains("hint:"), "{error}");
    assert_eq!(api.token_calls(), (2, 0));
}

#[test]
fn each_missing_right_is_named_with_the_repository() {
    let (registry, api) = (registry("good"), AwsApi::start(&["good"]));
    bases::seed_base(&registry, "lambda/python", "3.12");
    let remote = format!("{REGISTRY}/lambda/python:3.12");
    let of_function = RIGHTS.map(|right| (right, "function", tiny_base()));
    let of_base = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];
    let of_base = of_base.map(|right| (right, "lambda/python", remote.clone()));
    for (right, repository, base) in of_function.into_iter().chain(of_base) {
        for with in [RefusalAnswer::Denied, RefusalAnswer::Silence] {
            registry
                .change(|behaviour| behaviour.refusals = vec![Refusal::always(right, with).on(repository)]);
            let error = user(&api.url(), REGISTRY, &registry).run(&push(&base)).failed(6);
            // the answer to a HEAD has no body
            let named_by_registry =
                with == RefusalAnswer::Denied && right != "ecr:BatchCheckLayerAvailability";
            let named = if named_by_registry { right } else { guess(right) };
            let hint = format!("hint: allow {named} on {ARN}/{repository}\n");
            assert!(error.contains(&hint), "{right} {with:?}: {error}");
            assert!(error.contains(&format!("{REGISTRY}/{repository}")), "{right} {with:?}: {error}");
            assert!(!error.contains("retry "), "{right} {with:?}: {error}");
            assert!(registry.tags("function").is_empty(), "{right} {with:?}");
        }
    }
}

/// The output of `lbuild doctor` for `function`, which must report a failure.
fn diagnosis(moto: &Moto, registry: &FakeEcr) -> String {
    registry.clear_log();
    let to = format!("{REGISTRY}/function:1");
    let done = user(&moto.url(), REGISTRY, registry).run(&["doctor", "--to", &to]);
    assert_eq!(done.code, Some(6), "{}{}", done.stdout, done.stderr);
    let log = registry.log();
    assert_eq!((log.blob_uploads(), log.manifest_puts()), (0, 0), "{log:?}");
    done.stdout
}

/// moto with the repository `function` that Lambda may pull from, and a registry that accepts moto's token.
fn moto_and_registry() -> (Moto, FakeEcr) {
    let moto = Moto::start();
    moto.ecr(REGION, "CreateRepository", &json!({ "repositoryName": "function" }));
    let login = decode(&moto.token(REGION));
    let registry = registry(login.strip_prefix("AWS:").expect("a login"));
    let user = user(&moto.url(), REGISTRY, &registry);
    user.ok(&["repo", "policy", "function", "--allow-lambda"]);
    user.ok(&["doctor", "--to", &format!("{REGISTRY}/function:1")]);
    (moto, registry)
}

#[test]
fn the_doctor_finds_each_missing_right_before_anything_is_sent() {
    let (moto, registry) = moto_and_registry();
    for right in RIGHTS {
        for with in [RefusalAnswer::Denied, RefusalAnswer::Silence] {
            registry.change(|behaviour| behaviour.refusals = vec![Refusal::always(right, with)]);
            let said = diagnosis(&moto, &registry);
            let named_by_registry =
                with == RefusalAnswer::Denied && right != "ecr:BatchCheckLayerAvailability";
            let named = if named_by_registry { right } else { guess(right) };
            let hint = format!("hint: allow {named} on {ARN}/function\n");
            assert!(said.contains(&hint), "{right} {with:?}: {said}");
            assert_eq!(said.matches("failed ").count(), 1, "{right} {with:?}: {said}");
        }
    }
    // all rights are missing
    let refuse = |right| Refusal::always(right, RefusalAnswer::Denied);
    registry.change(|behaviour| behaviour.refusals = RIGHTS.map(refuse).to_vec());
    let said = diagnosis(&moto, &registry);
    for right in ["BatchGetImage", "BatchCheckLayerAvailability", "InitiateLayerUpload", "PutImage"] {
        assert!(said.contains(&format!("allow ecr:{right} on {ARN}/function")), "{right}: {said}");
    }
}

#[test]
fn a_repository_that_the_push_will_create_is_not_a_failure() {
    let (moto, registry) = moto_and_registry();
    let to = format!("{REGISTRY}/missing:1");
    for answer in [MissingRepository::NameUnknown, MissingRepository::Reset] {
        registry.change(|behaviour| behaviour.missing_repository = answer);
        let user = user(&moto.url(), REGISTRY, &registry);
        let done = user.run(&["doctor", "--to", &to]);
        assert_eq!(done.code, Some(2), "{}{}", done.stdout, done.stderr);
        assert!(
            done.stdout.contains(&format!("there is no repository {REGISTRY}/missing")),
            "{}",
            done.stdout
        );
        assert_eq!(done.stdout.matches("failed ").count(), 1, "reported once: {}", done.stdout);

        let said = user.ok(&["doctor", "--to", &to, "--create-repo", "--allow-lambda"]).stdout;
        assert!(said.contains("the push will create it") && !said.contains("failed "), "{said}");
        std::fs::write(user.path("lbuild.toml"), "create-repo = true\n").unwrap();
        assert_eq!(user.ok(&["doctor", "--to", &to]).stdout, said);
    }
    assert_eq!(moto.repositories(REGION).len(), 1, "the doctor creates no repository");
}

#[test]
fn the_doctors_exit_code_is_that_of_the_first_failure() {
    let (moto, registry) = moto_and_registry();
    registry.change(|behaviour| {
        behaviour.refusals = vec![Refusal::always("ecr:BatchGetImage", RefusalAnswer::Denied)]
    });
    let to = format!("{REGISTRY}/function:1");
    let all = ["doctor", "--to", &to, "--arch", "arm64", "--base", "oci:/nowhere"];
    let done = user(&moto.url(), REGISTRY, &registry).run(&all);
    // the unreadable base is the first failure, which would end a push; the missing right is found later
    assert_eq!(done.code, Some(4), "{}", done.stdout);
    assert!(done.stdout.contains("hint: allow ecr:BatchGetImage"), "{}", done.stdout);
}

#[test]
fn a_policy_that_the_push_does_not_need_is_not_a_failure() {
    let (moto, registry) = moto_and_registry();
    moto.ecr(REGION, "CreateRepository", &json!({ "repositoryName": "closed" }));
    registry.create_repository("closed");
    let (user, to) = (user(&moto.url(), REGISTRY, &registry), format!("{REGISTRY}/closed:1"));
    let done = user.ok(&["doctor", "--to", &to]);
    assert!(
        done.stderr.contains("does not let Lambda pull") && done.stderr.contains("hint:"),
        "{}",
        done.stderr
    );
    let done = user.ok(&["doctor", "--to", &to, "--allow-lambda"]);
    assert!(done.stdout.contains("the push will allow it"), "{}", done.stdout);
    assert!(!done.stderr.contains("warning"), "{}", done.stderr);
    assert!(moto.policy(REGION, "closed").is_none());
}

#[test]
fn a_reset_for_a_missing_repository_is_explained() {
    let registry = registry("good");
    registry.change(|behaviour| behaviour.missing_repository = MissingRepository::Reset);
    let api = AwsApi::start(&["good"]);
    let all = push(&tiny_base());
    let all: Vec<_> = all.iter().map(|word| word.replace("/function:", "/missing:")).collect();
    let error = user(&api.url(), REGISTRY, &registry).run(&all).failed(5);
    assert!(error.contains("The repository with name 'missing' does not exist"), "{error}");
    assert!(error.contains("hint: create the repository first"), "{error}");
}

#[test]
fn a_reset_for_a_forbidden_upload_is_explained() {
    let (registry, api) = (registry("good"), AwsApi::start(&["good"]));
    registry.change(|behaviour| {
        behaviour.refusals = vec![Refusal::always("ecr:InitiateLayerUpload", RefusalAnswer::Reset)];
    });
    let error = user(&api.url(), REGISTRY, &registry).run(&push(&tiny_base())).failed(6);
    assert!(error.contains("closed the connection although the repository exists"), "{error}");
    assert!(error.contains(&format!("hint: allow ecr:InitiateLayerUpload on {ARN}/function\n")), "{error}");
}

#[test]
fn the_doctor_explains_a_reset() {
    let (moto, registry) = moto_and_registry();
    registry.change(|behaviour| {
        behaviour.refusals = vec![Refusal::always("ecr:InitiateLayerUpload", RefusalAnswer::Reset)];
    });
    let said = diagnosis(&moto, &registry);
    assert!(said.contains(&format!("hint: allow ecr:InitiateLayerUpload on {ARN}/function\n")), "{said}");
}

#[test]
fn resets_that_end_are_not_a_missing_right() {
    let (moto, registry) = moto_and_registry();
    // The connection breaks for every attempt of the request, and works again for the next one.
    registry.change(|behaviour| {
        behaviour.refusals =
            vec![Refusal { times: 6, ..Refusal::always("ecr:InitiateLayerUpload", RefusalAnswer::Reset) }];
    });
    let to = format!("{REGISTRY}/function:1");
    let said = user(&moto.url(), REGISTRY, &registry).ok(&["doctor", "--to", &to]).stdout;
    assert!(!said.contains("failed ") && !said.contains("hint: allow"), "{said}");
}
