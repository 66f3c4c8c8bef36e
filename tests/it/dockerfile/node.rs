//! `RUN npm ci`, `npm install`, and the like of yarn and pnpm, without a process in the image: what they leave there,
//! beside the real npm.

use crate::support::image_builder::{Layer, TAG, Tar, image};
use crate::support::image_tools::ImageLocation;
use crate::support::image_tree::{self, ImageTree};
use crate::support::lbuild::{Lbuild, RunOutput, files, function};
use crate::support::npm_registry::{NpmPackage, NpmRegistry};
use crate::support::{bases, invoke, layers, run, tool};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Packages with a program, a scope, two versions side by side, and binaries for one machine each.
pub fn packages() -> Vec<NpmPackage> {
    let package = |name: &str, version: &str, more: Value| {
        let text = format!("module.exports = '{name} {version}'\n");
        NpmPackage::new(name, version, &more, &[("index.js", text.as_bytes())])
    };
    vec![
        NpmPackage::new(
            "a",
            "1.0.0",
            &json!({ "bin": "a.js", "dependencies": { "c": "1" } }),
            &[("a.js*", b"#!/usr/bin/env node\n"), ("lib/deep/x.json", b"{}"), (".hidden", b"")],
        ),
        package("@s/b", "2.0.0", json!({ "dependencies": { "c": "2" } })),
        package("c", "1.0.0", json!({})),
        package("c", "2.0.0", json!({})),
        package("d", "1.0.0", json!({ "dependencies": { "e": "1" } })),
        package("e", "1.0.0", json!({})),
        package(
            "native",
            "1.0.0",
            json!({ "optionalDependencies": { "native-x64": "1", "native-musl": "1" } }),
        ),
        package("native-x64", "1.0.0", json!({ "os": ["linux"], "cpu": ["x64"], "libc": ["glibc"] })),
        package("native-musl", "1.0.0", json!({ "os": ["linux"], "cpu": ["x64"], "libc": ["musl"] })),
        package("builds", "1.0.0", json!({ "scripts": { "install": "node build.js" } })),
    ]
}

pub const PACKAGE: &str = r#"{"name":"function","version":"1.0.0",
"dependencies":{"a":"^1.0.0","@s/b":"*","c":"2","native":"1"},"devDependencies":{"d":"1"}}"#;

/// The lock that npm makes for a package.json.
pub fn lock(registry: &NpmRegistry, package: &str) -> String {
    let dir = function(&[("package.json", package)]);
    npm(registry, dir.path(), "npm install --package-lock-only --silent");
    let text = fs::read_to_string(dir.path().join("package-lock.json")).unwrap();
    let mut lock: Value = serde_json::from_str(&text).unwrap();
    // This version of npm reads the C library of a package, but does not write it.
    for (name, libc) in [("native-x64", "glibc"), ("native-musl", "musl")] {
        if let Some(package) = lock["packages"].get_mut(format!("node_modules/{name}")) {
            package["libc"] = json!([libc]);
        }
    }
    serde_json::to_string_pretty(&lock).unwrap() + "\n"
}

/// Runs a line in a directory, with the real npm.
fn npm(registry: &NpmRegistry, dir: &Path, line: &str) {
    let cache = tempfile::tempdir().unwrap();
    let mut shell = Command::new(tool("bash"));
    shell.args(["-c", &format!("umask 022; {line}")]).current_dir(dir).env_clear().env("HOME", cache.path());
    shell.envs(registry.variables(&cache.path().display().to_string()));
    run(&mut shell).unwrap_or_else(|error| panic!("{line}: {error}"));
}

pub fn arguments<'a>(context: &'a TempDir, arch: &'a str, base: &'a str, to: &'a str) -> Vec<&'a str> {
    let path = context.path().to_str().unwrap();
    vec![
        "build",
        path,
        "--arch",
        arch,
        "--build-context",
        base,
        "--to",
        to,
        "--no-check",
        "--run-mode",
        "none",
    ]
}

/// Builds the lines on the tests' base.
fn build(lbuild: &Lbuild, lines: &str, files: &[(&str, &str)], arch: &str) -> RunOutput {
    let base = format!("oci:{}:{}", bases::layout("nodejs").display(), bases::NODE_TAG);
    build_on(&base, lbuild, lines, files, arch)
}

