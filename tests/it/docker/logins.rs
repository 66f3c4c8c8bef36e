//! Which login a push has: a stored one before that of AWS.

use super::{DockerUser, ECR};
use crate::support::registry::Mode;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

const PASSWORD: &str = "s3cret";

/// What an error says if AWS was asked for a login.
const ASKED: &str = "no answer to ecr:GetAuthorizationToken";

fn user(mode: Mode) -> DockerUser {
    let docker = DockerUser::of(mode);
    // The base comes from a registry that asks for a login, too.
    docker.write("fn/Dockerfile", "FROM scratch\nCOPY app.py /\n");
    docker.build("fn", &["-t", &format!("{ECR}/app:1")]);
    docker
}

/// A user who has credentials of AWS, whose API cannot be reached.
fn with_aws() -> DockerUser {
    let mut docker = user(Mode::Basic { user: "AWS", password: PASSWORD });
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("AWS_MAX_ATTEMPTS", "1"),
    ] {
        docker.user.set(name, value);
    }
    docker
}

#[test]
fn a_stored_login_comes_before_credentials_of_aws() {
    let docker = with_aws();
    let push = ["push", &format!("{ECR}/app:1")];
    // Without a login AWS is asked, in vain here.
    let said = docker.docker(&push);
    assert!(said.code == Some(1) && said.stderr.contains(ASKED), "{said:?}");
    docker.shell(&format!("echo {PASSWORD} | docker login -u AWS --password-stdin {ECR}")).succeeded();
    docker.ok(&push);
    docker.ok(&["build", "--platform", "linux/arm64", "--push", "-t", &format!("{ECR}/app:2"), "fn"]);
    // lbuild's own verbs ask AWS first.
    let to = format!("{ECR}/app:3");
    let own =
        docker.user.run(&["push", "fn", "--dockerfile", "fn/Dockerfile", "--arch", "arm64", "--to", &to]);
    assert!(own.stderr.contains(ASKED), "{own:?}");
    docker.ok(&["logout", ECR]);
    assert_eq!(docker.docker(&push).code, Some(1));
}

#[test]
fn a_configuration_given_by_a_flag_comes_before_credentials_of_aws() {
    let docker = with_aws();
    docker.shell(&format!("docker --config elsewhere login -u AWS -p {PASSWORD} {ECR}")).succeeded();
    assert!(!docker.user.path("docker/config.json").exists());
    docker.ok(&["--config", "elsewhere", "push", &format!("{ECR}/app:1")]);
}

#[test]
fn a_wrong_password_is_refused_and_not_stored() {
    for mode in
        [Mode::Basic { user: "AWS", password: PASSWORD }, Mode::Bearer { user: "AWS", password: PASSWORD }]
    {
        let docker = user(mode);
        docker.write("docker/config.json", "{\"HttpHeaders\": {\"X\": \"y\"}}");
        let before = docker.read("docker/config.json");
        for login in ["-u AWS", "-u somebody"] {
            let done = docker.shell(&format!("echo wr0ng | docker login {login} --password-stdin {ECR}"));
            let said = done.failed(1);
            assert!(said.contains(ECR) && !said.contains("wr0ng"), "{said}");
        }
        assert_eq!(docker.read("docker/config.json"), before);
        docker.shell(&format!("echo {PASSWORD} | docker login -u AWS --password-stdin {ECR}")).succeeded();
        let stored: Value = serde_json::from_str(&docker.read("docker/config.json")).unwrap();
        assert_eq!(
            (&stored["HttpHeaders"]["X"], stored["auths"].as_object().unwrap().len()),
            (&"y".into(), 1)
        );
        let mode = std::fs::metadata(docker.user.path("docker/config.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        docker.ok(&["push", &format!("{ECR}/app:1")]);
    }
}

#[test]
fn a_stored_password_that_has_become_wrong_is_named() {
    let docker = user(Mode::Basic { user: "AWS", password: PASSWORD });
    docker.user.log_in(ECR, "AWS", "0ld");
    let said = docker.docker(&["push", &format!("{ECR}/app:1")]);
    // Tools that log in again look for the first line only.
    assert!(said.code == Some(1) && said.stderr.contains(ECR) && !said.stderr.contains("0ld"), "{said:?}");
}
