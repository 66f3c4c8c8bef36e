//! Nothing in the cache is believed unchecked: any damage gives the same image.

use crate::support::image_tools::{ImageLocation, umoci_unpack};
use crate::support::lbuild::{Lbuild, files, function, noise, tiny_base};
use crate::support::registry::{Mode, Registry};
use lbuild::error::{Error, Kind};
use lbuild::image::Format;
use lbuild::{Destination, Engine, Recipe};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// Source files that are old enough for their fingerprints to be stored.
fn code() -> TempDir {
    let code = function(&[
        ("app.py", &b"def handler(event, context): pass"[..]),
        ("lib/data", &noise(5, 3000)),
        ("run*", b"#!/bin/sh\n"),
    ]);
    let old = SystemTime::now() - Duration::from_secs(100);
    for name in files(code.path()).keys() {
        fs::File::open(code.path().join(name)).unwrap().set_modified(old).unwrap();
    }
    // the time of the last change of the metadata cannot be set
    std::thread::sleep(Duration::from_millis(200));
    code
}

/// Builds with the check, then compares the layout's blobs with their digests.
#[track_caller]
fn build(lbuild: &Lbuild, code: &TempDir, what: &str) -> String {
    let layout = lbuild.path("layout");
    let _ = fs::remove_dir_all(&layout);
    let to = format!("oci:{}:1", layout.display());
    let path = code.path().to_str().unwrap();
    let done = lbuild.run(&[
        "build",
        path,
        "--base",
        &tiny_base(),
        "--arch",
        "arm64",
        "--handler",
        "app.handler",
        "--to",
        &to,
    ]);
    assert_eq!(done.code, Some(0), "{what}: {}", done.stderr);
    assert!(!done.stderr.contains("warning"), "{what}: {}", done.stderr);
    umoci_unpack(&ImageLocation::layout(&layout, "1")).unwrap_or_else(|error| panic!("{what}: {error}"));
    done.digest()
}

/// A change to the bytes of a file.
type Damage = fn(&mut Vec<u8>);

/// The files of one part of the cache.
fn part(lbuild: &Lbuild, name: &str) -> Vec<PathBuf> {
    let dir = lbuild.cache().join(name);
    files(&dir).into_keys().map(|name| dir.join(name)).collect()
}

#[test]
fn any_damage_to_the_cache_gives_the_same_image() {
    let (lbuild, code) = (Lbuild::new(), code());
    let expected = build(&lbuild, &code, "at first");
    // stores the fingerprints of files that were too young
    assert_eq!(build(&lbuild, &code, "again"), expected);
    assert!(part(&lbuild, "keys").len() >= 3 && part(&lbuild, "stat").len() == 1);
    let damages: [(&str, Damage); 6] = [
        ("the first byte", |bytes| bytes[0] ^= 1),
        ("the last byte", |bytes| *bytes.last_mut().unwrap() ^= 1),
        ("a byte in the middle", |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x20;
        }),
        ("truncated", |bytes| bytes.truncate(bytes.len() / 2)),
        ("empty", Vec::clear),
        ("extended", |bytes| bytes.push(b'}')),
    ];
    for name in ["keys", "stat", "blobs"] {
        for (what, damage) in damages {
            for file in part(&lbuild, name) {
                let Ok(mut bytes) = fs::read(&file) else { continue };
                damage(&mut bytes);
                fs::write(&file, bytes).unwrap();
            }
            let what = format!("{name}: {what}");
            assert_eq!(build(&lbuild, &code, &what), expected, "{what}");
            assert_eq!(build(&lbuild, &code, &what), expected, "after {what}");
        }
    }
}

#[test]
fn a_record_of_another_key_is_not_believed() {
    let lbuild = Lbuild::new();
    let (one, two) = (code(), function(&[("app.py", "def handler(event, context): return 2")]));
    let expected = [&one, &two].map(|code| build(&lbuild, code, "at first"));
    assert_ne!(expected[0], expected[1]);
    let records: Vec<_> =
        part(&lbuild, "keys").into_iter().map(|file| (fs::read(&file).unwrap(), file)).collect();
    // each record gets the name of another one
    for turn in 1..records.len() {
        for (number, (_, file)) in records.iter().enumerate() {
            fs::write(file, &records[(number + turn) % records.len()].0).unwrap();
        }
        for (code, expected) in [&one, &two].into_iter().zip(&expected) {
            assert_eq!(build(&lbuild, code, "swapped"), *expected);
        }
    }
}

