//! The calls of CDK and cdk-assets.

use super::transcript::Transcript;
use super::{DOCKERFILE, DockerUser, ECR};
use crate::support::registry::Mode;
use std::os::unix::fs::PermissionsExt;

/// An asset's id, which is the tag of its image.
const ID: &str = "0f3f1f2d7a7e4d0c8b9a6f5e4d3c2b1a0f3f1f2d7a7e4d0c8b9a6f5e4d3c2b1a";

/// Names the asset's id in a transcript, where digests have numbers.
fn transcript(docker: &DockerUser) -> Transcript<'_> {
    let mut transcript = Transcript::of(docker);
    transcript.word(ID, "ASSET");
    transcript
}

fn asset(docker: &DockerUser) {
    docker.write(
        "cdk.out/asset/Dockerfile",
        "ARG A\nFROM public.ecr.aws/lambda/python:3.12 AS base\nARG A\nARG B\nLABEL a=$A b=$B\n\
         FROM base AS final\nCOPY --from=lib lib.py ${LAMBDA_TASK_ROOT}/\nCOPY app.py ${LAMBDA_TASK_ROOT}/\n\
         CMD [\"app.handler\"]\nFROM base AS other\n",
    );
    docker.write("cdk.out/asset/app.py", "from lib import handler\n");
    docker.write("cdk.out/lib/lib.py", "def handler(event, context):\n    return 1\n");
}

#[test]
fn an_asset_is_published_as_by_cdk_assets() {
    let docker = DockerUser::new();
    asset(&docker);
    let mut calls = transcript(&docker);
    calls.remark("cdk-assets publish, with each option of an asset");
    calls.ok(&format!("echo TOKEN | docker login --username AWS --password-stdin {ECR}"));
    calls.run(&format!("docker inspect cdkasset-{ID}"));
    calls.ok(&format!(
        "cd cdk.out/asset && BUILDX_NO_DEFAULT_ATTESTATIONS=1 docker build --build-arg A=1 --build-arg 'B=x y' \
         --build-context lib=../lib --secret id=s,src=app.py --tag cdkasset-{ID} --target final --file Dockerfile \
         --network host --platform linux/arm64 --output=type=docker --cache-from type=registry,ref={ECR}/assets:c \
         --cache-to type=inline --no-cache ."
    ));
    let found = calls.ok(&format!("docker inspect cdkasset-{ID}")).stdout;
    assert!(found.contains("\"b\": \"x y\"") && found.contains("\"a\": \"1\""), "{found}");
    calls.ok(&format!("docker tag cdkasset-{ID} {ECR}/assets:{ID}"));
    calls.ok(&format!("docker push {ECR}/assets:{ID}"));
    calls.remark("the same again: nothing is sent");
    calls.ok(&format!("docker push {ECR}/assets:{ID}"));
    calls.is("cdk-assets");
    // The digest that was printed is that of the registry.
    let (digest, _) = docker.registry.manifest("assets", ID);
    let inspected = docker.ok(&["inspect", "--format", "{{json .RepoDigests}}", &format!("cdkasset-{ID}")]);
    assert_eq!(inspected, format!("[\"{ECR}/assets@{digest}\"]\n"));
}

#[test]
fn an_ssh_agent_is_given_to_a_build() {
    let docker = DockerUser::new();
    let mut calls = transcript(&docker);
    calls.remark("cdk-assets with dockerBuildSsh, without an agent and with one that no command asks");
    let build = "docker build --ssh default --platform linux/arm64 --tag a fn";
    calls.run(build);
    let _agent = std::os::unix::net::UnixListener::bind(docker.user.path("agent")).unwrap();
    calls.ok(&format!("SSH_AUTH_SOCK=$PWD/agent {build}"));
    calls.is("cdk-ssh");
}

