//! Manifests, indexes and configs. A config keeps every field when a layer is appended.

#![no_main]

use lbuild::image::{
    Arch, Blob, Config, ConfigEdit, Digest, Format, Image, Layer, Parsed, Platform, parse_manifest,
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

fuzz_target!(|data: &[u8]| {
    if let Ok(Parsed::Index(index)) = parse_manifest("input", data) {
        let found =
            [Arch::Amd64, Arch::Arm64].map(|arch| index.for_platform(&Platform::linux(arch)).is_some());
        assert!(!index.0.is_empty() || found == [false, false]);
        assert!(index.platforms().len() <= index.0.len());
    }
    let Ok(config) = Config::parse("input", data) else { return };
    let bytes = config.to_bytes();
    let again = Config::parse("output", &bytes).expect("lbuild reads its own config");
    assert_eq!(again.as_json(), config.as_json());
    assert!(again.to_bytes() == bytes, "{}", String::from_utf8_lossy(&bytes));
    extend(config);
});

/// Appends a layer, and changes nothing else.
fn extend(config: Config) {
    let layer = |diff_id| Layer { blob: Blob::from_bytes(b"layer".to_vec()), diff_id, key: None };
    let below: Option<Vec<Layer>> =
        config.diff_ids().iter().map(|id| Some(layer(id.parse().ok()?))).collect();
    let Some(below) = below else { return };
    let (before, layers) = (config.clone(), below.len() + 1);
    // A digest that is not in its usual form differs from its text.
    let Ok(image) = Image::existing("input", config, below) else { return };
    let image = image.append(layer(Digest::of(b"tar")), "lbuild").edit(&ConfigEdit::default());
    let after = image.config();
    assert_eq!(without_layers(before.as_json()), without_layers(after.as_json()));
    assert_eq!(after.diff_ids().len(), layers);
    let keyed = before.history().iter().filter(|entry| !entry.empty_layer && entry.key.is_some()).count();
    let described = after.history().iter().filter(|entry| !entry.empty_layer).count();
    // More entries of lbuild than layers are not corrected.
    assert!(described == layers || keyed >= layers, "{described} entries for {layers} layers");
    Config::parse("extended", &after.to_bytes()).expect("the types are still right");
    assert_eq!(image.manifest(Format::Oci).digest, Digest::of(&image.manifest(Format::Oci).bytes));
}

/// The fields that an appended layer does not change.
fn without_layers(config: &Map<String, Value>) -> Map<String, Value> {
    let mut config = config.clone();
    config.remove("history");
    if let Some(rootfs) = config.get_mut("rootfs").and_then(Value::as_object_mut) {
        rootfs.remove("diff_ids");
    }
    config
}
