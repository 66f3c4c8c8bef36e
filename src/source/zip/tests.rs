use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use self::made::{MadeMember, deflate, deflated, stored, zip};
pub(in crate::source) use super::archive::open;
use super::*;
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::tree::{Entry, EntryKind, FileTree};

mod fuzz;
pub(in crate::source) mod made;

fn on_disk(bytes: &[u8]) -> (TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.zip");
    fs::write(&path, bytes).unwrap();
    (directory, path)
}

fn opened(bytes: &[u8]) -> Result<Archive> {
    let (_directory, path) = on_disk(bytes);
    open(&path, None)
}

fn tree(bytes: &[u8]) -> FileTree {
    let (_directory, path) = on_disk(bytes);
    tree::collect(&tree::alone(&path).unwrap()).unwrap()
}

/// The archive's members: names, kinds, execute bits, contents.
fn contents(bytes: &[u8]) -> Vec<(String, ZipKind, bool, Vec<u8>)> {
    let (_directory, path) = on_disk(bytes);
    let members = open(&path, None).unwrap().members;
    let content = |member: ZipMember| {
        let content = read(&member.content).unwrap();
        (member.name, member.kind, member.executable, content)
    };
    members.into_iter().map(content).collect()
}

#[test]
fn members_have_the_kind_mode_and_content_in_the_archive() {
    let parts = [
        stored("a", "text"),
        deflated("d/b", [7; 5000]).mode(0o100_755),
        deflated("d/empty", ""),
        stored("d/", "").mode(0o040_755),
        stored("d/link", "../a").mode(0o120_777),
        stored("e", "").mode(0o040_755),
        // Made on Windows, whose attributes have no modes.
        MadeMember { system: 0, attributes: 0o100_755 << 16, ..stored("w", "w") },
        stored("m", "no kind").mode(0o700),
    ];
    let (file, directory) = (ZipKind::File, ZipKind::Directory);
    let expected = [
        ("a", file, false, &b"text"[..]),
        ("d/b", file, true, &[7; 5000]),
        ("d/empty", file, false, b""),
        ("d", directory, true, b""),
        ("d/link", ZipKind::Symlink, true, b"../a"),
        ("e", directory, true, b""),
        ("w", file, false, b"w"),
        ("m", file, true, b"no kind"),
    ]
    .map(|(name, kind, executable, content)| (name.to_owned(), kind, executable, content.to_vec()));
    assert_eq!(contents(&zip(&parts)), expected);

    let forms: [fn(MadeMember) -> MadeMember; 4] = [
        |part| MadeMember { descriptor: true, ..part },
        |part| MadeMember { zip64: true, ..part },
        |part| MadeMember { zip64: true, descriptor: true, ..part },
        |part| MadeMember { local_extra: vec![0x55, 0x54, 5, 0, 3, 0, 0, 0, 0], ..part },
    ];
    for form in forms {
        assert_eq!(contents(&zip(&parts.clone().map(form))), expected);
    }
    // A self-extracting archive has a program before it.
    assert_eq!(contents(&[b"#!/bin/sh\nexit\n", &zip(&parts)[..]].concat()), expected);
}

#[test]
fn a_tree_has_parents_that_are_not_members() {
    let tree = tree(&zip(&[stored("a/b/c", "x"), stored("a/l", "b").mode(0o120_777)]));
    let paths: Vec<_> = tree.iter().map(|(path, _)| String::from_utf8_lossy(path).into_owned()).collect();
    assert_eq!(paths, ["a", "a/b", "a/b/c", "a/l"]);
    assert!(matches!(&tree.get(b"a/l").unwrap().kind, EntryKind::Symlink(target) if target == b"b"));
    assert_eq!(tree.get(b"a/b/c").unwrap().mode, 0o644);
}

