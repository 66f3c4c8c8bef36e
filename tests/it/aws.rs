//! Pushes to ECR with AWS keys only, in a network where AWS's host names resolve to servers of the test.

use crate::support::aws_network::{AwsNetwork, NginxRequest, OBJECTS, REGION, REGISTRY, decode};
use crate::support::lbuild::{Lbuild, files, function, hello, tiny_base};
use crate::support::moto::allow;
use crate::support::{bases, image_tools, run, sample_images, testdata, tool};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;

/// Least privilege: the rights of a push that creates its repository and lets Lambda pull from it.
const PUSHER: [&str; 5] = [
    "ecr:GetAuthorizationToken",
    "ecr:DescribeRepositories",
    "ecr:CreateRepository",
    "ecr:GetRepositoryPolicy",
    "ecr:SetRepositoryPolicy",
];

/// The arguments that push `hello` on the committed base.
fn push(more: &[&str]) -> Vec<String> {
    let (hello, base) = (hello().display().to_string(), tiny_base());
    let first = ["push", &hello, "--arch", "amd64", "--base", &base, "--cmd", "app.handler"];
    first.iter().chain(more).map(|&word| word.to_owned()).collect()
}

/// A network that checks each request, and a user with only the rights that a push needs.
fn network_and_pusher() -> (AwsNetwork, Lbuild) {
    let network = AwsNetwork::start();
    let user = network.user(&network.moto.user("pusher", &allow(&PUSHER)));
    network.moto.check_requests();
    (network, user)
}

/// Fails unless each login went only to its own host, and every request to a host of this network.
#[track_caller]
fn assert_logins_went_to_their_hosts(seen: &[NginxRequest]) {
    for seen in seen {
        let right = match &*seen.login {
            "" => true,
            "Basic" => seen.host == REGISTRY,
            "AWS4-HMAC-SHA256" => seen.is_for_aws(),
            _ => false,
        };
        assert!(right && seen.status != 421, "{seen:?}");
    }
    assert!(!seen.is_empty());
}

#[test]
fn the_network_accepts_a_token_and_redirects_to_a_host_that_refuses_logins() {
    let network = AwsNetwork::start();
    let (image, home) = (sample_images::tiny(), network.user_without_keys());
    let login = decode(&network.moto.token(REGION));
    let name = format!("docker://{REGISTRY}/hello:v7");
    network.skopeo(&home, &["--dest-creds=AWS:wrong", &image.location().name, &name]).unwrap_err();
    network.skopeo(&home, &[&format!("--dest-creds={login}"), &image.location().name, &name]).unwrap();

    let to = format!("oci:{}:it", home.text("image"));
    network.skopeo(&home, &[&name, &to]).unwrap_err();
    let before = network.log().len();
    network.skopeo(&home, &[&format!("--src-creds={login}"), &name, &to]).unwrap();
    image_tools::umoci_unpack(&image_tools::ImageLocation::layout(&home.path("image"), "it")).unwrap();

    let seen = network.log_since(before);
    let objects: Vec<_> = seen.iter().filter(|seen| seen.host == OBJECTS).collect();
    assert_eq!(objects.len(), 3, "two layers and a config: {seen:?}");
    assert!(objects.iter().all(|seen| seen.status == 200), "{seen:?}");
    assert!(seen.iter().any(|seen| seen.host == REGISTRY && seen.status == 307 && seen.login == "Basic"));
    assert!(!seen.iter().any(NginxRequest::is_write), "{seen:?}");
    assert_logins_went_to_their_hosts(&seen);

    // the log would show a login that was sent to the wrong host
    let script = "import sys, urllib.request as r\n\
                  try: r.urlopen(r.Request(sys.argv[1], headers={'Authorization': 'Basic eDp5'}))\n\
                  except OSError as error: print(error.code)";
    let url = format!("https://{OBJECTS}{}", objects[0].path);
    let mut client = network.command(&home, &tool("python3"), &["-c", script, &url]);
    assert_eq!(run(&mut client).unwrap().trim(), "400");
    assert_eq!(network.log().last().unwrap().login, "Basic");
}

