use std::fs;
use std::time::{Duration, SystemTime};

use super::records::RecordKind;
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
fn a_blob_with_another_size_or_content_is_not_found() {
    let (_dir, cache) = cache();
    let (key, layer) = layer(&cache);
    let Location::File(path) = &layer.blob.location else { panic!("not in a file") };
    fs::write(path, b"longer").unwrap();
    assert_eq!(cache.layer(key), None);
    let digest = cache.put_bytes(b"right").unwrap();
    fs::write(cache.blob_path(digest), b"wrong").unwrap();
    assert_eq!(cache.bytes(digest), None);
    assert!(!cache.blob_path(digest).exists());
}

type Load<'l> = &'l dyn Fn(&Cache) -> bool;

/// Stores one record of each kind, and returns each path with the function that loads the record.
fn with_records(cache: &Cache, test: impl Fn(&std::path::Path, Load<'_>)) {
    let (key, _) = layer(cache);
    let (shape, note) = (Digest::of(b"shape"), Digest::of(b"note"));
    cache.put_shape(shape).unwrap();
    cache.note(note, br#"{"a scan": [1, 2, 3]}"#).unwrap();
    cache.remember("findings", b"[]").unwrap();
    let path = |key| cache.key_path(LayerKey(key));
    test(&path(key.0), &|cache| cache.layer(key).is_some());
    test(&path(shape), &|cache| cache.knows_shape(shape));
    test(&path(note), &|cache| cache.noted(note).is_some());
    test(&path(Digest::of(b"findings")), &|cache| cache.remembered("findings").is_some());
}

#[test]
fn a_record_with_any_damage_is_removed() {
    let (_dir, cache) = cache();
    with_records(&cache, |path, load| {
        let whole = fs::read(path).unwrap();
        assert!(load(&cache));
        let is_refused = |bytes: &[u8], damage: &str| {
            fs::write(path, bytes).unwrap();
            assert!(!load(&cache) && !path.exists(), "{damage}: {}", String::from_utf8_lossy(bytes));
        };
        for at in 0..whole.len() {
            for bits in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
                let mut bytes = whole.clone();
                bytes[at] ^= bits;
                is_refused(&bytes, "flipped");
            }
            is_refused(&whole[..at], "truncated");
        }
        is_refused(&[&whole[..], b"0"].concat(), "extended");
        is_refused(br#"{"digest":"","size":1}"#, "without a heading, as before");
        fs::write(path, &whole).unwrap();
        assert!(load(&cache));
    });
}

#[test]
fn the_record_of_another_key_or_kind_is_refused() {
    let (_dir, cache) = cache();
    for (other, same) in [(Digest::of(b"other"), false), (Digest::of(b"key"), true)] {
        for kind in [RecordKind::Layer, RecordKind::Shape, RecordKind::Note, RecordKind::Text] {
            cache.put_record(kind, Digest::of(b"key"), b"content").unwrap();
            let stored = fs::read(cache.key_path(LayerKey(Digest::of(b"key")))).unwrap();
            for asked in [RecordKind::Layer, RecordKind::Shape, RecordKind::Note, RecordKind::Text] {
                fs::write(cache.key_path(LayerKey(other)), &stored).unwrap();
                let found = cache.record(asked, other);
                assert_eq!(found.is_some(), same && asked == kind, "{kind:?} {asked:?}");
                assert!(found.is_none_or(|found| found == b"content"));
            }
        }
    }
}

#[test]
fn a_damaged_blob_is_replaced_by_the_next_that_is_kept() {
    let (_dir, cache) = cache();
    let digest = cache.put_bytes(b"right").unwrap();
    for damage in [&b"wrong"[..], b"", b"much longer"] {
        fs::write(cache.blob_path(digest), damage).unwrap();
        let mut staged = cache.stage().unwrap();
        std::io::Write::write_all(&mut staged, b"right").unwrap();
        cache.keep_file(staged, digest, 5).unwrap();
        assert_eq!(fs::read(cache.blob_path(digest)).unwrap(), b"right");
        fs::write(cache.blob_path(digest), damage).unwrap();
        cache.put_bytes(b"right").unwrap();
        assert_eq!(fs::read(cache.blob_path(digest)).unwrap(), b"right");
    }
}

/// The cache of a process that has just begun.
fn next_run(cache: Cache) -> Cache {
    let root = cache.root().to_owned();
    drop(cache);
    Cache::at(root)
}

#[test]
fn pruning_removes_unused_files_and_keeps_foreign_files() {
    let (_dir, cache) = cache();
    let (key, layer) = layer(&cache);
    fs::write(cache.root().join("foreign"), b"x").unwrap();
    assert_eq!(cache.prune(Duration::from_secs(60), None).unwrap().files, 0);
    assert!(cache.layer(key).is_some());
    let cache = next_run(cache);
    let removed = cache.prune(Duration::ZERO, None).unwrap();
    assert_eq!(removed.files, 2);
    assert!(cache.layer(key).is_none() && cache.root().join("foreign").exists());
    assert_eq!(cache.blob(layer.blob.digest, 2), None);
}

#[test]
fn a_file_that_a_current_run_made_or_found_is_not_pruned() {
    let (_dir, first) = cache();
    let [made, found, neither] =
        [&b"made"[..], b"found", b"neither"].map(|bytes| first.put_bytes(bytes).unwrap());
    let root = first.root().to_owned();
    let cache = next_run(first);
    let old = SystemTime::now() - Duration::from_secs(60);
    for digest in [made, found, neither] {
        fs::File::open(cache.blob_path(digest)).unwrap().set_modified(old).unwrap();
    }
    let (one, two) = (Cache::at(&root), Cache::at(&root));
    assert!(one.held(found).is_some());
    // An equal file was made although the cache has one, as with `--no-cache`.
    let mut staged = two.stage().unwrap();
    std::io::Write::write_all(&mut staged, b"made").unwrap();
    two.keep_file(staged, made, 4).unwrap();
    let new = two.put_bytes(b"new").unwrap();
    let exist = |digests: [Digest; 4]| digests.map(|digest| cache.blob_path(digest).exists());
    let all = [made, found, neither, new];
    for max_bytes in [Some(0), None] {
        cache.prune(Duration::ZERO, max_bytes).unwrap();
        assert_eq!(exist(all), [true, true, false, true]);
    }
    // Clones are one run.
    let clone = one.clone();
    drop((one, two));
    cache.prune(Duration::ZERO, None).unwrap();
    assert_eq!(exist(all), [true, true, false, true]);
    drop(clone);
    cache.prune(Duration::ZERO, None).unwrap();
    assert_eq!(exist(all), [false; 4]);
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
    let cache = next_run(cache);
    let day = Duration::from_secs(24 * 60 * 60);
    assert_eq!(cache.prune(day, Some(300)).unwrap(), Usage::default());
    assert_eq!(cache.prune(day, Some(250)).unwrap(), Usage { files: 1, bytes: 100 });
    assert!(!cache.blob_path(blobs[0]).exists() && cache.blob_path(blobs[2]).exists());
    // Using a file updates the time of its last use.
    assert!(cache.blob(blobs[2], 100).is_some());
    let cache = next_run(cache);
    assert_eq!(cache.prune(day, Some(100)).unwrap().files, 1);
    assert!(!cache.blob_path(blobs[1]).exists() && cache.blob_path(blobs[2]).exists());
    assert_eq!(cache.prune(day, Some(0)).unwrap().files, 1);
}

#[test]
fn a_damaged_note_is_no_note() {
    let (_dir, cache) = cache();
    let key = Digest::of(b"key");
    for at in [0, 20, 60, 100] {
        cache.note(key, b"a note of some length, so that there is a byte to damage").unwrap();
        assert!(cache.has_note(key));
        let path = cache.key_path(LayerKey(key));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(!cache.has_note(key) && !path.exists(), "{at}");
    }
}
