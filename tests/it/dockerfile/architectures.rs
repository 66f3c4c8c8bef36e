//! Commands of images for another architecture than the machine's, whose programs qemu executes.

use super::node;
use crate::support::bases;
use crate::support::command_builds::{events, events_of, modes};
use crate::support::debian::{self, FOREIGN, machine_has_a_rule};
use crate::support::environments::{Environment, Place};
use crate::support::image_tools::ImageLocation;
use crate::support::index::{Index, IndexBehaviour};
use crate::support::invoke::Function;
use crate::support::lbuild::RunOutput;
use crate::support::npm_registry::NpmRegistry;
use crate::support::part;
use crate::support::root_tree::RootTree;
use serde_json::json;
use std::collections::BTreeMap;

/// The kernel's name of the architecture.
const MACHINE: &str = if cfg!(target_arch = "aarch64") { "x86_64" } else { "aarch64" };

/// Builds the Dockerfile in the directory `context`, for the other architecture.
fn build(place: &Place, dockerfile: &str, tag: &str, more: &[&str]) -> RunOutput {
    place.write("context/Dockerfile", dockerfile);
    let debian = format!("localhost/debian=oci:{}:{}", place.part("debian/foreign"), debian::TAG);
    let lambda = format!("localhost/lambda=oci:{}:{}", place.part("bases/oci-index"), bases::TAG);
    let (context, to) = (place.text("context"), format!("oci:{}:{tag}", place.text("out")));
    let arguments = ["build", &context, "--build-context", &debian, "--build-context", &lambda];
    place.lbuild(&[&arguments[..], &["--arch", FOREIGN, "--no-check", "--to", &to], more].concat())
}

#[track_caller]
fn built(place: &Place, dockerfile: &str, tag: &str, more: &[&str]) -> RootTree {
    let done = build(place, dockerfile, tag, more);
    assert_eq!(done.code, Some(0), "{more:?}: {}", done.stderr);
    RootTree::of(&place.path("out"), tag, FOREIGN, None)
}

/// The lines of a tree below a directory, without the lists of pip's files: `real_installs/differences.md` has them.
fn below(tree: &RootTree, directory: &str) -> BTreeMap<String, String> {
    let lines = tree.lines().into_iter();
    lines.filter(|(path, _)| path.starts_with(directory) && !path.ends_with(".dist-info/RECORD")).collect()
}

/// The real programs of another architecture, without root; and without a process, the same files.
#[test]
fn package_managers_of_another_architecture_work_and_the_image_answers() {
    let index = Index::of(&part("packages/index"), IndexBehaviour::default());
    let registry = NpmRegistry::of(node::packages());
    let place = Environment::Account.place();
    let settings = tempfile::tempdir().unwrap();
    debian::write_settings(settings.path());
    place.copy_in(settings.path(), "context/settings");
    place.write("context/package.json", node::PACKAGE);
    place.write("context/package-lock.json", node::lock(&registry, node::PACKAGE));
    place.write(
        "context/app.py",
        "import pydantic\n\ndef handler(event, context):\n    return [pydantic.BaseModel.__name__, open('machine').read(), open('two').read()]\n",
    );
    let installs = format!(
        "FROM localhost/debian AS build\nWORKDIR /task\n\
         RUN pip install --quiet --no-compile --no-cache-dir --root-user-action=ignore --index-url {} --target /task pydantic\n\
         COPY package.json package-lock.json ./\n\
         RUN npm ci --silent --registry={}\n",
        index.url(),
        registry.url()
    );
    let image = "FROM localhost/lambda\nCOPY --from=build /task ${LAMBDA_TASK_ROOT}\nCOPY app.py ${LAMBDA_TASK_ROOT}\n\
                 CMD [\"app.handler\"]\n";
    let apt = "COPY settings/ /\n\
               RUN apt-get -qq update && apt-get -qq install --yes --no-install-recommends jq >/dev/null && \
               jq -n 1+1 >/task/two && uname -m >/task/machine\n";
    let never = &["--translate", "never"];
    built(&place, &format!("{installs}{apt}{image}"), "function", never);
    let function = Function::start(&ImageLocation::layout(&place.path("out"), "function"));
    let function = function.unwrap_or_else(|error| panic!("{error}"));
    let answer = function.invoke(&json!({})).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(answer, json!(["BaseModel", format!("{MACHINE}\n"), "2\n"]));

    let ran = built(&place, &format!("{installs}{image}"), "ran", never);
    let translated = built(&place, &format!("{installs}{image}"), "translated", &["--translate", "always"]);
    let (ran, translated) = (below(&ran, "var/task/"), below(&translated, "var/task/"));
    assert!(ran.len() > 100 && ran == translated, "{:#?}", difference(&ran, &translated));
}

