//! Images with exactly one fault each, to show that an image tool that accepts an image would reject a faulty one.

use super::sample_images::{self, bytes, replace, text};
use super::{bases, run, tool};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFault {
    /// The manifest's size of the last layer is one byte too large.
    LayerSize,
    /// A byte in the middle of the last layer is changed.
    LayerByte,
    /// The last layer is truncated to half its length.
    LayerTruncated,
    LayerMissing,
    /// The config has a wrong diff id for the last layer.
    DiffId,
    /// The manifest's size of the config is one byte too large.
    ConfigSize,
    /// The config does not have the digest in the manifest.
    ConfigByte,
    /// The manifest does not have the digest in the index.
    ManifestByte,
    /// The last layer has a file without its parent directory.
    NoParent,
    /// The last layer has a file twice.
    DoubledEntry,
}

impl ImageFault {
    pub const ALL: [ImageFault; 10] = [
        ImageFault::LayerSize,
        ImageFault::LayerByte,
        ImageFault::LayerTruncated,
        ImageFault::LayerMissing,
        ImageFault::DiffId,
        ImageFault::ConfigSize,
        ImageFault::ConfigByte,
        ImageFault::ManifestByte,
        ImageFault::NoParent,
        ImageFault::DoubledEntry,
    ];
}

/// Copies the image `tag` of the layout `good` (a manifest, not an index) to the layout `to`, and adds the fault.
pub fn layout(good: &Path, tag: &str, fault: ImageFault, to: &Path) {
    run(Command::new(tool("cp")).arg("-r").arg(good).arg(to)).expect("copied");
    let mut entry = bases::named(to, tag);
    let mut manifest = bases::read(&bases::blob(to, text(&entry["digest"])));
    let last = manifest["layers"].as_array().expect("a manifest, no index").len() - 1;
    let layer = bases::blob(to, text(&manifest["layers"][last]["digest"]));

    match fault {
        ImageFault::LayerSize => longer(&mut manifest["layers"][last]),
        ImageFault::ConfigSize => longer(&mut manifest["config"]),
        ImageFault::LayerByte => change(&layer, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }),
        ImageFault::LayerTruncated => change(&layer, |bytes| bytes.truncate(bytes.len() / 2)),
        ImageFault::LayerMissing => std::fs::remove_file(layer).expect("it was there"),
        ImageFault::DiffId => {
            let mut config = bases::read(&bases::blob(to, text(&manifest["config"]["digest"])));
            config["rootfs"]["diff_ids"][last] = json!(format!("sha256:{}", "0".repeat(64)));
            replace(to, &mut manifest["config"], &bytes(&config));
        }
        ImageFault::ConfigByte => {
            let config = bases::blob(to, text(&manifest["config"]["digest"]));
            change(&config, |bytes| rename(bytes, "com.amazonaws.lambda.", "org.example.adbmal..."));
        }
        ImageFault::ManifestByte => manifest["annotations"] = json!({ "probe": "a" }),
        ImageFault::NoParent | ImageFault::DoubledEntry => odd_layer(to, &mut manifest, last, fault),
    }

    replace(to, &mut entry, &bytes(&manifest));
    if fault == ImageFault::ManifestByte {
        let file = bases::blob(to, text(&entry["digest"]));
        change(&file, |bytes| rename(bytes, "\"probe\":\"a\"", "\"probe\":\"b\""));
    }
    sample_images::write_index(to, &entry);
}

fn longer(descriptor: &mut Value) {
    descriptor["size"] = json!(descriptor["size"].as_u64().expect("a descriptor has a size") + 1);
}

fn change(file: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut content = std::fs::read(file).expect("readable");
    edit(&mut content);
    std::fs::remove_file(file).expect("ours"); // it may be a hard link
    std::fs::write(file, content).expect("ours");
}

/// Replaces text once by text of the same length, so that the JSON stays valid and keeps its length.
fn rename(content: &mut Vec<u8>, from: &str, to: &str) {
    let text = String::from_utf8(std::mem::take(content)).expect("JSON");
    assert!(text.contains(from), "{text} has no {from}");
    *content = text.replacen(from, to, 1).into_bytes();
}

fn odd_layer(layout: &Path, manifest: &mut Value, last: usize, fault: ImageFault) {
    let root = tempfile::tempdir().expect("a temporary directory");
    std::fs::create_dir_all(root.path().join("var/task")).expect("ours");
    std::fs::write(root.path().join("var/task/odd"), "odd").expect("ours");
    let names: &[&str] = match fault {
        ImageFault::NoParent => &["var/task/odd"],
        _ => &["var", "var/task", "var/task/odd", "var/task/odd"],
    };
    let (content, diff_id) = sample_images::layer(root.path(), names);

    let mut config = bases::read(&bases::blob(layout, text(&manifest["config"]["digest"])));
    config["rootfs"]["diff_ids"][last] = json!(diff_id);
    replace(layout, &mut manifest["config"], &bytes(&config));
    replace(layout, &mut manifest["layers"][last], &content);
}
