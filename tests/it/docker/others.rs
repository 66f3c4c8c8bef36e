//! The calls of osls and Serverless, of Copilot and SAM, and the names under which lbuild answers.

use super::transcript::Transcript;
use super::{DOCKERFILE, DockerUser, ECR, with_input};
use crate::support::registry::Mode;
use std::process::Command;

/// The digests in a text that are not cut.
fn digests(text: &str) -> Vec<String> {
    let starts = text.match_indices("sha256:").map(|(at, _)| &text[at..]);
    let whole = |text: &&str| {
        let hex = text["sha256:".len()..].bytes().take_while(u8::is_ascii_hexdigit).count();
        hex >= 64
    };
    starts.filter(whole).map(|text| text[..71].to_owned()).collect()
}

#[test]
fn osls_logs_in_when_a_push_fails() {
    let docker = DockerUser::of(Mode::Bearer { user: "AWS", password: "s3cret" });
    let mut calls = Transcript::of(&docker);
    calls.word(&docker.registry.token_service().url(), "TOKENS");
    calls.remark("osls: flags stand after the path");
    calls.ok("docker --version");
    calls.ok(&format!(
        "docker build -t serverless-svc-dev:hello -f \"$PWD/fn/Dockerfile\" --build-arg A=1 --cache-from {ECR}/cache ./fn \
         --platform=linux/arm64 --provenance=false",
    ));
    calls.ok(&format!("docker tag serverless-svc-dev:hello {ECR}/serverless-svc-dev:hello"));
    let push = format!("docker push {ECR}/serverless-svc-dev:hello");
    let refused = calls.run(&push);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("no basic auth credentials"), "{}", refused.stderr);
    calls.ok(&format!("echo s3cret | docker login --username AWS --password-stdin https://{ECR}"));
    let pushed = calls.ok(&push);
    // The first digest that it finds is the function's.
    let (digest, _) = docker.registry.manifest("serverless-svc-dev", "hello");
    assert_eq!(digests(&format!("{}{}", pushed.stdout, pushed.stderr)), std::slice::from_ref(&digest));
    let again = calls.ok(&push);
    assert_eq!(digests(&format!("{}{}", again.stdout, again.stderr)), [digest]);
    calls.remark("Serverless Framework v3: the password is an argument");
    calls.ok(&format!("docker login --username AWS --password s3cret {ECR}"));
    calls.is("osls");
}

#[test]
fn copilot_reads_the_digest_after_a_push() {
    let docker = DockerUser::new();
    let mut calls = Transcript::of(&docker);
    calls.remark("AWS Copilot: a Dockerfile on standard input, then one beside its directory");
    calls.ok(&format!(
        "printf 'FROM public.ecr.aws/lambda/python:3.12\\nENV A=1\\n' | docker build -t {ECR}/app/stdin:1 \
         --platform linux/arm64 --progress plain -"
    ));
    calls.ok(&format!(
        "docker build -t {ECR}/app/web:latest -t {ECR}/app/web:1 --cache-from {ECR}/app/web:0 --platform linux/arm64 \
         --build-arg A=1 --label com.aws.copilot=x fn -f fn/Dockerfile"
    ));
    calls.ok(&format!("echo t | docker login -u AWS --password-stdin {ECR}"));
    for tag in ["latest", "1"] {
        calls.ok(&format!("docker push {ECR}/app/web:{tag} --quiet"));
    }
    let digest =
        format!("docker inspect --format ''\\''{{{{json (index .RepoDigests 0)}}}}'\\''' {ECR}/app/web:1");
    let printed = calls.ok(&digest).stdout;
    let (pushed, _) = docker.registry.manifest("app/web", "latest");
    assert_eq!(printed, format!("'\"{ECR}/app/web@{pushed}\"'\n"));
    calls.remark("before a push there is none");
    calls.run(&format!("docker inspect --format '{{{{json (index .RepoDigests 0)}}}}' {ECR}/app/stdin:1"));
    calls.is("copilot");
}

