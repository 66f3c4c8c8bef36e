//! `lbuild doctor --run`: the modes in which commands run, in each environment.

use crate::support::command_builds::{Builds, modes};
use crate::support::debian::{FOREIGN, machine_has_a_rule};
use crate::support::environments::Environment;
use crate::support::lbuild::RunOutput;
use serde_json::Value;

/// The four modes, the preferred one first.
const MODES: [&str; 4] = ["namespaces", "copy", "chroot", "proot"];

const ROOT: &str = "as root, with all users";
const ONE: &str = "without root, with one user; owners of files are recorded";
const RANGES: &str = "without root, with the subordinate users of /etc/subuid";
const NO_OWNERS: &str = "without root, and without owners of files";

const AS_ROOT: &str = "run lbuild as root of its container, with Docker's default capabilities";
const SECCOMP: &str =
    "in a container: run lbuild as its root, or start it with `--security-opt seccomp=unconfined`";

/// What doctor prints of a mode: how it works, or the beginning of what is refused and the hint.
enum Line {
    Works(String),
    Refused(&'static str, Option<&'static str>),
}

fn expected(environment: Environment) -> [Line; 4] {
    let works = |how: &str| Line::Works(how.to_owned());
    let masked = |how: &str| Line::Works(format!("{how}; the machine's /proc"));
    let no_root =
        || Line::Refused("cannot change the root and owners as root: Operation not permitted", Some(AS_ROOT));
    let no_namespace = || Line::Refused("Operation not permitted", Some(SECCOMP));
    let no_mount = || Line::Refused("Permission denied", Some("AppArmor restricts user namespaces"));
    let proot = works(NO_OWNERS);
    let no_proot = || {
        Line::Refused(
            "cannot keep a command of root under proot: Operation not permitted",
            Some("as root, use"),
        )
    };
    match environment {
        Environment::Root => [works(ROOT), works(ROOT), works(ROOT), no_proot()],
        Environment::Account => [works(ONE), works(ONE), no_root(), proot],
        Environment::SubordinateIds => [works(RANGES), works(RANGES), no_root(), proot],
        Environment::Docker
        | Environment::DockerWithoutMknod
        | Environment::RemappedDocker
        | Environment::EmulatingDocker => [no_namespace(), no_namespace(), works(ROOT), no_proot()],
        Environment::Unconfined => [masked(ROOT), masked(ROOT), works(ROOT), no_proot()],
        Environment::UnconfinedUser => [masked(ONE), masked(ONE), no_root(), proot],
        Environment::MountsRefused => [no_mount(), no_mount(), works(ROOT), no_proot()],
        Environment::Restricted => [no_namespace(), no_namespace(), no_root(), proot],
    }
}

/// The text that belongs to these JSON lines.
fn as_text(probes: &[Value]) -> String {
    let mut text = String::new();
    for probe in probes {
        let mode = probe["mode"].as_str().unwrap();
        let better = match probe["how"].as_str() {
            Some(how) => {
                let used = if probe["chosen"] == true { " (used)" } else { "" };
                text += &format!("ok      {mode:<10}  {how}{used}\n");
                "better: "
            }
            None => {
                text += &format!("failed  {mode}\n");
                ""
            }
        };
        for refused in probe["refused"].as_array().unwrap() {
            text += &format!("        {better}{}\n", refused.as_str().unwrap());
        }
        if let Some(hint) = probe["hint"].as_str() {
            text += &format!("        hint: {hint}\n");
        }
        if let Some(other) = probe["otherArchitecture"].as_str() {
            text += &format!("        {other}\n");
        }
    }
    text
}