#[test]
fn members_are_found_without_a_tree() {
    let (_directory, path) = on_disk(&zip(&[stored("a/b/c", "x"), stored("d", "")]));
    for (name, there) in
        [("", true), ("a", true), ("a/b", true), ("a/b/c", true), ("d", true), ("a/b/", false), ("e", false)]
    {
        assert_eq!(tree::provides(&path, name.as_bytes()).unwrap(), there, "{name}");
    }
    assert!(!tree::provides(&path, b"a/b/c/d").unwrap() && !tree::provides(&path, b"a/").unwrap());
}

#[test]
fn an_archive_without_members_is_valid() {
    assert!(opened(&zip(&[])).unwrap().members.is_empty());
    assert!(tree(&zip(&[])).is_empty());
}

#[test]
fn names_are_normalised() {
    let directory = |name| stored(name, "").mode(0o040_755);
    let parts =
        [directory("./"), directory("./d/"), stored("./d//x", ""), stored("d/é", ""), directory("d/")];
    assert_eq!(names(&zip(&parts)), ["d", "d/x", "d/é"], "the root and repeated directories are dropped");
}

/// The names of the members.
fn names(bytes: &[u8]) -> Vec<String> {
    opened(bytes).unwrap().members.into_iter().map(|member| member.name).collect()
}

/// Info-ZIP's Unicode path field for a name in a record.
fn unicode_path(raw: &[u8], name: &str) -> Vec<u8> {
    let length = 5 + name.len() as u16;
    [&[0x75, 0x70], &length.to_le_bytes()[..], &[1], &made::crc(raw).to_le_bytes(), name.as_bytes()].concat()
}

#[test]
fn names_in_other_encodings_are_read_as_by_unzip() {
    // `é` in code page 437, as old Windows tools and Python's zipfile read it.
    assert_eq!(names(&zip(&[stored(b"caf\x82.txt", "x"), stored(b"\xe1/\x9a", "y")])), ["café.txt", "ß/Ü"]);
    // UTF-8 without its flag, as macOS writes it.
    assert_eq!(names(&zip(&[stored("café.txt", "x")])), ["café.txt"]);

    let with = |raw: &[u8], extra: Vec<u8>| zip(&[MadeMember { extra, ..stored(raw, "x") }]);
    for raw in [&b"caf\x82.txt"[..], b"caf#U00e9.txt", b"caf?.txt"] {
        assert_eq!(names(&with(raw, unicode_path(raw, "café.txt"))), ["café.txt"]);
    }
    // The field of a tool that renamed the member and kept the field.
    assert_eq!(names(&with(b"new.txt", unicode_path(b"old.txt", "old.txt"))), ["new.txt"]);
    for field in [unicode_path(b"a", ""), unicode_path(b"a", "b")[..8].to_vec(), vec![0x75, 0x70, 1, 0, 1]] {
        assert_eq!(names(&with(b"a", field)), ["a"], "an invalid field is ignored");
    }
    let error = opened(&with(b"a", unicode_path(b"a", "../b"))).unwrap_err().to_string();
    assert!(error.ends_with("its name has a `..` in it"), "{error}");
}

#[test]
fn backslashes_separate_names_in_archives_of_dos_only() {
    let dos = |name: &str| MadeMember { system: 0, ..stored(name, "x") };
    let made = [MadeMember { system: 0, ..stored("dir\\", "") }, dos("dir\\sub\\a.txt"), dos("b.txt")];
    assert_eq!(names(&zip(&made)), ["dir", "dir/sub/a.txt", "b.txt"]);
    for name in ["a\\..\\..\\x", "..\\x"] {
        assert!(refused(dos(name)).ends_with("its name has a `..` in it"), "{name}");
    }
    assert!(refused(dos("a/b\\c")).ends_with("its name has a backslash in it"));
}

