//! Manifests, configs and indexes that are too large, too deeply nested, or malformed.

use super::{LARGE_MEMORY, Workspace, words};
use crate::support::bases::{blob, named, read};
use crate::support::image_builder::{self, Layer, TAG, Tar};
use crate::support::sample_images::{bytes, replace, text};
use crate::support::{run, tool};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

const HUGE: usize = 100 << 20;

fn manifest(layout: &Path) -> Value {
    read(&blob(layout, text(&named(layout, TAG)["digest"])))
}

/// An image of one layer with these bytes as its config.
fn with_config(workspace: &Workspace, name: &str, config: &[u8]) -> String {
    let layout = workspace.lbuild.path(name);
    workspace.image(name, &[Layer::gzip(Tar::new())]);
    let mut manifest = manifest(&layout);
    replace(&layout, &mut manifest["config"], config);
    image_builder::stored(&layout, &bytes(&manifest))
}

/// An image with these bytes as its manifest.
fn with_manifest(workspace: &Workspace, name: &str, manifest: &[u8]) -> String {
    workspace.image(name, &[Layer::gzip(Tar::new())]);
    image_builder::stored(&workspace.lbuild.path(name), manifest)
}

/// Asserts that every command that reads an image fails with an error that names the image and contains `says`.
#[track_caller]
fn refused(workspace: &Workspace, images: &[String], says: &[&str]) {
    let good = workspace.image("good", &[]);
    let mut runs = Vec::new();
    for image in images {
        runs.extend(workspace.readers(&good, image));
        runs.extend([words(&["inspect", image]), workspace.push(image)]);
    }
    for (ends, image) in workspace.run(&runs).chunks(5).zip(images) {
        eprintln!("{image}");
        let layout = image.trim_start_matches("oci:").trim_end_matches(":built");
        ends.iter().for_each(|end| end.failed(4, &[&[layout], says].concat()));
    }
    assert!(!workspace.lbuild.path("out/index.json").exists(), "nothing was pushed");
}

fn deep(open: &str, close: &str) -> Vec<u8> {
    [open.repeat(100_000), close.repeat(100_000)].concat().into_bytes()
}

/// The JSON, padded with trailing spaces to [`HUGE`] bytes.
fn padded(json: &Value) -> Vec<u8> {
    let mut bytes = bytes(json);
    bytes.resize(HUGE, b' ');
    bytes
}

fn config() -> Value {
    json!({
        "architecture": "amd64", "os": "linux", "config": {}, "history": [],
        "rootfs": { "type": "layers", "diff_ids": [] },
    })
}

#[test]
fn malformed_configs_are_errors() {
    let workspace = Workspace::new();
    let with = |field: &str, value: Value| {
        let mut config = config();
        config[field] = value;
        bytes(&config)
    };
    let all = [
        b"".to_vec(),
        b"no JSON".to_vec(),
        b"[]".to_vec(),
        b"{}".to_vec(),
        b"\xff\xfe".to_vec(),
        deep("[", "]"),
        deep("{\"a\":", "}"),
        [&b"{\"os\":\"linux\",\"architecture\":\"amd64\",\"a\":"[..], &deep("[", "]")[..], b"}"].concat(),
        with("architecture", json!(1)),
        with("rootfs", json!([])),
        with("config", json!({ "Env": [1] })),
        with("config", json!({ "Entrypoint": "/entry" })),
        with("history", json!({})),
        bytes(&config())[..40].to_vec(),
    ];
    let image =
        |(number, config): (usize, &Vec<u8>)| with_config(&workspace, &format!("config-{number}"), config);
    let images: Vec<String> = all.iter().enumerate().map(image).collect();
    refused(&workspace, &images, &["the config of oci:"]);
}

#[test]
fn malformed_manifests_are_errors() {
    let workspace = Workspace::new();
    workspace.image("model", &[Layer::gzip(Tar::new())]);
    let model = manifest(&workspace.lbuild.path("model"));
    let with = |field: &str, value: Value| {
        let mut manifest = model.clone();
        manifest["layers"][0][field] = value;
        bytes(&manifest)
    };
    let digest = |text: &str| with("digest", json!(text));
    let sha256 = |hex: &str| digest(&format!("sha256:{hex}"));
    let mut all = vec![
        b"".to_vec(),
        b"no JSON".to_vec(),
        b"[]".to_vec(),
        b"{}".to_vec(),
        deep("[", "]"),
        deep("{\"a\":", "}"),
        br#"{"schemaVersion":1,"fsLayers":[]}"#.to_vec(),
        br#"{"schemaVersion":2,"layers":{},"config":[]}"#.to_vec(),
        br#"{"schemaVersion":2,"manifests":7}"#.to_vec(),
        sha256("../../x"),
        sha256("../../../../beside"),
        sha256(""),
        sha256(&"A".repeat(64)),
        sha256(&"0".repeat(63)),
        sha256(&format!("{}/", "0".repeat(63))),
        digest("../../x"),
        digest("sha256"),
        digest(&format!("sha512:{}", "0".repeat(128))),
        digest("sha257:00"),
    ];
    all.extend([json!(-1), json!(1e30), json!("1"), json!(null)].map(|size| with("size", size)));
    all.push(with("mediaType", json!(7)));
    let image = |(number, manifest): (usize, &Vec<u8>)| {
        with_manifest(&workspace, &format!("manifest-{number}"), manifest)
    };
    let images: Vec<String> = all.iter().enumerate().map(image).collect();
    refused(&workspace, &images, &["the manifest of oci:"]);
}

