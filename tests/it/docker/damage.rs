//! Damage to a file of the store: the image or the name is gone, or the call fails; it is never another image.

use super::DockerUser;
use crate::support::faults::Random;
use std::fs;
use std::path::PathBuf;

/// The files of the store.
fn stored(docker: &DockerUser) -> Vec<PathBuf> {
    let dirs = ["images", "images/names"].map(|dir| docker.user.cache().join(dir));
    let entries = dirs.iter().flat_map(|dir| fs::read_dir(dir).unwrap()).flatten().map(|entry| entry.path());
    let mut files: Vec<_> = entries.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

#[test]
fn a_flipped_byte_costs_at_most_one_image() {
    let docker = DockerUser::new();
    let mut random = Random::seeded();
    println!("LBUILD_TEST_SEED={}", random.seed());
    let ids = [1, 2].map(|number| {
        let name = format!("app:{number}");
        docker.build(&docker.numbered(number), &["-t", &name, "-t", &format!("also:{number}")])
    });
    let whole: Vec<(PathBuf, Vec<u8>)> =
        stored(&docker).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    assert_eq!(whole.len(), 2 + 4);
    for (path, bytes) in &whole {
        for at in [0, bytes.len() - 1, random.below(bytes.len()), random.below(bytes.len())] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << random.below(8);
            fs::write(path, &damaged).unwrap();
            let what = format!("byte {at} of {}", path.display());
            let names = docker.names();
            let mut lost = [0, 0];
            for (number, id) in ids.iter().enumerate() {
                for name in [format!("app:{}", number + 1), format!("also:{}", number + 1)] {
                    let done = docker.docker(&["inspect", "--format", "{{.Id}}", &name]);
                    match done.code {
                        Some(0) => assert_eq!(done.stdout.trim(), id, "{what}"),
                        _ => lost[number] += 1,
                    }
                    assert_eq!(names.contains(&name), done.code == Some(0), "{what}: {name}");
                }
            }
            let is_name = path.parent().unwrap().ends_with("names");
            let expected = if is_name { [[1, 0], [0, 1]] } else { [[2, 0], [0, 2]] };
            assert!(expected.contains(&lost), "{what}: {lost:?}");
            // The same build again mends it.
            for (path, bytes) in &whole {
                let _ = fs::remove_file(path);
                fs::write(path, bytes).unwrap();
            }
        }
    }
    for number in [1, 2] {
        fs::write(&whole[number - 1].0, "no image").unwrap();
    }
    assert_eq!(docker.names(), [""; 0]);
    for number in [1, 2] {
        docker.build(&docker.numbered(number), &["-t", &format!("app:{number}")]);
    }
    assert_eq!([docker.id("app:1"), docker.id("app:2")], ids);
}

#[test]
fn a_damaged_layer_is_not_pushed_or_saved() {
    let docker = DockerUser::new();
    docker.build("fn", &["-t", "app"]);
    let blobs = docker.user.cache().join("blobs/sha256");
    let layers = docker.ok(&["inspect", "--format", "{{json .RootFS.Layers}}", "app"]);
    let mut damaged = 0;
    for entry in fs::read_dir(blobs).unwrap().flatten() {
        let mut bytes = fs::read(entry.path()).unwrap();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(entry.path(), bytes).unwrap();
            damaged += 1;
        }
    }
    assert!(damaged > 0, "{layers}");
    let done = docker.docker(&["save", "-o", "app.tar", "app"]);
    assert!(done.code == Some(1) && !docker.user.path("app.tar").exists(), "{done:?}");
    // A build makes the layer again.
    docker.build("fn", &["-t", "app"]);
    docker.ok(&["save", "-o", "app.tar", "app"]);
}

/// A tool that asks whether an image is there builds it again then; a push could not send it.
#[test]
fn an_image_that_has_lost_a_layer_of_this_machine_is_none() {
    let docker = DockerUser::new();
    let id = docker.build(&docker.numbered(1), &["-t", "app:1"]);
    let blobs = fs::read_dir(docker.user.cache().join("blobs/sha256")).unwrap();
    let is_layer = |path: &PathBuf| fs::read(path).unwrap().starts_with(&[0x1f, 0x8b]);
    let layers: Vec<_> = blobs.flatten().map(|entry| entry.path()).filter(is_layer).collect();
    assert!(!layers.is_empty());
    layers.iter().for_each(|layer| fs::remove_file(layer).unwrap());
    assert_eq!(docker.docker(&["inspect", "app:1"]).code, Some(1));
    let error = docker.docker(&["push", "app:1"]).stderr;
    assert!(error.contains("does not exist locally"), "{error}");
    assert_eq!(docker.build(&docker.numbered(1), &["-t", "app:1"]), id);
    assert_eq!(docker.docker(&["inspect", "app:1"]).code, Some(0));
}