#[test]
fn copies_of_a_member_are_read_once() {
    let part = || deflated("META-INF/LICENSE", "text text text");
    let other = || stored("META-INF/LICENSE", "text text text").mode(0o100_755);
    let expected = |executable| {
        let content = b"text text text".to_vec();
        vec![("META-INF/LICENSE".to_owned(), ZipKind::File, executable, content)]
    };
    assert_eq!(contents(&zip(&[part(), part()])), expected(false));
    // The last of several copies with other modes or compression counts, as for `unzip -o`.
    assert_eq!(contents(&zip(&[part(), other()])), expected(true));
    assert_eq!(contents(&zip(&[other(), part(), part()])), expected(false));
    // Two records of the same data.
    assert_eq!(
        contents(&zip(&[part(), MadeMember { offset: Some(0), absent: true, ..part() }])),
        expected(false)
    );

    let error = opened(&zip(&[stored("a", "x"), stored("a", "y")])).unwrap_err().to_string();
    assert!(error.ends_with("another member has the same name and other content"), "{error}");
    // The same size and checksum as declared, but not the same content.
    let forged = MadeMember { crc32: Some(made::crc(b"x")), ..stored("a", "y") };
    let error = opened(&zip(&[stored("a", "x"), forged])).unwrap_err().to_string();
    assert!(error.ends_with("its checksum is not the one in the archive"), "{error}");
}

#[test]
fn data_around_an_archive_are_skipped() {
    let good = zip(&[stored("a", "x"), deflated("b", "y")]);
    let script = b"#!/bin/sh\nexec unzip \"$0\"\n";
    // Offsets that do not count the script; a comment-like rest after the archive.
    assert_eq!(names(&[script, &good[..]].concat()), ["a", "b"]);
    assert_eq!(names(&[&good[..], b"\n-- signature --\n"].concat()), ["a", "b"]);
    // Offsets that count the script.
    let offset = |part: MadeMember, at: u64| MadeMember { offset: Some(at + script.len() as u64), ..part };
    let parts = [offset(stored("a", "x"), 0), offset(deflated("b", "y"), 32)];
    let mut counted = [script, &zip(&parts)[..]].concat();
    let end = counted.len();
    let directory = u32::from_le_bytes(counted[end - 6..end - 2].try_into().unwrap()) + script.len() as u32;
    counted[end - 6..end - 2].copy_from_slice(&directory.to_le_bytes());
    assert_eq!(names(&counted), ["a", "b"]);
}

/// The error for an archive with a valid member and this one.
#[track_caller]
fn refused(part: MadeMember) -> String {
    let error = opened(&zip(&[stored("good", "x"), part])).unwrap_err();
    let text = error.to_string();
    let (start, end) = (text.find('`').unwrap(), text.find(" of /").unwrap());
    let fault = text.find("a.zip ").unwrap();
    format!("{} {}", &text[start..end], &text[fault + 6..])
}

#[test]
fn members_that_readers_disagree_on_are_refused() {
    for (name, fault) in [
        ("../x", "its name has a `..` in it"),
        ("a/../x", "its name has a `..` in it"),
        ("a/..", "its name has a `..` in it"),
        ("/x", "its name is an absolute path"),
        ("C:/x", "its name is an absolute path"),
        ("a\\x", "its name has a backslash in it"),
        ("..\\x", "its name has a backslash in it"),
        ("a\0b", "its name has a NUL byte in it"),
        ("", "it has no name"),
        (".", "it has no name"),
        ("good", "another member has the same name and other content"),
        ("./good", "another member has the same name and other content"),
        ("good/", "another member has the same name"),
        ("good/x", "it is below a member that is not a directory"),
    ] {
        assert_eq!(refused(stored(name, "")), format!("`{name}` cannot be unpacked: {fault}"));
    }
    let declared = MadeMember { flags: 1 << 11, ..stored(b"\xff", "") };
    assert!(refused(declared).ends_with("its name is not in UTF-8"));
    assert!(refused(stored("x".repeat(4096), "")).ends_with("its name is longer than a path can be"));
    let special = "`x` cannot be unpacked: it is neither a file, a directory nor a symbolic link";
    assert_eq!(refused(stored("x", "").mode(0o010_644)), special);
    let link = [stored("l", "/etc").mode(0o120_777), stored("l/x", "")];
    assert!(opened(&zip(&link)).unwrap_err().to_string().contains("below a member that is not a directory"));
}

