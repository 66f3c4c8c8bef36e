//! Node packages from lock files of yarn (both formats) and pnpm, installed by the real programs for the image's
//! machine.

use crate::support::image_tools::ImageLocation;
use crate::support::layers::{self, Member};
use crate::support::lbuild::{Lbuild, files, function, tiny_base};
use crate::support::registry::{Mode, Registry};
use crate::support::{bases, invoke, npm, part, testdata};
use serde_json::json;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Directories of the part `locks`, and their lock files.
const TOOLS: [(&str, &str); 3] = [("yarn1", "yarn.lock"), ("yarn4", "yarn.lock"), ("pnpm", "pnpm-lock.yaml")];

/// A user who has this program with a complete cache and without network access.
fn with(tool: &str) -> Lbuild {
    let mut lbuild = Lbuild::new();
    let path = |name: &str| part(&format!("locks/{tool}/{name}")).display().to_string();
    lbuild.set("PATH", &format!("{}:/usr/bin:/bin", path("bin")));
    match tool {
        "yarn1" => {
            lbuild.set("YARN_CACHE_FOLDER", &path("cache"));
            ["http_proxy", "https_proxy"].iter().for_each(|name| lbuild.set(name, "http://127.0.0.1:9"));
        }
        "yarn4" => {
            lbuild.set("YARN_GLOBAL_FOLDER", &path("cache"));
            lbuild.set("YARN_ENABLE_NETWORK", "false");
        }
        _ => lbuild.set("NPM_CONFIG_USERCONFIG", &path("npmrc")),
    }
    lbuild
}

/// The function `hello-watcher` with the lock file of this program.
fn hello(tool: &str, lock: &str) -> TempDir {
    let text = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    let locked = text(part(&format!("locks/{tool}/function")).join(lock));
    let code = testdata("functions/hello-watcher");
    let [package, index] = ["package.json", "index.js"].map(|name| text(code.join(name)));
    function(&[("package.json", &package[..]), ("index.js", &index), (lock, &locked)])
}

fn arguments(dir: &Path, arch: &str, more: &[&str]) -> Vec<String> {
    let base = tiny_base();
    let words =
        ["push", dir.to_str().unwrap(), "--npm", "--base", &base, "--arch", arch, "--to", "oci:image:it"];
    words.iter().chain(more).map(|&word| word.to_owned()).collect()
}

fn modules(lbuild: &Lbuild, arch: &str) -> Vec<Member> {
    // Below the packages is the base, and above them the code.
    let blobs = layers::blobs(&lbuild.path("image"), "it", arch);
    blobs[2..blobs.len() - 1].iter().flat_map(|blob| layers::members(blob)).collect()
}

#[test]
fn each_program_installs_for_the_images_machine() {
    for (tool, lock) in TOOLS {
        let dir = hello(tool, lock);
        let before = files(dir.path());
        for (arch, cpu, machine) in [("arm64", "arm64", 183_u8), ("amd64", "x64", 62)] {
            let lbuild = with(tool);
            let digest = lbuild.ok(&arguments(dir.path(), arch, &[])).digest();
            let modules = modules(&lbuild, arch);
            let watcher = "var/task/node_modules/@parcel/watcher";
            let mut machines =
                modules.iter().filter(|file| file.path.starts_with(watcher)).collect::<Vec<_>>();
            machines.retain(|file| file.path[watcher.len()..].starts_with('-'));
            let own = format!("{watcher}-linux-{cpu}-glibc");
            assert!(machines.iter().all(|file| file.path.starts_with(&own)), "{tool}: {machines:?}");
            let binary = machines.iter().find(|file| file.path.ends_with("/watcher.node")).expect(tool);
            assert_eq!(binary.content[18], machine, "{tool} {arch}");
            for dull in ["is-odd", "node_modules/.y", "node_modules/.p", "node_modules/.m"] {
                assert!(modules.iter().all(|file| !file.path.contains(dull)), "{tool}: {dull}");
            }
            let link = modules.iter().find(|file| file.path.ends_with("/.bin/detect-libc"));
            assert!(tool == "pnpm" || link.is_some(), "{tool}: no commands in .bin");
            let other = with(tool);
            assert_eq!(other.ok(&arguments(dir.path(), arch, &["--jobs", "8"])).digest(), digest, "{tool}");
            assert_eq!(std::fs::read_dir(other.cache().join("work")).unwrap().count(), 0, "{tool}");
        }
        assert_eq!(files(dir.path()), before, "{tool}: the function's directory was changed");
    }
}