fn probes(done: &RunOutput) -> Vec<Value> {
    done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn doctor_prints_the_ladder_of_each_environment() {
    let mut wrong = String::new();
    for environment in Environment::ALL {
        let builds = Builds::in_place(environment);
        let doctor = |more: &[&str]| builds.place.lbuild(&[&["doctor", "--run"], more].concat());
        let done = doctor(&["--json"]);
        let probes = probes(&done);
        let names: Vec<_> = probes.iter().map(|probe| probe["mode"].as_str().unwrap()).collect();
        assert_eq!(names, MODES, "{environment:?}");
        let chosen: Vec<_> = probes.iter().filter(|probe| probe["chosen"] == true).collect();
        let first = probes.iter().find(|probe| probe["ok"] == true).unwrap();
        assert_eq!(chosen, [first], "{environment:?}");
        for (probe, expected) in probes.iter().zip(expected(environment)) {
            let refused: Vec<_> =
                probe["refused"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
            let is_expected = match &expected {
                Line::Works(how) => probe["ok"] == true && probe["how"] == how.as_str(),
                Line::Refused(what, hint) => {
                    let found = probe["hint"].as_str();
                    probe["ok"] == false
                        && probe["how"].is_null()
                        && refused.len() == 1
                        && refused[0].starts_with("cannot ")
                        && refused[0].contains(what)
                        && hint.is_none_or(|hint| found.is_some_and(|found| found.starts_with(hint)))
                }
            };
            if !is_expected {
                wrong += &format!("{environment:?}: {probe:#}\n");
            }
        }
        for probe in probes.iter().filter(|probe| probe["ok"] == true) {
            let other = probe["otherArchitecture"].as_str().unwrap();
            // qemu is among the prerequisites of the tests, and only a namespace can use it
            let expected = match probe["mode"].as_str().unwrap() {
                _ if machine_has_a_rule() => ": by this machine",
                "chroot" | "proot" => ": cannot add a rule for its architecture without namespaces",
                _ => "/qemu-",
            };
            if !other.starts_with(FOREIGN) || !other.contains(expected) {
                wrong += &format!("{environment:?}: {probe:#}\n");
            }
        }
        let text = doctor(&[]);
        assert_eq!(text.stdout, as_text(&probes), "{environment:?}");
        assert_eq!((done.code, text.code), (Some(0), Some(0)), "{environment:?}: {}", text.stderr);
        assert!(done.stderr.is_empty() && text.stderr.is_empty(), "{environment:?}: {}", text.stderr);
        assert!(builds.cached("work").is_empty(), "{environment:?}: {:?}", builds.cached("work"));

        // each mode alone, which a build then can use or not
        let works = modes(environment);
        assert_eq!(works[0], first["mode"].as_str().unwrap(), "{environment:?}");
        for mode in MODES {
            let done = doctor(&["--run-mode", mode]);
            let code = if works.contains(&mode) { 0 } else { 2 };
            assert_eq!(done.code, Some(code), "{environment:?}, {mode}: {}{}", done.stdout, done.stderr);
            let modes: Vec<_> = done.stdout.lines().filter(|line| !line.starts_with(' ')).collect();
            assert!(modes.len() == 1 && modes[0].contains(mode), "{environment:?}, {mode}: {}", done.stdout);
            let build =
                builds.build("FROM localhost/busybox\nRUN date >/x\n", &["--run-mode", mode, "--no-cache"]);
            assert_eq!(build.code, Some(code), "{environment:?}, {mode}: {}", build.stderr);
            let says = match code {
                0 => build.stderr.contains(&format!(" ({mode})\n")),
                // the same reason
                _ => {
                    let reason = done.stdout.lines().nth(1).unwrap().trim();
                    build.stderr.contains(reason)
                        && build.stderr.contains("`lbuild doctor --run` has details")
                }
            };
            assert!(says, "{environment:?}, {mode}: {}\n{}", done.stdout, build.stderr);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn where_nothing_works_doctor_fails_and_says_what_to_enable() {
    let builds = Builds::in_place(Environment::Restricted);
    builds.place.hide(&["proot"]);
    let done = builds.place.lbuild(&["doctor", "--run"]);
    assert_eq!(done.code, Some(2), "{}{}", done.stdout, done.stderr);
    let failed = done.stdout.lines().filter(|line| line.starts_with("failed  ")).count();
    let hints = done.stdout.lines().filter(|line| line.starts_with("        hint: ")).count();
    assert_eq!((failed, hints), (4, 4), "{}", done.stdout);
    assert!(done.stdout.contains("hint: install the package proot"), "{}", done.stdout);
    let json = builds.place.lbuild(&["doctor", "--run", "--json"]);
    assert_eq!(json.code, Some(2));
    let probes = probes(&json);
    assert!(probes.iter().all(|probe| probe["ok"] == false && probe["chosen"] == false), "{probes:#?}");
    assert_eq!(as_text(&probes), done.stdout);
    // a Dockerfile without commands needs nothing of it
    let built = builds.build("FROM localhost/busybox\nRUN mkdir -p /a && chmod 700 /a\n", &[]);
    assert_eq!(built.code, Some(0), "{}", built.stderr);

    let forbidden = Builds::in_place(Environment::Root);
    let done = forbidden.build("FROM localhost/busybox\nRUN date >/x\n", &["--run-mode", "none"]);
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    assert!(done.stderr.contains("context/Dockerfile:2:"), "{}", done.stderr);
    assert_eq!(forbidden.place.lbuild(&["doctor", "--run", "--run-mode", "none"]).code, Some(2));
    assert!(forbidden.cached("roots").is_empty() && forbidden.cached("work").is_empty());
}