fn difference<'l>(
    one: &'l BTreeMap<String, String>,
    other: &'l BTreeMap<String, String>,
) -> Vec<[&'l str; 3]> {
    let paths = one.keys().chain(other.keys().filter(|path| !one.contains_key(*path)));
    let line = |lines: &'l BTreeMap<String, String>, path: &str| lines.get(path).map_or("-", String::as_str);
    paths
        .map(|path| [path.as_str(), line(one, path), line(other, path)])
        .filter(|[_, one, other]| one != other)
        .collect()
}

/// The parts of the error where programs of the image cannot be executed.
#[track_caller]
fn assert_refused(what: &str, done: RunOutput, hint: &str) {
    let error = done.failed(2);
    let parts =
        ["Dockerfile:2", "this machine cannot run its programs", hint, "$BUILDPLATFORM", "translated"];
    for part in parts {
        assert!(error.contains(part), "{what}: {part}: {error}");
    }
}

/// Commands of another architecture, in each mode: they run where a rule for their programs can be made.
#[test]
fn each_mode_executes_programs_of_another_architecture_or_says_why_not() {
    let dockerfile = "FROM localhost/lambda\nRUN b=/usr/bin/busybox && $b uname -m >/machine && \
                      $b touch /own && $b chown 33:44 /own && $b cp $b /true && $b chmod 4755 /true && /true\n\
                      USER 33:44\nRUN /usr/bin/busybox id -u >/tmp/user\n";
    for environment in
        [Environment::Account, Environment::Root, Environment::UnconfinedUser, Environment::Docker]
    {
        for mode in modes(environment) {
            let place = environment.place();
            let what = format!("{environment:?}, {mode}");
            let done =
                build(&place, dockerfile, "1", &["--json", "--translate", "never", "--run-mode", mode]);
            if matches!(*mode, "chroot" | "proot") && !machine_has_a_rule() {
                assert_refused(&what, done, "make a rule for it on the machine");
                continue;
            }
            assert_eq!(done.code, Some(0), "{what}: {}", done.stderr);
            let started = events_of(&events(&done), "command-started");
            let emulator = started[0]["emulator"].as_str();
            let is_expected = emulator.is_none() == machine_has_a_rule();
            assert!(started.len() == 2 && is_expected, "{what}: {started:?}");
            let tree = RootTree::of(&place.path("out"), "1", FOREIGN, None);
            let own = if *mode == "proot" { "0644 0:0 file" } else { "0644 33:44 file" };
            let machine = format!("0644 0:0 file \"{MACHINE}\\n\"");
            let user = if *mode == "proot" { "0644 0:0 file" } else { "0644 33:44 file \"33\\n\"" };
            for (path, line) in
                [("machine", &*machine), ("own", own), ("true", "4755 0:0"), ("tmp/user", user)]
            {
                let found = tree.line(path).unwrap_or_default();
                assert!(found.starts_with(line), "{what}: {path}: {found}");
            }
        }
    }
}

/// Without an emulator, a stage for the machine's own architecture still runs.
#[test]
fn without_an_emulator_a_stage_for_the_build_platform_runs() {
    let place = Environment::Unconfined.place();
    place.hide(&[&format!("qemu-{MACHINE}-static")]);
    let own = format!("localhost/own=oci:{}:{}", place.part("debian/image"), debian::TAG);
    let dockerfile = "FROM --platform=$BUILDPLATFORM localhost/own AS build\nRUN uname -m >/machine\n\
                      FROM localhost/lambda\nCOPY --from=build /machine /machine\n";
    let tree = built(&place, dockerfile, "1", &["--translate", "never", "--build-context", &own]);
    assert_eq!(tree.line("machine"), Some(format!("0644 0:0 file \"{}\\n\"", std::env::consts::ARCH)));
    if !machine_has_a_rule() {
        let dockerfile = "FROM localhost/lambda\nRUN uname -m >/machine\n";
        let done = build(&place, dockerfile, "2", &["--json", "--translate", "never"]);
        assert_refused("namespaces", done, "install qemu-user-static");
    }
}