#[test]
fn members_that_contradict_the_archive_are_refused() {
    let x = || stored("x", "text");
    for (part, fault) in [
        (MadeMember { size: Some(5), ..x() }, "it is stored, but its sizes differ"),
        (
            MadeMember { size: Some(1 << 40), zip64: true, ..deflated("x", "text") },
            "its declared size is more than its data can hold",
        ),
        (stored("x/", "text"), "it is a directory, but has content"),
        (stored("x", "a".repeat(4096)).mode(0o120_777), "it is a symbolic link to a path that is too long"),
        (MadeMember { offset: Some(1), ..x() }, "it shares bytes with another member"),
        (MadeMember { offset: Some(0), ..x() }, "it shares bytes with another member"),
        (
            MadeMember { offset: Some(u64::MAX), zip64: true, ..x() },
            "its data are not at the offset that the archive declares",
        ),
        (MadeMember { offset: Some(37), ..x() }, "its data are not at the offset that the archive declares"),
        (MadeMember { local_name: b"y".to_vec(), ..x() }, "the header before its data has another name"),
        (MadeMember { local_name: b"xy".to_vec(), ..x() }, "the header before its data has another name"),
        (
            MadeMember { length: Some(200), size: Some(200), ..x() },
            "its data extend into the archive's directory",
        ),
    ] {
        let name = String::from_utf8(part.name.clone()).unwrap();
        assert_eq!(refused(part), format!("`{name}` is broken: {fault}"));
    }
    let twice = [stored("a", "text"), MadeMember { length: Some(60), size: Some(60), ..stored("b", "text") }];
    let shared = zip(&[&twice[..], &[stored("c", "x".repeat(80))]].concat());
    let error = opened(&shared).unwrap_err().to_string();
    assert!(error.starts_with("`c` ") && error.ends_with("it shares bytes with another member"), "{error}");
}

#[test]
fn errors_name_unsupported_members() {
    assert_eq!(refused(MadeMember { flags: 1, ..stored("x", "") }), "`x` is encrypted");
    for method in [1, 9, 12, 14, 93, 99] {
        let text = refused(MadeMember { method, ..stored("x", "") });
        assert!(text.starts_with("`x` ") && text.contains(&format!("method {method},")), "{text}");
    }
}

#[test]
fn files_that_are_not_archives_are_refused() {
    let fault = |bytes: &[u8]| match opened(bytes).unwrap_err() {
        Error::Zip { fault, .. } => fault,
        error => panic!("{error}"),
    };
    let good = zip(&[stored("a", "x"), deflated("b", "y")]);
    assert_eq!(fault(b""), "there is no directory at its end");
    assert_eq!(fault(&[b'x'; 100_000]), "there is no directory at its end");
    assert_eq!(fault(&good[..good.len() - 30]), "there is no directory at its end");
    let mut fewer = good.clone();
    let count = fewer.len() - 12;
    fewer[count] = 1;
    assert_eq!(fault(&fewer), "its directory does not have the number of members that it declares");
    let place = good.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    let mut broken = good;
    broken[place + 49] ^= 0xff;
    assert_eq!(fault(&broken), "its directory is broken");
    assert!(matches!(open(Path::new("/nonexistent"), None), Err(Error::Read { .. })));
    assert!(matches!(open(Path::new("/"), None), Err(Error::Read { .. })));
}

