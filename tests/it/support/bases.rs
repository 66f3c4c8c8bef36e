//! Stores images in a registry unchanged, with indexes, attestations and exact media types. Writes directly into the
//! registry's storage: this needs no login, adds nothing to the access log, and works for malformed images too.

use super::fake_ecr::FakeEcr;
use super::registry::Registry;
use super::{part, testdata};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The flavours of the Lambda-like base, each for amd64 and arm64; their runtime is Python 3.11.
pub const FLAVOURS: [&str; 4] = ["docker-list", "oci-index", "zstd", "plain"];

/// The tag that each flavour has in its layout.
pub const TAG: &str = "python3.11";

/// The tag in the layout `nodejs`, whose runtime is Node 18: an OCI index, gzip.
pub const NODE_TAG: &str = "nodejs18";

/// The OCI layout of a flavour.
pub fn layout(flavour: &str) -> PathBuf {
    part("bases").join(flavour)
}

/// Stores the base `flavour` as `repository:tag`; returns the full reference, `127.0.0.1:PORT/repository:tag`.
pub fn push(registry: &Registry, flavour: &str, repository: &str, tag: &str) -> String {
    seed(registry, &layout(flavour), TAG, repository, tag);
    format!("{}/{repository}:{tag}", registry.host())
}

/// Stores the image `name` of a layout as `repository:tag`; returns the digest. Blobs that are missing in the layout
/// will be missing in the registry.
pub fn seed(registry: &Registry, layout: &Path, name: &str, repository: &str, tag: &str) -> String {
    seed_storage(&registry.storage(), layout, name, repository, tag)
}

/// Like [`seed`], for any registry that keeps its blobs in this directory.
pub fn seed_storage(storage: &Path, layout: &Path, name: &str, repository: &str, tag: &str) -> String {
    let digest = named(layout, name)["digest"].as_str().expect("a descriptor has a digest").to_owned();
    let root = storage.join("docker/registry/v2");
    let repository = root.join("repositories").join(repository);
    manifest(layout, &digest, &root, &repository);
    let tag = repository.join("_manifests/tags").join(tag);
    link(&tag.join("current"), &digest);
    link(&tag.join("index").join(digest.replace(':', "/")), &digest);
    digest
}

/// The descriptor in a layout's index.json that has this name.
pub fn named(layout: &Path, name: &str) -> Value {
    let index = read(&layout.join("index.json"));
    let mut entries = index["manifests"].as_array().expect("an index lists manifests").iter();
    let found = entries.find(|entry| entry["annotations"]["org.opencontainers.image.ref.name"] == name);
    found.unwrap_or_else(|| panic!("{layout:?} has no {name}")).clone()
}

/// The path of a blob in a layout.
pub fn blob(layout: &Path, digest: &str) -> PathBuf {
    layout.join("blobs").join(digest.replace(':', "/"))
}

pub fn read(file: &Path) -> Value {
    let bytes = std::fs::read(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{file:?}: {error}"))
}

/// Stores the committed base for arm64 in an in-memory registry.
pub fn seed_base(registry: &FakeEcr, repository: &str, tag: &str) {
    let layout = testdata("base");
    let bytes = |digest: &str| std::fs::read(blob(&layout, digest)).expect("committed");
    let index = named(&layout, "python3.12")["digest"].as_str().expect("a descriptor").to_owned();
    let index = read(&blob(&layout, &index));
    let mut entries = index["manifests"].as_array().expect("an index").iter();
    let entry = entries.find(|entry| entry["platform"]["architecture"] == "arm64");
    let digest = entry.expect("the index has the architecture")["digest"].as_str().expect("a descriptor");
    let manifest = read(&blob(&layout, digest));
    for part in manifest["layers"].as_array().expect("a manifest").iter().chain([&manifest["config"]]) {
        registry.seed_blob(repository, bytes(part["digest"].as_str().expect("a descriptor")));
    }
    let media_type = manifest["mediaType"].as_str().expect("a manifest");
    registry.seed_manifest(repository, Some(tag), media_type, bytes(digest));
}

fn manifest(layout: &Path, digest: &str, root: &Path, repository: &Path) {
    store(layout, digest, root);
    link(&repository.join("_manifests/revisions").join(digest.replace(':', "/")), digest);
    let content = read(&blob(layout, digest));
    let digests = |key: &str| {
        let list = content[key].as_array().cloned().unwrap_or_default();
        list.into_iter().filter_map(|descriptor| Some(descriptor["digest"].as_str()?.to_owned()))
    };
    for child in digests("manifests") {
        manifest(layout, &child, root, repository);
    }
    for part in digests("layers").chain(content["config"]["digest"].as_str().map(str::to_owned)) {
        store(layout, &part, root);
        link(&repository.join("_layers").join(part.replace(':', "/")), &part);
    }
}

fn store(layout: &Path, digest: &str, root: &Path) {
    let (algorithm, hex) = digest.split_once(':').expect("algorithm:hex");
    let to = root.join("blobs").join(algorithm).join(&hex[..2]).join(hex);
    let from = blob(layout, digest);
    if !from.exists() || to.join("data").exists() {
        return;
    }
    std::fs::create_dir_all(&to).expect("writable");
    if std::fs::hard_link(&from, to.join("data")).is_err() {
        std::fs::copy(&from, to.join("data")).expect("writable");
    }
}

fn link(dir: &Path, digest: &str) {
    std::fs::create_dir_all(dir).expect("writable");
    std::fs::write(dir.join("link"), digest).expect("writable");
}