fn build_on(base: &str, lbuild: &Lbuild, lines: &str, files: &[(&str, &str)], arch: &str) -> RunOutput {
    let text = [("Dockerfile", format!("FROM base\n{lines}"))];
    let files = files.iter().map(|(name, text)| (*name, (*text).to_owned()));
    let context = function(&text.into_iter().chain(files).collect::<Vec<_>>());
    let to = format!("oci:{}:{arch}", lbuild.text("out"));
    lbuild.run(&arguments(&context, arch, &format!("base={base}"), &to))
}

/// The files below a directory of the image.
fn tree(lbuild: &Lbuild, arch: &str, dir: &str) -> ImageTree {
    let tree = image_tree::of(&lbuild.path("out"), arch, arch);
    let below = |path: &str| path.strip_prefix(dir)?.strip_prefix('/').map(str::to_owned);
    tree.into_iter().filter_map(|(path, line)| Some((below(&path)?, line))).collect()
}

/// The whole content of a file of the image.
fn content(lbuild: &Lbuild, arch: &str, path: &str) -> Option<String> {
    let blobs = layers::blobs(&lbuild.path("out"), arch, arch);
    let members = blobs.iter().rev().flat_map(|blob| layers::members(blob));
    let found = members.into_iter().find(|member| member.path == path);
    found.map(|member| String::from_utf8(member.content).unwrap())
}

/// Rule 173, and what `npm ci` and `npm install` leave: node_modules with npm's own list, and the lock of an install
/// without one. `NODE_ENV` decides about packages for development, wherever it is set.
#[test]
fn a_directory_has_the_files_that_npm_puts_there() {
    let registry = NpmRegistry::of(packages());
    let lock = lock(&registry, PACKAGE);
    for (line, with_lock) in [
        ("npm ci", true),
        ("npm ci --omit=dev", true),
        ("npm ci --no-audit --ignore-scripts --omit=optional", true),
        ("npm ci --no-bin-links", true),
        ("npm install", true),
        ("npm i --production", true),
        ("NODE_ENV=production npm install", true),
        ("npm install", false),
        ("npm install --omit=dev --no-fund", false),
        // Without a lock, npm's list has the name of the function only because the audit adds it.
        ("npm install --no-package-lock --no-audit", true),
        ("export NODE_ENV=production && npm install", false),
    ] {
        let real = tempfile::tempdir().unwrap();
        let task = real.path().join("task");
        fs::create_dir(&task).unwrap();
        let mut own = vec![("package.json", PACKAGE)];
        own.extend(with_lock.then_some(("package-lock.json", &*lock)));
        own.iter().for_each(|(name, text)| fs::write(task.join(name), text).unwrap());
        npm(&registry, &task, line);
        let lbuild = registry.user();
        build(&lbuild, &format!("COPY package*.json ./\nRUN {line}\n"), &own, "amd64").succeeded();
        let (ours, theirs) = (tree(&lbuild, "amd64", "var/task"), image_tree::of_directory(&task));
        let difference = image_tree::difference(&ours, &theirs);
        assert!(difference.is_empty(), "{line}, {with_lock}:\n{difference}");
        for name in ["package-lock.json", "node_modules/.package-lock.json"] {
            let theirs = fs::read_to_string(task.join(name)).ok();
            assert_eq!(content(&lbuild, "amd64", &format!("var/task/{name}")), theirs, "{line}: {name}");
        }
    }
}

#[test]
fn packages_are_for_the_machine_of_the_image_and_in_any_directory() {
    let registry = NpmRegistry::of(packages());
    let lock = lock(&registry, PACKAGE);
    let own = [("package.json", PACKAGE), ("package-lock.json", &*lock)];
    for (lines, dir) in [
        ("ENV NODE_ENV=production\nWORKDIR /srv/app\nCOPY *.json ./\nRUN npm ci\n", "srv/app"),
        ("COPY *.json app/\nRUN cd app && npm ci --omit=dev && rm -r node_modules/a/lib\n", "var/task/app"),
        ("COPY *.json /opt/x/\nRUN ln -s x /opt/y && npm --prefix /opt/y ci --omit=dev\n", "opt/x"),
    ] {
        for (arch, has_native) in [("amd64", true), ("arm64", false)] {
            let lbuild = registry.user();
            build(&lbuild, lines, &own, arch).succeeded();
            let found = tree(&lbuild, arch, &format!("{dir}/node_modules"));
            assert_eq!(found.contains_key("native-x64"), has_native, "{lines} {arch}: {found:?}");
            assert!(!found.contains_key("native-musl") && !found.contains_key("d"), "{lines}: {found:?}");
            assert_eq!(found[".bin/a"], "0:0 -> ../a/a.js");
            assert_eq!(found.contains_key("a/lib"), !lines.contains("rm -r"));
        }
    }
    // A directory that the image has is replaced.
    let lbuild = registry.user();
    let more = [own[0], own[1], ("old/x.js", "1")];
    let lines = "COPY *.json ./\nCOPY old node_modules/old\nRUN npm ci\n";
    build(&lbuild, lines, &more, "amd64").succeeded();
    let found = tree(&lbuild, "amd64", "var/task/node_modules");
    assert!(found.contains_key("a") && !found.contains_key("old"), "{found:?}");
}

