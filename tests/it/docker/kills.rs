//! Calls that are killed at random moments. `LBUILD_TEST_SEED` repeats the moments of an earlier run.

use super::DockerUser;
use crate::support::faults::{self, Random};
use crate::support::lbuild::{files, noise};
use crate::support::processes::wait_for_end;
use std::time::{Duration, Instant};

fn random() -> Random {
    let random = Random::seeded();
    println!("LBUILD_TEST_SEED={}", random.seed());
    random
}

/// Fails unless the store has these names, each listed image can be saved, and nothing is left of the killed call.
#[track_caller]
fn is_whole(docker: &DockerUser, names: &[String], what: &str) {
    let listed = docker.names();
    let missing: Vec<_> = names.iter().filter(|name| !listed.contains(name)).collect();
    assert!(missing.is_empty(), "{what}: {missing:?} of {listed:?}");
    for id in docker.ok(&["images", "-q", "--no-trunc"]).lines() {
        let done = docker.docker(&["save", "-o", "saved.tar", id]);
        assert_eq!(done.code, Some(0), "{what}: {id}: {}", done.stderr);
    }
    let nameless = docker.ok(&["images", "-q", "--no-trunc", "--filter", "dangling=true"]);
    nameless.lines().for_each(|id| drop(docker.ok(&["rmi", id])));
    // The next change removes what a killed one has left.
    docker.ok(&["tag", &names[0], "last:1"]);
    let left = faults::left_over(&docker.user.cache());
    assert_eq!(left, None, "{what}");
    let work = std::fs::read_dir(docker.user.cache().join("work")).into_iter().flatten().flatten().count();
    assert_eq!(work, 0, "{what}");
    let other: Vec<_> = files(&docker.user.cache().join("images"))
        .into_keys()
        .filter(|name| name.trim_start_matches("names/").len() != 64)
        .collect();
    assert!(other.is_empty(), "{what}: {other:?}");
}

#[test]
fn a_killed_build_or_tag_loses_no_image_and_no_name() {
    let (docker, mut random) = (DockerUser::new(), random());
    let mut names = Vec::new();
    for number in [1, 2] {
        let name = format!("kept:{number}");
        docker.build(&docker.numbered(number), &["-t", &name]);
        names.push(name);
    }
    let path = docker.numbered(0);
    docker.write("fn0/Dockerfile", format!("{}COPY data /\n", super::DOCKERFILE));
    docker.write("fn0/data", noise(0, 200_000));
    let begun = Instant::now();
    docker.build(&path, &["-t", "killed"]);
    let whole = begun.elapsed();
    let begun = Instant::now();
    docker.ok(&["tag", "kept:1", "tagged"]);
    let tagging = begun.elapsed();
    let (mut killed, rounds) = (0, if faults::all() { 200 } else { 20 });
    for round in 0..rounds {
        let (arguments, time) = if round % 2 == 0 {
            docker.write("fn0/data", noise(round, 200_000));
            (vec!["build", "--platform", "linux/arm64", "-t", "killed", "-t", "killed:2", &path], whole)
        } else {
            (vec!["tag", if round % 4 == 1 { "kept:1" } else { "kept:2" }, "tagged"], tagging)
        };
        let moment: Duration = time.mul_f64(random.below(1100) as f64 / 1000.0);
        let mut child = docker.start(&arguments);
        std::thread::sleep(moment);
        child.kill().unwrap();
        killed += usize::from(child.wait().unwrap().code().is_none());
        wait_for_end(&docker.user);
        is_whole(&docker, &names, &format!("round {round}, {} killed after {moment:?}", arguments[0]));
        // These move, but one that was there stays.
        let listed = docker.names();
        assert!(listed.iter().any(|name| name == "tagged:latest"), "round {round}: {listed:?}");
        assert!(listed.iter().any(|name| name == "killed:latest"), "round {round}: {listed:?}");
    }
    println!("{killed} of {rounds} calls were killed");
    assert!(killed > 0);
}
