//! Layers from images that were pushed earlier: a machine with an empty cache does not build them again.

use crate::support::fake_ecr::{EcrBehaviour, FakeEcr, MissingRepository};
use crate::support::image_tools::{self, ImageLocation};
use crate::support::lbuild::{Lbuild, RunOutput, function, noise, tiny_base};
use crate::support::records::poison;
use crate::support::registry::{Mode, Registry};
use tempfile::TempDir;

struct CodeAndDeps {
    code: TempDir,
    deps: TempDir,
}

fn large() -> CodeAndDeps {
    let code = function(&[("app.py", "def handler(event, context): pass")]);
    CodeAndDeps { code, deps: function(&[("dep.bin", noise(7, 300_000))]) }
}

impl CodeAndDeps {
    fn arguments(&self, to: &str, more: &[&str]) -> Vec<String> {
        let text = |dir: &TempDir| dir.path().display().to_string();
        let (code, deps, base) = (text(&self.code), text(&self.deps), tiny_base());
        let all = ["push", &code, "--deps", &deps, "--base", &base, "--arch", "arm64", "--to", to];
        all.iter().chain(more).map(|&word| word.to_owned()).collect()
    }

    fn push(&self, user: &Lbuild, to: &str, more: &[&str]) -> RunOutput {
        user.ok(&self.arguments(to, more))
    }
}

fn fake_registry() -> FakeEcr {
    FakeEcr::start(EcrBehaviour { missing_repository: MissingRepository::Created, ..EcrBehaviour::default() })
}

#[test]
fn a_machine_with_an_empty_cache_uses_the_layers_of_the_earlier_image() {
    let (registry, function) = (Registry::start(Mode::Plain), large());
    let to = format!("{}/function:1", registry.host());
    let digest = function.push(&Lbuild::new(), &to, &[]).digest();
    let (fresh, mark) = (Lbuild::new(), registry.mark());
    let done = function.push(&fresh, &to, &[]);
    assert_eq!((done.digest(), done.layer_counts()), (digest.clone(), (0, 2)), "{}", done.stderr);
    let log = registry.log_since(mark);
    assert!(log.iter().all(|access| ["GET", "HEAD"].contains(&access.method.as_str())), "{log:?}");
    let gets = log.iter().filter(|access| access.method == "GET" && access.path.contains("/blobs/")).count();
    assert_eq!(gets, 1, "only the config: {log:?}");

    // one changed file: its layer, the config and the manifest are sent, this one by its digest and under the tag
    std::fs::write(function.code.path().join("app.py"), "def handler(event, context): return 1").unwrap();
    let (fresh, mark) = (Lbuild::new(), registry.mark());
    let done = function.push(&fresh, &to, &[]);
    assert_eq!(done.layer_counts(), (1, 1), "{}", done.stderr);
    let uploads = registry.log_since(mark).iter().filter(|access| access.method == "PUT").count();
    assert_eq!(uploads, 4, "{}", done.stderr);
    image_tools::umoci_unpack(&ImageLocation::registry(&registry, "function:1")).unwrap();
    // the digest is the same without a cache
    assert_eq!(function.push(&Lbuild::new(), &to, &["--no-cache"]).digest(), done.digest());
}

#[test]
fn another_image_is_the_cache_source_for_a_new_tag() {
    let (registry, function) = (Registry::start(Mode::Plain), large());
    let (first, second) =
        (format!("{}/function:1", registry.host()), format!("{}/function:2", registry.host()));
    let digest = function.push(&Lbuild::new(), &first, &[]).digest();
    let done = function.push(&Lbuild::new(), &second, &[]);
    assert_eq!((done.digest(), done.layer_counts()), (digest.clone(), (2, 0)));

    let third = format!("{}/function:3", registry.host());
    let done = function.push(&Lbuild::new(), &third, &["--cache-from", &first]);
    assert_eq!((done.digest(), done.layer_counts()), (digest.clone(), (0, 2)), "{}", done.stderr);

    // also from another registry, and for a layout
    let (other, mark) = (Registry::start(Mode::Plain), registry.mark());
    let elsewhere = format!("{}/copy:1", other.host());
    let done = function.push(&Lbuild::new(), &elsewhere, &["--cache-from", &first]);
    assert_eq!((done.digest(), done.layer_counts()), (digest, (0, 2)), "{}", done.stderr);
    image_tools::umoci_unpack(&ImageLocation::registry(&other, "copy:1")).unwrap();
    let read = registry.log_since(mark);
    assert!(read.iter().all(|access| ["GET", "HEAD"].contains(&access.method.as_str())), "{read:?}");
    let user = Lbuild::new();
    let layout = format!("oci:{}:it", user.text("image"));
    let done = function.push(&user, &layout, &["--cache-from", &first, "--format", "docker"]);
    assert_eq!(done.layer_counts(), (0, 2), "{}", done.stderr);
}

