//! Node packages of a lock file, installed by npm for the image's machine, as a separate layer.

use crate::support::image_tools::ImageLocation;
use crate::support::invoke;
use crate::support::layers::{self, Member};
use crate::support::lbuild::{Lbuild, RunOutput, files, function, tiny_base};
use crate::support::registry::{Mode, Registry};
use crate::support::{bases, npm, testdata};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A user who has npm, and the packages of hello-sharp in npm's cache.
fn with_npm() -> Lbuild {
    let mut lbuild = Lbuild::new();
    npm::variables().iter().for_each(|(name, value)| lbuild.set(name, value));
    lbuild
}

/// A user whose npm is this script; it writes its arguments to the file `asked`.
fn with_fake(version: &str, script: &str) -> Lbuild {
    with_fake_tool("npm", version, script)
}

fn with_fake_tool(name: &str, version: &str, script: &str) -> Lbuild {
    let mut lbuild = Lbuild::new();
    let asked = lbuild.text("asked");
    let text = format!(
        "#!/bin/bash\necho \"$@\" >>'{asked}'\n[[ $1 == --version ]] && {{ {version}; exit; }}\n{script}\n"
    );
    let bin = lbuild.program_of(name, &text);
    lbuild.set("PATH", &format!("{bin}:/usr/bin:/bin"));
    lbuild
}

