//! Hostile images that are pushed as they are: mending them takes bounded memory and time.

use super::{Workspace, words};
use crate::support::image_builder::{Layer, Tar};

fn push(image: &str, more: &[&str]) -> Vec<String> {
    [words(&["push", image, "--to", "oci:out:v1"]), words(more)].concat()
}

#[test]
fn headers_without_content_are_counted() {
    let space = Workspace::new();
    let headers = |count: usize| (0..count).fold(Tar::new(), |tar, _| tar.head("g", b'g', 0, |_| ()));
    let image = |name: &str, count| space.image(name, &[Layer::gzip(headers(count).file("a/b", 0o644, "x"))]);
    let ends = space.run(&[push(&image("few", 4000), &[]), push(&image("many", 400_000), &[])]);
    assert!(ends[0].code == 0 && ends[0].err.contains("for the directory a"), "{}", ends[0].err);
    ends[1].failed(8, &["longer than any system accepts"]);
}

#[test]
fn long_paths_without_directories_are_bounded() {
    let space = Workspace::new();
    let layer = |number: usize| {
        let paths = (0..25).map(|member| format!("{number}-{member}{}/f", "/d".repeat(2000)));
        Layer::gzip(paths.fold(Tar::new(), |tar, path| tar.long(b'L', path.as_bytes()).file("x", 0o644, "")))
    };
    let one = space.image("one", &[layer(0)]);
    let several = space.image("several", &[layer(0), layer(1), layer(2)]);
    for end in space.run(&[push(&one, &[]), push(&several, &[]), push(&one, &["--no-check", "--json"])]) {
        // The check reports what was not mended.
        assert!(end.code == 8 || end.code == 0, "{}", end.err);
        assert!(end.err.len() < 1 << 20, "{} bytes", end.err.len());
    }
}

#[test]
fn files_of_all_layers_count_together() {
    // Mending scans the layers before the check does, and the allocator may keep what the first of them has freed.
    let space = Workspace { memory: 512 << 10, ..Workspace::new() };
    // Long names, because they count and few of them are soon made.
    let layer = |layer: usize| {
        let names = (0..30_000).map(|number| format!("{layer}-{number}{}", "/d".repeat(1500)));
        Layer::gzip(names.fold(Tar::new(), |tar, name| tar.long(b'L', name.as_bytes()).file("x", 0o644, "")))
    };
    let image = space.image("many", &(0..6).map(layer).collect::<Vec<_>>());
    let ends = space.run(&[push(&image, &[]), push(&image, &["--no-check"])]);
    ends[0].failed(4, &["have so many files or such long names", "layer sha256:"]);
    assert_eq!(ends[1].code, 0, "without the check, it is sent as it is: {}", ends[1].err);
}
