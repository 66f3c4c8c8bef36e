//! Lambda's rules at a push: an image that Lambda would refuse is not sent.

use super::{DOCKERFILE, DockerUser, ECR};
use crate::support::registry::AccessLogEntry;

/// Only the ELF header of a library for amd64.
fn library() -> Vec<u8> {
    [&b"\x7fELF\x02\x01\x01"[..], &[0; 9], &[3, 0, 62, 0, 1, 0, 0, 0], &[0; 40]].concat()
}

fn user() -> DockerUser {
    let docker = DockerUser::new();
    docker.write("fn/Dockerfile", format!("{DOCKERFILE}COPY lib.so ${{LAMBDA_TASK_ROOT}}/\n"));
    docker.write("fn/lib.so", library());
    docker
}

/// The layers of the function that a registry was asked to store, or its config or manifest.
fn sent(docker: &DockerUser, since: usize) -> Vec<AccessLogEntry> {
    let base = crate::support::testdata("base/blobs/sha256");
    let base: Vec<String> =
        base.read_dir().unwrap().map(|blob| blob.unwrap().file_name().into_string().unwrap()).collect();
    let log = docker.registry.log_since(since).into_iter();
    let is_of_base =
        |access: &AccessLogEntry| base.iter().any(|digest| access.path.contains(digest.as_str()));
    log.filter(|access| access.method == "PUT" && !is_of_base(access)).collect()
}

#[test]
fn an_image_that_lambda_refuses_is_not_pushed() {
    let mut docker = user();
    let name = format!("{ECR}/app:1");
    docker.build("fn", &["-t", &name]);
    let mark = docker.registry.mark();
    let done = docker.docker(&["push", &name]);
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stderr.contains("lib.so") && !done.stdout.contains("digest:"), "{done:?}");
    let found = sent(&docker, mark);
    assert!(found.is_empty(), "{found:?}");
    // The way out that it names works in this personality.
    let rule = done.stderr.lines().find_map(|line| line.strip_prefix("error: "));
    let rule = rule.unwrap_or_else(|| panic!("{}", done.stderr)).to_owned();
    assert!(done.stderr.contains("LBUILD_ALLOW"), "{}", done.stderr);
    let build = ["build", "--platform", "linux/arm64", "--push", "-t", &name, "fn"];
    let done = docker.docker(&build);
    assert!(done.code == Some(1) && sent(&docker, mark).is_empty(), "{done:?}");
    // A build alone is not checked, and an unknown rule is named.
    docker.user.set("LBUILD_ALLOW", "nonsense");
    let said = docker.docker(&["push", &name]);
    assert!(said.code == Some(1) && said.stderr.contains("nonsense"), "{said:?}");
    docker.user.set("LBUILD_ALLOW", &format!("secret-file, {rule}"));
    docker.ok(&["push", &name]);
    assert!(!sent(&docker, mark).is_empty());
}

#[test]
fn the_check_can_be_left_out() {
    let mut docker = user();
    let name = format!("{ECR}/app:1");
    docker.user.set("LBUILD_NO_CHECK", "1");
    docker.ok(&["build", "--platform", "linux/arm64", "--push", "-t", &name, "fn"]);
    let (_, manifest) = docker.registry.manifest("app", "1");
    assert!(manifest.contains("layers"));
}

#[test]
fn a_missing_handler_is_found() {
    let docker = DockerUser::new();
    docker.write("fn/Dockerfile", DOCKERFILE.replace("app.handler", "other.handler"));
    let name = format!("{ECR}/app:1");
    docker.build("fn", &["-t", &name]);
    let mark = docker.registry.mark();
    let done = docker.docker(&["push", &name]);
    assert!(done.code == Some(1) && done.stderr.contains("other"), "{done:?}");
    assert!(sent(&docker, mark).is_empty());
}

#[test]
fn an_image_that_is_not_for_lambda_gets_warnings() {
    let docker = DockerUser::new();
    docker.write("web/Dockerfile", "FROM scratch\nCOPY lib.so .env /\nCMD [\"/server\"]\n");
    docker.write("web/lib.so", library());
    docker.write("web/.env", "AWS_KEY=AKIAQ3EGRIXW5Z7TNZ4K\n");
    let name = format!("{ECR}/web:1");
    docker.build("web", &["-t", &name]);
    let done = docker.docker(&["push", &name]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stderr.contains("warning") && done.stderr.contains(".env"), "{done:?}");
    let push = ["build", "--platform", "linux/arm64", "--push", "-t", &format!("{ECR}/web:2"), "web"];
    let done = docker.docker(&push);
    assert!(done.code == Some(0) && done.stderr.contains("warning"), "{done:?}");
}
