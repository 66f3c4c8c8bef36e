//! Reads images from Docker archives, which each tool writes in its own way.

use crate::support::image_builder::{self, Tar};
use crate::support::image_tools::{self, ImageLocation};
use crate::support::layers;
use crate::support::lbuild::{Lbuild, function, image_of, tiny_base};
use serde_json::json;
use std::path::Path;

/// Pushes some code onto `base`, into the layout `name`; returns the digest.
fn push(lbuild: &Lbuild, base: &str, name: &str) -> String {
    let code = function(&[("app.py", "def handler(event, context): return 1\n")]);
    let to = format!("oci:{}:it", lbuild.text(name));
    lbuild.push(code.path(), &["--base", base, "--arch", "arm64", "--to", &to])
}

/// The committed base with one more layer, as an archive that lbuild wrote and as a layout.
fn saved(lbuild: &Lbuild) -> (String, String) {
    let code = function(&[("base.txt", "of the base")]);
    let (archive, layout) = (lbuild.text("image.tar"), lbuild.text("layout"));
    let to = [format!("docker-archive:{archive}:example.test/base:v1"), format!("oci:{layout}:v1")];
    let (base, dir) = (tiny_base(), code.path().to_str().unwrap());
    lbuild.ok(&["push", dir, "--base", &base, "--arch", "arm64", "--to", &to[0], "--to", &to[1]]);
    (format!("docker-archive:{archive}"), to[1].clone())
}

#[test]
fn an_archive_of_lbuild_is_the_same_image_as_its_layout() {
    let lbuild = Lbuild::new();
    let (archive, layout) = saved(&lbuild);
    for name in ["", ":example.test/base:v1"] {
        let archive = format!("{archive}{name}");
        let done = lbuild.ok(&["diff", &archive, &layout, "--json"]);
        let difference: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(difference["layers"], json!([]), "{difference}");
        let findings = |image: &str| {
            let report = lbuild.ok(&["check", image, "--json"]).stdout;
            serde_json::from_str::<serde_json::Value>(&report).unwrap()["findings"].clone()
        };
        assert_eq!(findings(&archive), findings(&layout));
        let seen = lbuild.ok(&["inspect", &archive, "--tree"]).stdout;
        assert_eq!(seen, lbuild.ok(&["inspect", &layout, "--tree"]).stdout);
        assert!(seen.contains("base.txt"), "{seen}");
        // both serve as a base
        let (one, other) = (push(&lbuild, &archive, "one"), push(&lbuild, &layout, "other"));
        assert_eq!(layer_digests(&lbuild, "one"), layer_digests(&lbuild, "other"), "{one} {other}");
    }
}

fn layer_digests(lbuild: &Lbuild, layout: &str) -> Vec<serde_json::Value> {
    let (manifest, _) = image_of(&lbuild.path(layout), "it", "");
    manifest["layers"].as_array().unwrap().iter().map(|layer| layer["digest"].clone()).collect()
}

#[test]
fn archives_of_other_tools_are_bases() {
    let lbuild = Lbuild::new();
    let (_, layout) = saved(&lbuild);
    push(&lbuild, &layout, "expected");
    let expected = layers::blobs(&lbuild.path("expected"), "it", "arm64");
    let location = ImageLocation::layout(&lbuild.path("layout"), "v1");
    let (skopeo, podman) = (lbuild.path("skopeo.tar"), lbuild.path("podman.tar"));
    // plain tars, and links to them
    image_tools::skopeo_copy(&location, &format!("docker-archive:{}:example.test/base:v1", skopeo.display()))
        .unwrap();
    image_tools::podman_save(&location, &podman).unwrap();
    for file in [&skopeo, &podman] {
        let archive = format!("docker-archive:{}", file.display());
        push(&lbuild, &archive, "made");
        let location = ImageLocation::layout(&lbuild.path("made"), "it");
        image_tools::skopeo_inspect(&location).unwrap();
        image_tools::umoci_unpack(&location).unwrap();
        let made = layers::blobs(&lbuild.path("made"), "it", "arm64");
        let members = |blobs: &[Vec<u8>]| blobs.iter().map(|blob| layers::members(blob)).collect::<Vec<_>>();
        assert_eq!(members(&made), members(&expected), "{archive}");
        // a push compresses plain layers, so `check` accepts them
        assert!(!lbuild.ok(&["check", &archive]).stdout.contains("layer-compression"), "{archive}");
    }
}

