use std::io::Read;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::tree::Content;

const EPOCH: u64 = 315_532_800;

fn file(bytes: &[u8]) -> Entry {
    Entry::file(Content::Bytes(Arc::from(bytes)), false)
}

fn header(path: &[u8], entry: &Entry) -> Vec<u8> {
    let mut out = Vec::new();
    super::header(path, entry, EPOCH, &mut out);
    out
}

/// A header with these parts at their offsets, and zeros elsewhere.
fn block(parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut block = vec![0; 512];
    for (offset, part) in parts {
        block[*offset..*offset + part.len()].copy_from_slice(part);
    }
    block
}

const IDS: (usize, &[u8]) = (108, b"0000000\x000000000\0");
const DEVICES: (usize, &[u8]) = (329, b"0000000\x000000000\0");
const MAGIC: (usize, &[u8]) = (257, b"ustar\x0000");
const TIME: (usize, &[u8]) = (136, b"02263523000\0");

#[test]
fn a_file_has_a_ustar_header() {
    let expected = block(&[
        (0, b"var/task/app.py"),
        (100, b"0000644\0"),
        IDS,
        (124, b"00000000005\0"),
        TIME,
        (148, b"012113\0 0"),
        MAGIC,
        DEVICES,
    ]);
    assert_eq!(header(b"var/task/app.py", &file(b"hello")), expected);
    let program = Entry::file(Content::Bytes(Arc::from(*b"")), true);
    assert_eq!(header(b"a", &program)[100..108], *b"0000755\0");
}

#[test]
fn a_directory_has_a_ustar_header() {
    let expected = block(&[
        (0, b"var/"),
        (100, b"0000755\0"),
        IDS,
        (124, b"00000000000\0"),
        TIME,
        (148, b"010024\0 5"),
        MAGIC,
        DEVICES,
    ]);
    assert_eq!(header(b"var", &Entry::directory()), expected);
}

#[test]
fn a_link_has_a_ustar_header() {
    let expected = block(&[
        (0, b"a"),
        (100, b"0000777\0"),
        IDS,
        (124, b"00000000000\0"),
        TIME,
        (148, b"010001\0 2"),
        (157, b"../x"),
        MAGIC,
        DEVICES,
    ]);
    assert_eq!(header(b"a", &Entry::symlink("../x")), expected);
}

#[test]
fn a_path_that_ustar_cannot_hold_has_a_pax_record() {
    let path = [b"d/".to_vec(), vec![b'n'; 101]].concat();
    let out = header(&path, &file(b""));
    assert_eq!(out.len(), 3 * 512);
    assert_eq!(out[156], b'x');
    assert_eq!(out[..100], [b"PaxHeaders/".to_vec(), vec![b'n'; 89]].concat()[..]);
    assert_eq!(out[124..136], *b"00000000161\0", "113 bytes of records");
    assert_eq!(out[512..625], [b"113 path=d/".to_vec(), vec![b'n'; 101], b"\n".to_vec()].concat()[..]);
    assert!(out[625..1024].iter().all(|&byte| byte == 0));
    assert_eq!(out[1024 + 156], b'0');
    assert_eq!(out[1024..1124], path[..100]);
}

#[test]
fn a_size_or_time_that_ustar_cannot_hold_has_a_pax_record() {
    let stat = |size| crate::tree::Stat { size, mtime_ns: 0, ctime_ns: 0, ino: 0, dev: 0 };
    let source = |size| {
        let source =
            crate::tree::SourceFile { path: "x".into(), stat: stat(size), sha256: None, lasting: false };
        Entry::file(Content::File(source), false)
    };
    let small = header(b"a", &source(8 << 30));
    assert_eq!(small[512..531], *b"19 size=8589934592\n");
    assert_eq!(small[1024 + 124..1024 + 136], *b"00000000000\0");
    let most = header(b"a", &source((8 << 30) - 1));
    assert_eq!((most.len(), &most[124..136]), (512, &b"77777777777\0"[..]));
    let mut late = Vec::new();
    super::header(b"a", &file(b""), 1 << 33, &mut late);
    assert_eq!(late[512..532], *b"20 mtime=8589934592\n");
}

