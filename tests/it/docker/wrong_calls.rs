//! Calls that are refused. The codes: 125 for what lbuild does not serve, 64 for a template, 1 for the rest.

use super::transcript::Transcript;
use super::{DockerUser, ECR};

#[test]
fn wrong_calls_have_dockers_exit_codes() {
    let docker = DockerUser::new();
    docker.build("fn", &["-t", "a"]);
    docker.write("run/Dockerfile", "FROM public.ecr.aws/lambda/python:3.12\nRUN make install\n");
    docker.shell("tar -cf context.tar -C fn . && gzip -k context.tar").succeeded();
    let mut calls = Transcript::of(&docker);
    for arch in ["amd64", "arm64"] {
        calls.word(&format!("this machine's, linux/{arch}"), "this machine's, linux/ARCH");
    }
    let build = "docker build --platform linux/arm64";
    let mut codes = Vec::new();
    let mut section = |remark: &str, lines: &[String]| {
        calls.remark(remark);
        codes.extend(lines.iter().map(|line| (line.clone(), calls.run(line).code)));
    };
    let texts = |lines: &[&str]| lines.iter().map(|line| line.to_string()).collect::<Vec<_>>();
    let builds = |ends: &[&str]| ends.iter().map(|end| format!("{build} {end}")).collect::<Vec<_>>();
    section(
        "verbs that are not served",
        &texts(&[
            "docker",
            "docker compose up -d",
            "docker buildx bake",
            "docker buildx imagetools inspect a",
            "docker buildx du",
            "docker create a",
            "docker cp a:/x .",
            "docker rm -v 0123456789abcdef",
            "docker exec a sh",
            "docker ps",
            "docker volume create",
            "docker history a",
            "docker manifest inspect a",
            "docker image prune -f",
            "docker builder prune -f",
            "docker context export default",
            "docker nonsense",
            "docker run --rm -u 0:0 -v /src:/asset-input:delegated -w /asset-input cdk-0 bash -c 'pip install'",
            "docker container run a",
        ]),
    );
    section(
        "flags that are not known",
        &texts(&[
            "docker --nonsense images",
            "docker build --squash .",
            "docker push --all-tags a",
            "docker images --tree",
            "docker images --filter since=a",
        ]),
    );
    section(
        "templates",
        &texts(&[
            "docker inspect --format '{{range .RepoTags}}{{.}}{{end}}' a",
            "docker images --format '{{.ID'",
            "docker version --format '{{len .Server}}'",
            "docker inspect -f '{{index .RepoDigests 0}}' a",
            "docker inspect -f '{{index .RepoDigests}' a",
        ]),
    );
    section(
        "several platforms, and those that Lambda does not have",
        &texts(&[
            "docker build --platform linux/amd64,linux/arm64 -t a fn",
            "docker build --platform linux/amd64 --platform linux/arm64 -t a fn",
            "docker build --platform windows/amd64 fn",
            "docker build --platform linux/s390x fn",
            "DOCKER_DEFAULT_PLATFORM=linux/386 docker build fn",
        ]),
    );
    section(
        "commands that would run in another way",
        &builds(&[
            "--network none run",
            "--network none -q fn",
            "--shm-size 1g run",
            "--shm-size 1g -q fn",
            "-m 1g --cpu-shares 2 --add-host a:127.0.0.1 run",
        ]),
    );
    section(
        "outputs",
        &builds(&[
            "--output type=local,dest=out fn",
            "--output out fn",
            "--output - fn",
            "-o type=docker,dest=- fn",
            "-o type=oci,dest=a.tar fn",
            "-o type=image,push-by-digest=true,push=true fn",
            "-o type=image,compression=zstd fn",
            "--push fn",
        ]),
    );
    section(
        "contexts",
        &[
            builds(&[
                "https://github.com/aws/nothing.git#main",
                "git@github.com:aws/nothing.git",
                "github.com/aws/nothing",
                "- <context.tar",
                "- <context.tar.gz",
                "missing",
                "fn fn",
                "",
                "-f missing fn",
                "-t UPPER fn",
                "-t a:b:c fn",
                "--build-context lib fn",
                "--target nothing fn",
                "--secret id=s,src=missing fn",
            ]),
            texts(&["docker build -t a </dev/null -"]),
        ]
        .concat(),
    );
    section(
        "images that are not there",
        &texts(&[
            "docker inspect missing",
            "docker image inspect --format '{{.Id}}' missing",
            "docker inspect --type container a",
            "docker tag missing b",
            "docker tag a b@sha256:0000000000000000000000000000000000000000000000000000000000000000",
            "docker tag a",
            "docker push missing",
            "docker push a b",
            "docker rmi missing",
            "docker rmi",
            "docker save missing -o x.tar",
            "docker save",
        ]),
    );
    section(
        "logins",
        &[
            texts(&[
                "docker login -p x",
                "docker login -u x",
                "docker login -u x --password-stdin </dev/null",
                "docker login -u x -p y --password-stdin",
            ]),
            vec![format!("docker logout a b {ECR}")],
        ]
        .concat(),
    );
    calls.is("wrong-calls");
    assert!(codes.len() >= 30);
    // These do what they are asked to: nothing runs, and a call without a verb gets help.
    let served = |line: &str| line.ends_with("-q fn") || line == "docker";
    for (line, code) in codes {
        let expected: &[i32] = if served(&line) { &[0] } else { &[1, 64, 125] };
        assert!(code.is_some_and(|code| expected.contains(&code)), "{line}: {code:?}");
    }
    // Nothing of it was built under the name.
    assert_eq!(docker.names(), ["a:latest"]);
}

#[test]
fn help_is_given_for_each_verb() {
    let docker = DockerUser::new();
    let verbs =
        "build buildx image tag push inspect images load save login logout pull rmi version info context run";
    for verb in verbs.split(' ') {
        let done = docker.docker(&[verb, "--help"]).succeeded();
        assert!(done.stdout.contains("Usage: docker ") && done.stderr.is_empty(), "{verb}: {done:?}");
    }
    assert!(docker.ok(&["--help"]).contains("buildx"));
}