#[test]
fn sam_builds_with_buildkit() {
    let docker = DockerUser::new();
    let mut calls = Transcript::of(&docker);
    calls.remark("sam build --use-buildkit");
    calls.ok("docker buildx version");
    calls.ok(
        "docker buildx build -f \"$PWD/fn/Dockerfile\" -t hello:v1 --provenance=false --sbom=false --load \
         --platform linux/arm64 --build-arg A=1 --rm \"$PWD/fn\"",
    );
    calls.ok("docker images");
    calls.is("sam");
}

#[test]
fn lbuild_answers_under_each_name() {
    let docker = DockerUser::new();
    let mut calls = Transcript::of(&docker);
    calls.remark("links to lbuild, and its own verb");
    for line in [
        "docker --version",
        "docker -v",
        "lbuild=$(readlink shim/docker) && \"$lbuild\" docker --version",
        "lbuild=$(readlink shim/docker) && \"$lbuild\" --quiet docker --version",
        "docker buildx version",
        "buildx version",
        "docker-buildx version",
        "docker-buildx buildx version",
        "buildx build -q --platform linux/arm64 -t a fn",
        "docker image build -q --platform linux/arm64 -t a fn",
        "docker builder build -q --platform linux/arm64 -t a fn",
        "docker buildx b -q --platform linux/arm64 -t a fn",
    ] {
        calls.ok(line);
    }
    calls.remark("a plugin of Docker's own command: its name is the first word");
    calls.ok("docker-buildx docker-cli-plugin-metadata");
    calls.ok("docker-buildx buildx build --platform linux/arm64 --push -t $HOST/b:1 fn"
        .replace("$HOST", ECR)
        .as_str());
    calls.is("names");
    // Other names are lbuild's own.
    let other = docker.user.path("docker-like");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_lbuild"), &other).unwrap();
    let said = Command::new(other).arg("--version").output().unwrap();
    assert!(String::from_utf8_lossy(&said.stdout).starts_with("lbuild "), "{said:?}");
}

#[test]
fn images_are_listed_tagged_and_removed() {
    let docker = DockerUser::new();
    let mut calls = Transcript::of(&docker);
    calls.ok("docker images");
    calls.ok("docker images -q");
    docker.build("fn", &["-t", "a", "-t", "me/b:2", "--label", "of=one"]);
    docker.write("fn/app.py", "def handler(event, context):\n    return 2\n");
    docker.build("fn", &["-t", "c:1"]);
    docker.build("fn", &["--label", "of=none"]);
    for line in [
        "docker images",
        "docker image ls -a",
        "docker images -q",
        "docker images -q --no-trunc",
        "docker images --digests",
        "docker images --format json",
        "docker images --format 'table {{.Repository}}\\t{{.ID}}'",
        "docker images a",
        "docker images me/b:1",
        "docker images --filter reference=a --filter reference='me/*'",
        "docker images --filter dangling=true",
        "docker images -f dangling=false -f 'reference=c:?'",
        "docker tag a x.example/a:3",
        "docker image tag a a:4",
        "docker inspect --format '{{.RepoTags}} {{.Config.Cmd}} {{index .Config.Labels \"of\"}}' a",
        "docker image inspect --format '{{json .RepoTags}}' c:1 a",
        "docker inspect --type image --format '{{.Id}}' a missing",
        "docker inspect --format '{{.Id}}' \"$(docker images -q c)\"",
        "docker rmi \"$(docker images -q a:4)\"",
        "docker rmi a x.example/a:3",
        "docker image rm a:4 me/b:2",
        "docker rmi a",
        "docker rmi -f a c:1",
        "docker images",
    ] {
        calls.run(line);
    }
    calls.is("images");
}