#[test]
fn a_record_counts_its_own_length() {
    for (value, expected) in [(1, 6), (92, 98), (93, 99), (94, 101)] {
        let mut out = Vec::new();
        record(b"k", &vec![b'v'; value], &mut out);
        let length: usize = std::str::from_utf8(&out[..out.iter().position(|&b| b == b' ').unwrap()])
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(length, out.len());
        assert_eq!(length, expected, "{value}");
    }
}

/// An archive of `tree`, as the layer writer makes it.
fn archive(tree: &FileTree) -> Vec<u8> {
    let mut out = Vec::new();
    for (path, entry) in entries(tree).unwrap() {
        super::header(path, entry, EPOCH, &mut out);
        if let EntryKind::File(Content::Bytes(bytes)) = &entry.kind {
            out.extend_from_slice(bytes);
            out.resize(out.len() + padding(bytes.len() as u64), 0);
        }
    }
    out.extend_from_slice(&END);
    out
}

/// Path, target and content of each entry, by an independent reader.
fn read(archive: &[u8]) -> Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> {
    let mut archive = ::tar::Archive::new(archive);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        assert_eq!((entry.header().uid().unwrap(), entry.header().mtime().unwrap()), (0, EPOCH));
        let target = entry.link_name_bytes().map(|target| target.into_owned()).unwrap_or_default();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (entry.path_bytes().into_owned(), target, content)
    });
    entries.collect()
}

/// A path of exactly `length` bytes with a `/` before the last `name` bytes.
fn long(length: usize, name: usize) -> Vec<u8> {
    let mut path = vec![b'p'; length];
    path[length - name - 1] = b'/';
    path
}

#[test]
fn long_paths_are_split_where_ustar_allows_it() {
    // Length, length of the name, whether pax is needed.
    let cases = [
        (100, 50, false),
        (101, 50, false),
        (155, 100, false),
        (155, 101, true),
        (256, 100, false),
        (256, 99, true),
        (256, 101, true),
        (257, 100, true),
        (257, 101, true),
        (1000, 100, true),
    ];
    for (length, name, pax) in cases {
        let path = long(length, name);
        let out = header(&path, &file(b""));
        assert_eq!(out.len(), if pax { out.len().max(1536) } else { 512 }, "{length} {name}");
        let mut tree = FileTree::new();
        tree.insert(path.clone(), file(b"x")).unwrap();
        assert_eq!(read(&archive(&tree)).last().unwrap().0, path);

        // A directory's `/` counts as a byte of its name.
        let out = header(&path, &Entry::directory());
        let pax = pax || name == 100;
        assert_eq!(out.len() > 512, pax, "directory of {length} {name}");
    }
    assert_eq!(header(&[b'p'; 100], &Entry::directory()).len(), 1536, "101 bytes that cannot be split");
}

#[test]
fn long_targets_have_a_pax_record() {
    for (length, blocks) in [(100, 1), (101, 3), (600, 4)] {
        let target = vec![b't'; length];
        let mut tree = FileTree::new();
        tree.insert("a", Entry::symlink(target.clone())).unwrap();
        assert_eq!(header(b"a", tree.get(b"a").unwrap()).len(), blocks * 512);
        assert_eq!(read(&archive(&tree)), [(b"a".to_vec(), target, Vec::new())]);
    }
}

#[test]
fn names_that_are_not_utf8_are_kept() {
    let latin = b"caf\xe9".to_vec();
    assert_eq!(header(&latin, &file(b"")).len(), 512);
    let long = [latin.repeat(30), b"/x".to_vec()].concat();
    assert_eq!(header(&long, &file(b"")).len(), 512);
    let longer = latin.repeat(30);
    let out = header(&longer, &file(b""));
    assert_eq!(out[512..533], *b"21 hdrcharset=BINARY\n");
    let utf8 = "é".repeat(60);
    assert!(header(utf8.as_bytes(), &file(b""))[512..].starts_with(b"130 path="));
}