#[test]
fn a_missing_cache_source_is_a_warning() {
    let (registry, function) = (Registry::start(Mode::Plain), large());
    let to = format!("{}/function:1", registry.host());
    let none = format!("{}/function:none", registry.host());
    let done = function.push(&Lbuild::new(), &to, &["--cache-from", &none]);
    assert_eq!(done.layer_counts(), (2, 0));
    assert!(done.stderr.contains(&format!("warning: cannot use layers of {none}")), "{}", done.stderr);
}

#[test]
fn a_layer_that_is_missing_is_made_again() {
    let (registry, function) = (fake_registry(), large());
    let to = format!("{}/function:1", registry.host());
    let digest = function.push(&Lbuild::new(), &to, &[]).digest();
    // a HEAD still finds the layers until a manifest refers to them
    let manifest = registry.manifest("function", "1").unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest.content).unwrap();
    let layer = |n: usize| manifest["layers"][n]["digest"].as_str().unwrap().to_owned();
    registry.change(|behaviour| behaviour.loses = vec![layer(2)]);
    let more = format!("{}/function:2", registry.host());
    let done = function.push(&Lbuild::new(), &more, &["--cache-from", &to]);
    assert_eq!(done.digest(), digest, "{}", done.stderr);
    assert_eq!(registry.tags("function")["2"], digest);
    assert_eq!(done.layer_counts(), (2, 2), "found, lost, made: {}", done.stderr);
}

#[test]
fn a_cache_can_be_disabled_or_verified_against_the_files() {
    let (registry, function, user) = (Registry::start(Mode::Plain), large(), Lbuild::new());
    let to = format!("{}/function:1", registry.host());
    let digest = function.push(&user, &to, &[]).digest();
    let done = function.push(&user, &to, &["--no-cache"]);
    assert_eq!((done.digest(), done.layer_counts()), (digest.clone(), (2, 0)));
    for user in [&user, &Lbuild::new()] {
        let done = function.push(user, &to, &["--verify-cache"]);
        assert_eq!((done.digest(), done.layer_counts()), (digest.clone(), (0, 2)));
    }
    assert_eq!(poison(&user.cache()), 2);
    let error = user.run(&function.arguments(&to, &["--verify-cache"])).failed(7);
    assert!(error.contains("the cached layer of /") && error.contains("--no-cache"), "{error}");
    assert_eq!(function.push(&user, &to, &["--no-cache"]).digest(), digest);
}

#[test]
fn a_cache_is_pruned_to_a_size() {
    let (registry, function, user) = (Registry::start(Mode::Plain), large(), Lbuild::new());
    function.push(&user, &format!("{}/function:1", registry.host()), &[]);
    let size = |user: &Lbuild| -> u64 {
        let json = user.ok(&["cache", "info", "--json"]).stdout;
        serde_json::from_str::<serde_json::Value>(&json).unwrap()["bytes"].as_u64().unwrap()
    };
    assert!(size(&user) > 300_000);
    user.ok(&["cache", "prune", "--max-size", "1GB"]);
    assert!(size(&user) > 300_000);
    user.ok(&["cache", "prune", "--max-size", "100kB"]);
    assert!(size(&user) <= 100_000, "{}", size(&user));
    let error = user.run(&["cache", "prune", "--max-size", "much"]).failed(2);
    assert!(error.contains("500MB or 2GiB"), "{error}");
}