#[test]
fn a_function_with_packages_of_yarn_answers_on_arm64() {
    let registry = Registry::start(Mode::Plain);
    bases::seed(&registry, &bases::layout("nodejs"), bases::NODE_TAG, "lambda/nodejs", "18");
    let base = format!("{}/lambda/nodejs:18", registry.host());
    for tool in ["yarn1", "yarn4"] {
        let dir = hello(tool, "yarn.lock");
        let to = format!("{}/{tool}:1", registry.host());
        let more = ["--npm", "--base", &base, "--arch", "arm64", "--handler", "index.handler", "--to", &to];
        with(tool).push(dir.path(), &more);
        let answer = invoke::answer(&ImageLocation::registry(&registry, &format!("{tool}:1"))).unwrap();
        assert_eq!(answer["watches"], json!("function"), "{tool}: {answer}");
    }
}

/// Scripts of packages and of the function itself run only with the flag for them.
#[test]
fn scripts_run_only_with_the_flag() {
    for (tool, lock) in TOOLS {
        let dir = hello(tool, lock);
        let path = dir.path().join("package.json");
        let package = std::fs::read_to_string(&path).unwrap();
        let script = r#""scripts": { "postinstall": "touch node_modules/touched" },"#;
        std::fs::write(&path, package.replacen('{', &format!("{{ {script}"), 1)).unwrap();
        for (more, ran) in [(&[][..], false), (&["--npm-scripts"], true)] {
            let lbuild = with(tool);
            let done = lbuild.run(&arguments(dir.path(), "amd64", more));
            if ran && done.code != Some(0) {
                // @parcel/watcher's install script needs a compiler, so this error shows that it ran.
                assert!(done.stderr.contains("watcher"), "{tool}: {}", done.stderr);
                continue;
            }
            let touched = {
                done.succeeded();
                modules(&lbuild, "amd64")
            };
            assert_eq!(touched.iter().any(|file| file.path.ends_with("/touched")), ran, "{tool}");
        }
    }
}

#[test]
fn unsupported_versions_of_yarn_are_reported() {
    let dir = hello("yarn1", "yarn.lock");
    let said = with("yarn4").run(&arguments(dir.path(), "amd64", &[])).failed(3);
    assert!(said.contains("it is a lock of yarn 1, and this is yarn 4"), "{said}");
    let said = npm_only().run(&arguments(dir.path(), "amd64", &[])).failed(3);
    assert!(said.contains("yarn is not installed"), "{said}");
    let package = std::fs::read_to_string(dir.path().join("package.json")).unwrap();
    std::fs::write(dir.path().join("package.json"), package.replace("2.5.1", "2.5.0")).unwrap();
    let said = with("yarn1").run(&arguments(dir.path(), "amd64", &[])).failed(3);
    assert!(
        said.contains("yarn cannot install from") && said.contains("@parcel%2fwatcher"),
        "it asks: {said}"
    );

    let dir = hello("yarn4", "yarn.lock");
    let said = with("yarn1").run(&arguments(dir.path(), "amd64", &[])).failed(3);
    assert!(said.contains("yarn 1.22.22 cannot install for another machine"), "{said}");
    assert!(said.contains("npm install -g @yarnpkg/cli-dist"), "{said}");
    std::fs::write(dir.path().join("package.json"), package.replace("2.5.1", "2.5.0")).unwrap();
    let said = with("yarn4").run(&arguments(dir.path(), "amd64", &[])).failed(3);
    assert!(
        said.contains("it does not have @parcel/watcher 2.5.0 of package.json: run `yarn install`"),
        "{said}"
    );
}

fn npm_only() -> Lbuild {
    let mut lbuild = Lbuild::new();
    npm::variables().iter().for_each(|(name, value)| lbuild.set(name, &value.replace(":/usr/bin:/bin", "")));
    lbuild
}

/// yarn reads a token from its settings, and the token is not written anywhere else.
#[test]
fn a_token_in_yarns_settings_is_not_written_anywhere() {
    let dir = hello("yarn4", "yarn.lock");
    let settings = "npmScopes:\n  none:\n    npmAuthToken: \"hunter2-of-yarn\"\nsupportedArchitectures:\n  os:\n    - darwin\n";
    std::fs::write(dir.path().join(".yarnrc.yml"), settings).unwrap();
    let lbuild = with("yarn4");
    let done = lbuild.ok(&arguments(dir.path(), "arm64", &[]));
    assert!(!done.stderr.contains("hunter2"), "{}", done.stderr);
    for (name, bytes) in files(&lbuild.cache()) {
        assert!(!bytes.windows(7).any(|window| window == b"hunter2"), "{name}");
    }
    for blob in layers::blobs(&lbuild.path("image"), "it", "arm64") {
        for member in layers::members(&blob) {
            let has_token = member.content.windows(7).any(|window| window == b"hunter2");
            assert!(!has_token && !member.path.ends_with(".yarnrc.yml"), "{}", member.path);
        }
    }
    assert!(
        modules(&lbuild, "arm64")
            .iter()
            .any(|file| file.path.ends_with("watcher-linux-arm64-glibc/watcher.node"))
    );
}
