//! Bases as other tools write them: variants of a platform, several images under one name, layers with a wrong media
//! type, histories that do not fit.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::fake_ecr::{EcrBehaviour, FakeEcr};
use crate::support::image_builder::{GZIP, Layer, PLAIN, TAG, Tar, ZSTD, gzip, image};
use crate::support::layers;
use crate::support::lbuild::{Lbuild, files, function, image_of};
use crate::support::{bases, run, tool};

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

/// The tar of a base's layer, with a file of this content.
fn tar(content: &str) -> Vec<u8> {
    Tar::new().directory("var/").directory("var/task/").file("var/base.txt", 0o644, content).bytes()
}

fn zstd(content: &[u8]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tar");
    std::fs::write(&file, content).unwrap();
    run(std::process::Command::new(tool("zstd")).arg("--quiet").arg(&file)).unwrap();
    std::fs::read(dir.path().join("tar.zst")).unwrap()
}

/// Stores the only image of a layout in a registry, unchanged.
fn seed(registry: &FakeEcr, layout: &Path, repository: &str) -> String {
    let manifest = bases::named(layout, TAG)["digest"].as_str().unwrap().to_owned();
    let bytes = |digest: &str| std::fs::read(bases::blob(layout, digest)).unwrap();
    let parsed = bases::read(&bases::blob(layout, &manifest));
    for part in parsed["layers"].as_array().unwrap().iter().chain([&parsed["config"]]) {
        registry.seed_blob(repository, bytes(part["digest"].as_str().unwrap()));
    }
    registry.seed_manifest(repository, Some("1"), OCI, bytes(&manifest));
    format!("{}/{repository}:1", registry.host())
}

struct Push {
    lbuild: Lbuild,
    code: tempfile::TempDir,
}

impl Push {
    fn new() -> Push {
        Push { lbuild: Lbuild::new(), code: function(&[("app.py", "def handler(event, context): pass")]) }
    }

    fn arguments<'a>(&'a self, base: &'a str, to: &'a str) -> Vec<&'a str> {
        vec!["push", self.code.path().to_str().unwrap(), "--arch", "amd64", "--base", base, "--to", to]
    }

    fn layout(&self) -> PathBuf {
        self.lbuild.path("image")
    }

    /// Pushes to a layout; the layers' compressed bytes, lowest first.
    fn to_layout(&self, base: &str) -> Vec<Vec<u8>> {
        let to = format!("oci:{}:it", self.lbuild.text("image"));
        self.lbuild.ok(&self.arguments(base, &to));
        layers::blobs(&self.layout(), "it", "")
    }
}

/// The image's layers in a registry, which must be gzip.
fn layers_in(registry: &FakeEcr, repository: &str) -> Vec<Vec<u8>> {
    let manifest = registry.manifest(repository, "1").unwrap();
    let manifest: Value = serde_json::from_slice(&manifest.content).unwrap();
    let digests =
        manifest["layers"].as_array().unwrap().iter().map(|layer| layer["digest"].as_str().unwrap());
    digests.map(|digest| registry.blob(repository, digest).unwrap().to_vec()).collect()
}

