//! Requests and uploads of a push, counted at the registry.

use crate::support::image_tools::{self, ImageLocation};
use crate::support::lbuild::{Lbuild, function, noise, tiny_base};
use crate::support::proxy::{Fault, Proxy, ProxyRequest, Rule};
use crate::support::registry::{AccessLogEntry, Mode, Registry};
use crate::support::{bases, testdata};
use lbuild::image::Format;
use lbuild::{Destination, Engine, Recipe};
use serde_json::Value;
use std::time::Duration;
use tempfile::TempDir;

fn code() -> TempDir {
    function(&[("app.py", "def handler(event, context): pass"), ("lib.py", "x = 1"), ("README", "read me")])
}

fn uploads(log: &[AccessLogEntry]) -> usize {
    log.iter().filter(|access| access.is_blob_upload() && access.method == "PUT").count()
}

fn count(log: &[AccessLogEntry], method: &str, path: &str) -> usize {
    log.iter().filter(|access| access.method == method && access.path.contains(path)).count()
}

/// Whether only GET and HEAD requests were sent.
fn only_reads(log: &[AccessLogEntry]) -> bool {
    log.iter().all(|access| ["GET", "HEAD"].contains(&access.method.as_str()))
}

/// The arguments of a push to this registry.
fn to(registry: &Registry, base: &str) -> Vec<String> {
    let to = format!("{}/function:1", registry.host());
    ["--base", base, "--arch", "arm64", "--to", &to].map(str::to_owned).to_vec()
}

fn push(lbuild: &Lbuild, code: &TempDir, all: &[String], more: &[&str]) -> String {
    let all: Vec<_> = all.iter().map(String::as_str).chain(more.iter().copied()).collect();
    lbuild.push(code.path(), &all)
}

#[test]
fn a_first_push_sends_each_blob_once() {
    let (registry, lbuild, code) = (Registry::start(Mode::Plain), Lbuild::new(), code());
    push(&lbuild, &code, &to(&registry, &tiny_base()), &[]);
    let log = registry.log();
    assert_eq!(uploads(&log), 4, "two layers of the base, the code, the config");
    assert_eq!(count(&log, "HEAD", "/blobs/"), 2, "the layers of the base; the others are new");
    assert_eq!(count(&log, "POST", "/blobs/uploads/"), 4);
    assert_eq!(count(&log, "PATCH", ""), 0);
    assert_eq!(count(&log, "PUT", "/manifests/"), 1);
    assert!(log.iter().all(|access| access.user_agent.starts_with("lbuild/")));
}

#[test]
fn an_identical_push_sends_nothing() {
    let (registry, code) = (Registry::start(Mode::Plain), code());
    let all = to(&registry, &tiny_base());
    let lbuild = Lbuild::new();
    let digest = push(&lbuild, &code, &all, &[]);
    for (user, what) in [(&lbuild, "the same user"), (&Lbuild::new(), "another machine, with no cache")] {
        let mark = registry.mark();
        assert_eq!(push(user, &code, &all, &[]), digest);
        let log = registry.log_since(mark);
        assert!(only_reads(&log), "{what}: {log:?}");
        let confirmed = usize::from(what != "the same user");
        assert_eq!(
            count(&log, "HEAD", ""),
            confirmed,
            "{what}: the manifest proves that the other blobs exist"
        );
        assert_eq!(count(&log, "GET", "/manifests/1"), 1, "{what}");
    }
}

