//! Decompression bombs: small layers with a huge content.

use super::{SMALL_MEMORY, Workspace, words};
use crate::support::image_builder::{self, GZIP, Layer, Tar, ZSTD, gzip};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A gigabyte consists of equal pieces, so only one is compressed.
const PIECES: usize = 256;
const PIECE: usize = 4 << 20;
const GIGABYTE: u64 = (PIECES * PIECE) as u64;

/// The header of a file of this size; the following bytes are its content.
fn file(name: &str, size: u64) -> Vec<u8> {
    Tar::new().head(name, b'0', size, |_| ()).unended()
}

/// The digest of these parts, each repeated a number of times.
fn sha256(parts: &[(&[u8], usize)]) -> String {
    let mut hash = Sha256::new();
    for (part, times) in parts {
        (0..*times).for_each(|_| hash.update(part));
    }
    let digest = hash.finalize();
    digest.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// A layer of such parts, compressed without building the whole content in memory.
fn repeated(parts: &[(&[u8], usize)]) -> Layer {
    let stored = parts.iter().flat_map(|(part, times)| gzip(part).repeat(*times)).collect();
    Layer { stored, media_type: GZIP, diff_id: sha256(parts) }
}

/// Repeats the image's first layer `times` times.
fn again(config: &mut Value, manifest: &mut Value, times: usize) {
    let repeat = |list: &mut Value| *list = json!(vec![list[0].clone(); times]);
    repeat(&mut config["rootfs"]["diff_ids"]);
    repeat(&mut config["history"]);
    repeat(&mut manifest["layers"]);
}

#[test]
fn eleven_gigabytes_of_zeroes_are_an_image_size_finding() {
    let workspace = Workspace::new();
    let (head, zeroes) = (file("f", GIGABYTE), vec![0_u8; PIECE]);
    let layer = repeated(&[(&head, 1), (&zeroes, PIECES), (&[0; 1024], 1)]);
    assert!(layer.stored.len() < PIECE * 4, "{} bytes", layer.stored.len());
    let image = image_builder::image(&workspace.lbuild.path("image"), &[layer], |config, manifest| {
        config["config"] = json!({ "Entrypoint": ["/entry"] });
        again(config, manifest, 11);
    });
    let done = workspace.run(&[
        words(&["check", &image, "--jobs", "1"]),
        words(&["inspect", &image, "--largest", "--jobs", "1"]),
        words(&["diff", &image, &image]),
    ]);
    done[0].failed(8, &[&format!("oci:{}@", workspace.lbuild.text("image"))]);
    assert!(done[0].out.contains(": image-size\n"), "{}", done[0].out);
    assert!(done[1].out.contains("1.07 GB  layer 10  /f"), "{}", done[1].out);
    assert_eq!(done[2].code, 0, "{}", done[2].err);
}

#[test]
fn padding_after_the_last_member_and_long_file_contents_are_not_held_in_memory() {
    let workspace = Workspace::new();
    // Machine code, which is spooled to disk as a whole, and a file that is searched for secrets.
    let code = [file("lib.so", 64 << 20), b"\x7fELF\x02\x01\x01\x00".to_vec()].concat();
    let secrets = file(".env", 64 << 20);
    let (zeroes, rest) = (vec![0_u8; PIECE], vec![0_u8; PIECE - 8]);
    let layers = [
        repeated(&[(&[0; 1024], 1), (&zeroes, 64)]),
        repeated(&[(&code, 1), (&rest, 1), (&zeroes, 15), (&[0; 1024], 1)]),
        repeated(&[(&secrets, 1), (&zeroes, 16), (&[0; 1024], 1)]),
    ];
    let image = workspace.image("image", &layers);
    let good = workspace.image("good", &[]);
    let done = workspace.run(&workspace.readers(&good, &image));
    assert_eq!((done[1].code, done[2].code), (0, 0), "{}{}", done[1].err, done[2].err);
    assert!([0, 8].contains(&done[0].code), "{}", done[0].err);
    assert!(names_of_tree(&done[1].out).eq([".env", "lib.so"]), "{}", done[1].out);
}

fn names_of_tree(out: &str) -> impl Iterator<Item = &str> {
    out.lines().filter_map(|line| Some(line.split_once('/')?.1))
}

/// A zstd frame with this window: `head`, then RLE blocks of 128 KiB of zeroes, four bytes each.
fn zeroes(window: u8, head: &[u8], blocks: usize) -> Vec<u8> {
    let block = |last: usize, kind: usize, size: usize| {
        let head = (size << 3 | kind << 1 | last).to_le_bytes();
        head[..3].to_vec()
    };
    let mut frame = [&[0x28, 0xb5, 0x2f, 0xfd, 0, window][..], &block(0, 0, head.len())[..], head].concat();
    let zeroes = [&block(0, 1, 128 << 10)[..], &[0]].concat();
    frame.extend(zeroes.repeat(blocks));
    frame.extend([&block(1, 1, 1024)[..], &[0]].concat());
    frame
}

/// The window descriptor for a window of 2^log bytes.
fn window(log: u8) -> u8 {
    (log - 10) << 3
}

#[test]
fn half_a_gigabyte_in_16_kilobytes_of_zstd_is_not_held_in_memory() {
    let workspace = Workspace::new();
    let stored = zeroes(window(17), &file("f", 512 << 20), 4096);
    assert!(stored.len() < 20 << 10, "{} bytes", stored.len());
    let other = format!("sha256:{}", "0".repeat(64));
    let image = workspace.image("image", &[Layer { stored, media_type: ZSTD, diff_id: other }]);
    let done = workspace.run(&[
        words(&["check", &image]),
        words(&["inspect", &image, "--largest"]),
        workspace.push(&image),
    ]);
    for rule in ["layer-compression", "layer-descriptors"] {
        assert!(done[0].out.contains(&format!(": {rule}\n")), "{}", done[0].out);
    }
    assert_eq!((done[0].code, done[1].code), (8, 0), "{}{}", done[0].err, done[1].err);
    assert!(done[1].out.contains("536.9 MB  layer 0   /f"), "{}", done[1].out);
    // The whole layer is recompressed, and then its diff id differs from the config's.
    done[2].failed(4, &["layer sha256:", &image, "is broken: its diff id is"]);
    assert!(!workspace.lbuild.path("out/index.json").exists());
}

#[test]
fn a_window_is_allocated_once_and_limited_to_the_default_of_zstd() {
    // The window plus the usual limit.
    let workspace = Workspace { memory: (128 << 10) + SMALL_MEMORY, ..Workspace::new() };
    let (head, piece) = (file("f", 256 << 20), vec![0_u8; PIECE]);
    let stored = zeroes(window(27), &head, 2048);
    let diff_id = sha256(&[(&head, 1), (&piece, 64), (&[0; 1024], 1)]);
    // The other layers, which are not pushed, have windows of the same size, but are not read at the same time.
    let layer = |more: &[u8]| {
        let (stored, diff_id) = ([&stored, more].concat(), diff_id.clone());
        Layer { stored, media_type: ZSTD, diff_id }
    };
    let skippable = |byte: u8| [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, byte];
    let image = workspace.image("image", &[layer(b"")]);
    let three = workspace.image("three", &[layer(b""), layer(&skippable(1)), layer(&skippable(2))]);
    let done = workspace.run(&[
        words(&["inspect", &image, "--tree"]),
        workspace.push(&image),
        words(&["inspect", &three, "--tree"]),
    ]);
    assert_eq!((done[0].code, done[1].code), (0, 0), "{}{}", done[0].err, done[1].err);
}

#[test]
fn a_thousand_layers_are_a_layer_count_finding() {
    let workspace = Workspace::new();
    let files = (0..50).fold(Tar::new(), |tar, number| tar.file(&format!("f{number}"), 0o644, "f"));
    let image =
        image_builder::image(&workspace.lbuild.path("image"), &[Layer::gzip(files)], |config, manifest| {
            again(config, manifest, 1000);
        });
    let good = workspace.image("good", &[]);
    let done = workspace.run(&workspace.readers(&good, &image));
    assert_eq!((done[0].code, done[1].code, done[2].code), (8, 0, 0), "{}", done[2].err);
    assert!(done[0].out.contains(": layer-count\n"), "{}", done[0].out);
    assert_eq!(names_of_tree(&done[1].out).count(), 50);
}