#[test]
fn an_asset_goes_to_a_second_region() {
    let docker = DockerUser::new();
    let mut calls = transcript(&docker);
    calls.remark("cdk-assets with two destinations");
    docker.build("fn", &["-t", &format!("cdkasset-{ID}")]);
    let second = format!("{ECR}/second:{ID}");
    calls.run(&format!("docker inspect {second}"));
    let list =
        format!("docker images --format '{{{{.Repository}}}}:{{{{.Tag}}}}' --filter 'reference=*/*:{ID}'");
    calls.ok(&list);
    calls.ok(&format!("docker tag cdkasset-{ID} {ECR}/first:{ID}"));
    calls.ok(&format!("docker push {ECR}/first:{ID}"));
    let listed = calls.ok(&list).stdout;
    assert_eq!(listed, format!("{ECR}/first:{ID}\n"));
    calls.ok(&format!("docker tag {ECR}/first:{ID} {second}"));
    calls.ok(&format!("docker push {second}"));
    calls.ok(&format!("docker inspect --format '{{{{json .RepoTags}}}} {{{{json .RepoDigests}}}}' {second}"));
    calls.is("cdk-regions");
    assert_eq!(docker.registry.manifest("first", ID).0, docker.registry.manifest("second", ID).0);
}

#[test]
fn logins_come_from_the_helper_of_another_configuration() {
    let docker = DockerUser::of(Mode::Basic { user: "AWS", password: "s3cret" });
    docker.write("ci/config.json", format!("{{\"credHelpers\": {{\"{ECR}\": \"cdk-assets\"}}}}"));
    let script = "#!/bin/sh\nread -r host\necho \"$1 $host\" >>asked\n\
        echo '{\"Username\":\"AWS\",\"Secret\":\"s3cret\"}'\n";
    docker.write("shim/docker-credential-cdk-assets", script);
    let program = docker.user.path("shim/docker-credential-cdk-assets");
    std::fs::set_permissions(program, PermissionsExt::from_mode(0o755)).unwrap();
    // This registry gives nothing without the login, so the base has to be ECR's too.
    docker.write("fn/Dockerfile", DOCKERFILE.replace("public.ecr.aws", ECR));
    let mut calls = transcript(&docker);
    calls.remark("CDK Pipelines: --config stands before the verb, and its helper has the logins");
    calls.run("docker --config ci inspect a");
    calls.run("docker build --platform linux/arm64 -t a fn");
    calls.ok("docker --config ci build --platform linux/arm64 -t a fn");
    calls.ok(&format!("docker --config ci tag a {ECR}/assets:1"));
    calls.remark("login and push have no --config");
    calls.run(&format!("docker push {ECR}/assets:1"));
    calls.ok(&format!("echo s3cret | docker login --username AWS --password-stdin {ECR}"));
    calls.ok(&format!("docker push {ECR}/assets:1"));
    calls.is("cdk-config");
    let asked = docker.read("asked");
    assert!(!asked.is_empty() && asked.lines().all(|line| line == format!("get {ECR}")), "{asked}");
}

#[test]
fn a_tarball_is_loaded() {
    let docker = DockerUser::new();
    docker.build("fn", &["-t", "mine:1"]);
    docker.ok(&["save", "-o", "asset.tar", "mine:1"]);
    docker.ok(&["rmi", "mine:1"]);
    let mut calls = transcript(&docker);
    calls.remark("TarballImageAsset");
    let load = "docker load -i \"$1\" | tail -n 1 | sed \"s/Loaded image[^:]*: //g\"";
    let done = calls.ok(&format!("sh -c '{load}' cdk-tarball-image-asset asset.tar"));
    assert_eq!(done.stdout, "mine:1\n");
    calls.ok(&format!("docker tag mine:1 {ECR}/assets:t"));
    calls.ok(&format!("docker push {ECR}/assets:t"));
    calls.remark("an archive without a name");
    let id = docker.id("mine:1");
    docker.ok(&["save", "-o", "nameless.tar", &id]);
    let loaded = calls.ok("docker load -i nameless.tar | tail -n 1").stdout;
    assert_eq!(loaded, format!("Loaded image ID: {id}\n"));
    calls.remark("only the names of the archive are printed");
    docker.ok(&["tag", "mine:1", "zzz:1"]);
    calls.ok("docker load <asset.tar");
    calls.run("docker load -i missing.tar");
    calls.run("docker load -i fn/app.py");
    calls.is("cdk-tarball");
}
