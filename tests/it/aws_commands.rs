//! `lbuild repo`, `lbuild login`, the credential helper and `lbuild doctor`.

use crate::support::aws_network::{AwsNetwork, NginxRequest, OBJECTS, REGION, REGISTRY, decode};
use crate::support::image_tools;
use crate::support::lbuild::{Lbuild, RunOutput, files, hello, tiny_base};
use crate::support::moto::{ACCOUNT, Keys, Moto, NO_METADATA, allow};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

/// A network that checks each request, and keys with all permissions in it.
fn network_and_keys() -> (AwsNetwork, Keys) {
    let network = AwsNetwork::start();
    let keys = network.moto.user("someone", &allow(&["*"]));
    network.moto.check_requests();
    (network, keys)
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_repository_is_created_with_the_settings_of_the_flags() {
    let (network, keys) = network_and_keys();
    let user = network.user(&keys);
    let lifecycle = json!({ "rules": [{
        "rulePriority": 1, "action": { "type": "expire" },
        "selection": { "tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 3 },
    }] });
    std::fs::write(user.path("lifecycle.json"), lifecycle.to_string()).unwrap();
    let key = "arn:aws:kms:eu-west-1:123456789012:key/12345678-1234-1234-1234-123456789012";
    let kms = format!("kms:{key}");
    let all = [
        &["repo", "create", "team/hello", "--immutable", "--scan", "--encryption", &kms][..],
        &["--lifecycle", "lifecycle.json", "--tag", "team=blue", "--tag", "cost=a=b"],
    ]
    .concat();
    let done = network.run(&user, &all).succeeded();
    assert_eq!(done.stdout, format!("{REGISTRY}/team/hello\n"));

    let made = network.moto.repositories(REGION).remove(0);
    assert_eq!(made["imageTagMutability"], "IMMUTABLE");
    assert_eq!(made["imageScanningConfiguration"]["scanOnPush"], true);
    assert_eq!(made["encryptionConfiguration"], json!({ "encryptionType": "KMS", "kmsKey": key }));
    let name = json!({ "repositoryName": "team/hello" });
    let policy = network.moto.ecr(REGION, "GetLifecyclePolicy", &name);
    assert_eq!(parse(policy["lifecyclePolicyText"].as_str().unwrap()), lifecycle);
    let arn = json!({ "resourceArn": made["repositoryArn"] });
    let tags = network.moto.ecr(REGION, "ListTagsForResource", &arn);
    let expected = json!([{ "Key": "team", "Value": "blue" }, { "Key": "cost", "Value": "a=b" }]);
    assert_eq!(tags["tags"], expected);

    // a second call is not an error and prints only the name
    assert_eq!(network.run(&user, &all).succeeded().stdout, done.stdout);
    assert_eq!(network.moto.repositories(REGION).len(), 1);
}

#[test]
fn a_plain_repository_needs_no_more_than_its_name() {
    let (network, keys) = network_and_keys();
    let user = network.user(&keys);
    assert_eq!(
        network.run(&user, &["repo", "create", "hello"]).succeeded().stdout,
        format!("{REGISTRY}/hello\n")
    );
    let made = network.moto.repositories(REGION).remove(0);
    assert_eq!(made["imageTagMutability"], "MUTABLE");
    assert_eq!(made["encryptionConfiguration"]["encryptionType"], "AES256");
    assert!(network.moto.policy(REGION, "hello").is_none());
}

#[test]
fn endpoints_follow_the_environment() {
    let moto = Moto::start();
    let keys = moto.user("someone", &allow(&["*"]));
    moto.check_requests();
    let ways = [&["AWS_ENDPOINT_URL"][..], &["AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL_STS"]];
    for (number, names) in ways.into_iter().enumerate() {
        let mut user = Lbuild::new();
        user.set(NO_METADATA.0, NO_METADATA.1);
        user.set("AWS_REGION", "eu-central-1");
        user.set("AWS_ACCESS_KEY_ID", &keys.id);
        user.set("AWS_SECRET_ACCESS_KEY", &keys.secret);
        for name in names {
            user.set(name, &moto.url());
        }
        let name = format!("hello-{number}");
        let made = user.ok(&["repo", "create", &name]).stdout;
        assert_eq!(made, format!("{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/{name}\n"));
    }
    assert_eq!(moto.repositories("eu-central-1").len(), 2);
}

#[test]
fn allowing_lambda_keeps_the_other_statements_of_a_policy() {
    let (network, keys) = network_and_keys();
    let user = network.user(&keys);
    network.moto.ecr(REGION, "CreateRepository", &json!({ "repositoryName": "hello" }));
    let theirs = json!({
        "Sid": "Partner", "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::999999999999:root" },
        "Action": "ecr:BatchGetImage",
    });
    let text = json!({ "Version": "2008-10-17", "Statement": [theirs] }).to_string();
    let arguments = json!({ "repositoryName": "hello", "policyText": text });
    network.moto.ecr(REGION, "SetRepositoryPolicy", &arguments);

    // a dry run prints the policy and does not set it
    let mut all =
        vec!["repo", "policy", "hello", "--allow-lambda", "--allow-account", "210987654321", "--print"];
    let shown = parse(&network.run(&user, &all).succeeded().stdout);
    assert_eq!(network.moto.policy(REGION, "hello"), Some(text));
    all.pop();
    network.run(&user, &all).succeeded();
    let policy = network.moto.policy(REGION, "hello").unwrap();
    let parsed = parse(&policy);
    assert_eq!(parsed, shown);
    let statements = parsed["Statement"].as_array().unwrap();
    assert_eq!(statements[0], theirs);
    let one = |sid: &str| {
        let found: Vec<_> = statements.iter().filter(|statement| statement["Sid"] == sid).collect();
        assert_eq!(found.len(), 1, "{sid}: {policy}");
        found[0].to_string()
    };
    assert!(one("LambdaECRImageRetrievalPolicy").contains("lambda.amazonaws.com"));
    assert!(policy.contains("arn:aws:iam::210987654321:root"), "{policy}");
    assert!(policy.contains("arn:aws:lambda:eu-west-1:210987654321:function:*"), "{policy}");
    assert!(policy.to_ascii_lowercase().contains("aws:sourcearn"), "{policy}");

    // the statement exists: nothing to set
    let before = network.log().len();
    network.run(&user, &all).succeeded();
    assert!(!network.log_since(before).iter().any(NginxRequest::is_write));
    assert_eq!(network.moto.policy(REGION, "hello"), Some(policy));
}

#[test]
fn a_login_can_be_printed() {
    let (network, keys) = network_and_keys();
    let done = network.run(&network.user(&keys), &["login", "--print"]).succeeded();
    let login = decode(&network.moto.token(REGION));
    assert_eq!(done.stdout, format!("{}\n", login.strip_prefix("AWS:").unwrap()));
    assert!(!done.stderr.contains(done.stdout.trim()));
}

#[test]
fn skopeo_pulls_with_lbuild_as_its_credential_helper() {
    let (network, keys) = network_and_keys();
    let mut user = network.user(&keys);
    let digest = {
        let (to, hello, base) = (format!("{REGISTRY}/hello:v8"), hello().display().to_string(), tiny_base());
        let all = ["push", &hello, "--arch", "amd64", "--base", &base, "--cmd", "app.handler", "--to", &to];
        network.run(&user, &all).succeeded().digest()
    };
    let config = json!({ "credHelpers": { REGISTRY: "lbuild" } }).to_string();
    std::fs::write(user.path("config.json"), config).unwrap();
    std::fs::create_dir(user.path("bin")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_lbuild"), user.path("bin/docker-credential-lbuild"))
        .unwrap();
    user.set("PATH", &format!("{}:/usr/bin:/bin", user.text("bin")));

    let before = network.log().len();
    let (from, to) = (format!("docker://{REGISTRY}/hello:v8"), format!("dir:{}", user.text("copy")));
    network.skopeo(&user, &["--authfile", &user.text("config.json"), &from, &to]).unwrap();
    assert_eq!(crate::support::digest(&user.path("copy/manifest.json")), digest);
    let seen = network.log_since(before);
    assert!(
        seen.iter().any(|seen| seen.host == OBJECTS) && !seen.iter().any(NginxRequest::is_write),
        "{seen:?}"
    );
    let layout = format!("oci:{}:it", user.text("image"));
    network.skopeo(&user, &["--authfile", &user.text("config.json"), &from, &layout]).unwrap();
    image_tools::umoci_unpack(&image_tools::ImageLocation::layout(&user.path("image"), "it")).unwrap();

    // without keys, the helper reports the reason
    let mut stranger = network.user_without_keys();
    stranger.set("PATH", &format!("{}:/usr/bin:/bin", user.text("bin")));
    let error =
        network.skopeo(&stranger, &["--authfile", &user.text("config.json"), &from, "dir:none"]).unwrap_err();
    assert!(error.contains("getting credentials"), "{error}");
}

#[test]
fn the_helper_follows_dockers_protocol() {
    let (network, keys) = network_and_keys();
    let user = network.user(&keys);
    let login = decode(&network.moto.token(REGION));
    let ask = |word: &str, registry: &str| {
        let lbuild = Path::new(env!("CARGO_BIN_EXE_lbuild"));
        let mut command = network.command(&user, lbuild, &["credential-helper", word]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("nsenter starts");
        // the child may end without reading
        let _ = child.stdin.take().expect("piped").write_all(registry.as_bytes());
        RunOutput::of(child.wait_with_output().expect("it ends"))
    };
    for registry in [REGISTRY, &format!("https://{REGISTRY}"), &format!("{REGISTRY}\n")] {
        let answer = parse(&ask("get", registry).succeeded().stdout);
        assert_eq!(
            format!("{}:{}", answer["Username"].as_str().unwrap(), answer["Secret"].as_str().unwrap()),
            login
        );
        assert_eq!(answer["ServerURL"], registry.trim());
    }
    // for other registries it prints the message after which Docker's programs continue without a login
    let done = ask("get", "registry.example.com");
    assert_ne!(done.code, Some(0));
    assert!(
        done.stdout.contains("credentials not found in native keychain"),
        "{}{}",
        done.stdout,
        done.stderr
    );
}

#[test]
fn the_doctor_reports_identity_and_registry_and_changes_nothing() {
    let (network, keys) = network_and_keys();
    let user = network.user(&keys);
    network.moto.ecr(REGION, "CreateRepository", &json!({ "repositoryName": "hello" }));
    network.run(&user, &["repo", "policy", "hello", "--allow-lambda"]).succeeded();
    let to = format!("{REGISTRY}/hello:v7");
    let before = network.log().len();
    let done = network.run(&user, &["doctor", "--to", &to]).succeeded();
    let said = done.stdout + &done.stderr;
    assert!(said.contains(ACCOUNT) && said.contains("user/someone"), "{said}");
    let seen = network.log_since(before);
    // it may send a PUT that the registry must refuse
    assert!(!seen.iter().any(|seen| seen.is_for_aws() && seen.is_write()), "{seen:?}");
    assert!(!seen.iter().any(|seen| seen.method == "PUT" && seen.status < 300), "{seen:?}");
    assert!(
        files(&network.storage()).keys().all(|name| !name.ends_with("/data")),
        "no blob and no upload is left"
    );
}

#[test]
fn the_doctor_reports_steps_that_would_fail() {
    let (network, keys) = network_and_keys();
    let to = format!("{REGISTRY}/hello:v7");
    let said = |user: &Lbuild| {
        let done = network.run(user, &["doctor", "--to", &to]);
        assert_ne!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
        done.stdout + &done.stderr
    };
    let text = said(&network.user(&keys));
    assert!(text.contains("hello") && text.contains("--create-repo"), "{text}");
    let powerless = network.moto.user("powerless", &allow(&["ecr:DescribeRepositories"]));
    let text = said(&network.user(&powerless));
    assert!(text.contains("ecr:GetAuthorizationToken"), "{text}");
    let text = said(&network.user_without_keys());
    assert!(text.contains("credentials"), "{text}");
}

#[test]
fn the_doctor_requires_only_rights_that_the_push_requires() {
    let network = AwsNetwork::start();
    let pusher =
        network.moto.user("pusher", &allow(&["ecr:GetAuthorizationToken", "ecr:DescribeRepositories"]));
    network.moto.ecr(REGION, "CreateRepository", &json!({ "repositoryName": "hello" }));
    network.moto.check_requests();
    let (user, to) = (network.user(&pusher), format!("{REGISTRY}/hello:v7"));
    let done = network.run(&user, &["doctor", "--to", &to]).succeeded();
    assert!(
        done.stderr.contains("warning: ") && done.stderr.contains("ecr:GetRepositoryPolicy"),
        "{}",
        done.stderr
    );
    let done = network.run(&user, &["doctor", "--to", &to, "--allow-lambda"]);
    assert_eq!(done.code, Some(6), "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("hint: allow ecr:GetRepositoryPolicy"), "{}", done.stdout);
    // a flag without effect is refused, as by the push
    let elsewhere = ["doctor", "--to", "127.0.0.1:1/hello:v7", "--create-repo"];
    let done = network.run(&user, &elsewhere);
    assert_eq!(done.code, Some(2), "{}", done.stdout);
    assert!(done.stderr.contains("no destination is a repository of ECR"), "{}", done.stderr);
}
