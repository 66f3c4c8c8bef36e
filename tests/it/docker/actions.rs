//! The calls of GitHub's actions for Docker.

use super::transcript::Transcript;
use super::{DockerUser, ECR};
use serde_json::Value;

/// The architecture of this machine, as Docker and the kernel name it.
const HOST: [&str; 2] =
    if cfg!(target_arch = "aarch64") { ["arm64", "aarch64"] } else { ["amd64", "x86_64"] };

#[test]
fn setup_qemu_finds_emulators() {
    let docker = DockerUser::new();
    let mut calls = Transcript::of(&docker);
    calls.remark("docker/setup-qemu-action");
    let image = "docker.io/tonistiigi/binfmt:latest";
    calls.ok(&format!("docker pull {image}"));
    calls
        .ok(&format!("docker image inspect {image}")
            .replace("inspect", "inspect --format '{{json .RepoTags}}'"));
    calls.ok(&format!("docker run --rm --privileged {image} --version"));
    let supported = |text: &str| {
        let found: Value = serde_json::from_str(text).unwrap();
        let mut names: Vec<_> = found["supported"].as_array().unwrap().iter().map(Value::to_string).collect();
        names.sort();
        names
    };
    calls.is("setup-qemu");
    for more in ["--install all", "--uninstall qemu-*", ""] {
        let answer = docker.shell(&format!("docker run --rm --privileged {image} {more}")).succeeded();
        assert_eq!(supported(&answer.stdout), ["\"linux/amd64\"", "\"linux/arm64\""], "{more}");
    }
}

#[test]
fn setup_buildx_creates_a_builder_and_removes_it() {
    let docker = DockerUser::new();
    let mut calls = Transcript::of(&docker);
    for (word, name) in HOST.iter().zip(["ARCH", "MACHINE"]) {
        calls.word(&format!("OS/Arch:           linux/{word}"), &format!("OS/Arch:           linux/{name}"));
        calls.word(&format!("Architecture: {word}"), &format!("Architecture: {name}"));
        calls.word(&format!("\"Arch\":\"{word}\""), &format!("\"Arch\":\"{name}\""));
    }
    calls.remark("docker/setup-buildx-action");
    for line in [
        "docker version",
        "docker info",
        "docker buildx",
        "docker buildx version",
        "docker context inspect --format {{.Name}}",
        "docker buildx inspect builder-1f2e",
        "docker context inspect --format=json default",
        "docker context create builder-1f2e-context",
        "docker buildx create --name builder-1f2e --driver docker-container --buildkitd-flags \
         '--allow-insecure-entitlement security.insecure' --use builder-1f2e-context",
        "docker buildx inspect --bootstrap --builder builder-1f2e",
        "docker buildx ls",
        "docker buildx use builder-1f2e",
        "docker context ls",
        "docker context show",
        "docker context use default",
        "docker buildx rm builder-1f2e",
        "docker context rm -f builder-1f2e-context",
    ] {
        calls.ok(line);
    }
    calls.remark("what others ask");
    for line in [
        "docker version --format '{{.Server.Version}} {{.Client.APIVersion}}'",
        "docker version -f '{{json .Server}}'",
        "docker info --format '{{.ServerVersion}} {{.OSType}} {{json .ServerErrors}}'",
        "docker -D --log-level=debug -H unix:///nonexistent --context default buildx inspect",
    ] {
        calls.ok(line);
    }
    calls.is("setup-buildx");
}

#[test]
fn login_actions_log_in_and_out() {
    let docker = DockerUser::new();
    let mut calls = Transcript::of(&docker);
    calls.remark("docker/login-action");
    calls.ok("printf s3cret | docker login --password-stdin --username me registry.example"
        .replace("registry.example", ECR)
        .as_str());
    calls.ok("docker logout $HOST".replace("$HOST", ECR).as_str());
    calls.remark("aws-actions/amazon-ecr-login");
    calls.ok(&format!("docker login -u AWS -p TOKEN https://{ECR}"));
    let stored: Value = serde_json::from_str(&docker.read("docker/config.json")).unwrap();
    assert_eq!(stored["auths"][ECR]["auth"], "QVdTOlRPS0VO", "{stored}");
    calls.ok(&format!("docker logout https://{ECR}"));
    calls.ok(&format!("docker logout {ECR}"));
    calls.is("login-actions");
    assert!(!docker.read("docker/config.json").contains(ECR));
}

#[test]
fn build_push_builds_and_pushes() {
    let docker = DockerUser::new();
    docker.write("token", "s3cret");
    let mut calls = Transcript::of(&docker);
    calls.remark("docker/build-push-action");
    calls.ok("docker buildx inspect builder-1f2e");
    let done = calls.ok(&format!(
        "docker buildx build --build-arg A=1 --cache-from type=gha --cache-to type=gha,mode=max --iidfile iid \
         --label org.opencontainers.image.revision=0f --platform linux/arm64 --attest type=provenance,disabled=true \
         --secret id=a,src=$PWD/token --builder builder-1f2e --network host --shm-size 1g --ulimit nofile=1024 \
         --tag {ECR}/app:v1 --tag {ECR}/app:latest --metadata-file metadata --push fn"
    ));
    assert_eq!(done.stdout, "");
    calls.remark("with outputs, and without a registry");
    calls.ok("docker buildx build --iidfile iid2 --platform linux/arm64 --tag app:v2 --metadata-file metadata2 --load fn");
    calls.ok("cat iid metadata iid2 metadata2");
    calls.is("build-push");
    let (digest, manifest) = docker.registry.manifest("app", "v1");
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let metadata: Value = serde_json::from_str(&docker.read("metadata")).unwrap();
    assert_eq!(docker.read("iid"), manifest["config"]["digest"].as_str().unwrap());
    assert_eq!(metadata["containerimage.digest"], *digest);
    assert_eq!(metadata["containerimage.config.digest"], manifest["config"]["digest"]);
    assert_eq!(metadata["image.name"], format!("{ECR}/app:v1,{ECR}/app:latest"));
    assert_eq!(docker.id("app:v2"), docker.read("iid2"));
}
