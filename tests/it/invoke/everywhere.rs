//! Invocations in the environments in which people work: accounts, and containers without any right.

use super::rig::HANDLERS;
use crate::support::bases;
use crate::support::command_builds::modes;
use crate::support::environments::{Environment, Place};
use crate::support::lbuild::RunOutput;
use serde_json::{Value, json};

fn invoke(place: &Place, event: &Value, more: &[&str]) -> RunOutput {
    let base = format!("oci:{}:{}", place.part("bases/oci-index"), bases::TAG);
    let (code, event) = (place.text("code"), event.to_string());
    let all = ["invoke", &code, "--base", &base, "--handler", "app.handler", "-d", &event];
    place.lbuild(&all.iter().chain(more).copied().collect::<Vec<_>>())
}

fn place(environment: Environment) -> Place {
    let place = environment.place();
    place.write("code/app.py", HANDLERS);
    place
}

/// In each mode, a function answers as Lambda's user, cannot change the image, and has a `/tmp` of its own.
fn works(environment: Environment) {
    let place = place(environment);
    // a function is not protected by proot
    for mode in modes(environment).iter().filter(|mode| **mode != "proot") {
        let mode = ["--run-mode", mode];
        for arch in ["amd64", "arm64"] {
            let is_emulated =
                arch != std::env::consts::ARCH.replace("x86_64", "amd64").replace("aarch64", "arm64");
            if is_emulated && mode[1] == "chroot" {
                let done = invoke(&place, &json!({}), &[&mode[..], &["--arch", arch]].concat());
                assert!(
                    done.code == Some(0) || done.stderr.contains("hint: "),
                    "{environment:?} {mode:?}: {done:?}"
                );
                continue;
            }
            let more = [&mode[..], &["--arch", arch]].concat();
            let done = invoke(&place, &json!({ "do": "seen" }), &more);
            assert_eq!(done.code, Some(0), "{environment:?} {mode:?} {arch}: {done:?}");
            let seen: Value = serde_json::from_str(&done.stdout).unwrap();
            let seen = (&seen["user"], &seen["directory"], &seen["tmp"]);
            assert_eq!(
                seen,
                (&json!([993, 990]), &json!("/var/task"), &json!([])),
                "{environment:?} {mode:?}"
            );
        }
        for path in ["/var/task/app.py", "/var/task/new", "/var/runtime/bootstrap"] {
            let done = invoke(&place, &json!({ "do": "writes", "path": path }), &mode);
            let error: Value = serde_json::from_str(&done.stdout).unwrap();
            let error = error["errorMessage"].as_str().unwrap_or_default();
            assert!(
                error.contains("Read-only") || error.contains("denied"),
                "{environment:?} {mode:?}: {done:?}"
            );
        }
        let done = invoke(&place, &json!({ "do": "writes", "path": "/tmp/x" }), &mode);
        assert_eq!(done.stdout, "\"written\"\n", "{environment:?} {mode:?}: {done:?}");
        let done = invoke(&place, &json!({ "do": "forks", "seconds": "1000" }), &mode);
        assert_eq!(done.stdout, "\"forked\"\n", "{environment:?} {mode:?}: {done:?}");
        let work = std::fs::read_dir(place.path("cache/work")).map(|dir| dir.count()).unwrap_or_default();
        assert_eq!(work, 0, "{environment:?} {mode:?}");
    }
}

#[test]
fn accounts_of_a_machine() {
    works(Environment::Account);
    works(Environment::SubordinateIds);
}

#[test]
fn root_of_a_machine_and_of_a_container() {
    works(Environment::Root);
    works(Environment::Docker);
    works(Environment::RemappedDocker);
    works(Environment::MountsRefused);
}

/// Its files are those of the cache in some modes: what a function may do with its own must not last.
#[test]
fn a_function_cannot_change_the_files_of_the_next_one() {
    let place = place(Environment::Docker);
    place.write(
        "code/Dockerfile",
        "FROM base\nCOPY --chown=993:990 app.py /var/task/\nCMD [\"app.handler\"]\n",
    );
    let base = format!("base=oci:{}:{}", place.part("bases/oci-index"), bases::TAG);
    let code = place.text("code");
    let run = || {
        let event = json!({ "do": "changes" }).to_string();
        let done = place.lbuild(&["invoke", &code, "--build-context", &base, "-d", &event]).succeeded();
        assert!(done.stderr.contains("REPORT "), "{done:?}");
        done.stdout
    };
    let first = run();
    assert!(first.starts_with("[\"0o100644\", "), "{first}");
    assert_eq!(run(), first);
}

/// Where a function cannot be kept from changing files, it is not started.
#[test]
fn without_any_right_the_error_names_the_way_out() {
    let place = place(Environment::Restricted);
    let done = invoke(&place, &json!({}), &[]);
    assert!(done.code == Some(7) && done.stdout.is_empty(), "{done:?}");
    assert!(done.stderr.contains("hint: "), "{}", done.stderr);
}
