//! `lbuild check` has no false findings: for the functions and examples of this repository, for the bases, and for the
//! most used packages.

use super::{report, rules};
use crate::support::image_builder::{GZIP, Layer, image};
use crate::support::lbuild::{Lbuild, hello, image_of, tiny_base};
use crate::support::registry::{Mode, Registry};
use crate::support::{bases, npm, part, run, testdata};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// The 30 most used packages, one per line. The part `popular` has them installed with their dependencies.
const POPULAR: &str = include_str!("../../parts/popular.in");

/// One of the Lambda-shaped bases.
fn base(flavour: &str, tag: &str) -> String {
    format!("oci:{}:{tag}", bases::layout(flavour).display())
}

/// Builds an image with this code.
fn built(lbuild: &Lbuild, code: &Path, base: &str, arch: &str, more: &[&str]) -> String {
    let to = format!("oci:{}:v1", lbuild.text("image"));
    let mut arguments = vec!["--base", base, "--arch", arch, "--to", &to];
    arguments.extend(more);
    lbuild.push(code, &arguments);
    to
}

fn nothing(lbuild: &Lbuild, image: &str) {
    assert_eq!(report(lbuild, image, &["--deny", "notes"], 0)["findings"], json!([]), "{image}");
}

/// A base with an entry script and no runtime, like AWS's `provided`: the Python base without its Python.
fn provided(lbuild: &Lbuild, arch: &str) -> String {
    let layout = bases::layout("oci-index");
    let (manifest, config) = image_of(&layout, bases::TAG, arch);
    let layer = |number: usize| Layer {
        stored: std::fs::read(bases::blob(&layout, manifest["layers"][number]["digest"].as_str().unwrap()))
            .unwrap(),
        media_type: GZIP,
        diff_id: config["rootfs"]["diff_ids"][number].as_str().unwrap().to_owned(),
    };
    let (system, emulator) = (layer(0), layer(2));
    image(&lbuild.path("provided"), &[system, emulator], |ours, _| {
        ours["architecture"] = config["architecture"].clone();
        ours["config"] = config["config"].clone();
    })
}

/// Builds the image of a function in `testdata`; returns the user who built it, and its name.
fn of_function(name: &str, arch: &str) -> (Lbuild, String) {
    let mut lbuild = Lbuild::new();
    let code = testdata("functions").join(name);
    let (python, node) = (base("docker-list", bases::TAG), base("nodejs", bases::NODE_TAG));
    let image = match name {
        "hello-python" => built(&lbuild, &code, &python, arch, &["--handler", "app.handler"]),
        "hello-node" => built(&lbuild, &code, &node, arch, &["--handler", "index.handler"]),
        "hello-provided" => {
            let add = format!("{}:/var/runtime/bootstrap", code.join("bootstrap").display());
            let more = ["--handler", "any.handler", "--add", &add];
            built(&lbuild, &code, &provided(&lbuild, arch), arch, &more)
        }
        "hello-sharp" => {
            npm::variables().iter().for_each(|(name, value)| lbuild.set(name, value));
            built(&lbuild, &code, &node, arch, &["--handler", "index.handler", "--npm"])
        }
        "hello-watcher" => {
            // Installed by pnpm, which by default installs packages as links.
            let place = |name: &str| part(&format!("locks/pnpm/{name}"));
            lbuild.set("PATH", &format!("{}:/usr/bin:/bin", place("bin").display()));
            lbuild.set("NPM_CONFIG_USERCONFIG", &place("npmrc").display().to_string());
            let locked = lbuild.path("watcher");
            std::fs::create_dir(&locked).unwrap();
            let lock = place("function/pnpm-lock.yaml");
            for file in [code.join("package.json"), code.join("index.js"), lock] {
                std::fs::copy(&file, locked.join(file.file_name().unwrap())).unwrap();
            }
            built(&lbuild, &locked, &node, arch, &["--handler", "index.handler", "--npm"])
        }
        _ => panic!("add a build of {name} to this test"),
    };
    (lbuild, image)
}

#[test]
fn the_images_of_all_functions_pass_the_check() {
    for entry in std::fs::read_dir(testdata("functions")).unwrap() {
        let name = entry.unwrap().file_name();
        for arch in ARCHITECTURES {
            let (lbuild, image) = of_function(name.to_str().unwrap(), arch);
            nothing(&lbuild, &image);
        }
    }
}

