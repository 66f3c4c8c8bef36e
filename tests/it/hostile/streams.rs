//! Layers that are truncated, damaged or too long: as a blob, as a compressed stream, and as a tar.

use super::Expectation::{Broken, Found};
use super::{Expectation, Workspace, words};
use crate::support::bases::{blob, named, read};
use crate::support::image_builder::{GZIP, Layer, PLAIN, TAG, Tar, ZSTD, gzip};
use crate::support::lbuild::noise;
use crate::support::sample_images::text;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::fs::File;
use std::path::{Path, PathBuf};

/// The header of a directory, the header of a file, 40 blocks of content, and two empty blocks.
fn tar() -> Vec<u8> {
    Tar::new().directory("a/").file("a/f", 0o644, noise(1, 20_000)).bytes()
}

fn zstd(content: &[u8]) -> Vec<u8> {
    compress_to_vec(content, CompressionLevel::Fastest)
}

/// A case of a layer with these stored bytes and the diff id of [`tar`].
fn case(stored: Vec<u8>, media_type: &'static str, ends: Expectation) -> (Vec<Layer>, Expectation) {
    (vec![Layer::of(stored, media_type, &tar())], ends)
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}

const UNREAD: Expectation = Broken("cannot read the layer");

#[test]
fn a_gzip_that_is_cut_or_damaged_is_an_error() {
    let whole = gzip(&tar());
    let end = whole.len();
    // Cuts in the header, before and in the stream, before and in the trailer.
    let cuts = [1, 2, 9, 10, 12, end / 2, end - 8, end - 1].map(|at| whole[..at].to_vec());
    // Flips a bit of the content, of the checksum, of the length.
    let flips = [end / 2, end - 8, end - 1].map(|at| flipped(&whole, at));
    let more = [[&whole[..], b"garbage"].concat(), [&whole[..], &[0; 512]].concat()];
    let mut cases: Vec<_> =
        cuts.into_iter().chain(flips).chain(more).map(|stored| case(stored, GZIP, UNREAD)).collect();
    cases.push(case(Vec::new(), GZIP, Found("layer-compression")));
    cases.push(case([&whole[..], &gzip(&[1; 600])[..]].concat(), GZIP, Found("layer-descriptors")));
    cases.push(case(gzip(&whole), GZIP, Broken("wrong checksum: it is not a tar")));
    Workspace::new().check_cases(cases);
}

#[test]
fn a_truncated_tar_is_an_error_with_every_compression() {
    let tar = tar();
    let mut cases = Vec::new();
    for (at, ends) in [
        (600, Broken("ends within a member's header")),
        (1024, UNREAD),
        (1024 + 100, UNREAD),
        (1024 + 19_999, UNREAD),
        // Only padding is missing: all readers accept that of the last member.
        (1024 + 20_005, Found("layer-descriptors")),
        (1024 + 20_480, Found("layer-descriptors")),
        (1024 + 20_480 + 512, Found("layer-descriptors")),
    ] {
        let cut = &tar[..at];
        cases.extend([(gzip(cut), GZIP), (zstd(cut), ZSTD), (cut.to_vec(), PLAIN)].map(
            // If only the tar is faulty, the diff id matches, so that the push recompresses the layer.
            |(stored, media_type)| match ends {
                Broken(_) => (vec![Layer::of(stored, media_type, cut)], ends),
                _ => case(stored, media_type, ends),
            },
        ));
    }
    cases.push(case(gzip(&[b'x'; 2048]), GZIP, Broken("wrong checksum: it is not a tar")));
    Workspace::new().check_cases(cases);
}

/// A zstd frame without a checksum; `rest` follows its descriptor.
fn frame(descriptor: u8, rest: &[u8]) -> Vec<u8> {
    [&[0x28, 0xb5, 0x2f, 0xfd, descriptor][..], rest].concat()
}

/// The window descriptor for 128 KiB.
const WINDOW: u8 = 7 << 3;

