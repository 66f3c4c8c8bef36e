//! Networks and registries that fail during a push: the push succeeds, or fails and leaves the old image.

use crate::support::image_tools::{self, ImageLocation};
use crate::support::lbuild::{Lbuild, function, image_of, noise, tiny_base};
use crate::support::proxy::{Fault, Proxy, Rule};
use crate::support::registry::{Mode, Registry};
use crate::support::{bases, testdata};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const UPLOAD: &str = "/blobs/uploads/";

/// Code whose layer is long enough to be interrupted.
fn code() -> TempDir {
    function(&[("app.py", &b"def handler(event, context): pass"[..]), ("data", &noise(4, 1 << 20))])
}

/// A registry behind a proxy.
struct RegistrySetup {
    registry: Registry,
    proxy: Proxy,
    lbuild: Lbuild,
    code: TempDir,
}

impl RegistrySetup {
    fn new(rules: impl IntoIterator<Item = Rule>) -> RegistrySetup {
        let registry = Registry::start(Mode::Plain);
        let proxy = Proxy::to(&registry.host());
        proxy.set_script(rules);
        RegistrySetup { registry, proxy, lbuild: Lbuild::new(), code: code() }
    }

    fn arguments(&self) -> Vec<String> {
        let (base, to) = (tiny_base(), format!("{}/function:1", self.proxy.host()));
        let code = self.code.path().to_str().unwrap();
        ["push", code, "--base", &base, "--arch", "arm64", "--to", &to].map(str::to_owned).to_vec()
    }

    /// Pushes despite the faults, and checks the result.
    fn push(&self) -> String {
        let done = self.lbuild.ok(&self.arguments());
        self.proxy.assert_injected();
        assert!(done.stderr.contains("retry "), "retries are reported: {}", done.stderr);
        let location = ImageLocation::registry(&self.registry, "function:1");
        assert_eq!(image_tools::skopeo_inspect(&location).unwrap()["Digest"], done.digest());
        image_tools::lambda_importer(&location).unwrap();
        self.every_session_was_used_once();
        done.stderr
    }

    fn every_session_was_used_once(&self) {
        let puts =
            self.proxy.seen().into_iter().filter(|seen| seen.method == "PUT" && seen.target.contains(UPLOAD));
        let sessions: Vec<_> = puts.map(|seen| seen.target.split('?').next().unwrap().to_owned()).collect();
        assert_eq!(sessions.iter().collect::<BTreeSet<_>>().len(), sessions.len(), "{sessions:#?}");
    }
}

