//! Invocations in the environments in which people work: accounts, and containers without any right.

use super::rig::{HANDLERS, OwnBase, node_base, python_base};
use crate::support::command_builds::modes;
use crate::support::debian::ARCHITECTURE;
use crate::support::environments::{Environment, Place};
use crate::support::lbuild::{Lbuild, RunOutput};
use crate::support::{bases, testdata};
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

/// Functions of other languages, in a layout.
struct Images {
    lbuild: Lbuild,
}

impl Images {
    const NAMES: [&str; 3] = ["node", "provided", "own-base"];

    fn new() -> Images {
        let mut lbuild = Lbuild::new();
        let own_base = OwnBase::new(&mut lbuild);
        let function = |name: &str| testdata("functions").join(name).display().to_string();
        let (node, provided) = (function("hello-node"), function("hello-provided"));
        // a chroot has no /proc/self/exe, by which the shell would run its own tools
        let (runtime, code) = (format!("{provided}:/var/runtime"), lbuild.text("code"));
        std::fs::create_dir(&code).unwrap();
        for tool in ["sed", "tr", "uname"] {
            std::os::unix::fs::symlink("/usr/bin/busybox", lbuild.path("code").join(tool)).unwrap();
        }
        let tools = format!("{code}:/usr/local/bin");
        for arch in ["amd64", "arm64"] {
            let (node_base, python_base) = (node_base(), python_base());
            let node = ["build", &node, "--base", &node_base, "--handler", "index.handler", "--arch", arch];
            let provided = ["build", &code, "--add", &runtime, "--add", &tools, "--arch", arch];
            let provided = [&provided[..], &["--base", &python_base, "--handler", "any"]].concat();
            let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
            let all = [owned(&node), owned(&provided), own_base.arguments(&lbuild, "build", arch)];
            for (name, mut arguments) in Images::NAMES.into_iter().zip(all) {
                let to = format!("oci:{}:{name}-{arch}", lbuild.text("images"));
                arguments.extend(["--no-check".to_owned(), "--to".to_owned(), to]);
                lbuild.ok(&arguments);
            }
        }
        Images { lbuild }
    }

    /// Invokes all of them for both architectures in the default mode.
    fn answer(&self, place: &Place) {
        place.copy_in(&self.lbuild.path("images"), "images");
        for (name, arch) in Images::NAMES.into_iter().flat_map(|name| [(name, "amd64"), (name, "arm64")]) {
            let image = format!("oci:{}:{name}-{arch}", place.text("images"));
            let done = place.lbuild(&["invoke", &image, "--arch", arch, "-d", r#"{"nonce":"é"}"#]);
            let environment = place.environment;
            if !runs(environment, modes(environment)[0], arch) {
                assert_refused(&done, environment);
                continue;
            }
            assert_eq!(done.code, Some(0), "{environment:?} {name} {arch}: {done:?}");
            let answer: Value = serde_json::from_str(&done.stdout).unwrap();
            let machine = if arch == "arm64" { "aarch64" } else { "x86_64" };
            let (part, expected) = match name {
                "node" => (&answer["nonce"], json!("é")),
                "provided" => (&answer["machine"], json!(machine)),
                _ => (&answer, json!({ "six": "1.17.0" })),
            };
            assert_eq!(*part, expected, "{environment:?} {name} {arch}: {done:?}");
        }
    }
}

/// Whether programs of an architecture run: in a chroot, only rules of the machine can be used.
fn runs(environment: Environment, mode: &str, arch: &str) -> bool {
    arch == ARCHITECTURE || environment == Environment::EmulatingDocker || mode != "chroot"
}

fn assert_refused(done: &RunOutput, environment: Environment) {
    assert_eq!(done.code, Some(7), "{environment:?}: {done:?}");
    assert!(done.stderr.contains("hint: make a rule for it on the machine"), "{environment:?}: {done:?}");
}

/// In each mode, a function answers as Lambda's user, cannot change the image, and has a `/tmp` of its own.
fn works(environment: Environment, images: &Images) {
    let place = place(environment);
    images.answer(&place);
    // a function is not protected by proot
    for mode in modes(environment).iter().filter(|mode| **mode != "proot") {
        let mode = ["--run-mode", mode];
        for arch in ["amd64", "arm64"] {
            if !runs(environment, mode[1], arch) {
                assert_refused(
                    &invoke(&place, &json!({}), &[&mode[..], &["--arch", arch]].concat()),
                    environment,
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
    let images = Images::new();
    works(Environment::Account, &images);
    works(Environment::SubordinateIds, &images);
}

#[test]
fn root_of_a_machine_and_of_a_container() {
    let images = Images::new();
    for environment in [
        Environment::Root,
        Environment::Docker,
        Environment::RemappedDocker,
        Environment::EmulatingDocker,
        Environment::MountsRefused,
    ] {
        works(environment, &images);
    }
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