/// Registries refuse documents of this size.
#[test]
fn documents_of_a_hundred_megabytes_are_not_read() {
    let workspace = Workspace::new();
    let descriptor =
        json!({ "mediaType": image_builder::GZIP, "size": 1024, "digest": format!("sha256:{:064}", 0) });
    let layers = format!("{descriptor},").repeat(1_000_000);
    let million =
        format!(r#"{{"schemaVersion":2,"config":{descriptor},"layers":[{}]}}"#, layers.trim_end_matches(','));
    let images = [
        with_config(&workspace, "config", &padded(&config())),
        with_manifest(&workspace, "manifest", &padded(&json!({ "schemaVersion": 2 }))),
        with_manifest(&workspace, "layers", million.as_bytes()),
    ];
    refused(&workspace, &images, &[]);
}

#[test]
fn images_with_missing_blobs_are_errors() {
    let workspace = Workspace::new();
    let image = |name: &str, remove: fn(&Value, &Value) -> Value| {
        let image = workspace.image(name, &[Layer::gzip(Tar::new())]);
        let layout = workspace.lbuild.path(name);
        let gone = remove(&named(&layout, TAG), &manifest(&layout));
        std::fs::remove_file(blob(&layout, text(&gone))).unwrap();
        image
    };
    let images = [
        image("manifest", |entry, _| entry["digest"].clone()),
        image("config", |_, manifest| manifest["config"]["digest"].clone()),
    ];
    refused(&workspace, &images, &["cannot read the blob"]);
}

#[test]
fn indexes_of_indexes_are_errors() {
    let workspace = Workspace::new();
    let layout = workspace.lbuild.path("image");
    workspace.image("image", &[]);
    let platform = json!({ "os": "linux", "architecture": "amd64" });
    let mut entry = named(&layout, TAG);
    for _ in 0..3 {
        entry["platform"] = platform.clone();
        entry["mediaType"] = json!("application/vnd.oci.image.index.v1+json");
        let index = json!({ "schemaVersion": 2, "manifests": [entry] });
        replace(&layout, &mut entry, &bytes(&index));
    }
    let index = read(&blob(&layout, text(&entry["digest"])));
    let nested = image_builder::stored(&layout, &bytes(&index));
    refused(&workspace, &[nested], &["does not have schema version 2"]);
}

#[test]
fn an_index_that_lists_itself_is_corrupt() {
    let workspace = Workspace::new();
    let layout = workspace.lbuild.path("image");
    let image = workspace.image("image", &[]);
    let digest = text(&named(&layout, TAG)["digest"]).to_owned();
    std::fs::copy(layout.join("index.json"), blob(&layout, &digest)).unwrap();
    for end in
        workspace.run(&[words(&["check", &image]), words(&["inspect", &image]), workspace.push(&image)])
    {
        end.failed(7, &["is corrupt", digest.trim_start_matches("sha256:")]);
    }
}

#[test]
fn indexes_of_many_entries_are_searched_once() {
    let workspace = Workspace { memory: LARGE_MEMORY, ..Workspace::new() };
    let layout = workspace.lbuild.path("image");
    let image = workspace.image("image", &[]);
    let entry = named(&layout, TAG);
    // The layout's index.json: the image is the last of 100,000 entries.
    let mut other = entry.clone();
    other["annotations"]["org.opencontainers.image.ref.name"] = json!("other");
    let index =
        format!(r#"{{"schemaVersion":2,"manifests":[{}{entry}]}}"#, format!("{other},").repeat(99_999));
    std::fs::write(layout.join("index.json"), index).unwrap();
    let done =
        workspace.run(&[words(&["check", &image]), words(&["check", image.trim_end_matches(":built")])]);
    assert!([0, 4].contains(&done[0].code), "{}", done[0].err);
    assert!([0, 4].contains(&done[1].code), "{}", done[1].err);
    // The index of an image, of the largest size that registries accept.
    let mut entry = entry;
    entry.as_object_mut().unwrap().remove("annotations");
    entry["platform"] = json!({ "os": "linux", "architecture": "s390x" });
    let index = json!({ "schemaVersion": 2, "manifests": vec![entry; 15_000] });
    let many = image_builder::stored(&layout, &bytes(&index));
    let done = workspace.run(&[
        words(&["check", &many]),
        words(&["check", &many, "--arch", "amd64"]),
        words(&["inspect", &many]),
        workspace.push(&many),
    ]);
    let codes: Vec<i32> = done.iter().map(|end| end.code).collect();
    assert_eq!(codes, [2, 4, 0, 4], "{}", done[0].err);
}

#[test]
fn indexes_without_entries_are_errors() {
    let workspace = Workspace::new();
    let entry = |digest: &str| {
        let name = json!({ "org.opencontainers.image.ref.name": TAG });
        bytes(&json!({ "schemaVersion": 2, "manifests": [{ "digest": digest, "annotations": name }] }))
    };
    let all = [
        b"".to_vec(),
        b"no JSON".to_vec(),
        b"[]".to_vec(),
        br#"{"manifests":{"0":1}}"#.to_vec(),
        br#"{"manifests":[7,null,"built"]}"#.to_vec(),
        deep("[", "]"),
        entry("sha256:../../x"),
        entry("../../../beside"),
        entry(""),
    ];
    let mut images = Vec::new();
    for (number, index) in all.iter().enumerate() {
        let name = format!("image-{number}");
        images.push(workspace.image(&name, &[]));
        std::fs::write(workspace.lbuild.path(&name).join("index.json"), index).unwrap();
    }
    refused(&workspace, &images, &[]);
}

#[test]
fn sums_of_sizes_that_overflow_do_not_panic() {
    let workspace = Workspace::new();
    let good = workspace.image("good", &[]);
    let layers = [Layer::gzip(Tar::new()), Layer::gzip(Tar::new().file("f", 0o644, "f"))];
    let image = |name: &str, media_type: &str| {
        image_builder::image(&workspace.lbuild.path(name), &layers, |_, manifest| {
            for layer in manifest["layers"].as_array_mut().unwrap() {
                layer["size"] = json!(u64::MAX);
                layer["mediaType"] = json!(media_type);
            }
        })
    };
    let (foreign, gzip) = (image("foreign", "application/octet-stream"), image("gzip", image_builder::GZIP));
    let mut runs = Vec::from(workspace.readers(&good, &foreign));
    runs.extend([
        words(&["inspect", &foreign]),
        words(&["inspect", &foreign, "--history"]),
        workspace.push(&foreign),
    ]);
    runs.extend(workspace.readers(&good, &gzip));
    runs.extend([words(&["inspect", &gzip]), workspace.push(&gzip)]);
    let codes: Vec<i32> = workspace.run(&runs).iter().map(|end| end.code).collect();
    assert_eq!(codes, [8, 0, 0, 0, 0, 4, 8, 0, 0, 0, 8]);
}

/// Creates a symlink, directory or pipe at this path.
type PutSpecialFile = fn(&Path);

#[test]
fn special_files_are_not_read() {
    let workspace = Workspace::new();
    let good = workspace.image("good", &[]);
    let kinds: [PutSpecialFile; 3] = [
        |path| std::os::unix::fs::symlink("/dev/zero", path).unwrap(),
        |path| std::fs::create_dir(path).unwrap(),
        // A pipe without a writer.
        |path| drop(run(Command::new(tool("mkfifo")).arg(path)).unwrap()),
    ];
    let parts: [fn(&Path) -> PathBuf; 5] = [
        |layout| layout.join("oci-layout"),
        |layout| layout.join("index.json"),
        |layout| blob(layout, text(&named(layout, TAG)["digest"])),
        |layout| blob(layout, text(&manifest(layout)["config"]["digest"])),
        |layout| blob(layout, text(&manifest(layout)["layers"][0]["digest"])),
    ];
    let mut runs = Vec::new();
    for (kind, put) in kinds.into_iter().enumerate() {
        for (number, part) in parts.into_iter().enumerate() {
            let name = format!("image-{kind}-{number}");
            let image = workspace.image(&name, &[Layer::gzip(Tar::new())]);
            let path = part(&workspace.lbuild.path(&name));
            std::fs::remove_file(&path).unwrap();
            put(&path);
            runs.push(words(&["diff", &good, &image]));
        }
    }
    for (end, run) in workspace.run(&runs).iter().zip(&runs) {
        assert!([3, 4, 7].contains(&end.code), "{run:?}: {} {}", end.code, end.err);
        assert!(
            end.err.contains(run[2].trim_start_matches("oci:").trim_end_matches(":built")),
            "{}",
            end.err
        );
    }
}

#[test]
fn layouts_without_a_version_are_errors() {
    let workspace = Workspace::new();
    let mut images = Vec::new();
    for (number, marker) in
        [&b""[..], b"no JSON", b"{}", br#"{"imageLayoutVersion":2}"#].into_iter().enumerate()
    {
        let name = format!("image-{number}");
        images.push(workspace.image(&name, &[]));
        std::fs::write(workspace.lbuild.path(&name).join("oci-layout"), marker).unwrap();
    }
    refused(&workspace, &images, &["is not an OCI layout"]);
}