#[test]
fn retry_after_is_respected() {
    let setup = RegistrySetup::new([Rule::on("PUT", UPLOAD, Fault::too_many_requests(2))]);
    let began = Instant::now();
    setup.push();
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn a_retry_after_header_with_a_long_delay_is_an_error() {
    let setup = RegistrySetup::new([Rule::on("POST", UPLOAD, Fault::too_many_requests(86_400)).always()]);
    let began = Instant::now();
    let error = setup.lbuild.run(&setup.arguments()).failed(5);
    setup.proxy.assert_injected();
    assert!(error.contains("429") && error.contains("limits requests"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn every_request_of_a_push_may_be_refused_temporarily() {
    for fault in [Fault::unavailable(), Fault::too_many_requests(0)] {
        let setup = RegistrySetup::new([
            Rule::on("GET", "/manifests/", fault.clone()),
            Rule::on("HEAD", "/blobs/", fault.clone()).nth(2),
            Rule::on("POST", UPLOAD, fault.clone()).nth(3),
            Rule::on("PUT", UPLOAD, fault.clone()).nth(2),
            Rule::on("PUT", "/manifests/", fault),
        ]);
        setup.push();
    }
}

#[test]
fn every_request_of_a_push_may_lose_its_connection() {
    let setup = RegistrySetup::new([
        Rule::on("GET", "/manifests/", Fault::ResetAfterBody),
        Rule::on("HEAD", "/blobs/", Fault::CommitThenReset).nth(2),
        Rule::on("POST", UPLOAD, Fault::ResetBeforeBody).nth(2),
        Rule::on("PUT", "/manifests/", Fault::ResetAfterBody),
    ]);
    setup.push();
}

#[test]
fn an_interrupted_upload_starts_again() {
    let setup = RegistrySetup::new([]);
    let layout = setup.lbuild.layout("image", setup.code.path(), &[]);
    let (manifest, _) = image_of(&layout, "it", "");
    let layer = manifest["layers"][2]["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    for (n, fault) in [Fault::ResetBeforeBody, Fault::ResetInBody { at: 300_000 }, Fault::ResetAfterBody]
        .into_iter()
        .enumerate()
    {
        let setup = RegistrySetup::new([Rule::on("PUT", &format!("{UPLOAD}*{layer}"), fault).times(2)]);
        let stderr = setup.push();
        assert_eq!(stderr.matches("retry ").count(), 2, "{n}: {stderr}");
        assert_eq!(setup.proxy.count("POST", UPLOAD), 4 + 2);
    }
}

#[test]
fn a_registry_may_store_a_blob_and_report_an_error() {
    for fault in
        [Fault::CommitThen { status: 500 }, Fault::CommitThen { status: 502 }, Fault::CommitThenReset]
    {
        let setup = RegistrySetup::new([
            Rule::on("PUT", UPLOAD, fault.clone()).times(2),
            Rule::on("PUT", "/manifests/", fault.clone()),
            Rule::on("POST", UPLOAD, fault),
        ]);
        setup.push();
    }
}

#[test]
fn a_registry_that_stays_down_is_an_error_and_keeps_its_old_image() {
    let setup = RegistrySetup::new([]);
    let old = setup.lbuild.ok(&setup.arguments()).digest();
    std::fs::write(setup.code.path().join("app.py"), "changed").unwrap();
    setup.proxy.set_script([Rule::on("PUT", "/manifests/", Fault::unavailable()).always()]);
    let error = setup.lbuild.run(&setup.arguments()).failed(5);
    setup.proxy.assert_injected();
    assert!(error.contains("503") && error.contains(&setup.proxy.host()), "{error}");
    let location = ImageLocation::registry(&setup.registry, "function:1");
    assert_eq!(image_tools::skopeo_inspect(&location).unwrap()["Digest"], old);
    image_tools::umoci_unpack(&location).unwrap();
}

/// Pushes to another registry and to a layout, with a base that is read through a proxy.
fn base_through(seed: impl Fn(&Registry), rules: impl Fn() -> Vec<Rule>) {
    let (from, to) = (Registry::start(Mode::Plain), Registry::start(Mode::Plain));
    seed(&from);
    let proxy = Proxy::to(&from.host());
    let (base, code) = (format!("{}/lambda/python:1", proxy.host()), function(&[("app.py", "code")]));
    let there = format!("{}/function:1", to.host());
    // without faults, for the expected digest
    let expected = Lbuild::new()
        .push(code.path(), &["--base", &base, "--arch", "arm64", "--format", "oci", "--to", &there]);
    for location in ["registry", "layout"] {
        let (registry, lbuild) = (Registry::start(Mode::Plain), Lbuild::new());
        proxy.set_script(rules());
        let destination = match location {
            "registry" => format!("{}/function:1", registry.host()),
            _ => format!("oci:{}:1", lbuild.text("image")),
        };
        let more = ["--base", &base, "--arch", "arm64", "--format", "oci", "--to", &destination];
        assert_eq!(lbuild.push(code.path(), &more), expected, "{location}");
        proxy.assert_injected();
        let location = match location {
            "registry" => ImageLocation::registry(&registry, "function:1"),
            _ => ImageLocation::layout(&lbuild.path("image"), "1"),
        };
        let copy = tempfile::tempdir().unwrap();
        image_tools::skopeo_copy(&location, &format!("dir:{}", copy.path().display())).unwrap();
    }
}

/// A different fault for each of the four layers of a base for arm64.
fn layer_faults(flavour: &str) -> Vec<Rule> {
    let (manifest, _) = image_of(&bases::layout(flavour), bases::TAG, "arm64");
    let layers = manifest["layers"].as_array().unwrap().iter();
    let faults = [
        Fault::CutBody { at: 100_000 },
        Fault::CorruptByte { at: 50_000 },
        Fault::ResetBeforeBody,
        Fault::CutBody { at: 0 },
    ];
    let path = |layer: &Value| format!("/blobs/{}", layer["digest"].as_str().unwrap());
    layers.zip(faults).map(|(layer, fault)| Rule::on("GET", &path(layer), fault)).collect()
}

#[test]
fn layers_of_the_base_may_be_cut_or_corrupted_in_transit() {
    let seed = |registry: &Registry| drop(bases::push(registry, "docker-list", "lambda/python", "1"));
    base_through(seed, || layer_faults("docker-list"));
}

#[test]
fn zstd_layers_may_be_cut_or_corrupted_in_transit() {
    let seed = |registry: &Registry| drop(bases::push(registry, "zstd", "lambda/python", "1"));
    base_through(seed, || layer_faults("zstd"));
}

#[test]
fn manifests_and_config_of_a_base_may_be_cut_or_corrupted_in_transit() {
    let seed = |registry: &Registry| {
        bases::seed(registry, &testdata("base"), "python3.12", "lambda/python", "1");
    };
    base_through(seed, || {
        vec![
            Rule::on("GET", "/manifests/1", Fault::CutBody { at: 20 }),
            Rule::on("GET", "/manifests/sha256:", Fault::CutBody { at: 20 }),
            Rule::on("GET", "/manifests/sha256:", Fault::CorruptByte { at: 30 }).nth(2),
            Rule::on("GET", "/blobs/", Fault::CutBody { at: 10 }),
            Rule::on("GET", "/blobs/", Fault::CorruptByte { at: 10 }).nth(2),
            Rule::on("GET", "/blobs/", Fault::ResetBeforeBody).nth(3),
            Rule::on("GET", "/blobs/", Fault::unavailable()).nth(4),
        ]
    });
}

#[test]
fn the_manifest_at_the_destination_may_be_cut_in_transit() {
    let setup = RegistrySetup::new([]);
    setup.lbuild.ok(&setup.arguments());
    std::fs::write(setup.code.path().join("app.py"), "changed").unwrap();
    setup.proxy.clear();
    setup.proxy.set_script([Rule::on("GET", "/manifests/1", Fault::CutBody { at: 50 })]);
    setup.push();
}

#[test]
fn a_base_registry_that_stays_down_is_an_error_after_one_round_of_retries() {
    let from = Registry::start(Mode::Plain);
    bases::seed(&from, &testdata("base"), "python3.12", "lambda/python", "1");
    let (manifest, _) = image_of(&testdata("base"), "python3.12", "arm64");
    let (code, to) = (function(&[("app.py", "code")]), Registry::start(Mode::Plain));
    std::thread::scope(|scope| {
        for (location, blob) in [("registry", "layers"), ("layout", "layers"), ("layout", "config")] {
            let blob = if blob == "config" { &manifest["config"] } else { &manifest["layers"][1] };
            let path = format!("/blobs/{}", blob["digest"].as_str().unwrap());
            let (from, code, to) = (&from, &code, &to);
            scope.spawn(move || {
                let (proxy, lbuild) = (Proxy::to(&from.host()), Lbuild::new());
                proxy.set_script([Rule::on("GET", &path, Fault::unavailable()).always()]);
                let base = format!("{}/lambda/python:1", proxy.host());
                let to = match location {
                    "registry" => format!("{}/function:1", to.host()),
                    _ => format!("oci:{}:1", lbuild.text("image")),
                };
                let code = code.path().to_str().unwrap();
                let all = ["push", code, "--base", &base, "--arch", "arm64", "--to", &to];
                let error = lbuild.run(&all).failed(5);
                assert!(error.contains("503") && error.contains(&proxy.host()), "{error}");
                assert_eq!(proxy.count("GET", &path), 6, "{location} {path}");
            });
        }
    });
}