#[test]
fn keys_suffice_to_push_to_a_repository_that_does_not_exist() {
    let (network, user) = network_and_pusher();
    let to = format!("{REGISTRY}/hello:v7");
    let all = push(&["--to", &to, "--create-repo", "--allow-lambda"]);
    let first = network.run(&user, &all).succeeded();
    let digest = first.digest();
    assert_eq!(first.stdout, format!("{REGISTRY}/hello@{digest}\n"));

    // the README shows the output of such a first push
    let readme = include_str!("../../README.md").split("```").nth(1).unwrap();
    let verbs = |text: &str| {
        let words = text.lines().filter(|line| line.contains("  "));
        words.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    assert_eq!(
        verbs(&first.stderr),
        ["allowed", "base", "created", "layer", "pushed", "sent"].map(str::to_owned).into()
    );
    assert_eq!(verbs(readme), verbs(&first.stderr));
    assert!(readme.matches("\nsent ").count() > 2, "the base's layers, the code and the config: {readme}");

    let repositories = network.moto.repositories(REGION);
    assert_eq!(repositories.len(), 1, "{repositories:?}");
    assert_eq!(repositories[0]["repositoryUri"], format!("{REGISTRY}/hello"));
    let policy = network.moto.policy(REGION, "hello").expect("a policy");
    let parsed: Value = serde_json::from_str(&policy).unwrap();
    let statement = &parsed["Statement"][0];
    assert_eq!(statement["Sid"], "LambdaECRImageRetrievalPolicy");
    assert_eq!(statement["Principal"], json!({ "Service": "lambda.amazonaws.com" }));
    assert_eq!(statement["Action"], json!(["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]));

    // a second push, and one by a user without a cache, change nothing
    let stranger = network.user(&network.moto.user("stranger", &allow(&PUSHER)));
    for user in [&user, &stranger] {
        let before = network.log().len();
        assert_eq!(network.run(user, &all).succeeded().stdout, first.stdout);
        let seen = network.log_since(before);
        assert!(!seen.is_empty() && !seen.iter().any(NginxRequest::is_write), "{seen:?}");
        assert_eq!(network.moto.policy(REGION, "hello").as_ref(), Some(&policy));
    }
    let tokens = network.log().iter().filter(|seen| seen.action == "GetAuthorizationToken").count();
    assert_eq!(tokens, 3, "one a run");
    assert_logins_went_to_their_hosts(&network.log());
}

#[test]
fn a_repository_alone_takes_the_account_from_the_keys_and_the_region_from_the_environment() {
    let (network, user) = network_and_pusher();
    let done = network.run(&user, &push(&["--repo", "team/hello", "--create-repo"])).succeeded();
    assert_eq!(done.stdout, format!("{REGISTRY}/team/hello@{}\n", done.digest()));
    let seen = network.log();
    let sts: Vec<_> = seen.iter().filter(|seen| seen.action == "GetCallerIdentity").collect();
    assert_eq!(sts.len(), 1, "{seen:?}");
    assert_eq!((&*sts[0].host, sts[0].status), ("sts.eu-west-1.amazonaws.com", 200));
}

#[test]
fn a_directory_with_a_dockerfile_is_pushed_to_a_repository() {
    let (network, user) = network_and_pusher();
    let base = "public.ecr.aws/lambda/python:3.12";
    let dir = function(&[("Dockerfile", format!("FROM {base}\nCMD [\"app.handler\"]\n"))]);
    let (dir, context) = (dir.path().to_str().unwrap(), format!("{base}={}", tiny_base()));
    let all =
        ["push", dir, "--arch", "arm64", "--repo", "hello", "--create-repo", "--build-context", &context];
    let done = network.run(&user, &all).succeeded();
    assert_eq!(done.stdout, format!("{REGISTRY}/hello@{}\n", done.digest()));
    assert!(done.stderr.contains("note: no runtime or base is given: building from "), "{}", done.stderr);
}

#[test]
fn the_region_of_the_host_overrides_that_of_the_environment() {
    let (network, mut user) = network_and_pusher();
    user.set("AWS_REGION", "us-west-2"); // this network has no API for that region
    let to = format!("{REGISTRY}/hello:v7");
    network.run(&user, &push(&["--to", &to, "--create-repo"])).succeeded();
    assert_eq!(network.moto.repositories(REGION).len(), 1);
}

#[test]
fn keys_may_be_in_a_profile() {
    let network = AwsNetwork::start();
    let keys = network.moto.user("pusher", &allow(&PUSHER));
    network.moto.check_requests();
    let mut user = network.user_without_keys();
    let file = format!("[work]\naws_access_key_id={}\naws_secret_access_key={}\n", keys.id, keys.secret);
    std::fs::create_dir(user.path("home/.aws")).unwrap();
    std::fs::write(user.path("home/.aws/credentials"), file).unwrap();
    let all = push(&["--repo", "hello", "--create-repo"]);
    let error = network.run(&user, &all).failed(6);
    assert!(error.contains("no AWS credentials found") && error.contains("hint: set AWS_PROFILE"), "{error}");
    user.set("AWS_PROFILE", "work");
    network.run(&user, &all).succeeded();
}

#[test]
fn two_pushes_at_once_may_create_a_repository() {
    let (network, user) = network_and_pusher();
    let other = network.user(&network.moto.user("other", &allow(&PUSHER)));
    let lbuild = Path::new(env!("CARGO_BIN_EXE_lbuild"));
    let started = [("v1", &user), ("v2", &other)].map(|(tag, user)| {
        let all = push(&["--to", &format!("{REGISTRY}/hello:{tag}"), "--create-repo", "--allow-lambda"]);
        let mut command = network.command(user, lbuild, &all);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("nsenter starts")
    });
    for child in started {
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let policy: Value = serde_json::from_str(&network.moto.policy(REGION, "hello").unwrap()).unwrap();
    assert_eq!(policy["Statement"].as_array().unwrap().len(), 1, "{policy}");
}

#[test]
fn a_wrong_secret_is_reported_with_the_call_and_the_cause() {
    let network = AwsNetwork::start();
    let mut keys = network.moto.user("pusher", &allow(&PUSHER));
    keys.secret.replace_range(..1, if keys.secret.starts_with('x') { "y" } else { "x" });
    let user = network.user(&keys);
    network.moto.check_requests();
    let to = format!("{REGISTRY}/hello:v7");
    for (more, call) in [
        (&["--to", &to][..], "ecr:GetAuthorizationToken"),
        (&["--to", &to, "--create-repo"], "ecr:DescribeRepositories"),
        (&["--repo", "hello"], "sts:GetCallerIdentity"),
    ] {
        let error = network.run(&user, &push(more)).failed(6);
        assert!(error.contains(call), "{more:?}: {error}");
        assert!(error.contains("The request signature we calculated does not match"), "{more:?}: {error}");
        assert!(error.contains("hint:") && !error.contains(&keys.secret), "{error}");
    }
    let mut unknown = network.user(&keys);
    unknown.set("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE");
    let error = network.run(&unknown, &push(&["--to", &to])).failed(6);
    assert!(error.contains("The security token included in the request is invalid"), "{error}");
    assert!(!network.log().iter().any(NginxRequest::is_write));
}

#[test]
fn no_credential_is_written_anywhere() {
    let network = AwsNetwork::start();
    let keys = network.moto.user("pusher", &allow(&PUSHER));
    let user = network.user(&keys);
    let token = network.moto.token(REGION);
    network.moto.check_requests();
    bases::seed_storage(&network.storage(), &testdata("base"), "python3.12", "lambda/python", "3.12");
    // with a base behind the redirect, and with every file that lbuild can write
    let (base, hello) = (format!("{REGISTRY}/lambda/python:3.12"), hello().display().to_string());
    let (to, layout) = (format!("{REGISTRY}/hello:v7"), format!("oci:{}:it", user.text("image")));
    let all = [
        &["push", &hello, "--arch", "amd64", "--base", &base, "--cmd", "app.handler", "--to", &to, "--to"][..],
        &[&layout, "--create-repo", "--allow-lambda", "--json", "--metadata-file", "metadata"],
        &["--digest-file", "digest"],
    ];
    let done = network.run(&user, &all.concat()).succeeded();
    let seen = network.log();
    assert!(seen.iter().filter(|seen| seen.host == OBJECTS).count() >= 3, "{seen:?}");
    assert_logins_went_to_their_hosts(&seen);

    let mut written = files(&user.path(""));
    for (name, content) in files(&network.storage()) {
        let mut unpacked = Vec::new();
        if flate2::read::GzDecoder::new(&content[..]).read_to_end(&mut unpacked).is_ok() {
            written.insert(format!("{name}, unpacked"), unpacked);
        }
        written.insert(name, content);
    }
    written.insert("stdout".into(), done.stdout.into());
    written.insert("stderr".into(), done.stderr.into());
    let holders = |needle: &str| {
        let holds = |content: &[u8]| content.windows(needle.len()).any(|window| window == needle.as_bytes());
        written.iter().filter(|(_, content)| holds(content)).map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    // the search finds text in files, events and layers
    assert!(holders("\"app.handler\"").len() >= 2 && !holders("def handler").is_empty());
    assert!(
        holders(REGISTRY).contains(&"stderr".to_owned())
            && holders(REGISTRY).contains(&"metadata".to_owned())
    );
    let login = decode(&token);
    let password = login.strip_prefix("AWS:").unwrap();
    let encoded = [BASE64_STANDARD.encode(password), BASE64_STANDARD.encode(&keys.secret)];
    for secret in [&keys.secret, password, &token, &encoded[0], &encoded[1]] {
        assert_eq!(holders(secret), Vec::<String>::new());
    }
}