/// Layers whose media type may be wrong: the stored bytes, the type, the tar.
fn odd_layers() -> Vec<Layer> {
    let tars: Vec<_> = (0..12).map(|n| tar(&format!("layer {n}"))).collect();
    type Form = (fn(&[u8]) -> Vec<u8>, &'static str);
    let forms: [Form; 6] = [
        (|tar| gzip(tar), GZIP),
        (|tar| tar.to_vec(), GZIP),
        (zstd, GZIP),
        (|tar| gzip(tar), PLAIN),
        (|tar| gzip(tar), ZSTD),
        (|tar| tar.to_vec(), ZSTD),
    ];
    tars.iter()
        .zip(forms.iter().cycle())
        .map(|(tar, (stored, kind))| Layer::of(stored(tar), kind, tar))
        .collect()
}

#[test]
fn the_bytes_of_a_base_layer_decide_and_not_its_media_type() {
    let dir = tempfile::tempdir().unwrap();
    let base = image(dir.path(), &odd_layers(), |_, _| ());
    let push = Push::new();
    let expected = push.to_layout(&base);
    for (number, layer) in expected[..12].iter().enumerate() {
        assert!(layers::inflate(layer) == tar(&format!("layer {number}")), "layer {number}");
    }
    assert_eq!(expected[0], odd_layers()[0].stored, "a gzip layer is not changed");
    assert_eq!(expected[3], odd_layers()[3].stored, "whatever its type declares");

    // From a registry: streamed to another repository, mounted there, in the same one, and into a layout.
    for (to, mounts) in [("fn", false), ("fn", true), ("base", true)] {
        let registry = FakeEcr::start(EcrBehaviour { refuse_mount: !mounts, ..EcrBehaviour::default() });
        let base = seed(&registry, dir.path(), "base");
        let push = Push::new();
        let destination = format!("{}/{to}:1", registry.host());
        if to == "base" {
            let pinned = format!("{}/base@{}", registry.host(), registry.tags("base")["1"]);
            let destination = format!("{}/base:fn", registry.host());
            push.lbuild.ok(&push.arguments(&pinned, &destination));
            push.lbuild.ok(&["check", &destination]);
            continue;
        }
        push.lbuild.ok(&push.arguments(&base, &destination));
        assert!(layers_in(&registry, to) == expected, "mounts: {mounts}");

        // Nothing is read or sent again, and no layer is asked for.
        registry.clear_log();
        push.lbuild.ok(&push.arguments(&base, &destination));
        let log = registry.log();
        assert!(log.0.iter().all(|entry| ["GET", "HEAD"].contains(&entry.method.as_str())), "{log:?}");
        assert_eq!(log.count("GET", "/blobs/"), 0, "{log:?}");
    }
    let registry = FakeEcr::start(EcrBehaviour::default());
    let base = seed(&registry, dir.path(), "base");
    assert!(Push::new().to_layout(&base) == expected);
}

#[test]
fn a_layer_that_is_gzip_costs_no_request_to_another_registry() {
    let (tar, dir) = (tar("x"), tempfile::tempdir().unwrap());
    image(dir.path(), &[Layer::of(gzip(&tar), GZIP, &tar)], |_, _| ());
    let registry = FakeEcr::start(EcrBehaviour { refuse_mount: true, ..EcrBehaviour::default() });
    let other = FakeEcr::start(EcrBehaviour::default());
    let base = seed(&registry, dir.path(), "base");
    // A layer that may be mounted can be looked at before the registry answers.
    for (host, requests) in [(other.host(), 2..=2), (registry.host(), 2..=3)] {
        registry.clear_log();
        let push = Push::new();
        push.lbuild.ok(&push.arguments(&base, &format!("{host}/fn:1")));
        assert!(requests.contains(&registry.log().count("GET", "/base/blobs/")), "{:?}", registry.log());
    }
}

#[test]
fn a_base_for_a_newer_variant_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let push = Push::new();
    for (variant, taken) in [("v2", true), ("v3", true), ("v4", false)] {
        let base = image(dir.path(), &[], |config, _| config["variant"] = json!(variant));
        let to = format!("oci:{}:it", push.lbuild.text("image"));
        let done = push.lbuild.run(&push.arguments(&base, &to));
        if taken {
            done.succeeded();
            assert_eq!(image_of(&push.layout(), "it", "").1["variant"], variant);
        } else {
            let error = done.failed(4);
            assert!(error.contains(&format!("it offers linux/amd64/{variant}")), "{error}");
        }
    }
}

/// A layout with an image for each of these platforms, all with one name. Each image's config has the platform as author.
fn several(layout: &Path, platforms: &[&str], with_platform: bool) {
    let mut entries = Vec::new();
    for text in platforms {
        let mut parts = text.split('/');
        let architecture = parts.next().unwrap();
        let mut platform = json!({ "os": "linux", "architecture": architecture });
        parts.next().into_iter().for_each(|variant| platform["variant"] = json!(variant));
        image(layout, &[], |config, _| {
            config["architecture"] = json!(architecture);
            config["author"] = json!(text);
        });
        let mut entry = bases::named(layout, TAG);
        if with_platform {
            entry["platform"] = platform;
        }
        entries.push(entry);
    }
    let index = json!({ "schemaVersion": 2, "manifests": entries });
    std::fs::write(layout.join("index.json"), index.to_string()).unwrap();
}