#[test]
fn images_on_every_base_pass_the_check() {
    let flavours = bases::FLAVOURS.map(|flavour| base(flavour, bases::TAG));
    for base in flavours.into_iter().chain([tiny_base()]) {
        let lbuild = Lbuild::new();
        nothing(&lbuild, &built(&lbuild, &hello(), &base, "arm64", &["--handler", "app.handler"]));
    }
}

/// A base itself is an index and has no handler, and some bases have a compression other than gzip.
#[test]
fn bases_have_only_the_expected_findings() {
    let lbuild = Lbuild::new();
    let languages = bases::FLAVOURS.map(|flavour| (flavour, bases::TAG));
    for (flavour, tag) in languages.into_iter().chain([("nodejs", bases::NODE_TAG)]) {
        let compression = ["zstd", "plain"].contains(&flavour).then_some("layer-compression");
        let all: BTreeSet<&str> = ["image-index", "cmd-count"].into_iter().chain(compression).collect();
        for arch in ARCHITECTURES {
            let result = report(&lbuild, &base(flavour, tag), &["--arch", arch], 8);
            assert_eq!(rules(&result), all, "{flavour} {arch}: {result:#}");
        }
    }
}

/// Runs a built example; `tests/run` builds them into the directory of the test binary.
fn example(lbuild: &Lbuild, name: &str, arguments: &[&str]) {
    let binary = std::env::current_exe().unwrap();
    let mut command = Command::new(binary.ancestors().nth(2).unwrap().join("examples").join(name));
    command.args(arguments).env_clear().env("LBUILD_CACHE", lbuild.cache()).env("HOME", lbuild.path("home"));
    run(&mut command).unwrap();
}

#[test]
fn the_images_of_all_examples_pass_the_check() {
    let sources = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")).unwrap();
    let names = sources.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: BTreeSet<String> = names.filter(|name| name.ends_with(".rs")).collect();
    // One example does not build an image.
    let all = ["append_layer.rs", "custom_credentials.rs", "progress.rs"];
    assert_eq!(names, BTreeSet::from(all.map(str::to_owned)), "add a new example to this test");

    let (registry, lbuild) = (Registry::start(Mode::Plain), Lbuild::new());
    let [below, appended, progress] =
        ["below", "appended", "progress"].map(|tag| format!("{}/hello:{tag}", registry.host()));
    let (code, base) = (hello(), base("docker-list", bases::TAG));
    lbuild.push(&code, &["--base", &base, "--arch", "arm64", "--handler", "app.handler", "--to", &below]);
    example(&lbuild, "append_layer", &[&below, &appended]);
    example(&lbuild, "progress", &[code.to_str().unwrap(), &below, &progress]);
    nothing(&lbuild, &appended);
    nothing(&lbuild, &progress);
}

/// A function with the packages, as pip installs them for a machine. Notes about unneeded files are allowed.
fn popular(arch: &str, other: &str) {
    let packages = part("popular").join(arch);
    let entries = std::fs::read_dir(&packages).unwrap();
    let installed: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let names: Vec<&str> = POPULAR.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(names.len(), 30);
    for name in names {
        let start = format!("{}-", name.replace('-', "_"));
        let is_there = |entry: &String| entry.starts_with(&start) && entry.ends_with(".dist-info");
        assert!(installed.iter().any(is_there), "{name} in {installed:?}");
    }

    let (lbuild, base) = (Lbuild::new(), base("docker-list", bases::TAG));
    let more = ["--handler", "app.handler", "--deps", packages.to_str().unwrap()];
    let image = built(&lbuild, &hello(), &base, arch, &more);
    let result = report(&lbuild, &image, &["--deny", "warnings"], 0);
    assert_eq!((&result["errors"], &result["warnings"]), (&json!(0), &json!(0)), "{result:#}");

    // The check reads the libraries: for the other architecture, each package with libraries has a finding.
    let result = report(&lbuild, &image, &["--arch", other], 8);
    for package in ["cryptography", "grpc", "numpy", "numpy.libs", "pydantic_core", "yaml"] {
        let place = format!("var/task/{package}/");
        let is_wrong = |finding: &serde_json::Value| {
            finding["rule"] == "elf-machine" && finding["path"].as_str().unwrap().starts_with(&place)
        };
        assert!(result["findings"].as_array().unwrap().iter().any(is_wrong), "{package} in {result:#}");
    }
}

#[test]
fn the_most_used_packages_pass_the_check_on_amd64() {
    popular("amd64", "arm64");
}

#[test]
fn the_most_used_packages_pass_the_check_on_arm64() {
    popular("arm64", "amd64");
}