/// An archive of the two layers of an image, as another tool would name its members.
fn archive(to: &Path, config: &[u8], names: [&str; 2], tar: impl FnOnce(Tar) -> Tar) {
    let manifest = json!([{ "Config": "config.json", "RepoTags": ["hello:v1"], "Layers": names }]);
    let tar =
        tar(Tar::new().file("manifest.json", 0o644, manifest.to_string())).file("config.json", 0o644, config);
    std::fs::write(to, tar.bytes()).unwrap();
}

fn layer(name: &str) -> image_builder::Layer {
    image_builder::Layer::gzip(Tar::new().file(name, 0o644, name))
}

/// Two layers, their tars, and the config of their image.
fn two() -> ([image_builder::Layer; 2], [Vec<u8>; 2], Vec<u8>) {
    let layers = [layer("a"), layer("b")];
    let tars = ["a", "b"].map(|name| Tar::new().file(name, 0o644, name).bytes());
    let config = json!({
        "architecture": "arm64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [layers[0].diff_id, layers[1].diff_id] },
    });
    (layers, tars, config.to_string().into_bytes())
}

#[test]
fn members_are_found_under_any_name() {
    let lbuild = Lbuild::new();
    let (layers, tars, config) = two();
    let file = lbuild.path("image.tar");
    let check = |what: &str| {
        let name = format!("docker-archive:{}:hello:v1", file.display());
        let tree = lbuild.ok(&["inspect", &name, "--tree"]).stdout;
        assert!(tree.contains('a') && tree.contains('b'), "{what}: {tree}");
        push(&lbuild, &name, what);
        assert_eq!(layer_digests(&lbuild, what).len(), 3, "{what}");
    };
    archive(&file, &config, ["1/layer.tar", "2/layer.tar"], |tar| {
        tar.directory("1/")
            .file("1/layer.tar", 0o644, &tars[0])
            .file("x.tar", 0o644, &tars[1])
            .symlink("2/layer.tar", "../x.tar")
    });
    check("dockers-links");
    let digests = [0, 1].map(|number| format!("blobs/sha256/{}", image_builder::hex(&layers[number].stored)));
    archive(&file, &config, [&digests[0], &digests[1]], |tar| {
        tar.file(&digests[0], 0o644, &layers[0].stored).file(&digests[1], 0o644, &layers[1].stored)
    });
    check("a-layout-within");
    archive(&file, &config, ["./one.tgz", "two.tgz"], |tar| {
        tar.file("one.tgz", 0o644, &layers[0].stored).file("./two.tgz", 0o644, &layers[1].stored)
    });
    check("compressed-under-any-name");
}

#[test]
fn an_error_says_why_a_file_is_not_an_archive() {
    let lbuild = Lbuild::new();
    let (layers, tars, config) = two();
    let file = lbuild.path("image.tar");
    let name = format!("docker-archive:{}", file.display());
    let fails = |expected: &str| {
        for command in ["inspect", "check"] {
            let error = lbuild.run(&[command, &name]).failed(4);
            assert!(error.contains(expected) && error.contains("image.tar"), "{expected}: {error}");
        }
    };
    fails("the file does not exist");
    std::fs::write(&file, "no tar").unwrap();
    fails("it is not a tar");
    std::fs::write(&file, image_builder::gzip(&Tar::new().bytes())).unwrap();
    fails("decompress it first");
    std::fs::write(&file, Tar::new().file("index.json", 0o644, "{}").bytes()).unwrap();
    fails("it is an OCI layout in a tar");
    std::fs::write(&file, Tar::new().file("manifest.json", 0o644, "{").bytes()).unwrap();
    fails("cannot be read");
    archive(&file, &config, ["1.tar", "missing.tar"], |tar| tar.file("1.tar", 0o644, &tars[0]));
    fails("it lacks a layer");
    archive(&file, &config, ["1.tar", "2.tar"], |tar| {
        tar.symlink("1.tar", "2.tar").symlink("2.tar", "1.tar")
    });
    fails("it lacks a layer");
    archive(&file, &config, ["1.tar", "2.tar"], |tar| {
        tar.file("1.tar", 0o644, &tars[0]).file("2.tar", 0o644, &tars[1])
    });
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 2500]).unwrap();
    fails("or it is truncated");
    std::fs::write(&file, &whole).unwrap();
    let error = lbuild.run(&["check", &format!("{name}:hello:v2")]).failed(4);
    assert!(error.contains("it has no image") && error.contains("(it has hello:v1)"), "{error}");
    // content is verified against its digest
    archive(&file, &config, ["1.tar", "2.tar"], |tar| {
        tar.file("1.tar", 0o644, &tars[1]).file("2.tar", 0o644, &tars[0])
    });
    let done = lbuild.run(&["check", &name]);
    assert!(done.code == Some(8) && done.stdout.contains("the layer is damaged"), "{}", done.stdout);
    let error = lbuild.run(&["inspect", &name, "--tree"]).failed(7);
    assert!(error.contains("is corrupt"), "{error}");
    archive(&file, &config, ["1.tar.gz", &format!("{}.tar.gz", "0".repeat(64))], |tar| {
        tar.file("1.tar.gz", 0o644, &layers[0].stored).file(
            &format!("{}.tar.gz", "0".repeat(64)),
            0o644,
            &layers[1].stored,
        )
    });
    let done = lbuild.run(&["check", &name]);
    assert!(done.code == Some(8) && done.stdout.contains("the layer is damaged"), "{}", done.stdout);
    let error = lbuild.run(&["inspect", &name, "--tree"]).failed(7);
    assert!(error.contains("is corrupt"), "{error}");
}