#[test]
fn a_pull_gives_a_name_to_an_image_of_a_registry() {
    let docker = DockerUser::new();
    let mut calls = Transcript::of(&docker);
    let base = "public.ecr.aws/lambda/python:3.12";
    calls.ok(&format!("docker pull --platform linux/arm64 {base}"));
    calls.ok(&format!("docker pull -q --platform linux/amd64 {base}"));
    calls.ok(&format!("docker inspect --format '{{{{.Architecture}}}} {{{{.RepoTags}}}}' {base}"));
    calls.run("docker pull --platform linux/arm64 public.ecr.aws/lambda/python:9");
    calls.ok(&format!("docker tag {base} {ECR}/copy:1"));
    calls.ok(&format!("docker push {ECR}/copy:1"));
    calls.ok(&format!("docker save {base} | tar -t | grep -c tar.gz"));
    calls.is("pull");
}

#[test]
fn a_build_has_the_name_of_another_build() {
    let docker = DockerUser::new();
    docker.build("fn", &["-t", "first", "-t", "lib/first:2"]);
    docker.write(
        "second/Dockerfile",
        "FROM first\nCOPY --from=lib/first:2 /var/task/app.py /var/task/copy.py\n",
    );
    let mut calls = Transcript::of(&docker);
    calls.remark("FROM and COPY --from name images of the local store");
    calls.ok("docker build --platform linux/arm64 -t second second");
    calls.remark("with --pull those of the registry");
    docker.write("third/Dockerfile", format!("FROM {ECR}/first:1\n"));
    docker.ok(&["tag", "first", &format!("{ECR}/first:1")]);
    calls.ok("docker build --platform linux/arm64 -t third third");
    calls.run("docker build --pull --platform linux/arm64 -t third third");
    calls.remark("an image of another architecture");
    calls.run("docker build --platform linux/amd64 -t second second");
    calls.is("local-names");
    let saved = docker.shell("docker save second -o second.tar").succeeded();
    assert_eq!(saved.stdout, "");
    let listed = docker.user.ok(&["inspect", "--tree", "docker-archive:second.tar"]).stdout;
    assert!(listed.contains("var/task/copy.py") && listed.contains("var/task/app.py"), "{listed}");
}

#[test]
fn a_build_writes_where_it_is_asked_to() {
    let docker = DockerUser::new();
    let mut calls = Transcript::of(&docker);
    let build = "docker build --platform linux/arm64 fn -t a:1";
    for output in [
        "-o type=docker,dest=a.tar",
        "-o type=oci,dest=layout,tar=false",
        "-o type=image,name=,push=false",
        "--output type=cacheonly",
        "--load",
        "--load --output type=docker",
        "-q",
    ] {
        calls.run(&format!("{build} {output}"));
    }
    let named = "docker build --platform linux/arm64 fn";
    calls.ok(&format!("{named} -o type=registry -t {ECR}/a:1 -t {ECR}/a:2 -t {ECR}/b:1"));
    calls.ok(&format!("{named} -o type=image,push=true -t {ECR}/a:3 --load"));
    calls.ok(&format!("docker inspect --format '{{{{json .RepoTags}}}}' {ECR}/a:3"));
    calls.remark("without --platform: that of the environment");
    calls.ok("DOCKER_DEFAULT_PLATFORM=linux/arm64/v8 docker build -q fn");
    calls.is("outputs");
    let digests = [("a", "1"), ("a", "2"), ("b", "1"), ("a", "3")]
        .map(|(name, tag)| docker.registry.manifest(name, tag).0);
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    assert!(docker.user.path("layout/index.json").is_file() && docker.user.path("a.tar").is_file());
}

#[test]
fn a_dockerfile_on_standard_input_may_have_no_files() {
    let docker = DockerUser::new();
    let text = DOCKERFILE.as_bytes();
    let done = with_input(&mut docker.command(&["build", "--platform", "linux/arm64", "-"]), text);
    let said = done.failed(1);
    assert!(said.contains("app.py"), "{said}");
}
