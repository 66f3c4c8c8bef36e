//! Images with real packages from an index: on both architectures, on fresh machines, with every state of the caches.

use crate::support::image_tools::ImageLocation;
use crate::support::lbuild::{Lbuild, function};
use crate::support::package_fixture::{PackageFixture, UvLock, with_uv};
use crate::support::records::poison;
use crate::support::{bases, invoke};
use serde_json::json;
use std::time::Instant;

const WANTED: [&str; 4] = ["numpy", "pydantic-core==2.50.4", "jmespath", "idna"];

/// Like [`WANTED`], with a newer version of a large package.
const NEWER: [&str; 4] = ["numpy", "pydantic-core==2.50.5", "jmespath", "idna"];

/// Builds with packages that contain machine code, and invokes the function.
fn answers(arch: &str, machine: &str) {
    let fixture = PackageFixture::new();
    let lock = fixture.lock(&WANTED);
    let to = fixture.reference("1");
    let done = Lbuild::new().ok(&fixture.arguments(arch, &to, &["--lock", &lock.path]));
    let fetched = fixture.index.fetched();
    assert_eq!(fetched.len(), 5, "with one transitive dependency: {fetched:?}");
    assert!(fetched.iter().all(|name| name.contains(machine) || name.ends_with("-any.whl")), "{fetched:?}");
    let location = ImageLocation::registry(&fixture.registry, &format!("function@{}", done.digest()));
    let answer = invoke::answer(&location).unwrap();
    assert_eq!((&answer["machine"], &answer["sum"]), (&json!(machine), &json!(10)), "{answer}");
    assert_eq!((&answer["core"], &answer["found"]), (&json!([1]), &json!(2)), "{answer}");
    assert!(answer["numpy"].as_str().unwrap().starts_with("/var/task/numpy/"), "{answer}");
}

#[test]
fn machine_code_runs_on_amd64() {
    answers("amd64", "x86_64");
}

/// lbuild builds without an emulator; only the test runs one.
#[test]
fn machine_code_runs_on_arm64() {
    answers("arm64", "aarch64");
}

#[test]
fn an_error_names_a_package_without_a_wheel_for_the_machine() {
    let fixture = PackageFixture::new();
    let lock = fixture.lock(&["rig-x86", "jmespath"]);
    let requirements = function(&[("wanted.txt", format!("--index-url {}\nrig-x86\n", fixture.index.url()))]);
    let requirements = requirements.path().join("wanted.txt").display().to_string();
    let user = Lbuild::new();
    let error =
        user.run(&fixture.arguments("arm64", &fixture.reference("1"), &["--lock", &lock.path])).failed(3);
    let expected = "rig-x86 1.0 has no wheel for Python 3.11 on aarch64 with glibc 2.28: its wheels are for";
    assert!(error.contains(expected) && error.contains("manylinux_2_17_x86_64"), "{error}");
    let more = ["--requirements", requirements.as_str()];
    for user in [user, with_uv()] {
        let error = user.run(&fixture.arguments("arm64", &fixture.reference("1"), &more)).failed(3);
        assert!(error.contains("cannot resolve") && error.contains("rig-x86"), "{error}");
    }
    assert_eq!(fixture.index.fetched(), Vec::<String>::new());
    Lbuild::new().ok(&fixture.arguments("amd64", &fixture.reference("1"), &["--lock", &lock.path]));
    // A wheel that needs a newer glibc than this runtime has is refused.
    let base = bases::push(&fixture.registry, "docker-list", "lambda/python", "3.11");
    let lock = fixture.lock(&["numpy"]);
    let more = ["--lock", lock.path.as_str(), "--base", &base];
    let mut all = fixture.arguments("arm64", &fixture.reference("1"), &more);
    let position = all.iter().position(|word| word == "--base").unwrap();
    all.drain(position..position + 2);
    let error = Lbuild::new().run(&all).failed(3);
    assert!(error.contains("numpy 2.4.6") && error.contains("its wheels need glibc 2.27"), "{error}");
}