#[test]
fn an_archive_of_several_images_needs_a_name() {
    let lbuild = Lbuild::new();
    let (layers, tars, config) = two();
    let one = |tag: &str| json!({ "Config": "config.json", "RepoTags": [tag], "Layers": ["1.tar", "2.tar"] });
    let tar = Tar::new()
        .file("manifest.json", 0o644, json!([one("hello:v1"), one("hello:v2")]).to_string())
        .file("config.json", 0o644, config)
        .file("1.tar", 0o644, &tars[0])
        .file("2.tar", 0o644, &tars[1]);
    std::fs::write(lbuild.path("image.tar"), tar.bytes()).unwrap();
    let name = format!("docker-archive:{}", lbuild.text("image.tar"));
    let error = lbuild.run(&["inspect", &name]).failed(4);
    assert!(error.contains("it holds several images"), "{error}");
    let seen = lbuild.ok(&["inspect", &format!("{name}:hello:v2")]).stdout;
    assert!(seen.contains(&layers[0].diff_id), "{seen}");
}

#[test]
fn an_unknown_digest_is_an_error() {
    let lbuild = Lbuild::new();
    let (_, layout) = saved(&lbuild);
    let (location, _) = layout.rsplit_once(':').unwrap();
    let digest = lbuild.ok(&["inspect", &layout, "--json"]).stdout;
    let digest: serde_json::Value = serde_json::from_str(&digest).unwrap();
    let digest = digest["digest"].as_str().unwrap();
    lbuild.ok(&["inspect", &format!("{location}@{digest}")]);
    let other = format!("{location}@sha256:{}", "0".repeat(64));
    let error = lbuild.run(&["check", &other]).failed(4);
    assert!(error.contains("image oci:") && error.contains("does not exist"), "{error}");
}

#[test]
fn a_layer_of_more_than_eight_gigabytes_is_read() {
    let lbuild = Lbuild::new();
    let (layers, tars, config) = two();
    let manifest =
        json!([{ "Config": "config.json", "RepoTags": ["hello:v1"], "Layers": ["1.tar", "2.tar"] }]);
    let size = 9_u64 << 30;
    let head = Tar::new()
        .file("manifest.json", 0o644, manifest.to_string())
        .file("config.json", 0o644, config)
        .file("1.tar", 0o644, &tars[0])
        .pax("size", &size.to_string())
        .file("2.tar", 0o644, "");
    let file = lbuild.path("image.tar");
    let head = head.unended();
    std::fs::write(&file, &head).unwrap();
    // the rest is a hole in a sparse file
    std::fs::File::options().write(true).open(&file).unwrap().set_len(head.len() as u64 + size).unwrap();
    let seen = lbuild.ok(&["inspect", &format!("docker-archive:{}", file.display())]).stdout;
    assert!(seen.contains("9.66 GB") && seen.contains(&layers[0].diff_id), "{seen}");
}