/// A function with an empty lock file, for fake tools.
fn empty() -> TempDir {
    function(&[("index.js", ""), ("package.json", "{}"), ("package-lock.json", r#"{"packages":{}}"#)])
}

fn arguments(dir: &Path, arch: &str, to: &str) -> Vec<String> {
    let base = tiny_base();
    ["push", dir.to_str().unwrap(), "--npm", "--base", &base, "--arch", arch, "--to", to]
        .map(str::to_owned)
        .into()
}

fn push(lbuild: &Lbuild, dir: &Path, arch: &str) -> RunOutput {
    lbuild.run(&arguments(dir, arch, &format!("oci:{}:it", lbuild.text("image"))))
}

/// The layers above the base in the pushed image.
fn pushed(lbuild: &Lbuild, arch: &str) -> Vec<Vec<Member>> {
    let blobs = layers::blobs(&lbuild.path("image"), "it", arch);
    blobs[2..].iter().map(|blob| layers::members(blob)).collect()
}

fn content(layer: &[Member]) -> BTreeMap<&str, &Member> {
    layer.iter().map(|member| (member.path.as_str(), member)).collect()
}

#[test]
fn binaries_are_for_the_image_and_the_digest_is_always_the_same() {
    let hello = testdata("functions/hello-sharp");
    for (arch, cpu, machine) in [("arm64", "arm64", 183_u8), ("amd64", "x64", 62)] {
        let lbuild = with_npm();
        let digest = push(&lbuild, &hello, arch).succeeded().digest();
        let layers = pushed(&lbuild, arch);
        assert_eq!(layers.len(), 4, "two large packages, the small ones and the code");
        let large = format!("var/task/node_modules/@img/sharp-libvips-linux-{cpu}");
        assert!(layers[0].iter().all(|file| large.starts_with(&file.path) || file.path.starts_with(&large)));
        let packages: Vec<Member> = layers[..3].concat();
        let binaries: Vec<_> = packages.iter().filter(|file| file.content.starts_with(b"\x7fELF")).collect();
        assert_eq!(binaries.len(), 2);
        for binary in binaries {
            assert!(binary.path.contains(&format!("-linux-{cpu}/")), "{}", binary.path);
            assert_eq!(binary.content[18], machine, "{}", binary.path);
        }
        let modules = content(&packages);
        assert_eq!(
            modules["var/task/node_modules/.bin/semver"].link.as_deref(),
            Some("../semver/bin/semver.js")
        );
        assert_eq!(modules["var/task/node_modules/semver/bin/semver.js"].mode, 0o755);
        let none = [".package-lock.json", "is-odd"].map(|name| format!("var/task/node_modules/{name}"));
        assert!(none.iter().all(|name| !modules.contains_key(name.as_str())));
        assert!(layers[3].iter().all(|member| !member.path.contains("node_modules")));

        let (other, to) = (with_npm(), "oci:image:it");
        let umask = ["bash", "-c", "umask 077; exec \"$@\"", "_"];
        let done = other.wrapped(&umask, &arguments(&hello, arch, to)).output().unwrap();
        assert_eq!(RunOutput::of(done).succeeded().digest(), digest, "another umask, another cache");
        assert_eq!(std::fs::read_dir(other.cache().join("work")).unwrap().count(), 0);
    }
}

#[test]
fn an_image_for_arm64_answers() {
    let (registry, lbuild) = (Registry::start(Mode::Plain), with_npm());
    bases::seed(&registry, &bases::layout("nodejs"), bases::NODE_TAG, "lambda/nodejs", "18");
    let (base, to) =
        (format!("{}/lambda/nodejs:18", registry.host()), format!("{}/sharp:1", registry.host()));
    let hello = testdata("functions/hello-sharp");
    let more = ["--npm", "--base", &base, "--arch", "arm64", "--handler", "index.handler", "--to", &to];
    lbuild.push(&hello, &more);
    let answer = invoke::answer(&ImageLocation::registry(&registry, "sharp:1")).unwrap();
    assert_eq!((&answer["machine"], &answer["width"]), (&json!("arm64"), &json!(32)), "{answer}");
}

#[test]
fn a_machine_without_a_cache_uses_the_layer_in_the_registry_and_does_not_run_npm() {
    let (registry, hello) = (Registry::start(Mode::Plain), testdata("functions/hello-sharp"));
    let all = arguments(&hello, "arm64", &format!("{}/sharp:1", registry.host()));
    let digest = with_npm().ok(&all).digest();
    let mut none = Lbuild::new();
    none.set("PATH", "/nonexistent");
    for fresh in [with_fake("echo 10.9.4", "exit 1"), with_fake("exit 1", "exit 1"), none] {
        let mark = registry.mark();
        let done = fresh.ok(&all);
        assert_eq!(done.digest(), digest, "{}", done.stderr);
        assert!(
            done.stderr.contains("layer    node_modules") && !done.stderr.contains(" made"),
            "{}",
            done.stderr
        );
        let asked = std::fs::read_to_string(fresh.path("asked")).unwrap_or_default();
        assert!(asked.lines().all(|line| line == "--version"), "{asked}");
        let log = registry.log_since(mark);
        assert!(log.iter().all(|access| ["GET", "HEAD"].contains(&access.method.as_str())), "{log:?}");
        let gets =
            log.iter().filter(|access| access.method == "GET" && access.path.contains("/blobs/")).count();
        assert_eq!(gets, 1, "only the config: {log:?}");
    }
    // another major version of npm may install other files, so the key differs
    let said = with_fake("echo 12.0.0", "echo 'npm error no such thing' >&2; exit 1").run(&all).failed(3);
    assert!(said.contains("package-lock.json: no such thing"), "{said}");
}

#[test]
fn an_unsuitable_npm_is_reported() {
    let dir = empty();
    for old in ["9.8.1", "10.2.5"] {
        let said = push(&with_fake(&format!("echo {old}"), "exit 1"), dir.path(), "arm64").failed(3);
        assert!(said.contains(&format!("npm {old} cannot install for another machine")), "{said}");
        assert!(said.contains("hint: install npm 10.3 or newer"), "{said}");
    }
    let mut none = Lbuild::new();
    none.set("PATH", "/nonexistent");
    let said = push(&none, dir.path(), "arm64").failed(3);
    assert!(said.contains("npm is not installed") && said.contains("hint: install npm"), "{said}");
    let said = push(&with_fake("exit 1", ""), dir.path(), "arm64").failed(3);
    assert!(said.contains("it does not report its version"), "{said}");

    std::fs::remove_file(dir.path().join("package-lock.json")).unwrap();
    let said = push(&Lbuild::new(), dir.path(), "arm64").failed(3);
    assert!(said.contains("has no lock file (package-lock.json"), "{said}");
}

#[test]
fn the_installed_tree_is_verified() {
    let elf = |machine: &str| format!("printf '\\x7fELF\\x02\\x01%010d\\x03\\x00\\x{machine}\\x00' 0 >");
    let script =
        |machine: &str| format!("mkdir -p node_modules/@s/x; {} node_modules/@s/x/x.node", elf(machine));
    let (dir, version) = (empty(), "echo 11.0.0");
    push(&with_fake(version, &script("b7")), dir.path(), "arm64").succeeded();
    let lbuild = with_fake(version, &script("3e"));
    let said = push(&lbuild, dir.path(), "arm64").failed(3);
    let expected = "node_modules/@s/x/x.node of the package @s/x is for amd64, but the image is for arm64";
    assert!(said.contains(expected), "{said}");
    assert!(!lbuild.path("image/index.json").exists());
    push(&lbuild, dir.path(), "amd64").succeeded();

    let lbuild = with_fake(version, "mkdir node_modules; ln -s ../gone node_modules/gone");
    let said = push(&lbuild, dir.path(), "arm64").failed(3);
    assert!(
        said.contains("the installed link node_modules/gone leads to ../gone, which does not exist"),
        "{said}"
    );
    let asked = std::fs::read_to_string(lbuild.path("asked")).unwrap();
    for word in ["ci ", "--ignore-scripts ", "--os=linux", "--cpu=arm64", "--libc=glibc", "--omit=dev"] {
        assert!(asked.contains(word), "{asked}");
    }
    let mut all = arguments(dir.path(), "arm64", "oci:image:it");
    all.push("--npm-scripts".into());
    lbuild.run(&all).failed(3);
    assert!(std::fs::read_to_string(lbuild.path("asked")).unwrap().contains("--ignore-scripts=false"));
}

#[test]
fn pnpm_installs_the_packages_of_its_own_lock() {
    let dir = function(&[("package.json", "{}"), ("pnpm-lock.yaml", "lockfileVersion: '9.0'\n")]);
    let own = ".modules.yaml .pnpm-workspace-state-v1.json .pnpm/lock.yaml";
    let script = format!("mkdir -p node_modules/.pnpm; cd node_modules; touch {own} a.js");
    let lbuild = with_fake_tool("pnpm", "echo 10.20.0", &script);
    push(&lbuild, dir.path(), "amd64").succeeded();
    let layers = pushed(&lbuild, "amd64");
    let paths: Vec<_> = layers[0].iter().map(|member| member.path.as_str()).collect();
    assert_eq!(paths, ["var", "var/task", "var/task/node_modules", "var/task/node_modules/a.js"]);
    let asked = std::fs::read_to_string(lbuild.path("asked")).unwrap();
    for word in ["install --frozen-lockfile --prod", "--ignore-scripts", "--os=linux --cpu=x64 --libc=glibc"]
    {
        assert!(asked.contains(word), "{asked}");
    }
    let said = push(&with_fake_tool("pnpm", "echo 9.15.0", ""), dir.path(), "amd64").failed(3);
    assert!(said.contains("pnpm 9.15.0 cannot install for another machine"), "{said}");
    std::fs::write(dir.path().join("pnpm-lock.yaml"), "importers:\n  .:\n  packages/a:\n").unwrap();
    let said = push(&lbuild, dir.path(), "amd64").failed(3);
    assert!(said.contains("`packages/a:`") && said.contains("all packages come from registries"), "{said}");
}

#[test]
fn only_npm_can_read_a_token() {
    let token = "hunter2-of-the-registry";
    let npmrc =
        format!("//registry.example/:_authToken={token}\n//other.example/:_password=${{SECRET_IN_NPMRC}}\n");
    let hello = testdata("functions/hello-sharp");
    let read = |name: &str| std::fs::read_to_string(hello.join(name)).unwrap();
    let dir = function(&[
        ("package.json", &read("package.json")[..]),
        ("package-lock.json", &read("package-lock.json")),
        (".npmrc", &npmrc),
    ]);
    let nowhere = |lbuild: &Lbuild, done: &RunOutput| {
        let said = format!("{}{}", done.stdout, done.stderr);
        assert!(!said.contains(token) && !said.contains("other-secret"), "{said}");
        for (name, bytes) in files(&lbuild.cache()) {
            let found = bytes.windows(token.len()).any(|window| window == token.as_bytes());
            assert!(!found && !name.contains("npmrc"), "{name}");
        }
    };
    let lbuild = with_npm();
    let done = push(&lbuild, dir.path(), "arm64").succeeded();
    nowhere(&lbuild, &done);
    for member in pushed(&lbuild, "arm64").iter().flatten() {
        assert!(!member.path.ends_with("npmrc") && !String::from_utf8_lossy(&member.content).contains(token));
    }
    let tell = "cat .npmrc >&2; echo $SECRET_IN_NPMRC >&2; exit 1";
    let mut lbuild = with_fake("echo 11.0.0", tell);
    lbuild.set("SECRET_IN_NPMRC", "other-secret");
    let done = push(&lbuild, dir.path(), "arm64");
    assert!(
        done.code == Some(3) && done.stderr.contains("_authToken=***"),
        "npm can read it: {}",
        done.stderr
    );
    nowhere(&lbuild, &done);
    // another token does not change the layer
    let lbuild = with_fake("echo 11.0.0", "mkdir node_modules");
    push(&lbuild, dir.path(), "arm64").succeeded();
    std::fs::write(dir.path().join(".npmrc"), npmrc.replace(token, "another-token")).unwrap();
    assert!(!push(&lbuild, dir.path(), "arm64").succeeded().stderr.contains(" made"));
}

/// A function with a workspace, a package in a directory, and a package in an archive.
fn local() -> TempDir {
    let lock = json!({ "name": "f", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": {
        "": { "name": "f", "version": "1.0.0", "workspaces": ["packages/*"], "dependencies": { "b": "file:lib/b" } },
        "lib/b": { "version": "1.0.0" },
        "node_modules/a": { "resolved": "packages/a", "link": true },
        "node_modules/b": { "resolved": "lib/b", "link": true },
        "packages/a": { "version": "1.0.0", "bin": { "a": "a.js" } },
    } });
    let package =
        r#"{"name":"f","version":"1.0.0","workspaces":["packages/*"],"dependencies":{"b":"file:lib/b"}}"#;
    function(&[
        ("package.json", package),
        ("package-lock.json", &lock.to_string()),
        ("packages/a/package.json", r#"{"name":"a","version":"1.0.0","bin":"a.js"}"#),
        ("packages/a/a.js*", "#!/usr/bin/env node\n"),
        ("packages/a/node_modules/stale/x.js", "this machine's"),
        ("node_modules/stale/x.js", "this machine's"),
        ("lib/b/package.json", r#"{"name":"b","version":"1.0.0"}"#),
        ("lib/b/b.js", "1"),
    ])
}

#[test]
fn local_packages_of_the_function_are_installed() {
    let (dir, lbuild) = (local(), with_npm());
    push(&lbuild, dir.path(), "arm64").succeeded();
    let layers = pushed(&lbuild, "arm64");
    let modules = content(&layers[0]);
    let link = |name: &str| modules[format!("var/task/node_modules/{name}").as_str()].link.as_deref();
    assert_eq!((link("a"), link(".bin/a")), (Some("../packages/a"), Some("../a/a.js")));
    assert_eq!(modules["var/task/node_modules/b/b.js"].content, b"1");
    let code = content(&layers[1]);
    assert!(code.contains_key("var/task/packages/a/a.js"));
    assert!(layers.iter().flatten().all(|member| !member.path.contains("stale")));

    let made = |lbuild: &Lbuild| {
        let done = push(lbuild, dir.path(), "arm64").succeeded();
        done.stderr.lines().any(|line| line.contains("node_modules") && line.ends_with(" made"))
    };
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    assert!(!made(&lbuild));
    write("packages/a/a.js", "#!/usr/bin/env node\n1");
    assert!(!made(&lbuild), "code of a workspace is not part of the layer of packages");
    write("lib/b/b.js", "2");
    assert!(made(&lbuild), "code of a package is part of its layer");
    let text = std::fs::read_to_string(dir.path().join("package-lock.json")).unwrap();
    let mut lock: Value = serde_json::from_str(&text).unwrap();
    lock["version"] = json!("1.0.1");
    lock["packages"][""]["version"] = json!("1.0.1");
    write("package-lock.json", &lock.to_string());
    assert!(!made(&lbuild), "the function's version does not change the layer");
}

#[test]
fn packages_outside_the_function_are_refused() {
    let (dir, lbuild) = (local(), with_npm());
    let path = dir.path().join("package-lock.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let refused = |text: String| {
        std::fs::write(&path, text).unwrap();
        push(&lbuild, dir.path(), "arm64").failed(3)
    };
    let said = refused(text.replace("\"lib/b\"", "\"../b\""));
    assert!(
        said.contains("package-lock.json names ../b, which is outside the function's directory"),
        "{said}"
    );
    let said = refused(text.replace("\"lib/b\"", "\"lib/none\""));
    assert!(said.contains("lib/none"), "{said}");
    symlink("/etc", dir.path().join("out")).unwrap();
    assert!(refused(text.replace("\"lib/b\"", "\"out\"")).contains("names out, which is outside"));
    // npm's own error message
    let said = refused(text.replace("lib/b\"", "packages/a\"").replace("file:lib/b", "file:packages/a"));
    assert!(said.contains("npm cannot install from") && said.len() < 1500, "{said}");
}

#[test]
fn a_lock_file_without_the_flag_gives_a_note() {
    let dir = empty();
    let (lbuild, to) = (with_fake("exit 1", "exit 1"), "oci:image:it");
    let plain = |lbuild: &Lbuild| {
        let all: Vec<_> =
            arguments(dir.path(), "arm64", to).into_iter().filter(|word| word != "--npm").collect();
        lbuild.ok(&all).stderr
    };
    let said = plain(&lbuild);
    assert!(
        said.contains("package-lock.json but no node_modules") && said.contains("hint: add --npm"),
        "{said}"
    );
    std::fs::create_dir(dir.path().join("node_modules")).unwrap();
    assert!(!plain(&lbuild).contains("package-lock.json"));
    assert!(!lbuild.path("asked").exists());

    lbuild.ok(&["init", dir.path().to_str().unwrap()]);
    let toml = std::fs::read_to_string(dir.path().join("lbuild.toml")).unwrap();
    assert!(toml.contains("\nnpm = true"), "{toml}");
    let lbuild = with_fake("echo 11.0.0", "mkdir node_modules");
    let base = tiny_base();
    std::fs::write(dir.path().join("lbuild.toml"), "npm = true").unwrap();
    lbuild.push(dir.path(), &["--base", &base, "--arch", "arm64", "--to", to]);
    assert_eq!(pushed(&lbuild, "arm64").len(), 2);
}

#[test]
fn the_next_run_removes_the_leftovers_of_a_killed_one() {
    let (dir, lbuild) = (empty(), with_fake("echo 11.0.0", "mkdir node_modules; exec sleep 30"));
    let work = lbuild.cache().join("work");
    let left = || std::fs::read_dir(&work).map_or(0, Iterator::count);
    for last in [&["cache", "prune"][..], &["cache", "prune", "--days", "0"]] {
        let mut child = lbuild.command(&arguments(dir.path(), "arm64", "oci:image:it")).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let installing = || files(&lbuild.path("")).keys().any(|name| name.ends_with("package-lock.json"));
        // That of the packages, and that of temporary files.
        while !(left() == 2 && installing()) {
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(10));
        }
        lbuild.ok(last);
        assert_eq!(left(), 2, "the directories are in use");
        child.kill().unwrap();
        child.wait().unwrap();
        lbuild.ok(last);
        assert_eq!(left(), 0);
    }
}
