use std::fs;
use std::time::{Duration, SystemTime};

use super::{Cache, Usage};
use crate::image::{Digest, Layer, LayerKey, Location};

fn cache() -> (tempfile::TempDir, Cache) {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::at(dir.path().join("cache"));
    (dir, cache)
}

fn layer(cache: &Cache) -> (LayerKey, Layer) {
    let digest = cache.put_bytes(b"gz").unwrap();
    let key = LayerKey(Digest::of(b"key"));
    let layer = Layer { blob: cache.blob(digest, 2).unwrap(), diff_id: Digest::of(b"tar"), key: Some(key) };
    cache.put_layer(key, &layer).unwrap();
    (key, layer)
}

#[test]
fn a_layer_is_found_by_its_key() {
    let (_dir, cache) = cache();
    let (key, layer) = layer(&cache);
    assert_eq!(cache.layer(key), Some(layer));
    assert_eq!(cache.layer(LayerKey(Digest::of(b"other"))), None);
}

#[test]
fn a_blob_with_another_size_or_content_is_dropped() {
    let (_dir, cache) = cache();
    let (key, layer) = layer(&cache);
    let Location::File(path) = &layer.blob.location else { panic!("not in a file") };
    fs::write(path, b"longer").unwrap();
    assert_eq!(cache.layer(key), None);
    assert!(!path.exists());
    let digest = cache.put_bytes(b"right").unwrap();
    fs::write(cache.blob_path(digest), b"wrong").unwrap();
    assert_eq!(cache.bytes(digest), None);
    assert!(!cache.blob_path(digest).exists());
}

#[test]
fn pruning_removes_unused_files_and_keeps_foreign_files() {
    let (_dir, cache) = cache();
    let (key, layer) = layer(&cache);
    fs::write(cache.root().join("foreign"), b"x").unwrap();
    assert_eq!(cache.prune(Duration::from_secs(60), None).unwrap().files, 0);
    assert!(cache.layer(key).is_some());
    let removed = cache.prune(Duration::ZERO, None).unwrap();
    assert_eq!(removed.files, 2);
    assert!(cache.layer(key).is_none() && cache.root().join("foreign").exists());
    assert_eq!(cache.blob(layer.blob.digest, 2), None);
}

#[test]
fn a_cache_that_is_too_large_loses_the_least_recently_used_files() {
    let (_dir, cache) = cache();
    let mut blobs = Vec::new();
    for (number, age) in [(0u8, 30), (1, 10), (2, 20)] {
        let digest = cache.put_bytes(&[number; 100]).unwrap();
        let file = fs::File::open(cache.blob_path(digest)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        blobs.push(digest);
    }
    let day = Duration::from_secs(24 * 60 * 60);
    assert_eq!(cache.prune(day, Some(300)).unwrap(), Usage::default());
    assert_eq!(cache.prune(day, Some(250)).unwrap(), Usage { files: 1, bytes: 100 });
    assert!(!cache.blob_path(blobs[0]).exists() && cache.blob_path(blobs[2]).exists());
    // Using a file updates the time of its last use.
    assert!(cache.blob(blobs[2], 100).is_some());
    assert_eq!(cache.prune(day, Some(100)).unwrap().files, 1);
    assert!(!cache.blob_path(blobs[1]).exists() && cache.blob_path(blobs[2]).exists());
    assert_eq!(cache.prune(day, Some(0)).unwrap().files, 1);
}
