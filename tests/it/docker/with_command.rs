//! `lbuild with` and `lbuild shim`.

use super::DockerUser;
use crate::support::lbuild::RunOutput;
use crate::support::processes::{running, wait_for_end};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A user whose PATH has no `docker`.
fn user() -> DockerUser {
    let mut docker = DockerUser::new();
    docker.user.set("PATH", "/usr/bin:/bin");
    docker
}

fn with(docker: &DockerUser, words: &[&str]) -> Command {
    docker.user.command(&[&["with", "--"], words].concat())
}

fn run(docker: &DockerUser, words: &[&str]) -> RunOutput {
    RunOutput::of(with(docker, words).output().unwrap())
}

/// Starts a shell that first writes the directory of its `docker` to a file, and waits for the file.
fn started(docker: &DockerUser, then: &str) -> (Child, PathBuf) {
    let script = format!("dirname \"$CDK_DOCKER\" >name; mv name dir; {then}");
    let mut command = with(docker, &["sh", "-c", &script]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !docker.user.path("dir").exists() {
        assert!(Instant::now() < deadline, "the command does not start");
        std::thread::sleep(Duration::from_millis(5));
    }
    let dir = PathBuf::from(docker.read("dir").trim());
    assert!(dir.join("docker").exists() && dir.join("engine.sock").exists());
    (child, dir)
}

#[track_caller]
fn is_gone(dir: &Path) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while dir.exists() {
        assert!(Instant::now() < deadline, "{} is left", dir.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_command_finds_lbuild_as_docker() {
    let docker = user();
    let script = "docker --version && buildx version && docker-buildx version && \"$CDK_DOCKER\" --version\n\
        [ \"${PATH#*:}\" = /usr/bin:/bin ] && [ \"$(dirname \"$CDK_DOCKER\")\" = \"${PATH%%:*}\" ] && \
        [ \"$DOCKER_HOST\" = \"unix://${PATH%%:*}/engine.sock\" ] && [ -S \"${DOCKER_HOST#unix://}\" ] && \
        echo \"$BUILDX_NO_DEFAULT_ATTESTATIONS $DOCKER_BUILDKIT\" && dirname \"$CDK_DOCKER\" >dir";
    let done = run(&docker, &["sh", "-c", script]).succeeded();
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert!(lines[0].starts_with("Docker version ") && lines[0] == lines[3], "{lines:?}");
    assert!(lines[1].starts_with("github.com/docker/buildx v") && lines[1] == lines[2], "{lines:?}");
    assert_eq!((lines[4], lines.len()), ("1 0", 5), "{lines:?}");
    assert!(!Path::new(docker.read("dir").trim()).exists());
    // Its input and output are those of lbuild, which prints nothing.
    assert_eq!(done.stderr, "");
    let echoed = super::with_input(&mut with(&docker, &["cat"]), b"hello").succeeded();
    assert_eq!((echoed.stdout.as_str(), echoed.stderr.as_str()), ("hello", ""));
    // What it builds is there afterwards.
    run(&docker, &["docker", "build", "-q", "--platform", "linux/arm64", "-t", "mine", "fn"]).succeeded();
    assert_eq!(docker.names(), ["mine:latest"]);
}

#[test]
fn the_exit_code_is_that_of_the_command() {
    let docker = user();
    docker.write("plain", "not a program");
    for (words, code) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 3"], 3),
        (&["sh", "-c", "exit 255"], 255),
        (&["nothing-of-this-name", "x"], 127),
        (&["./plain"], 126),
        (&["sh", "-c", "kill -9 $$"], 128 + 9),
        (&["sh", "-c", "kill -TERM $$"], 128 + 15),
    ] {
        let done = run(&docker, words);
        assert_eq!(done.code, Some(code), "{words:?}: {done:?}");
        let is_refused = [126, 127].contains(&code);
        assert_eq!(done.stderr.contains(words[0]) && done.stderr.contains("hint: "), is_refused, "{done:?}");
    }
    let done = docker.user.run(&["with"]);
    assert!(done.code == Some(2) && done.stderr.contains("COMMAND"), "{done:?}");
    assert_eq!(fs::read_dir(docker.user.cache().join("work")).unwrap().count(), 0);
}

#[test]
fn signals_are_passed_on() {
    let docker = user();
    // Not for ever: a test that fails leaves it running.
    let loop_of = "n=0; while [ $n -lt 500 ]; do sleep 0.02; n=$((n + 1)); done";
    for (signal, trap) in [(Signal::TERM, "TERM"), (Signal::HUP, "HUP")] {
        let (child, dir) =
            started(&docker, &format!("trap 'echo got {trap}; exit 7' {trap}; touch ready; {loop_of}"));
        while !docker.user.path("ready").exists() {
            assert!(running(&docker.user).len() > 1, "the command has ended");
            std::thread::sleep(Duration::from_millis(5));
        }
        kill_process(Pid::from_child(&child), signal).unwrap();
        let done = RunOutput::of(child.wait_with_output().unwrap());
        assert_eq!((done.code, done.stdout.trim()), (Some(7), format!("got {trap}").as_str()), "{done:?}");
        is_gone(&dir);
        ["dir", "ready"].iter().for_each(|name| fs::remove_file(docker.user.path(name)).unwrap());
    }
    // A command that does not handle it ends by it.
    let (child, dir) = started(&docker, "exec sleep 20");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!((done.status.code(), done.status.signal()), (Some(128 + 15), None));
    is_gone(&dir);
    assert_eq!(running(&docker.user), [""; 0]);
}

#[test]
fn a_kill_leaves_no_directory() {
    let mut docker = user();
    for round in 0..2 {
        let (mut child, dir) = started(&docker, "exec sleep 2");
        child.kill().unwrap();
        child.wait().unwrap();
        is_gone(&dir);
        fs::remove_file(docker.user.path("dir")).unwrap();
        wait_for_end(&docker.user);
        assert_eq!(fs::read_dir(docker.user.path("tmp")).unwrap().count(), 0, "round {round}");
        // A cache whose path is too long for a socket.
        let long = docker.user.text(&format!("c/{}", "long".repeat(25)));
        docker.user.set("LBUILD_CACHE", &long);
    }
}

#[test]
fn links_are_installed_and_foreign_programs_stay() {
    let docker = user();
    for _ in 0..2 {
        let done = docker.user.ok(&["shim", "install", "ci/bin"]);
        assert_eq!(done.stdout, "ci/bin/docker\nci/bin/buildx\nci/bin/docker-buildx\n");
    }
    // A link to an lbuild that was moved is replaced.
    fs::remove_file(docker.user.path("ci/bin/docker")).unwrap();
    std::os::unix::fs::symlink("/nonexistent/lbuild", docker.user.path("ci/bin/docker")).unwrap();
    docker.user.ok(&["shim", "install", "ci/bin"]);
    assert!(docker.shell("PATH=$PWD/ci/bin:$PATH docker --version").succeeded().stdout.starts_with("Docker"));
    for foreign in ["docker", "docker-buildx"] {
        docker.write(&format!("other/{foreign}"), "#!/bin/sh\n");
        let said = docker.user.run(&["shim", "install", "other"]).failed(2);
        assert!(said.contains(&format!("other/{foreign} exists")) && said.contains("hint: "), "{said}");
        assert_eq!(docker.read(&format!("other/{foreign}")), "#!/bin/sh\n");
        let links = fs::read_dir(docker.user.path("other")).unwrap().count();
        assert_eq!(links, 1, "no link beside a program that stays");
        fs::remove_dir_all(docker.user.path("other")).unwrap();
    }
    docker.write("file", "");
    let said = docker.user.run(&["shim", "install", "file/dir"]).failed(7);
    assert!(said.contains("file/dir"), "{said}");
}
