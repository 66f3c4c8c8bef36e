//! Images with exactly one fault each, to show that a judge which calls an image good would have said otherwise.

use super::handmade::{self, bytes, replace, text};
use super::{bases, run, tool};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The manifest gives the last layer one byte too many.
    LayerSize,
    /// A byte in the middle of the last layer is another.
    LayerByte,
    /// The last layer ends half-way.
    LayerTruncated,
    LayerMissing,
    /// The config gives the last layer another diff id.
    DiffId,
    /// The manifest gives the config one byte too many.
    ConfigSize,
    /// The config is not the one whose digest the manifest holds.
    ConfigByte,
    /// The index names another manifest than lies there.
    ManifestByte,
    /// The last layer holds a file whose directory it does not.
    NoParent,
    /// The last layer holds a file twice.
    DoubledEntry,
}

impl Fault {
    pub const ALL: [Fault; 10] = [
        Fault::LayerSize,
        Fault::LayerByte,
        Fault::LayerTruncated,
        Fault::LayerMissing,
        Fault::DiffId,
        Fault::ConfigSize,
        Fault::ConfigByte,
        Fault::ManifestByte,
        Fault::NoParent,
        Fault::DoubledEntry,
    ];
}

/// Copies the image `tag` of the layout `good` (a manifest, no index) to the layout `to`, and breaks it there.
pub fn layout(good: &Path, tag: &str, fault: Fault, to: &Path) {
    run(Command::new(tool("cp")).arg("-r").arg(good).arg(to)).expect("copied");
    let mut entry = bases::named(to, tag);
    let mut manifest = bases::read(&bases::blob(to, text(&entry["digest"])));
    let last = manifest["layers"].as_array().expect("a manifest, no index").len() - 1;
    let layer = bases::blob(to, text(&manifest["layers"][last]["digest"]));

    match fault {
        Fault::LayerSize => longer(&mut manifest["layers"][last]),
        Fault::ConfigSize => longer(&mut manifest["config"]),
        Fault::LayerByte => change(&layer, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }),
        Fault::LayerTruncated => change(&layer, |bytes| bytes.truncate(bytes.len() / 2)),
        Fault::LayerMissing => std::fs::remove_file(layer).expect("it was there"),
        Fault::DiffId => {
            let mut config = bases::read(&bases::blob(to, text(&manifest["config"]["digest"])));
            config["rootfs"]["diff_ids"][last] = json!(format!("sha256:{}", "0".repeat(64)));
            replace(to, &mut manifest["config"], &bytes(&config));
        }
        Fault::ConfigByte => {
            let config = bases::blob(to, text(&manifest["config"]["digest"]));
            change(&config, |bytes| rename(bytes, "com.amazonaws.lambda.", "org.example.adbmal..."));
        }
        Fault::ManifestByte => manifest["annotations"] = json!({ "probe": "a" }),
        Fault::NoParent | Fault::DoubledEntry => odd_layer(to, &mut manifest, last, fault),
    }

    replace(to, &mut entry, &bytes(&manifest));
    if fault == Fault::ManifestByte {
        let file = bases::blob(to, text(&entry["digest"]));
        change(&file, |bytes| rename(bytes, "\"probe\":\"a\"", "\"probe\":\"b\""));
    }
    handmade::write_index(to, &entry);
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

/// Replaces text once by text of the same length, so that the JSON stays valid and as long as it was.
fn rename(content: &mut Vec<u8>, from: &str, to: &str) {
    let text = String::from_utf8(std::mem::take(content)).expect("JSON");
    assert!(text.contains(from), "{text} has no {from}");
    *content = text.replacen(from, to, 1).into_bytes();
}

fn odd_layer(layout: &Path, manifest: &mut Value, last: usize, fault: Fault) {
    let root = tempfile::tempdir().expect("a temporary directory");
    std::fs::create_dir_all(root.path().join("var/task")).expect("ours");
    std::fs::write(root.path().join("var/task/odd"), "odd").expect("ours");
    let names: &[&str] = match fault {
        Fault::NoParent => &["var/task/odd"],
        _ => &["var", "var/task", "var/task/odd", "var/task/odd"],
    };
    let (content, diff_id) = handmade::layer(root.path(), names);

    let mut config = bases::read(&bases::blob(layout, text(&manifest["config"]["digest"])));
    config["rootfs"]["diff_ids"][last] = json!(diff_id);
    replace(layout, &mut manifest["config"], &bytes(&config));
    replace(layout, &mut manifest["layers"][last], &content);
}