#[test]
fn a_fresh_machine_fetches_no_wheel_and_sends_no_blob() {
    let fixture = PackageFixture::new();
    fixture.publish_newer();
    let (lock, newer, to) = (fixture.lock(&WANTED), fixture.lock(&NEWER), fixture.reference("1"));
    let push = |lock: &UvLock, more: &[&str]| {
        let all = [&["--lock", lock.path.as_str()], more].concat();
        Lbuild::new().ok(&fixture.arguments("arm64", &to, &all))
    };
    let first = push(&lock, &[]);
    assert_eq!((first.layer_counts(), fixture.index.fetched().len()), ((4, 0), 5), "{}", first.stderr);

    fixture.index.clear();
    let mark = fixture.registry.mark();
    let began = Instant::now();
    let again = push(&lock, &[]);
    let took = began.elapsed();
    assert_eq!((again.digest(), again.layer_counts()), (first.digest(), (0, 4)), "{}", again.stderr);
    assert!(fixture.index.log().is_empty(), "no request to the index: {:?}", fixture.index.log());
    let log = fixture.registry.log_since(mark);
    assert!(log.iter().all(|access| ["GET", "HEAD"].contains(&access.method.as_str())), "{log:?}");
    let received: u64 = log.iter().map(|access| access.bytes_sent).sum();
    println!("a fresh machine: {took:?}, {received} bytes");
    assert!(received < 1_000_000, "{received}");

    let mark = fixture.registry.mark();
    let upgraded = push(&newer, &[]);
    assert_eq!(upgraded.layer_counts(), (1, 3), "{}", upgraded.stderr);
    let fetched = fixture.index.fetched();
    assert!(fetched.len() == 1 && fetched[0].starts_with("pydantic_core-2.50.5-"), "{fetched:?}");
    let log = fixture.registry.log_since(mark);
    let blobs = log.iter().filter(|access| access.is_blob_upload() && access.method == "PUT").count();
    assert_eq!(blobs, 2, "the package's layer and the config: {log:?}");
    assert_eq!(push(&newer, &["--no-cache"]).digest(), upgraded.digest());
}

#[test]
fn the_digest_does_not_depend_on_tool_jobs_or_cache() {
    let fixture = PackageFixture::new();
    let (lock, to) = (fixture.lock(&WANTED), fixture.reference("1"));
    let dir = tempfile::tempdir().unwrap();
    let requirements = dir.path().join("wanted.txt").display().to_string();
    let text = format!("--index-url {}\n{}\n", fixture.index.url(), WANTED.join("\n"));
    std::fs::write(&requirements, text).unwrap();
    let push = |user: &Lbuild, more: &[&str]| user.ok(&fixture.arguments("arm64", &to, more)).digest();
    let (locked, wanted) = (["--lock", lock.path.as_str()], ["--requirements", requirements.as_str()]);
    let user = Lbuild::new();
    let expected = push(&user, &locked);
    assert_eq!(push(&user, &locked), expected, "warm");
    assert_eq!(push(&Lbuild::new(), &locked), expected, "remote");
    for jobs in ["1", "8"] {
        let more = [&locked[..], &["--no-cache", "--jobs", jobs]].concat();
        assert_eq!(push(&Lbuild::new(), &more), expected, "{jobs} jobs");
        assert_eq!(push(&user, &more), expected, "{jobs} jobs, cached wheels");
    }
    for (tool, user) in [("pip", Lbuild::new()), ("uv", with_uv())] {
        assert_eq!(push(&user, &wanted), expected, "{tool}");
        assert_eq!(push(&user, &[&wanted[..], &["--no-cache"]].concat()), expected, "{tool}");
    }
    // The cached layers, local and remote, equal the layers that are built.
    for user in [&user, &Lbuild::new()] {
        let done = user.ok(&fixture.arguments("arm64", &to, &[&locked[..], &["--verify-cache"]].concat()));
        assert_eq!((done.digest(), done.layer_counts()), (expected.clone(), (0, 4)), "{}", done.stderr);
    }
}

#[test]
fn a_wrong_cached_layer_of_packages_is_detected() {
    let (fixture, user) = (PackageFixture::new(), Lbuild::new());
    let (lock, to) = (fixture.lock(&["jmespath", "pydantic-core==2.50.4"]), fixture.reference("1"));
    user.ok(&fixture.arguments("arm64", &to, &["--lock", &lock.path]));
    poison(&user.cache());
    let error =
        user.run(&fixture.arguments("arm64", &to, &["--lock", &lock.path, "--verify-cache"])).failed(7);
    assert!(error.contains("the cached layer of ") && error.contains("--no-cache"), "{error}");
}
