//! The socket of `lbuild with`, as tools find it by DOCKER_HOST.

use super::DockerUser;
use serde_json::Value;

/// Asks the socket, and returns the status, the headers and the body.
fn asked(docker: &DockerUser, arguments: &str) -> (u16, String, String) {
    let script =
        format!("exec curl -s -i --max-time 10 --unix-socket \"${{DOCKER_HOST#unix://}}\" {arguments}");
    let done = docker.user.ok(&["with", "--", "sh", "-c", &script]);
    let (head, body) = done.stdout.split_once("\r\n\r\n").unwrap_or((&done.stdout, ""));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

#[test]
fn the_socket_says_that_it_is_there() {
    let docker = DockerUser::new();
    for path in ["_ping", "v1.44/_ping", "v1.35/_ping"] {
        let (status, head, body) = asked(&docker, &format!("http://docker/{path}"));
        assert_eq!((status, body.as_str()), (200, "OK"), "{path}");
        assert!(head.contains("api-version: 1.44") && head.contains("ostype: linux"), "{head}");
    }
    let (status, head, body) = asked(&docker, "--head http://docker/_ping");
    assert!(status == 200 && head.contains("api-version: 1.44") && body.is_empty(), "{head}{body}");
    for path in ["version", "v1.44/version"] {
        let (status, _, body) = asked(&docker, &format!("http://docker/{path}"));
        let version: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &version["ApiVersion"]), (200, &"1.44".into()), "{body}");
    }
}

#[test]
fn the_socket_refuses_other_calls_with_a_message() {
    let docker = DockerUser::new();
    for call in [
        "http://docker/v1.44/containers/json",
        "-X POST 'http://docker/v1.44/build?t=a' --data-binary x",
        "-X POST http://docker/_ping",
        "http://docker/v1.44/images/a/json",
        "http://docker/",
        "-X DELETE http://docker/v1.44/images/a",
        "--request-target '*' -X OPTIONS http://docker/",
    ] {
        let (status, head, body) = asked(&docker, call);
        let answer: Value =
            serde_json::from_str(&body).unwrap_or_else(|error| panic!("{call}: {error}: {body}"));
        let message = answer["message"].as_str().unwrap();
        assert!(status == 501 && head.contains("content-type: application/json"), "{call}: {head}");
        assert!(message.contains("no engine") && message.contains("--use-buildkit"), "{message}");
    }
}

#[test]
fn only_the_user_can_open_the_socket() {
    let docker = DockerUser::new();
    let script = "stat -c %a \"$(dirname \"$(command -v docker)\")\"";
    assert_eq!(docker.user.ok(&["with", "--", "sh", "-c", script]).stdout, "700\n");
}