#[test]
fn an_image_with_musl_has_packages_for_musl() {
    let registry = NpmRegistry::of(packages());
    let lock = lock(&registry, PACKAGE);
    let lbuild = registry.user();
    let alpine = Tar::new().directory("lib/").file("lib/ld-musl-x86_64.so.1", 0o755, "");
    image(&lbuild.path("alpine"), &[Layer::gzip(alpine)], |_, _| ());
    let base = format!("oci:{}:{TAG}", lbuild.text("alpine"));
    let own = [("package.json", PACKAGE), ("package-lock.json", &*lock)];
    build_on(&base, &lbuild, "WORKDIR /app\nCOPY *.json ./\nRUN npm ci\n", &own, "amd64").succeeded();
    let found = tree(&lbuild, "amd64", "app/node_modules");
    assert!(found.contains_key("native-musl") && !found.contains_key("native-x64"), "{found:?}");
}

#[test]
fn packages_of_the_function_itself_are_linked() {
    let registry = NpmRegistry::of(packages());
    let package = r#"{"name":"f","workspaces":["packages/*"],"dependencies":{"local":"file:lib/local"}}"#;
    let own = [
        ("package.json", package),
        (
            "packages/w/package.json",
            r#"{"name":"w","version":"1.0.0","bin":"w.js","dependencies":{"c":"1"}}"#,
        ),
        ("packages/w/w.js", "#!/usr/bin/env node\n"),
        ("lib/local/package.json", r#"{"name":"local","version":"1.0.0"}"#),
    ];
    let real = tempfile::tempdir().unwrap();
    let task = real.path().join("task");
    for (name, text) in own {
        fs::create_dir_all(task.join(name).parent().unwrap()).unwrap();
        fs::write(task.join(name), text).unwrap();
    }
    npm(&registry, &task, "npm install");
    let lbuild = registry.user();
    build(&lbuild, "COPY . .\nRUN rm Dockerfile && npm install\n", &own, "amd64").succeeded();
    let (ours, theirs) = (tree(&lbuild, "amd64", "var/task"), image_tree::of_directory(&task));
    let difference = image_tree::difference(&ours, &theirs);
    assert!(difference.is_empty(), "{difference}");
    assert!(ours["packages/w/w.js"].starts_with("0755"), "npm makes programs executable");
}

/// Rule 173: a script that decides which files there are is named.
#[test]
fn what_needs_a_process_is_named() {
    let registry = NpmRegistry::of(packages());
    let of =
        |dependencies: &str| format!(r#"{{"name":"f","version":"1.0.0","dependencies":{dependencies}}}"#);
    let builds = of(r#"{"builds":"1"}"#);
    let scripted = r#"{"name":"f","scripts":{"postinstall":"node x.js"}}"#;
    let git = of(r#"{"x":"user/repository"}"#);
    let plain = of(r#"{"c":"1"}"#);
    let member = [("package.json", r#"{"workspaces":["app"]}"#), ("app/package.json", &*plain)];
    let copy = "COPY . .\n";
    for (package, lines, expected, hint) in [
        (&*builds, "RUN npm install\n", "the package builds runs `node build.js`", "add --ignore-scripts"),
        (
            scripted,
            "RUN npm install\n",
            "`/var/task/package.json` has the script `postinstall`",
            "--ignore-scripts",
        ),
        (&*git, "RUN npm i\n", "a package comes from a git repository", "a published version"),
        (
            &*plain,
            "RUN npm ci\n",
            "`/var/task` has no lock file (npm-shrinkwrap.json, package-lock.json)",
            "COPY it",
        ),
        (&*plain, "RUN yarn install\n", "`/var/task` has no lock file (yarn.lock)", "COPY it"),
        (&*plain, "WORKDIR /srv\nRUN npm i\n", "`/srv/package.json` does not exist in the image", "COPY it"),
        (
            &*plain,
            "RUN mkdir -p node_modules/x && touch node_modules/x/y && npm i\n",
            "has packages already",
            "npm ci",
        ),
        (member[0].1, "RUN cd app && npm i\n", "may be a workspace of `/var/task`", "has the lock file"),
    ] {
        let own = [("package.json", package), member[1]];
        let said = build(&registry.user(), &format!("{copy}{lines}"), &own, "amd64");
        let number = if lines.starts_with("WORKDIR") { 4 } else { 3 };
        assert!(said.code != Some(0) && said.stderr.contains(expected), "{lines}: {}", said.stderr);
        assert!(said.stderr.contains(&format!("Dockerfile:{number}:")), "{}", said.stderr);
        assert!(said.stderr.contains("hint: ") && said.stderr.contains(hint), "{lines}: {}", said.stderr);
    }
    for (package, line) in [(&*builds, "npm install --ignore-scripts"), (scripted, "npm i --ignore-scripts")]
    {
        let own = [("package.json", package)];
        build(&registry.user(), &format!("{copy}RUN {line}\n"), &own, "amd64").succeeded();
    }
    // npm's own error, with the path in the image.
    let missing = of(r#"{"nothing-of-this-name":"1"}"#);
    let said = build(&registry.user(), "COPY . .\nRUN npm i\n", &[("package.json", &missing)], "amd64");
    assert!(said.stderr.contains("`npm i` cannot install its packages"), "{}", said.stderr);
    assert!(said.stderr.contains("npm cannot install from /var/task/package.json: "), "{}", said.stderr);
    assert!(!said.stderr.contains("/cache/"), "{}", said.stderr);
}

#[test]
fn logins_reach_npm_and_nothing_else() {
    let npmrc = "//r.example/:_authToken=${NPM_TOKEN}\nregistry=https://r.example/\n";
    let own =
        [("package.json", r#"{"name":"f"}"#), ("package-lock.json", r#"{"packages":{}}"#), (".npmrc", npmrc)];
    let mut lbuild = Lbuild::new();
    let (asked, token) = (lbuild.text("asked"), "hunter2-of-npm");
    let script = format!(
        "#!/bin/bash\n[[ $1 == --version ]] && {{ echo 11.0.0; exit; }}\n\
         echo \"$NPM_TOKEN $NODE_ENV $(<.npmrc)\" >>'{asked}'\n\
         mkdir -p node_modules/x; echo 1 >node_modules/x/x.js\n\
         grep -q failing package.json || exit 0; echo \"bad $NPM_TOKEN\" >&2; exit 1\n"
    );
    let bin = lbuild.program_of("npm", &script);
    lbuild.set("PATH", &format!("{bin}:/usr/bin:/bin"));
    let lines =
        "ARG NPM_TOKEN\nENV NODE_ENV=production\nCOPY . .\nRUN rm -f Dockerfile && npm ci && rm .npmrc\n";
    let with = |own: &[(&str, &str)]| {
        let text =
            format!("FROM base\n{}", lines.replace("ARG NPM_TOKEN", &format!("ARG NPM_TOKEN={token}")));
        let own = own.iter().map(|(name, text)| (*name, (*text).to_owned()));
        let context = function(&[("Dockerfile", text)].into_iter().chain(own).collect::<Vec<_>>());
        let base = format!("base=oci:{}:{}", bases::layout("nodejs").display(), bases::NODE_TAG);
        lbuild.run(&arguments(&context, "amd64", &base, &format!("oci:{}:1", lbuild.text("out"))))
    };
    let done = with(&own).succeeded();
    let said = fs::read_to_string(&asked).unwrap();
    assert!(said.starts_with(&format!("{token} production //r.example/")), "{said}");
    let kept = files(&lbuild.path("out")).into_iter().chain(files(&lbuild.cache()));
    // The Dockerfile of this test has it in clear, in the history of the image.
    let kept: Vec<_> = kept.filter(|(_, bytes)| !bytes.starts_with(b"{")).collect();
    let has = |bytes: &[u8]| bytes.windows(token.len()).any(|part| part == token.as_bytes());
    assert!(kept.iter().all(|(_, bytes)| !has(bytes)) && !done.stderr.contains(token));
    let failing = with(&[("package.json", r#"{"name":"failing"}"#), own[1], own[2]]);
    assert!(failing.code != Some(0) && failing.stderr.contains("bad ***"), "{}", failing.stderr);
}

#[test]
fn yarn_and_pnpm_install_their_own_lock() {
    for (name, version, lock, text, line, expected) in [
        (
            "yarn",
            "1.22.22",
            "yarn.lock",
            "# yarn lockfile v1\n",
            "yarn install --frozen-lockfile --production",
            "install --ignore-scripts --frozen-lockfile --production --ignore-platform",
        ),
        (
            "yarn",
            "1.22.22",
            "yarn.lock",
            "# yarn lockfile v1\n",
            "yarn",
            "install --ignore-scripts --ignore-platform",
        ),
        (
            "pnpm",
            "10.20.0",
            "pnpm-lock.yaml",
            "lockfileVersion: '9.0'\n",
            "pnpm install --frozen-lockfile --prod",
            "install --ignore-scripts --frozen-lockfile --prod --config.node-linker=hoisted",
        ),
        (
            "pnpm",
            "10.20.0",
            "pnpm-lock.yaml",
            "lockfileVersion: '9.0'\n",
            "pnpm i",
            "install --ignore-scripts --no-frozen-lockfile --config.node-linker=hoisted",
        ),
    ] {
        let mut lbuild = Lbuild::new();
        let asked = lbuild.text("asked");
        let script = format!(
            "#!/bin/bash\n[[ $1 == --version ]] && {{ echo {version}; exit; }}\necho \"$@\" >>'{asked}'\n\
             mkdir -p node_modules/x; echo 1 >node_modules/x/x.js\n\
             touch node_modules/.yarn-integrity node_modules/.modules.yaml\n"
        );
        let bin = lbuild.program_of(name, &script);
        lbuild.set("PATH", &format!("{bin}:/usr/bin:/bin"));
        let own = [("package.json", r#"{"name":"f","scripts":{"build":"x"}}"#), (lock, text)];
        build(&lbuild, &format!("COPY . .\nRUN {line}\n"), &own, "arm64").succeeded();
        let found = tree(&lbuild, "arm64", "var/task/node_modules");
        assert_eq!(found.keys().collect::<Vec<_>>(), ["x", "x/x.js"], "{line}");
        let said = fs::read_to_string(&asked).unwrap();
        assert!(said.starts_with(expected), "{line}: {said}");
    }
    let berry = "__metadata:\n  version: 8\n";
    let said = build(
        &Lbuild::new(),
        "COPY . .\nRUN yarn\n",
        &[("package.json", "{}"), ("yarn.lock", berry)],
        "arm64",
    );
    assert!(said.stderr.contains("nodeLinker: node-modules"), "{}", said.stderr);
}

#[test]
fn a_function_with_packages_answers() {
    let registry = NpmRegistry::of(packages());
    let package = r#"{"name":"f","version":"1.0.0","dependencies":{"a":"1","@s/b":"2"}}"#;
    let lock = lock(&registry, package);
    let code = "exports.handler = async (event) => ({ nonce: event.nonce, lib: require('@s/b'), from: process.arch });\n";
    let own = [("package.json", package), ("package-lock.json", &*lock), ("index.js", code)];
    let lines = "COPY package*.json ${LAMBDA_TASK_ROOT}/\nRUN npm ci --omit=dev && npm cache clean --force\n\
        COPY index.js ${LAMBDA_TASK_ROOT}\nCMD [\"index.handler\"]\n";
    for (arch, cpu) in [("amd64", "x64"), ("arm64", "arm64")] {
        let lbuild = registry.user();
        build(&lbuild, lines, &own, arch).succeeded();
        let answer = invoke::answer(&ImageLocation::layout(&lbuild.path("out"), arch)).unwrap();
        assert_eq!((&answer["lib"], &answer["from"]), (&json!("@s/b 2.0.0"), &json!(cpu)), "{answer}");
    }
}
