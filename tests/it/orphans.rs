//! Programs that lbuild starts end with it, together with their own children, and their directories are removed.

use crate::support::lbuild::{Lbuild, function, tiny_base};
use crate::support::processes::{running, wait_for_end};
use crate::support::registry::{Mode, Registry};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Makes a temporary directory, starts a child that ignores signals, reports that it works, and does not end.
const WORK: &str = "mktemp -d >/dev/null; (trap '' HUP INT TERM; sleep 300; sleep 300) & echo >\"$HOME/begun\"; sleep 300; wait";

/// A user whose program `name` is this script.
fn user(name: &str, script: &str) -> Lbuild {
    let mut lbuild = Lbuild::new();
    let bin = lbuild.program_of(name, &format!("#!/bin/bash\n{script}\n"));
    lbuild.set("PATH", &format!("{bin}:/usr/bin:/bin"));
    lbuild
}

fn npm() -> (Lbuild, TempDir, Vec<String>) {
    let script =
        format!("[[ $1 == --version ]] && {{ echo 11.0.0; exit; }}\nmkdir -p node_modules/p\n{WORK}");
    let code =
        function(&[("index.js", ""), ("package.json", "{}"), ("package-lock.json", r#"{"packages":{}}"#)]);
    (user("npm", &script), code, vec!["--npm".to_owned()])
}

fn uv() -> (Lbuild, TempDir, Vec<String>) {
    let code = function(&[("app.py", ""), ("requirements.txt", "anything\n")]);
    let file = code.path().join("requirements.txt").display().to_string();
    (user("uv", WORK), code, vec!["--requirements".to_owned(), file])
}

/// With a lock, lbuild writes the requirements for uv, with the URLs of the indexes.
fn uv_of_lock() -> (Lbuild, TempDir, Vec<String>) {
    let lock = "[[package]]\nname = \"a\"\nversion = \"1\"\ngroups = [\"main\"]\nfiles = []\n\
        [package.source]\ntype = \"legacy\"\nurl = \"https://me:hunter2@index.test/simple\"\nreference = \"x\"\n\
        [metadata]\nlock-version = \"2.1\"\npython-versions = \">=3.12\"\n";
    // Not beside the code, with which the login would be packed.
    let (lbuild, code) = (user("uv", WORK), function(&[("app.py", "")]));
    fs::write(lbuild.path("poetry.lock"), lock).unwrap();
    (lbuild, code, vec!["--lock".to_owned(), "poetry.lock".to_owned()])
}

fn pip() -> (Lbuild, TempDir, Vec<String>) {
    let (_, code, flags) = uv();
    (user("python3", &format!("[[ $* == *'import pip'* ]] && exit\n{WORK}")), code, flags)
}

fn interpreter() -> (Lbuild, TempDir, Vec<String>) {
    let code = function(&[
        ("app.py", ""),
        ("pylock.toml", "lock-version = \"1.0\"\ncreated-by = \"x\"\npackages = []\n"),
    ]);
    let file = code.path().join("pylock.toml").display().to_string();
    (
        user("python3.12", WORK),
        code,
        vec!["--lock".to_owned(), file, "--compile-bytecode".to_owned(), "always".to_owned()],
    )
}

fn helper(registry: &Registry) -> (Lbuild, TempDir, Vec<String>) {
    let lbuild = user("docker-credential-slow", WORK);
    let config = json!({ "credHelpers": { registry.host(): "slow" } });
    fs::write(lbuild.path("docker/config.json"), config.to_string()).unwrap();
    let to = format!("{}/function:1", registry.host());
    (lbuild, function(&[("app.py", "")]), vec!["--to".to_owned(), to])
}

/// Ends lbuild by each signal while a program works.
fn ends_with_lbuild(with: impl Fn() -> (Lbuild, TempDir, Vec<String>)) {
    for signal in [Signal::KILL, Signal::TERM] {
        let (lbuild, code, flags) = with();
        let path = code.path().display().to_string();
        let mut all: Vec<String> = ["push", &path, "--base", &tiny_base(), "--arch", "arm64", "--no-check"]
            .map(str::to_owned)
            .into();
        all.extend(flags);
        if !all.contains(&"--to".to_owned()) {
            all.extend(["--to".to_owned(), "oci:image:1".to_owned()]);
        }
        let mut child = lbuild.command(&all).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while !lbuild.path("home/begun").exists() {
            let done = child.try_wait().unwrap();
            assert!(done.is_none() && begun.elapsed() < Duration::from_secs(20), "{all:?}: {done:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(running(&lbuild).len() >= 3, "lbuild, the program and its child");
        kill_process(Pid::from_child(&child), signal).unwrap();
        let code = child.wait().unwrap().code();
        wait_for_end(&lbuild);
        assert_eq!(code, (signal == Signal::TERM).then_some(130));
        let work = lbuild.cache().join("work");
        let left: Vec<_> = fs::read_dir(work).into_iter().flatten().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
        // A credential helper may start an agent that goes on, so it has the caller's directory.
        let left: Vec<_> = fs::read_dir(lbuild.path("tmp")).unwrap().flatten().collect();
        assert!(left.is_empty() || lbuild.path("bin/docker-credential-slow").exists(), "{left:?}");
    }
}

#[test]
fn npm_ends_with_lbuild() {
    ends_with_lbuild(npm);
}

#[test]
fn uv_ends_with_lbuild() {
    ends_with_lbuild(uv);
}

#[test]
fn uv_ends_with_lbuild_for_a_lock() {
    ends_with_lbuild(uv_of_lock);
}

#[test]
fn pip_ends_with_lbuild() {
    ends_with_lbuild(pip);
}

#[test]
fn an_interpreter_ends_with_lbuild() {
    ends_with_lbuild(interpreter);
}

#[test]
fn a_credential_helper_ends_with_lbuild() {
    let registry = Registry::start(Mode::Basic { user: "me", password: "secret" });
    ends_with_lbuild(|| helper(&registry));
}

/// The program fails, and leaves a child that has inherited its pipes.
#[test]
fn a_child_that_outlives_its_parent_ends_with_the_run() {
    let (_, code, _) = npm();
    let lbuild = user("npm", "[[ $1 == --version ]] && { echo 11.0.0; exit; }\nsleep 300 & exit 1");
    let path = code.path().display().to_string();
    let all = ["build", &path, "--npm", "--base", &tiny_base(), "--arch", "arm64", "--to", "oci:image:1"];
    lbuild.run(&all).failed(3);
    wait_for_end(&lbuild);
}