#[test]
fn a_name_of_several_platforms_in_a_layout_is_taken_by_platform() {
    let push = Push::new();
    for with_platform in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        several(dir.path(), &["arm64", "amd64"], with_platform);
        for base in [format!("oci:{}:{TAG}", dir.path().display()), format!("oci:{}", dir.path().display())] {
            push.to_layout(&base);
            assert_eq!(image_of(&push.layout(), "it", "").1["author"], "amd64", "{base}");
            // Without a platform, the platforms are listed.
            let listed = push.lbuild.ok(&["inspect", &base]).stdout;
            assert!(listed.contains("linux/arm64") && listed.contains("linux/amd64"), "{listed}");
            let one = push.lbuild.ok(&["inspect", &base, "--arch", "arm64"]).stdout;
            assert!(one.contains("linux/arm64") && !one.contains("linux/amd64"), "{one}");
        }
    }
    let dir = tempfile::tempdir().unwrap();
    several(dir.path(), &["arm64", "arm64/v9"], true);
    let base = format!("oci:{}:{TAG}", dir.path().display());
    let error = push.lbuild.run(&push.arguments(&base, "oci:other:it")).failed(4);
    assert!(error.contains("it offers linux/arm64, linux/arm64/v9"), "{error}");
}

#[test]
fn a_tag_that_is_written_replaces_all_platforms_of_the_tag() {
    let push = Push::new();
    std::fs::create_dir(push.layout()).unwrap();
    several(&push.layout(), &["arm64", "amd64"], true);
    let copy = tempfile::tempdir().unwrap();
    let base = image(copy.path(), &[], |_, _| ());
    let to = format!("oci:{}:{TAG}", push.lbuild.text("image"));
    let digest = push.lbuild.ok(&push.arguments(&base, &to)).digest();
    let index = bases::read(&push.layout().join("index.json"));
    let entries = index["manifests"].as_array().unwrap();
    assert_eq!((entries.len(), &entries[0]["digest"]), (1, &json!(digest)));
}

#[test]
fn names_of_other_tools_in_a_layout_are_found() {
    let push = Push::new();
    for name in ["feature/x", "docker.io/library/python:3.12", "a:b", "v1"] {
        let layout = push.lbuild.path("named");
        let base = image(&layout, &[], |_, _| ());
        let mut entry = bases::named(&layout, TAG);
        entry["annotations"]["org.opencontainers.image.ref.name"] = json!(name);
        let index = json!({ "schemaVersion": 2, "manifests": [entry] });
        std::fs::write(layout.join("index.json"), index.to_string()).unwrap();
        push.to_layout(&base.replace(TAG, name));
        push.lbuild.ok(&["inspect", &base.replace(TAG, name)]);
    }
    for (flags, message) in [
        (["--to", "oci:out", "--tag", ""], "invalid location `oci:out:`: a tag is 1 to 128 characters"),
        (
            ["--to", "oci:out", "--tag", "feature/x"],
            "invalid location `oci:out:feature/x`: a tag is 1 to 128",
        ),
        (
            ["--to", "oci:out:", "--tag", "v1"],
            "invalid location `oci:out:`: the tag after the colon is empty",
        ),
    ] {
        let mut all = push.arguments("scratch", flags[1]);
        all.extend(&flags[2..]);
        let error = push.lbuild.run(&all).failed(2);
        assert!(error.contains(message), "{error}");
        assert!(!push.lbuild.path("out").exists() && !push.lbuild.path("out:").exists());
    }
}

#[test]
fn layers_are_found_again_above_any_history() {
    let tars = [tar("a"), tar("b")];
    for history in [
        json!([{ "created_by": "a" }, { "created_by": "b" }, { "created_by": "c" }, { "created_by": "d" }]),
        json!([{ "created_by": "a" }]),
        json!(null),
        json!([{ "created_by": "ENV", "empty_layer": true }, { "created_by": "a" }, { "created_by": "b" }, {}]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let layers: Vec<_> = tars.iter().map(|tar| Layer::of(gzip(tar), GZIP, tar)).collect();
        let base = image(dir.path(), &layers, |config, _| config["history"] = history.clone());
        let registry = FakeEcr::start(EcrBehaviour::default());
        let to = format!("{}/fn:1", registry.host());
        let push = Push::new();
        let digest = push.lbuild.ok(&push.arguments(&base, &to)).digest();
        let fresh = Push { lbuild: Lbuild::new(), code: push.code };
        let done = fresh.lbuild.ok(&fresh.arguments(&base, &to));
        assert_eq!((done.digest(), done.layer_counts()), (digest, (0, 1)), "{history}: {}", done.stderr);
        let shown = fresh.lbuild.ok(&["inspect", &to]).stdout;
        let layers: Vec<_> = shown.lines().filter(|line| line.starts_with("layer")).collect();
        assert!(layers.len() == 3 && layers[2].contains("lbuild"), "{shown}");
        assert!(!layers[0].contains("lbuild") && !layers[1].contains("lbuild"), "{shown}");
        assert!(!files(&fresh.lbuild.cache()).is_empty());
    }
}
