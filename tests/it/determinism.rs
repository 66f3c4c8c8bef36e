//! The same input gives the same bytes in every environment.

use crate::support::image_tools::{self, ImageLocation};
use crate::support::lbuild::{Lbuild, files, function, hello, image_of, noise, tiny_base};
use crate::support::registry::{Mode, Registry};
use crate::support::{bases, layers, testdata, tool};
use lbuild::image::Format;
use lbuild::{Destination, Engine, Recipe};
use serde_json::json;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// Large files, which cross the borders of the compressor's segments, and many small files.
fn contents() -> Vec<(String, Vec<u8>)> {
    let mut contents = vec![
        ("app.py".to_owned(), b"def handler(event, context): pass\n".to_vec()),
        ("bootstrap*".to_owned(), b"#!/bin/sh\n".to_vec()),
        ("data/big.bin".to_owned(), noise(1, 2_500_000)),
        ("data/same-1.bin".to_owned(), noise(2, 300_000)),
        ("data/same-2.bin".to_owned(), noise(2, 300_000)),
        ("data/text".to_owned(), "the quick brown fox\n".repeat(60_000).into_bytes()),
    ];
    contents.extend((0..200).map(|n| (format!("pkg/{}/m{n}.py", n % 7), format!("x = {n}\n").into_bytes())));
    contents
}

fn code() -> TempDir {
    let contents = contents();
    function(&contents.iter().map(|(name, content)| (name.as_str(), content)).collect::<Vec<_>>())
}

/// The files of the layout that a new user with an empty cache builds.
fn built(code: &Path, more: &[&str]) -> BTreeMap<String, Vec<u8>> {
    files(&Lbuild::new().layout("image", code, more))
}

/// Compares layouts and names the files that differ, instead of printing megabytes.
#[track_caller]
fn same(found: &BTreeMap<String, Vec<u8>>, expected: &BTreeMap<String, Vec<u8>>, what: &str) {
    let names = |layout: &BTreeMap<String, Vec<u8>>| layout.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(found), names(expected), "{what}");
    let differ: Vec<_> = found.keys().filter(|name| found[*name] != expected[*name]).collect();
    assert!(differ.is_empty(), "{what}: {differ:?}");
}

/// Runs a prepared command that builds the layout `image` of its user.
fn built_by(lbuild: &Lbuild, command: &mut Command) -> BTreeMap<String, Vec<u8>> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    files(&lbuild.path("image"))
}

fn arguments(lbuild: &Lbuild, base: &str, code: &str) -> Vec<String> {
    let to = format!("oci:{}:it", lbuild.text("image"));
    ["push", code, "--base", base, "--arch", "arm64", "--to", &to].map(str::to_owned).to_vec()
}

#[test]
fn the_number_of_jobs_does_not_matter() {
    let code = code();
    let expected = built(code.path(), &["--jobs", "1"]);
    for jobs in ["2", "3", "8"] {
        same(&built(code.path(), &["--jobs", jobs]), &expected, jobs);
    }
    let seven = layers::blobs(&Lbuild::new().layout("image", code.path(), &[]), "it", "");
    assert!(layers::inflate(&seven[2]).len() > 4 << 20, "several segments");
}

