//! What is refused, with its message and the way out; and logins.

use super::rig::Project;
use crate::support::registry::{Mode, Registry};
use std::fs;

/// Lines that fail, each with its message and a part of the hint.
const REFUSED: [(&str, &str, &str); 21] = [
    ("--context workspace", "error: you must provide --destination, or use --no-push", "add --destination"),
    ("--context workspace --no-pusch", "error: unknown flag: --no-pusch", "lbuild kaniko --help"),
    ("--context workspace --destination", "error: a value is required for '--destination", "--help"),
    (
        "--context git://github.com/me/app --no-push",
        "error resolving source context: lbuild does not fetch the build context git://github.com/me/app",
        "clone it",
    ),
    (
        "--context s3://bucket/context.tar.gz --no-push",
        "error resolving source context: lbuild does not fetch",
        "aws s3 cp",
    ),
    (
        "-b bucket --no-push",
        "error resolving source context: lbuild does not fetch the build context bucket",
        "tar://FILE",
    ),
    (
        "--context nothing --no-push",
        "error resolving source context: there is no directory nothing",
        "--context is",
    ),
    (
        "--context tar://nothing.tar --no-push",
        "error resolving source context: cannot read tar://nothing.tar: No such file",
        "",
    ),
    ("--context workspace --context-sub-path deep --no-push", "there is no directory workspace/deep", ""),
    (
        "--context workspace -f Missing --no-push",
        "error resolving dockerfile path: please provide a valid path to a Dockerfile",
        "workspace/Missing",
    ),
    (
        "--context workspace -f https://r.example/Dockerfile --no-push",
        "error resolving dockerfile path: lbuild does not fetch",
        "fetch it",
    ),
    (
        "--context workspace --no-push --image-name-with-digest-file f",
        "you must provide --destination if setting --image-name-with-digest-file",
        "",
    ),
    (
        "--context workspace --no-push --digest-file https://r.example/put",
        "lbuild does not send a digest",
        "name a file",
    ),
    (
        "--context workspace --no-push --compression=zstd",
        "error building image: --compression=zstd: Lambda takes layers in gzip only",
        "",
    ),
    (
        "--context workspace --destination r.example/a --skip-tls-verify",
        "error building image: --skip-tls-verify: lbuild verifies the certificate of r.example",
        "SSL_CERT_FILE",
    ),
    (
        "--context workspace --no-push --skip-tls-verify-registry r.example",
        "--skip-tls-verify-registry: lbuild verifies",
        "SSL_CERT_FILE",
    ),
    (
        "--context workspace --no-push --registry-certificate r.example=ca.pem",
        "--registry-certificate: lbuild trusts the same",
        "SSL_CERT_FILE",
    ),
    (
        "--context workspace -f hub.Dockerfile --no-push --insecure-pull",
        "--insecure-pull does not say",
        "--insecure-registry docker.io",
    ),
    (
        "--context workspace --destination HOST/a:1 --registry-map HOST=m.example",
        "the image is pushed there",
        "FROM",
    ),
    (
        "--context workspace --no-push --custom-platform linux/s390x",
        "error building image: Lambda does not run the platform",
        "",
    ),
    ("KANIKO_NO_PUSH=perhaps --context workspace", "error: KANIKO_NO_PUSH is `perhaps`", "true or false"),
];

#[test]
fn what_cannot_be_served_is_refused_with_a_way_out() {
    let project = Project::start(Mode::Plain);
    for (line, message, hint) in REFUSED {
        let mark = project.registry.mark();
        let done = project.executor(line).failed(1);
        let message = message.replace("HOST", &project.registry.host());
        // Tools show the last line alone.
        assert!(done.lines().next_back().unwrap_or_default().contains(&message), "{line}: {done}");
        assert!(done.contains(hint), "{line}: {done}");
        assert_eq!(project.registry.log_since(mark), [], "{line}");
    }
}

#[test]
fn faults_of_the_build_have_their_place() {
    let project = Project::start(Mode::Plain);
    fs::write(project.user.path("workspace/Dockerfile"), "FROM scratch\nCOPPY a b\n").unwrap();
    let done = project.executor("--context workspace --no-push").failed(1);
    assert!(done.contains("error building image: ") && done.contains("Dockerfile:2:1"), "{done}");
    fs::write(project.user.path("workspace/Dockerfile"), "FROM scratch\nCOPY nothing /\n").unwrap();
    let done = project.executor("--context workspace --no-push").failed(1);
    assert!(done.contains("error building image: ") && done.contains("nothing"), "{done}");
}

#[test]
fn an_image_that_lambda_would_refuse_is_not_pushed() {
    let project = Project::start(Mode::Plain);
    let dockerfile = format!("FROM {}/base:1\nCMD [\"app.handler\", \"two\"]\n", project.registry.host());
    fs::write(project.user.path("workspace/Dockerfile"), dockerfile).unwrap();
    let line = "--context workspace --destination HOST/a:1 --digest-file digest";
    let mark = project.registry.mark();
    let done = project.executor(line).failed(1);
    assert!(
        done.contains("error building image: `lbuild check` found") && done.contains("LBUILD_ALLOW"),
        "{done}"
    );
    assert!(!project.registry.log_since(mark).iter().any(|access| access.is_manifest_put()), "{done}");
    assert!(!project.user.path("digest").exists());
    project.executor(&format!("LBUILD_NO_CHECK=1 {line}")).succeeded();
    assert_eq!(project.registry.manifest("a", "1").0, project.read("digest"));
}

const LOGIN: Mode = Mode::Basic { user: "me", password: "mine" };

#[test]
fn a_push_that_is_not_allowed_fails_before_the_build() {
    let project = Project::start(Mode::Plain);
    let other = Registry::start(LOGIN);
    let host = other.host();
    let line = format!("--context workspace --destination {host}/a:1");
    let mark = project.registry.mark();
    let done = project.executor(&line).failed(1);
    assert!(
        done.contains("error checking push permissions -- make sure you entered the correct tag name"),
        "{done}"
    );
    assert_eq!(project.registry.log_since(mark), [], "{done}");
    let done = project.executor(&format!("{line} --skip-push-permission-check")).failed(1);
    assert!(done.contains("error building image: "), "{done}");

    project.user.log_in(&host, "me", "mine");
    project.executor(&line).succeeded();
    assert!(other.manifest("a", "1").0.starts_with("sha256:"));
}

#[test]
fn logins_of_a_variable_come_first() {
    let project = Project::start(Mode::Plain);
    let other = Registry::start(LOGIN);
    let host = other.host();
    project.user.log_in(&host, "me", "of somebody else");
    // me:mine
    let config = format!(r#"{{"auths":{{"{host}":{{"auth":"bWU6bWluZQ=="}}}}}}"#);
    let line = format!("--context workspace --destination {host}/a:1");
    project.executor(&line).failed(1);
    project.executor(&format!("DOCKER_AUTH_CONFIG={config} {line}")).succeeded();
    assert!(other.manifest("a", "1").0.starts_with("sha256:"));
    let left = crate::support::lbuild::files(&project.user.cache());
    assert!(
        !left.values().any(|content| content.windows(8).any(|part| part == b"bWU6bWlu")),
        "it is not kept"
    );
}