/// The record of a layer names a wrong diff id: before the check was there, the image had a wrong config.
#[test]
fn a_changed_digest_in_a_record_is_not_believed() {
    let (lbuild, code) = (Lbuild::new(), code());
    let expected = build(&lbuild, &code, "at first");
    let mut changed = 0;
    for file in part(&lbuild, "keys") {
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        if let Some((before, after)) = text.split_once("\"diff_id\":\"sha256:") {
            let digit = if after.starts_with('0') { '1' } else { '0' };
            fs::write(&file, format!("{before}\"diff_id\":\"sha256:{digit}{}", &after[1..])).unwrap();
            changed += 1;
        }
    }
    assert!(changed > 0);
    assert_eq!(build(&lbuild, &code, "changed"), expected);
}

/// The commands that read stored images use the cache's copy of a layer.
#[test]
fn a_damaged_copy_of_a_stored_layer_is_fetched_instead() {
    let (registry, lbuild) = (Registry::start(Mode::Plain), Lbuild::new());
    let images = ["1", "2"].map(|tag| format!("{}/function:{tag}", registry.host()));
    let app = &b"def handler(event, context): pass"[..];
    let codes = [1, 2].map(|seed| function(&[("app.py", app), ("data", &noise(seed, 9000))]));
    let push = || {
        for (code, image) in codes.iter().zip(&images) {
            let to = ["--base", &tiny_base(), "--arch", "arm64", "--handler", "app.handler", "--to", image];
            lbuild.push(code.path(), &[&to[..], &["--no-cache"]].concat());
        }
    };
    push();
    let commands = [vec!["check", &images[0], "--json"], vec!["diff", &images[0], &images[1], "--json"]];
    let results = |lbuild: &Lbuild| {
        commands.each_ref().map(|command| {
            let done = lbuild.run(command);
            assert!(done.code != Some(7), "{command:?}: {}", done.stderr);
            (done.code, done.stdout)
        })
    };
    let expected = results(&Lbuild::new());
    let damages: [Damage; 3] =
        [|bytes| bytes[20] ^= 1, |bytes| bytes.truncate(bytes.len() - 3), |bytes| bytes.push(0)];
    for (number, damage) in damages.into_iter().enumerate() {
        // stores the layers again
        push();
        assert!(part(&lbuild, "blobs").len() >= 2);
        for file in part(&lbuild, "blobs") {
            let mut bytes = fs::read(&file).unwrap();
            damage(&mut bytes);
            fs::write(&file, bytes).unwrap();
        }
        // without the scans
        let _ = fs::remove_dir_all(lbuild.cache().join("keys"));
        assert_eq!(results(&lbuild), expected, "damage {number}");
    }
}

fn recipe(lbuild: &Lbuild, code: &Path) -> Recipe {
    let plan = ["plan", code.to_str().unwrap(), "--base", &tiny_base(), "--arch", "arm64"];
    serde_json::from_str(&lbuild.ok(&plan).stdout).unwrap()
}

#[test]
fn a_file_that_is_deleted_by_hand_is_made_again_or_an_error_of_the_disk() {
    let (lbuild, code) = (Lbuild::new(), code());
    let recipe = recipe(&lbuild, code.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let engine = Engine::builder().cache(lbuild.cache()).build().unwrap();
    let to = Destination::Layout { path: lbuild.path("layout"), tags: vec!["1".to_owned()] };
    runtime.block_on(async {
        let prepared = engine.prepare(&recipe, &[(to.clone(), Format::Oci)]).await.unwrap();
        let digest = prepared.image().manifest(Format::Oci).digest;
        fs::remove_dir_all(lbuild.cache()).unwrap();
        assert_eq!(prepared.send().await.unwrap()[0].digest, digest);
        // An image that is built already cannot be made again.
        let image = engine.build(&recipe).await.unwrap();
        fs::remove_dir_all(lbuild.cache()).unwrap();
        fs::remove_dir_all(lbuild.path("layout")).unwrap();
        let error = engine.publish(&image, Format::Oci, &to).await.unwrap_err();
        assert!(
            matches!(&error, Error::CacheRead { path, .. } if path.starts_with(lbuild.cache())),
            "{error:?}"
        );
        assert_eq!(error.kind(), Kind::Store);
        assert!(error.hint().is_some());
    });
}