#[test]
fn environment_and_working_directory_do_not_matter() {
    let code = code();
    let expected = built(code.path(), &[]);
    let dir = code.path().to_str().unwrap();

    let lbuild = Lbuild::new();
    let wrapper = ["sh", "-c", r#"umask 077; exec "$0" "$@""#];
    let mut strict = lbuild.wrapped(&wrapper, &arguments(&lbuild, &tiny_base(), dir));
    same(&built_by(&lbuild, &mut strict), &expected, "umask");

    for (name, value) in
        [("TZ", "Asia/Kathmandu"), ("LANG", "tr_TR.UTF-8"), ("LC_ALL", "C"), ("HOSTNAME", "x")]
    {
        let mut lbuild = Lbuild::new();
        lbuild.set(name, value);
        same(&files(&lbuild.layout("image", code.path(), &[])), &expected, name);
    }

    for (cwd, path) in [
        (code.path(), "."),
        (&code.path().join("pkg"), ".."),
        (code.path().parent().unwrap(), code.path().file_name().unwrap().to_str().unwrap()),
        (Path::new("/"), &format!("{dir}/pkg/../")),
    ] {
        let lbuild = Lbuild::new();
        let mut command = lbuild.command(&arguments(&lbuild, &tiny_base(), path));
        same(&built_by(&lbuild, command.current_dir(cwd)), &expected, path);
    }
}

#[test]
fn file_times_and_modes_do_not_matter() {
    let code = code();
    let expected = built(code.path(), &[]);
    for (days, mode) in [(400, 0o640), (20_000, 0o600), (3, 0o666)] {
        for (name, _) in contents() {
            let path = code.path().join(name.trim_end_matches('*'));
            let mode = if name.ends_with('*') { mode | 0o100 } else { mode };
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let time = SystemTime::now() - Duration::from_secs(days * 86_400);
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        }
        std::fs::set_permissions(code.path().join("data"), PermissionsExt::from_mode(0o700)).unwrap();
        same(&built(code.path(), &[]), &expected, &format!("{mode:o}"));
    }
    std::fs::set_permissions(code.path().join("app.py"), PermissionsExt::from_mode(0o744)).unwrap();
    assert_ne!(built(code.path(), &[]).keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
}

#[test]
fn creation_order_and_hard_links_do_not_matter() {
    let expected = built(code().path(), &[]);
    let mut backwards = contents();
    backwards.reverse();
    let mut shuffled = contents();
    shuffled.sort_by_key(|(name, _)| name.bytes().rev().collect::<Vec<_>>());
    for contents in [backwards, shuffled] {
        // a tmpfs lists files in order of creation, other file systems in an order of their own
        for parent in ["/dev/shm", "/tmp"].iter().filter(|parent| Path::new(parent).is_dir()) {
            let code = tempfile::tempdir_in(parent).unwrap();
            for (name, content) in &contents {
                let path = code.path().join(name.trim_end_matches('*'));
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, content).unwrap();
                let mode = if name.ends_with('*') { 0o755 } else { 0o644 };
                std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            }
            same(&built(code.path(), &[]), &expected, parent);
            let (one, other) = (code.path().join("data/same-1.bin"), code.path().join("data/same-2.bin"));
            std::fs::remove_file(&other).unwrap();
            std::fs::hard_link(one, other).unwrap();
            same(&built(code.path(), &[]), &expected, "hard links");
        }
    }
}

#[test]
fn the_user_does_not_matter() {
    let code = code();
    let expected = |base: &str| {
        let lbuild = Lbuild::new();
        let all = arguments(&lbuild, base, code.path().to_str().unwrap());
        built_by(&lbuild, &mut lbuild.command(&all))
    };
    // the other user may lack the right to read this checkout
    let expected = expected("scratch");
    let lbuild = Lbuild::new();
    let binary = lbuild.path("copy-of-lbuild");
    std::fs::copy(env!("CARGO_BIN_EXE_lbuild"), &binary).unwrap();
    for dir in
        ["", "tmp", "home", "docker"].map(|name| lbuild.path(name)).iter().chain([&code.path().to_owned()])
    {
        std::fs::set_permissions(dir, PermissionsExt::from_mode(0o777)).unwrap();
    }
    let root = rustix::process::getuid().is_root();
    let wrapper: &[&str] = match root {
        true => &["setpriv", "--reuid=12345", "--regid=23456", "--clear-groups"],
        false => &["unshare", "--user", "--map-root-user"],
    };
    let mut command = Command::new(tool(wrapper[0]));
    command.args(&wrapper[1..]).arg(binary).args(arguments(
        &lbuild,
        "scratch",
        code.path().to_str().unwrap(),
    ));
    command.current_dir("/tmp").env_clear().env("LBUILD_CACHE", lbuild.cache());
    same(&built_by(&lbuild, &mut command), &expected, "another user");
}

#[test]
fn the_state_of_the_cache_does_not_matter() {
    let (lbuild, code) = (Lbuild::new(), code());
    let build = |name: &str| {
        let layout = lbuild.layout(name, code.path(), &[]);
        (files(&layout), lbuild.ok(&["cache", "info"]).stdout)
    };
    let (expected, _) = build("cold");
    same(&build("warm").0, &expected, "warm");
    lbuild.ok(&["cache", "prune", "--days", "0"]);
    same(&build("pruned").0, &expected, "pruned");
    for (n, name) in ["blobs", "keys", "stat"].iter().enumerate() {
        std::fs::remove_dir_all(lbuild.cache().join(name)).unwrap();
        same(&build(&format!("without-{n}")).0, &expected, name);
    }
    // a fresh checkout in another directory, with the same cache
    let other = self::code();
    same(&files(&lbuild.layout("elsewhere", other.path(), &[])), &expected, "elsewhere");
    // a change that is reverted
    std::fs::write(code.path().join("app.py"), "changed").unwrap();
    assert_ne!(build("changed").0.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    std::fs::write(code.path().join("app.py"), &contents()[0].1).unwrap();
    same(&build("changed-back").0, &expected, "changed back");
}

#[test]
fn source_date_epoch_is_the_only_time_in_an_image() {
    let code = function(&[("app.py", "code")]);
    let at = |epoch: &str| {
        let mut lbuild = Lbuild::new();
        lbuild.set("SOURCE_DATE_EPOCH", epoch);
        let layout = lbuild.layout("image", code.path(), &[]);
        let layer = layers::members(&layers::blobs(&layout, "it", "")[2]);
        (files(&layout), image_of(&layout, "it", "").1, layer)
    };
    let (first, config, layer) = at("1700000000");
    same(&at("1700000000").0, &first, "the same epoch");
    assert_eq!(config["created"], "2023-11-14T22:13:20Z");
    assert_eq!(config["history"].as_array().unwrap().last().unwrap()["created"], "2023-11-14T22:13:20Z");
    assert!(layer.iter().all(|member| member.mtime == 1_700_000_000));
    let names = |layout: &BTreeMap<String, Vec<u8>>| layout.keys().cloned().collect::<Vec<_>>();
    assert_ne!(names(&at("1700000001").0), names(&first));
    same(&built(code.path(), &[]), &at("315532800").0, "the default is 1980");
    // both epochs may share one cache
    let mut lbuild = Lbuild::new();
    lbuild.layout("default", code.path(), &[]);
    lbuild.set("SOURCE_DATE_EPOCH", "1700000000");
    same(&files(&lbuild.layout("image", code.path(), &[])), &first, "after a build of another epoch");
}

#[test]
fn library_plan_and_command_agree() {
    let (lbuild, code) = (Lbuild::new(), code());
    let expected =
        files(&lbuild.layout("command", code.path(), &["--label", "a=b", "--handler", "app.handler"]));
    let (base, dir) = (tiny_base(), code.path().to_str().unwrap());
    let all = ["plan", dir, "--base", &base, "--arch", "arm64", "--label", "a=b", "--handler", "app.handler"];
    let recipe: Recipe = serde_json::from_str(&lbuild.ok(&all).stdout).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for jobs in [1, 4] {
        let engine =
            Engine::builder().cache(lbuild.path(&format!("cache-{jobs}"))).jobs(jobs).build().unwrap();
        let to = |name: &str| Destination::Layout { path: lbuild.path(name), tags: vec!["it".to_owned()] };
        let (pushed, published) = (format!("pushed-{jobs}"), format!("published-{jobs}"));
        runtime.block_on(async {
            engine.push(&recipe, &[(to(&pushed), Format::Oci)]).await.unwrap();
            let image = engine.build(&recipe).await.unwrap();
            engine.publish(&image, Format::Oci, &to(&published)).await.unwrap();
        });
        same(&files(&lbuild.path(&pushed)), &expected, &pushed);
        same(&files(&lbuild.path(&published)), &expected, &published);
    }
}

#[test]
fn the_destination_does_not_matter() {
    let (lbuild, registry, code) = (Lbuild::new(), Registry::start(Mode::Plain), code());
    let base = bases::push(&registry, "docker-list", "lambda/python", "3.11");
    let layout = format!("oci:{}:it", lbuild.text("image"));
    let here = format!("{}/function:1", registry.host());
    let push = |to: &str| {
        let more = ["--base", &base, "--arch", "arm64", "--format", "oci", "--to", to];
        lbuild.push(code.path(), &more)
    };
    let digest = push(&here);
    assert_eq!(push(&layout), digest);
    assert_eq!(
        image_tools::skopeo_inspect(&ImageLocation::registry(&registry, "function:1")).unwrap()["Digest"],
        digest
    );
}

/// Digests of hello-python on the committed base and of a layer of several segments. `UPDATE_GOLDEN=1` rewrites them;
/// a change makes every user's next push send every layer again, and needs a new `WRITER_VERSION`.
#[test]
fn the_bytes_are_those_of_the_previous_release() {
    let golden = testdata("golden/hello-python.json");
    let lbuild = Lbuild::new();
    let build = |name: &str, code: &Path, architecture: &str, format: &str| {
        let to = format!("oci:{}:it", lbuild.text(name));
        let more = ["--base", &tiny_base(), "--arch", architecture, "--format", format, "--to", &to];
        let digest = lbuild.push(code, &[&more[..], &["--handler", "app.handler"]].concat());
        let (manifest, _) = image_of(&lbuild.path(name), "it", architecture);
        let layers: Vec<_> =
            manifest["layers"].as_array().unwrap().iter().map(|layer| layer["digest"].clone()).collect();
        json!({ "manifest": digest, "config": manifest["config"]["digest"], "layers": layers })
    };
    let found = json!({
        "amd64 docker": build("1", &hello(), "amd64", "docker"),
        "arm64 docker": build("2", &hello(), "arm64", "docker"),
        "amd64 oci": build("3", &hello(), "amd64", "oci"),
        "arm64 oci": build("4", &hello(), "arm64", "oci"),
        "large": build("5", code().path(), "arm64", "docker"),
    });
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(golden.parent().unwrap()).unwrap();
        std::fs::write(&golden, format!("{found:#}\n")).unwrap();
    }
    let expected = bases::read(&golden);
    assert!(found == expected, "{found:#}\nis not\n{expected:#}");
}