#[test]
fn a_zstd_that_is_cut_damaged_or_requires_too_much_memory_is_an_error() {
    let whole = zstd(&tar());
    let end = whole.len();
    let mut all = Vec::from([3, 6, end / 2, end - 1].map(|at| whole[..at].to_vec()));
    all.extend([
        flipped(&whole, end - 1),
        [&whole[..], b"more"].concat(),
        // Windows of 2 GiB and of 3.75 TiB, and a single segment of 8 EiB.
        frame(0, &[21 << 3, 1, 0, 0]),
        frame(0, &[31 << 3 | 7, 1, 0, 0]),
        frame(0xe0, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 0, 0]),
        // An unknown dictionary, a block of the reserved type, and one of 2 MiB.
        frame(1, &[WINDOW, 5, 1, 0, 0]),
        frame(0, &[WINDOW, 7, 0, 0]),
        frame(0, &[WINDOW, 0xfb, 0xff, 0xff, 0]),
        // A skippable frame that is longer than the stream.
        vec![0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0x7f],
    ]);
    let mut cases: Vec<_> = all.into_iter().map(|stored| case(stored, ZSTD, UNREAD)).collect();
    // A zstd stream within a zstd stream. The diff id matches, so that the push recompresses the layer.
    let twice = Layer::of(zstd(&whole), ZSTD, &whole);
    cases.push((vec![twice], Broken("wrong checksum: it is not a tar")));
    Workspace::new().check_cases(cases);
}

#[test]
fn blocks_of_noise_are_errors() {
    let cases = (0..16).map(|seed| {
        let length = 20 + 40 * seed as usize;
        // A last, compressed block of this length.
        let head = ((length << 3) as u32 | 2 << 1 | 1).to_le_bytes();
        let block = [&[WINDOW][..], &head[..3], &noise(seed, length)[..]].concat();
        case(frame(0, &block), ZSTD, UNREAD)
    });
    Workspace::new().check_cases(cases.collect());
}

/// The file of an image's only layer.
fn layer_file(layout: &Path) -> PathBuf {
    let manifest = read(&blob(layout, text(&named(layout, TAG)["digest"])));
    blob(layout, text(&manifest["layers"][0]["digest"]))
}

#[test]
fn a_layer_that_does_not_match_its_descriptor_is_an_error() {
    type Edit = fn(&Path);
    const DAMAGED: Option<&str> = Some("the layer is damaged");
    // The last is the finding of a check; without one, the file system is at fault.
    let edits: [(Edit, i32, &str, Option<&str>); 6] = [
        (|file| resize(file, -1), 7, "is corrupt", DAMAGED),
        (|file| resize(file, 1), 7, "is corrupt", DAMAGED),
        (
            |file| std::fs::write(file, flipped(&std::fs::read(file).unwrap(), 5000)).unwrap(),
            7,
            "is corrupt",
            DAMAGED,
        ),
        (|file| std::fs::remove_file(file).unwrap(), 4, "cannot read the blob", Some("the layer is missing")),
        (
            |file| std::fs::remove_file(file).and_then(|()| std::fs::create_dir(file)).unwrap(),
            4,
            "cannot read",
            None,
        ),
        // A file that never ends.
        (
            |file| {
                std::fs::remove_file(file).unwrap();
                std::os::unix::fs::symlink("/dev/zero", file).unwrap();
            },
            4,
            "it is not a regular file",
            None,
        ),
    ];
    let workspace = Workspace::new();
    let good = workspace.image("good", &[Layer::gzip(Tar::new())]);
    let (mut runs, mut expected) = (Vec::new(), Vec::new());
    for (number, (edit, code, says, found)) in edits.into_iter().enumerate() {
        let name = format!("image-{number}");
        let (stored, layout) = (gzip(&tar()), workspace.lbuild.path(&name));
        let image = workspace.image(&name, &[Layer::of(stored, GZIP, &tar())]);
        let file = layer_file(&layout);
        edit(&file);
        runs.extend(workspace.readers(&good, &image));
        runs.push(workspace.push(&image));
        // Commands that do not read layers still work.
        runs.push(words(&["inspect", &image]));
        expected.push((file.file_name().unwrap().to_str().unwrap().to_owned(), code, says, found));
    }
    let done = workspace.run(&runs);
    for (ends, (digest, code, says, found)) in done.chunks(5).zip(&expected) {
        ends[1..3].iter().for_each(|end| end.failed(*code, &[digest, says]));
        for (end, said) in [(&ends[0], &ends[0].out), (&ends[3], &ends[3].err)] {
            match found {
                Some(found) => {
                    end.failed(8, &[]);
                    assert!(said.contains("layer-content") && said.contains(found), "{said}");
                }
                None => end.failed(*code, &[digest, says]),
            }
        }
        assert_eq!(ends[4].code, 0);
    }
}

fn resize(file: &Path, by: i64) {
    let file = File::options().write(true).open(file).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(length.checked_add_signed(by).unwrap()).unwrap();
}