#[test]
fn parents_come_once_before_their_children() {
    let mut tree = FileTree::new();
    for path in ["a/b/x", "a/b/y", "a-b", "a/z/deep/er", "a.c/q"] {
        tree.insert(path, file(b"")).unwrap();
    }
    tree.insert("a/b", Entry { mode: 0o700, ..Entry::directory() }).unwrap();
    let entries = entries(&tree).unwrap();
    let paths: Vec<_> = entries.iter().map(|(path, _)| std::str::from_utf8(path).unwrap()).collect();
    let expected = ["a", "a-b", "a.c", "a.c/q", "a/b", "a/b/x", "a/b/y", "a/z", "a/z/deep", "a/z/deep/er"];
    assert_eq!(paths, expected);
    assert_eq!(entries[0].1.mode, 0o755);
    assert_eq!(entries[4].1.mode, 0o700, "a directory of the tree is not changed");
    assert!(matches!(entries[7].1.kind, EntryKind::Directory));
}

#[test]
fn an_entry_below_something_other_than_a_directory_is_refused() {
    for above in [file(b""), Entry::symlink("b")] {
        let mut tree = FileTree::new();
        tree.insert("a", above).unwrap();
        tree.insert("a/b/c", file(b"")).unwrap();
        let error = entries(&tree).unwrap_err();
        assert!(
            matches!(error, crate::error::Error::ImagePath { ref path, .. } if path == "a/b/c"),
            "{error}"
        );
    }
}

/// The paths that an archive should have, by a simple algorithm; `None` if an entry is below something other than a
/// directory.
fn expected(tree: &FileTree) -> Option<BTreeSet<Vec<u8>>> {
    let mut paths = BTreeSet::new();
    for (path, _) in tree.iter() {
        paths.insert(path.to_vec());
        for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            if tree.get(&path[..at]).is_some_and(|above| !matches!(above.kind, EntryKind::Directory)) {
                return None;
            }
            paths.insert(path[..at].to_vec());
        }
    }
    Some(paths)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn all_parents_are_present_in_order(
        files in prop::collection::vec((prop::collection::vec("[ab][-.]?", 1..5), 0..4_u8), 1..12),
    ) {
        let mut tree = FileTree::new();
        for (names, kind) in files {
            let entry = if kind == 0 { file(b"") } else { Entry::directory() };
            tree.insert(names.join("/"), entry).unwrap();
        }
        let found: Option<Vec<Vec<u8>>> =
            entries(&tree).ok().map(|entries| entries.iter().map(|(path, _)| path.to_vec()).collect());
        prop_assert_eq!(found, expected(&tree).map(|paths| paths.into_iter().collect()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn written_entries_are_read_back(
        files in prop::collection::vec(
            (prop::collection::vec("[a-c\u{e9}]{1,130}", 1..4), prop::collection::vec(any::<u8>(), 0..1100), any::<bool>()),
            1..6,
        ),
    ) {
        let mut tree = FileTree::new();
        for (names, content, link) in files {
            let path = names.join("/");
            // The name of a leaf has a letter that no parent has.
            let entry = if link { Entry::symlink(path.clone()) } else { file(&content) };
            tree.insert(format!("{path}z"), entry).unwrap();
        }
        let archive = archive(&tree);
        prop_assert_eq!(archive.len() % 512, 0);
        let read = read(&archive);
        let expected: Vec<_> = entries(&tree).unwrap().into_iter().map(|(path, entry)| match &entry.kind {
            EntryKind::File(Content::Bytes(bytes)) => (path.to_vec(), Vec::new(), bytes.to_vec()),
            EntryKind::Symlink(target) => (path.to_vec(), target.clone(), Vec::new()),
            _ => ([path, b"/"].concat(), Vec::new(), Vec::new()),
        }).collect();
        prop_assert_eq!(read, expected);
    }
}