#[test]
fn a_changed_file_sends_the_code_the_config_and_the_manifest() {
    let (registry, lbuild, code) = (Registry::start(Mode::Plain), Lbuild::new(), code());
    let deps = function(&[("dep.py", "dep")]);
    let (all, deps) = (to(&registry, &tiny_base()), deps.path().display().to_string());
    push(&lbuild, &code, &all, &["--deps", &deps]);
    std::fs::write(code.path().join("lib.py"), "x = 2").unwrap();
    let mark = registry.mark();
    let digest = push(&lbuild, &code, &all, &["--deps", &deps]);
    let log = registry.log_since(mark);
    assert_eq!(uploads(&log), 2, "{log:?}");
    // on plain HTTP by its digest first, so that the tag cannot get a damaged one
    assert_eq!(count(&log, "PUT", "/manifests/"), 2);
    // the two new blobs are sent without a HEAD; the blobs of the old manifest exist
    assert_eq!(count(&log, "HEAD", "/blobs/"), 0, "{log:?}");
    let old = image_tools::skopeo_manifest(&ImageLocation::registry(&registry, "function:1")).unwrap();
    let sent: Vec<_> = log.iter().filter(|access| access.method == "PUT").collect();
    let layers = old["layers"].as_array().unwrap();
    let named = |layer: &serde_json::Value| {
        let hex = layer["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
        sent.iter().any(|access| access.path.contains(&hex))
    };
    assert_eq!(layers.iter().map(named).collect::<Vec<_>>(), [false, false, false, true]);
    assert_eq!(
        image_tools::skopeo_inspect(&ImageLocation::registry(&registry, "function:1")).unwrap()["Digest"],
        digest
    );
}

#[test]
fn missing_blobs_are_determined_and_the_base_is_uploaded_before_the_image_is_sent() {
    let (registry, lbuild, code) = (Registry::start(Mode::Plain), Lbuild::new(), code());
    let plan = ["plan", code.path().to_str().unwrap(), "--base", &tiny_base(), "--arch", "arm64"];
    let recipe: Recipe = serde_json::from_str(&lbuild.ok(&plan).stdout).unwrap();
    let repository = format!("{}/function", registry.host()).parse().unwrap();
    let to = [(Destination::Registry { repository, tags: vec!["1".to_owned()] }, Format::Docker)];
    let engine = Engine::builder().cache(lbuild.cache()).build().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let base = runtime.block_on(async {
        let prepared = engine.prepare(&recipe, &to).await.unwrap();
        let (code, base) = prepared.image().layers().split_last().unwrap();
        assert!(code.key.is_some() && base.iter().all(|layer| layer.key.is_none()));
        for _ in 0..100 {
            let log = registry.log();
            if count(&log, "HEAD", "/blobs/") == base.len() && uploads(&log) == base.len() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        base.iter().map(|layer| layer.blob.digest.hex()).collect::<Vec<_>>()
    });
    // The code and the config are new and are not asked for; only the blobs of the base were uploaded.
    let log = registry.log();
    assert_eq!(count(&log, "HEAD", "/blobs/"), base.len(), "{log:?}");
    let ends: Vec<_> = log.iter().filter(|access| access.method == "PUT").collect();
    assert_eq!(ends.len(), base.len(), "{ends:?}");
    assert!(ends.iter().all(|end| base.iter().any(|digest| end.path.contains(digest.as_str()))), "{ends:?}");
}

#[test]
fn a_new_blob_is_looked_for_only_if_it_is_large_or_was_made_before() {
    let registry = Registry::start(Mode::Plain);
    let large = function(&[("app.py", &b"pass"[..]), ("data", &noise(8, 2 << 20))]);
    push(&Lbuild::new(), &large, &to(&registry, &tiny_base()), &[]);
    assert_eq!(count(&registry.log(), "HEAD", "/blobs/"), 3, "the base's layers and the large one");
    let (lbuild, code) = (Lbuild::new(), code());
    let mut all = to(&registry, &tiny_base());
    push(&lbuild, &code, &all, &[]);
    // a layer from the cache may be in the repository under another tag
    let mut asked = |tag: &str, lbuild: &Lbuild, more: &[&str]| {
        all[5] = format!("{}/function:{tag}", registry.host());
        let mark = registry.mark();
        push(lbuild, &code, &all, more);
        let log = registry.log_since(mark);
        (count(&log, "HEAD", "/blobs/"), uploads(&log))
    };
    assert_eq!(asked("2", &lbuild, &[]), (4, 0));
    // a dry run says what a push would send
    assert_eq!(asked("3", &Lbuild::new(), &["--dry-run"]), (4, 0));
    // another machine that makes the same layer sends it again
    assert_eq!(asked("3", &Lbuild::new(), &[]), (2, 2));
}

#[test]
fn another_tag_sends_no_blob() {
    let (registry, lbuild, code) = (Registry::start(Mode::Plain), Lbuild::new(), code());
    let all = to(&registry, &tiny_base());
    let digest = push(&lbuild, &code, &all, &[]);
    let mark = registry.mark();
    assert_eq!(push(&lbuild, &code, &all, &["--tag", "2", "--tag", "3"]), digest);
    let log = registry.log_since(mark);
    assert_eq!((uploads(&log), count(&log, "POST", "")), (0, 0), "{log:?}");
    assert_eq!((count(&log, "PUT", "/manifests/2"), count(&log, "PUT", "/manifests/3")), (1, 1));
    assert_eq!(count(&log, "PUT", "/manifests/1"), 0);
    let mark = registry.mark();
    let elsewhere = format!("{}/function:4", registry.host());
    let again: Vec<_> = [&all[..5], &[elsewhere]].concat();
    assert_eq!(push(&lbuild, &code, &again, &[]), digest);
    let log = registry.log_since(mark);
    assert_eq!(uploads(&log), 0, "a HEAD finds each blob: {log:?}");
    assert_eq!(count(&log, "PUT", "/manifests/"), 1);
}

#[test]
fn a_base_in_the_same_registry_is_mounted() {
    let (registry, lbuild, code) = (Registry::start(Mode::Plain), Lbuild::new(), code());
    bases::seed(&registry, &testdata("base"), "python3.12", "lambda/python", "3.12");
    let base = format!("{}/lambda/python:3.12", registry.host());
    push(&lbuild, &code, &to(&registry, &base), &[]);
    let log = registry.log();
    let mounts: Vec<_> = log.iter().filter(|access| access.path.contains("mount=")).collect();
    assert_eq!(mounts.len(), 2, "{log:?}");
    assert!(mounts.iter().all(|access| access.status == 201 && access.path.contains("from=lambda")));
    assert_eq!(uploads(&log), 2, "the code and the config");
    assert_eq!(count(&log, "GET", "/blobs/"), 3, "the base's config, and the start of both layers: {log:?}");
    // Once a machine knows the layers, it does not look at them again.
    let mark = registry.mark();
    let (other, code) = (format!("{}/other:1", registry.host()), code.path().to_str().unwrap());
    lbuild.ok(&["push", code, "--arch", "arm64", "--base", &base, "--to", &other]);
    assert_eq!(count(&registry.log_since(mark), "GET", "/blobs/"), 0);
}

#[test]
fn a_layer_is_looked_at_while_it_is_mounted() {
    let (registry, lbuild, code) = (Registry::start(Mode::Plain), Lbuild::new(), code());
    bases::seed(&registry, &testdata("base"), "python3.12", "lambda/python", "3.12");
    let proxy = Proxy::to(&registry.host());
    // No mount succeeds within a second.
    proxy.set_script([Rule::on("POST", "mount=", Fault::too_many_requests(1)).times(2)]);
    let (base, to) = (format!("{}/lambda/python:3.12", proxy.host()), format!("{}/function:1", proxy.host()));
    lbuild.push(code.path(), &["--base", &base, "--arch", "arm64", "--to", &to]);
    proxy.assert_injected();
    let seen = proxy.seen();
    let first_mounted =
        seen.iter().position(|seen| seen.target.contains("mount=") && seen.status == Some(201));
    let is_look = |seen: &&ProxyRequest| seen.method == "GET" && seen.status == Some(206);
    let looks = seen[..first_mounted.unwrap()].iter().filter(is_look).count();
    assert_eq!(looks, 2, "{seen:#?}");
}

#[test]
fn the_check_does_not_wait_for_the_registry_to_accept_the_base() {
    let (origin, registry) = (Registry::start(Mode::Plain), Registry::start(Mode::Plain));
    let (lbuild, code) = (Lbuild::new(), code());
    bases::seed(&origin, &testdata("base"), "python3.12", "lambda/python", "3.12");
    let blob = |of: &Value| bases::read(&bases::blob(&testdata("base"), of["digest"].as_str().unwrap()));
    let platforms = blob(&bases::named(&testdata("base"), "python3.12"))["manifests"].clone();
    let arm64 = platforms.as_array().unwrap().iter().find(|one| one["platform"]["architecture"] == "arm64");
    let layers = blob(arm64.unwrap())["layers"].clone();
    let hex = |layer: &Value| layer["digest"].as_str().unwrap()["sha256:".len()..].to_owned();
    let layers: Vec<_> = layers.as_array().unwrap().iter().map(hex).collect();
    let proxy = Proxy::to(&registry.host());
    let never = |layer: &String| Rule::on("PUT", layer, Fault::CommitThen { status: 503 }).always();
    proxy.set_script(layers.iter().map(never));
    let (base, to) =
        (format!("{}/lambda/python:3.12", origin.host()), format!("{}/function:1", proxy.host()));
    let code = code.path().to_str().unwrap();
    lbuild.run(&["push", code, "--base", &base, "--arch", "arm64", "--to", &to]).failed(5);
    proxy.assert_injected();
    let seen = proxy.seen();
    let is_of_base = |seen: &&ProxyRequest| layers.iter().any(|layer| seen.target.contains(layer.as_str()));
    let uploads = seen.iter().filter(|seen| seen.method == "PUT" && seen.target.contains("/blobs/uploads/"));
    let (of_base, own): (Vec<_>, Vec<_>) = uploads.partition(is_of_base);
    assert!(of_base.iter().all(|seen| seen.status != Some(201)), "{seen:#?}");
    assert_eq!(own.len(), 2, "the code and the config: {seen:#?}");
    assert_eq!(proxy.count("PUT", "/manifests/"), 0, "{seen:#?}");
}

#[test]
fn an_image_with_findings_leaves_its_base_at_the_registry() {
    let (origin, registry) = (Registry::start(Mode::Plain), Registry::start(Mode::Plain));
    bases::seed(&origin, &testdata("base"), "python3.12", "lambda/python", "3.12");
    let base = format!("{}/lambda/python:3.12", origin.host());
    let amd64 = [&b"\x7fELF\x02\x01\x01"[..], &[0; 9], &[3, 0, 62, 0, 1, 0, 0, 0], &[0; 40]].concat();
    let (lbuild, code) = (Lbuild::new(), function(&[("lib.so", amd64)]));
    let proxy = Proxy::to(&registry.host());
    // Both layers have been scanned long before the registry gets them undamaged.
    proxy.set_script([Rule::on("PUT", "/blobs/uploads/", Fault::CorruptRequestByte { at: 9 }).times(8)]);
    let to = format!("{}/function:1", proxy.host());
    let arguments = ["push", code.path().to_str().unwrap(), "--base", &base, "--arch", "arm64", "--to", &to];
    lbuild.run(&arguments).failed(8);
    proxy.assert_injected();
    let accepted = |log: &[AccessLogEntry]| log.iter().filter(|access| access.status == 201).count();
    assert_eq!(accepted(&registry.log()), 2, "{:#?}", registry.log());
    let mark = registry.mark();
    lbuild.ok(&[&arguments[..], &["--no-check"]].concat());
    assert_eq!(uploads(&registry.log_since(mark)), 2, "the code and the config");
}

#[test]
fn a_base_in_the_same_repository_is_not_transferred() {
    let (registry, lbuild, code) = (Registry::start(Mode::Plain), Lbuild::new(), code());
    bases::seed(&registry, &testdata("base"), "python3.12", "function", "base");
    let base = format!("{}/function:base", registry.host());
    push(&lbuild, &code, &to(&registry, &base), &[]);
    let log = registry.log();
    assert_eq!(uploads(&log), 2, "the code and the config");
    assert_eq!(count(&log, "HEAD", "/blobs/"), 0, "{log:?}");
    image_tools::umoci_unpack(&ImageLocation::registry(&registry, "function:1")).unwrap();
}

#[test]
fn a_base_that_the_destination_has_is_not_read() {
    let (from, registry, lbuild) =
        (Registry::start(Mode::Plain), Registry::start(Mode::Plain), Lbuild::new());
    bases::seed(&from, &testdata("base"), "python3.12", "lambda/python", "3.12");
    let (base, code) = (format!("{}/lambda/python:3.12", from.host()), code());
    push(&lbuild, &code, &to(&registry, &base), &[]);
    assert_eq!(count(&from.log(), "GET", "/blobs/"), 3, "two layers and the config");
    std::fs::write(code.path().join("lib.py"), "x = 2").unwrap();
    let mark = from.mark();
    push(&lbuild, &code, &to(&registry, &base), &[]);
    let log = from.log_since(mark);
    assert_eq!((log.len(), count(&log, "GET", "/manifests/3.12")), (1, 1), "{log:?}");
    assert_eq!(uploads(&registry.log()), 4 + 2);
}

#[test]
fn a_recompressed_base_is_read_once() {
    let (from, registry, lbuild) =
        (Registry::start(Mode::Plain), Registry::start(Mode::Plain), Lbuild::new());
    let (base, code) = (bases::push(&from, "zstd", "lambda/python", "3.11"), code());
    let first = push(&lbuild, &code, &to(&registry, &base), &[]);
    let (mark, sent) = (from.mark(), registry.mark());
    assert_eq!(push(&lbuild, &code, &to(&registry, &base), &[]), first);
    assert_eq!(count(&from.log_since(mark), "GET", "/blobs/"), 0);
    assert!(only_reads(&registry.log_since(sent)));
}
