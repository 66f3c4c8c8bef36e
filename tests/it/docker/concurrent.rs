//! Calls at the same time, as CDK makes them.

use super::{DockerUser, ECR};
use crate::support::lbuild::{RunOutput, noise};
use std::collections::BTreeSet;

#[track_caller]
fn all_succeed(running: Vec<std::process::Child>) -> Vec<RunOutput> {
    running.into_iter().map(|child| RunOutput::of(child.wait_with_output().unwrap()).succeeded()).collect()
}

#[test]
fn builds_and_a_push_at_once_succeed() {
    let docker = DockerUser::new();
    let (first, second) = (docker.numbered(1), docker.numbered(2));
    let name = format!("{ECR}/app:1");
    docker.write("fn/data", noise(1, 300_000));
    docker.write("fn/Dockerfile", format!("{}COPY data /\n", super::DOCKERFILE));
    docker.build("fn", &["-t", &name]);
    for round in 0..3 {
        let tags = [format!("one:{round}"), format!("two:{round}")];
        let build = |path, tag| docker.start(&["build", "--platform", "linux/arm64", "-t", tag, path]);
        all_succeed(vec![build(&first, &tags[0]), docker.start(&["push", &name]), build(&second, &tags[1])]);
        assert_ne!(docker.id(&tags[0]), docker.id(&tags[1]));
    }
    let (digest, _) = docker.registry.manifest("app", "1");
    let digests = docker.ok(&["inspect", "--format", "{{json .RepoDigests}}", &name]);
    assert_eq!(digests, format!("[\"{ECR}/app@{digest}\"]\n"));
}

#[test]
fn eight_builds_of_one_image_at_once_give_it_all_names() {
    let docker = DockerUser::new();
    for round in 0..3 {
        let names: BTreeSet<String> = (0..8).map(|number| format!("name{number}:{round}")).collect();
        let path = docker.numbered(100 + round);
        let build =
            |name: &String| docker.start(&["build", "-q", "--platform", "linux/arm64", "-t", name, &path]);
        let ids: BTreeSet<_> =
            all_succeed(names.iter().map(build).collect()).into_iter().map(|done| done.stdout).collect();
        assert_eq!(ids.len(), 1, "{ids:?}");
        let found: BTreeSet<String> =
            docker.names().into_iter().filter(|name| name.ends_with(&format!(":{round}"))).collect();
        assert_eq!(found, names);
    }
}

#[test]
fn eight_builds_of_one_name_at_once_leave_one_of_the_images() {
    let docker = DockerUser::new();
    let paths: Vec<String> = (0..8).map(|number| docker.numbered(number)).collect();
    let build =
        |path: &String| docker.start(&["build", "-q", "--platform", "linux/arm64", "-t", "same", path]);
    let ids: Vec<String> = all_succeed(paths.iter().map(build).collect())
        .into_iter()
        .map(|done| done.stdout.trim().to_owned())
        .collect();
    assert!(ids.contains(&docker.id("same")));
    assert_eq!(docker.names().iter().filter(|name| *name == "same:latest").count(), 1);
    // The others are there, without a name.
    let listed = docker.ok(&["images", "-q", "--no-trunc"]);
    assert!(ids.iter().all(|id| listed.contains(id.as_str())), "{listed}");
    docker.ok(&["save", "-o", "same.tar", "same"]);
}

#[test]
fn eight_builds_with_names_of_their_own_succeed_beside_prune() {
    let docker = DockerUser::new();
    let paths: Vec<String> = (0..8).map(|number| docker.numbered(number)).collect();
    let build = |(number, path): (usize, &String)| {
        docker.start(&["build", "-q", "--platform", "linux/arm64", "-t", &format!("app:{number}"), path])
    };
    let prune = || docker.user.command(&["cache", "prune", "--days", "0"]).output().unwrap();
    let mut running: Vec<_> = paths.iter().enumerate().map(build).collect();
    while running.iter_mut().any(|child| child.try_wait().unwrap().is_none()) {
        RunOutput::of(prune()).succeeded();
    }
    let ids: Vec<String> =
        all_succeed(running).into_iter().map(|done| done.stdout.trim().to_owned()).collect();
    // An image that was pruned after its build is gone as a whole; one that is listed has all its layers.
    for name in docker.names() {
        let number: usize = name.strip_prefix("app:").unwrap().parse().unwrap();
        assert_eq!(docker.id(&name), ids[number]);
        docker.ok(&["save", "-o", "app.tar", &name]);
    }
}