#[test]
fn content_is_verified_against_the_archive() {
    let fault = |part: MadeMember| {
        let (_directory, path) = on_disk(&zip(&[part]));
        match read(&open(&path, None).unwrap().members[0].content).unwrap_err() {
            Error::ZipMember { fault, .. } => fault,
            error => panic!("{error}"),
        }
    };
    let x = || deflated("x", "text text text");
    assert_eq!(fault(MadeMember { crc32: Some(1), ..x() }), "its checksum is not the one in the archive");
    assert_eq!(
        fault(MadeMember { crc32: Some(1), ..stored("x", "y") }),
        "its checksum is not the one in the archive"
    );
    assert_eq!(fault(MadeMember { size: Some(13), ..x() }), "it is longer than the archive says");
    assert_eq!(fault(MadeMember { size: Some(15), ..x() }), "it is shorter than the archive says");
    assert_eq!(
        fault(MadeMember { size: Some(299), ..deflated("x", [b'a'; 300]) }),
        "it is longer than the archive says"
    );
    let cut = |data: &[u8]| data[..data.len() - 1].to_vec();
    assert_eq!(fault(MadeMember { data: cut(&x().data), ..x() }), "its deflate stream does not end");
    assert_eq!(
        fault(MadeMember { data: [&x().data[..], b"more"].concat(), ..x() }),
        "its deflate stream ends before its data ends"
    );
    assert_eq!(fault(MadeMember { data: vec![7; 20], ..x() }), "it is not a valid deflate stream");
    let large = vec![0; READ_LIMIT as usize + 1];
    assert_eq!(fault(deflated("x", large)), "it is larger than 16 MiB");
    let (_directory, path) = on_disk(&zip(&[x()]));
    let member = open(&path, None).unwrap().members.remove(0);
    fs::write(&path, "another").unwrap();
    assert!(matches!(read(&member.content), Err(Error::SourceChanged { .. })));
}

#[test]
fn an_archive_that_changes_after_it_was_hashed_is_an_error() {
    let (_directory, path) = on_disk(&zip(&[stored("a", "x")]));
    let alone = tree::alone(&path).unwrap();
    fs::write(&path, zip(&[stored("a", "longer")])).unwrap();
    assert!(matches!(tree::collect(&alone), Err(Error::SourceChanged { .. })));
}

fn part() -> impl Strategy<Value = MadeMember> {
    let content = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        (0usize..100_000, any::<u8>()).prop_map(|(size, byte)| vec![byte; size]),
    ];
    let form = (any::<[bool; 5]>(), 0u32..10, prop::collection::vec(any::<u8>(), 0..40));
    ("[a-c]{1,3}(/[a-c]{1,2}){0,3}", content, form).prop_map(|(name, content, (form, level, extra))| {
        let [deflated, descriptor, zip64, executable, unix] = form;
        let part = stored(name, content).mode(if executable { 0o100_755 } else { 0o100_644 });
        let extra = [&[0x99, 0x99, extra.len() as u8, 0], &extra[..]].concat();
        let part =
            MadeMember { descriptor, zip64, local_extra: extra, system: if unix { 3 } else { 0 }, ..part };
        match deflated {
            true => MadeMember { data: deflate(&part.content, level), method: 8, ..part },
            false => part,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_archive_is_read(parts in prop::collection::vec(part(), 0..12)) {
        let mut unique: Vec<MadeMember> = Vec::new();
        for part in parts {
            let clash = |a: &[u8], b: &[u8]| a == b || b.starts_with(&[a, b"/"].concat());
            if !unique.iter().any(|known| clash(&known.name, &part.name) || clash(&part.name, &known.name)) {
                unique.push(part);
            }
        }
        let found = contents(&zip(&unique));
        prop_assert_eq!(found.len(), unique.len());
        for (found, part) in found.iter().zip(&unique) {
            let executable = part.system == 3 && part.attributes >> 16 & 0o111 != 0;
            prop_assert_eq!(found.0.as_bytes(), &part.name[..]);
            prop_assert_eq!((found.1, found.2), (ZipKind::File, executable));
            prop_assert!(found.3 == part.content);
        }
    }
}
