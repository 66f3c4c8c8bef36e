//! Members of a tar whose headers have impossible values or forbidden paths.

use super::Expectation::{self, Broken, Found, Good};
use super::Workspace;
use crate::support::image_builder::{GZIP, Layer, PLAIN, Tar, gzip, record};
use tar::EntryType;

const CUT: Expectation = Broken("cannot read the layer");

fn cases(tars: impl IntoIterator<Item = Tar>, ends: Expectation) -> Vec<(Vec<Layer>, Expectation)> {
    tars.into_iter().map(|tar| (vec![Layer::gzip(tar)], ends)).collect()
}

/// A file whose header has these bytes as its size field.
fn field(size: [u8; 12]) -> Tar {
    Tar::new().head("f", b'0', 0, |head| head[124..136].copy_from_slice(&size))
}

#[test]
fn impossible_sizes_are_errors() {
    let claim = |size: u64| Tar::new().head("f", b'0', size, |_| ());
    let pax = |size: &str| Tar::new().pax("size", size);
    let mut all = cases([claim(8 << 30), claim(1 << 63), claim(u64::MAX)], CUT);
    all.extend(cases(
        [
            // Negative, and more than 64 bits.
            field([0xff; 12]),
            field([0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
            // Not octal digits.
            field(*b"99999999999\0"),
            field(*b"-0000000001\0"),
            field([b' '; 12]),
            // The size overflows when it is rounded up to blocks.
            Tar::new().head("f", b'V', u64::MAX, |_| ()),
            pax("18446744073709551615").file("../beside/f", 0o644, "f"),
            pax("18446744073709551615").file("f", 0o644, "f"),
            pax("9223372036854775808").file("f", 0o644, "f"),
        ],
        CUT,
    ));
    let numbers = ["-1", "18446744073709551616", "1e9", "0x10", ""];
    let wrong = numbers.map(|number| pax(number).file("f", 0o644, "f"));
    all.extend(cases(wrong, Broken("no valid size")));
    // The map of a sparse file in which each block announces another one.
    let endless = Tar::new().head("f", b'S', 0, |head| head[482] = 1).raw(&[1; 4096]).unended();
    all.push((vec![Layer::of(gzip(&endless), GZIP, &endless)], CUT));
    Workspace::new().check_cases(all);
}

#[test]
fn names_and_attributes_of_gigabytes_are_not_read() {
    let too_long = Broken("longer than any system accepts");
    let claimed = [b'L', b'K', b'x', b'g'].map(|kind| Tar::new().head("long", kind, 4 << 30, |_| ()));
    let mut all = cases(claimed, too_long);
    let there = [b'L', b'K'].map(|kind| Tar::new().long(kind, &vec![b'a'; 300 << 10]).file("f", 0o644, ""));
    all.extend(cases(there, too_long));
    Workspace::new().check_cases(all);
}

#[test]
fn attributes_that_are_malformed_are_errors() {
    let texts = [
        "99 path=a\n",
        "0 path=a\n",
        "-9 path=a\n",
        "99999999999999999999 path=a\n",
        "7 path\n",
        "path=a\n",
        "\u{fffd} path=a\n",
    ];
    let malformed = texts.map(|text| Tar::new().attributes(b'x', text).file("f", 0o644, ""));
    let mut all = cases(malformed, Broken("malformed"));
    // Attributes without a following member.
    let alone = [Tar::new().pax("path", "a"), Tar::new().long(b'L', b"a"), Tar::new().long(b'K', b"a")];
    all.extend(cases(alone, Broken("ends within a member's header")));
    let mut wrong = Tar::new().file("f", 0o644, "").bytes();
    wrong[1] = b'g';
    all.push((vec![Layer::of(wrong.clone(), PLAIN, &wrong)], Broken("wrong checksum")));
    Workspace::new().check_cases(all);
}

#[test]
fn unusual_but_valid_headers_are_read() {
    let long = "p".repeat(200);
    let many = (0..5000).fold(Tar::new(), |tar, number| tar.pax("path", &format!("{long}-{number}")));
    // A sparse file of a terabyte without data.
    let sparse = |head: &mut [u8; 512]| {
        head[483..495].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
    };
    let good = [
        many.file("f", 0o644, "f"),
        Tar::new().attributes(b'g', &record("path", "../beside/f")).file("f", 0o644, "f"),
        Tar::new().head("f", b'S', 0, sparse),
        Tar::new().head("f", b'S', 3, sparse).raw(b"abc").file("g", 0o644, ""),
        Tar::new().pax("GNU.sparse.realsize", "1099511627776").file("f", 0o644, ""),
        // Some writers give a symlink the size of its target, without content.
        Tar::new().head("f", b'2', 1 << 40, |head| head[157] = b'/').file("g", 0o644, ""),
        Tar::new(),
    ];
    Workspace::new().check_cases(cases(good, Good));
}

#[test]
fn paths_outside_the_image_and_devices_are_findings() {
    let outside = ["../beside/f", "a/../../beside/f", "..", "/..", "./../beside/f", "../../etc/f"];
    let mut tars = Vec::from(outside.map(|path| Tar::new().file(path, 0o644, "f")));
    tars.push(Tar::new().directory("../beside/d/"));
    tars.push(Tar::new().symlink("../beside/l", "/etc/passwd"));
    tars.push(Tar::new().member("../beside/h", EntryType::Link, 0o644, b"", "etc/passwd"));
    tars.push(Tar::new().file("f", 0o644, "f").member("h", EntryType::Link, 0o644, b"", "../../etc/passwd"));
    // Devices, a pipe, and unknown type flags, with and without content.
    tars.extend([b'3', b'4', b'6'].map(|kind| Tar::new().head("d", kind, 1 << 40, |_| ())));
    tars.push(Tar::new().head("v", b'V', 0, |_| ()));
    tars.push(Tar::new().head("v", b'V', 600, |_| ()).raw(&[b'v'; 600]).file("f", 0o644, ""));
    Workspace::new().check_cases(cases(tars, Found("entry-path")));
}

#[test]
fn absolute_paths_are_relative_to_the_image() {
    let workspace = Workspace::new();
    let path = workspace.lbuild.text("beside/f");
    let layer = Layer::gzip(Tar::new().long(b'L', path.as_bytes()).file("f", 0o644, "f"));
    workspace.check_cases(vec![(vec![layer], Found("parent-directory"))]);
}

#[test]
fn paths_of_a_hundred_kilobytes_are_findings() {
    let wide = Tar::new().pax("path", &"a".repeat(100_000)).file("f", 0o644, "f");
    let deep = Tar::new().pax("path", &format!("{}f", "a/".repeat(50_000))).file("f", 0o644, "f");
    let up = Tar::new().pax("path", &format!("{}f", "a/../".repeat(20_000))).file("f", 0o644, "f");
    let by_gnu = Tar::new().long(b'L', "b/".repeat(50_000).as_bytes()).directory("d/");
    Workspace::new().check_cases(cases([wide, deep, up, by_gnu], Found("entry-path")));
}

#[test]
fn members_of_every_type_flag_are_read() {
    // Every printable type flag except those of GNU and PAX extensions.
    let mut all = Vec::new();
    for kind in (b' '..=b'~').filter(|kind| !b"LKxg".contains(kind)) {
        let tar = Tar::new().head("f", kind, 0, |_| ()).file("g", 0o644, "g").bytes();
        all.push(Layer::of(gzip(&tar), GZIP, &tar));
    }
    let workspace = Workspace::new();
    let image = workspace.image("letters", &all);
    let done = workspace.run(&workspace.readers(&image, &image));
    assert_eq!((done[0].code, done[1].code, done[2].code), (8, 0, 0), "{}", done[0].err);
    let paths: Vec<&str> = done[1].out.lines().filter_map(|line| Some(line.split_once('/')?.1)).collect();
    assert_eq!(paths, ["f", "g"], "{}", done[1].out);
}
