use std::io::{SeekFrom, Write};
use std::ops::ControlFlow;

use super::written::Glance;
use super::*;
use crate::image::{Blob, Compression, Digest, Layer};
use crate::layer::{self, Peek, WriteOptions};
use crate::tree::{Device, Entry, EntryKind, FileTree, SourceFile, ZipContent};

struct Facts;

impl Annotate for Facts {
    type Fact = String;

    fn name(&self) -> String {
        "test".to_owned()
    }

    fn wants(&self, path: &str) -> Wanted {
        match path.rsplit('.').next() {
            Some("py") => Wanted::Beginning,
            Some("jar") => Wanted::Whole,
            _ => Wanted::Nothing,
        }
    }

    fn facts(&self, path: &str, content: &[u8]) -> Vec<String> {
        vec![format!("{path} {}", content.len())]
    }

    /// The size, and the last byte.
    fn facts_of_whole(&self, path: &str, file: &mut dyn ReadSeek) -> Vec<String> {
        let size = file.seek(SeekFrom::End(0)).unwrap();
        if size == 0 {
            return Vec::new();
        }
        let mut last = [0];
        file.seek(SeekFrom::Start(size - 1)).unwrap();
        file.read_exact(&mut last).unwrap();
        vec![format!("{path} {size} ends in {}", last[0])]
    }
}

fn budget() -> MemoryBudget<String> {
    MemoryBudget::of_command(|_| 64)
}

fn scanned(entries: Vec<(&str, Entry)>) -> LayerScan<String> {
    let tree =
        FileTree::of(entries.into_iter().map(|(path, entry)| (path.as_bytes().to_vec(), entry))).unwrap();
    let mut out = Vec::new();
    let options = WriteOptions { epoch: 0, jobs: 1, progress: &|_| ControlFlow::Continue(()) };
    let written = layer::write(&tree, &options, &mut out).unwrap();
    let scan = LayerScan::of(&out[..], Compression::Gzip, 1 << 30, &Facts, &budget(), |_| Ok(())).unwrap();
    assert_eq!((scan.diff_id, scan.uncompressed), (written.diff_id, written.uncompressed));
    assert_eq!(scan.stored, out.len() as u64);
    scan
}

/// The layer that was scanned.
fn layer_of(scan: &LayerScan<String>) -> Layer {
    let mut layer = any_layer();
    (layer.diff_id, layer.blob.size) = (scan.diff_id, scan.stored);
    layer
}

fn any_layer() -> Layer {
    Layer { blob: Blob::from_bytes(Vec::new()), diff_id: Digest::of(b""), key: None }
}

fn file(content: &[u8]) -> Entry {
    Entry::file(crate::tree::Content::Bytes(content.into()), true)
}

#[test]
fn a_scan_lists_the_written_members() {
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let big = vec![1; 3 << 20];
    let scan = scanned(vec![
        ("a/app.py", file(b"x = 1")),
        ("a/big.py", file(&big)),
        ("a/link", Entry::symlink("../b")),
        ("bin/program", file(&program)),
        ("bin/script", file(b"#!/usr/bin/env python3\nprint()")),
        ("bin/text", file(b"hello")),
    ]);
    let paths: Vec<&str> = scan.members.iter().map(|member| member.path.as_str()).collect();
    let expected = ["a", "a/app.py", "a/big.py", "a/link", "bin", "bin/program", "bin/script", "bin/text"];
    assert_eq!(paths, expected);
    let member = |path: &str| scan.members.iter().find(|member| member.path == path).unwrap();
    assert_eq!(member("a").entry.kind, EntryKind::Directory);
    assert_eq!(member("a/link").entry.kind, EntryKind::Symlink("../b".into()));
    assert_eq!(member("a/app.py").facts(), ["a/app.py 5"]);
    assert_eq!(
        member("a/big.py").facts(),
        [format!("a/big.py {BEGINNING_LIMIT}")],
        "only the beginning is shown"
    );
    assert_eq!(member("a/big.py").sha256(), Some(Digest::of(&big)));
    assert_eq!(member("bin/text").code(), None);
    let script = Code::Script("/usr/bin/env python3".to_owned());
    assert_eq!(member("bin/script").code(), Some(&script));
    // The test itself is a large program that is linked to a C library.
    let elf = member("bin/program").elf().expect("machine code");
    assert!(elf.interpreter.is_some() && elf.needed.iter().any(|name| name.starts_with("libc.")), "{elf:?}");
    assert!(
        elf.machine.is_computer() && (elf.needs_glibc > Some((2, 2)) || cfg!(target_env = "musl")),
        "{elf:?}"
    );
}

#[test]
fn a_whole_file_is_read_on_request() {
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    // Larger than the part that is kept in memory.
    let mut big = vec![1; 9 << 20];
    big.push(7);
    let entries = || {
        vec![
            ("a/big.jar", file(&big)),
            ("a/empty.jar", file(b"")),
            ("a/program.py", file(&program)),
            ("a/small.jar", file(b"abc")),
            ("b/program", file(&program)),
        ]
    };
    let tree =
        FileTree::of(entries().into_iter().map(|(path, entry)| (path.as_bytes().to_vec(), entry))).unwrap();
    let scan = scanned(entries());
    for scan in [&scan, &LayerScan::of_tree(&tree, &layer_of(&scan), None, &Facts, &budget(), 2).unwrap().0] {
        let member = |path: &str| scan.members.iter().find(|member| member.path == path).unwrap();
        assert_eq!(member("a/big.jar").facts(), [format!("a/big.jar {} ends in 7", (9 << 20) + 1)]);
        assert_eq!(member("a/small.jar").facts(), ["a/small.jar 3 ends in 99"]);
        assert_eq!(member("a/empty.jar").facts(), [""; 0]);
        assert_eq!(member("a/program.py").facts(), [format!("a/program.py {BEGINNING_LIMIT}")]);
        assert!(member("b/program").elf().is_some(), "each file is inspected separately");
    }
}

/// Files on disk, one of which is inspected because it is executable.
fn on_disk(dir: &std::path::Path) -> FileTree {
    let files = ["app.py", "bin/script", "text"].map(|name| {
        let path = dir.join(name.replace('/', "-"));
        let stat = (&std::fs::metadata(&path).unwrap()).into();
        let file = crate::tree::SourceFile { path, stat, sha256: None, lasting: false };
        (name.as_bytes().to_vec(), Entry::file(crate::tree::Content::File(file), name == "bin/script"))
    });
    FileTree::of(files).unwrap()
}

#[test]
fn kept_facts_need_no_files() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    for (name, text) in [("app.py", "x = 1"), ("bin-script", "#!/bin/sh"), ("text", "hello")] {
        write(name, text);
    }
    let tree = on_disk(dir.path()).under(b"var/task").unwrap();
    let layer = any_layer();
    let (scan, found) = LayerScan::of_tree(&tree, &layer, None, &Facts, &budget(), 2).unwrap();
    let kept = serde_json::to_vec(&found.unwrap()).unwrap();

    write("app.py", "x = 22");
    assert!(
        LayerScan::of_tree(&tree, &layer, None, &Facts, &budget(), 2).unwrap().1.is_none(),
        "the file has changed"
    );
    std::fs::remove_file(dir.path().join("app.py")).unwrap();
    let (lacking, found) = LayerScan::of_tree(&tree, &layer, None, &Facts, &budget(), 2).unwrap();
    assert!(found.is_none() && lacking != scan);
    let found: RecognizedFiles<String> = serde_json::from_slice(&kept).unwrap();
    assert_eq!(LayerScan::of_known_tree(&tree, &layer, &found, &budget(), 2).unwrap(), scan);
    // A tree with explicit directories gives the same layer.
    let spelled = scan.members.iter().filter(|member| member.is_directory());
    let mut whole: FileTree =
        FileTree::of(spelled.map(|dir| (dir.path.as_bytes().to_vec(), Entry::directory()))).unwrap();
    whole.extend(tree);
    assert_eq!(LayerScan::of_known_tree(&whole, &layer, &found, &budget(), 2).unwrap(), scan);
}

#[test]
fn many_entries_are_inspected_by_several_threads() {
    let files = (0..9000).map(|number| {
        let content = crate::tree::Content::Bytes(vec![b'#'; number % 7].into());
        (format!("a/{number}.py").into_bytes(), Entry::file(content, false))
    });
    let tree = FileTree::of(files).unwrap();
    let (scan, found) = LayerScan::of_tree(&tree, &any_layer(), None, &Facts, &budget(), 2).unwrap();
    assert_eq!(scan.members.len(), 9001);
    for member in &scan.members[1..] {
        assert_eq!(member.facts(), [format!("{} {}", member.path, member.size())]);
    }
    assert_eq!(LayerScan::of_known_tree(&tree, &any_layer(), &found.unwrap(), &budget(), 2).unwrap(), scan);
}

fn record(scan: &LayerScan<String>) -> Vec<u8> {
    let mut record = Vec::new();
    scan.write(&mut record).unwrap();
    record
}

#[test]
fn a_record_gives_the_same_scan() {
    let scan = scanned(vec![("a/app.py", file(b"x = 1")), ("bin/script", file(b"#!/bin/sh"))]);
    let budget = budget();
    assert_eq!(LayerScan::read(&record(&scan)[..], &budget).unwrap(), Some(scan.clone()));
    assert!(budget.taken() > scan.members.len() * 100, "{}", budget.taken());
    budget.release(&scan.members);
    assert_eq!(budget.taken(), 0);
}

#[test]
fn a_damaged_record_is_not_a_scan() {
    let scan = scanned(vec![("a/app.py", file(b"x = 1")), ("bin/script", file(b"#!/bin/sh"))]);
    let (record, budget) = (record(&scan), budget());
    let read = |bytes: &[u8]| LayerScan::<String>::read(bytes, &budget).unwrap();
    for at in 0..record.len() {
        assert_eq!(read(&record[..at]), None, "cut at {at}");
        for bit in [1, 32] {
            let mut damaged = record.clone();
            damaged[at] ^= bit;
            assert_eq!(read(&damaged), None, "byte {at}");
        }
    }
    assert_eq!(budget.taken(), 0, "an unreadable record takes no memory");
}

#[test]
fn a_scan_beyond_the_budget_is_refused() {
    let entries = || (0..100).map(|number| (format!("{number:03}.txt"), file(b""))).collect::<Vec<_>>();
    let scan = |budget: &MemoryBudget<String>| {
        let entries = entries().into_iter().map(|(path, entry)| (path.into_bytes(), entry));
        let tree = FileTree::of(entries).unwrap();
        LayerScan::of_tree(&tree, &any_layer(), None, &Facts, budget, 1).map(|(scan, _)| scan)
    };
    let all = budget();
    let whole = scan(&all).unwrap();
    let record = record(&whole);
    let tight = |bytes| MemoryBudget::new(bytes, |_| 64);
    let is_refused = |error| matches!(error, crate::Error::TooManyFiles { .. });
    for (bytes, fits) in [(all.taken(), true), (all.taken() - 1, false)] {
        let budget = tight(bytes);
        assert_eq!(scan(&budget).is_ok(), fits);
        assert_eq!(budget.taken(), if fits { bytes } else { 0 }, "a failed scan takes no memory");
        let read = LayerScan::<String>::read(&record[..], &tight(bytes));
        assert!(if fits { read.unwrap().is_some() } else { is_refused(read.unwrap_err()) });
    }
    // Two scans share a budget.
    let budget = tight(2 * all.taken() - 1);
    scan(&budget).unwrap();
    assert!(is_refused(scan(&budget).unwrap_err()));
}

/// A member of an archive with this content, deflated or stored.
fn in_archive(dir: &std::path::Path, content: &[u8], deflated: bool) -> crate::tree::Content {
    let path = dir.join(format!("{}-{deflated}.zip", Digest::of(content)));
    let data = match deflated {
        true => {
            let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            deflate.write_all(content).unwrap();
            deflate.finish().unwrap()
        }
        false => content.to_vec(),
    };
    if !path.exists() {
        std::fs::write(&path, [b"before ", &data[..]].concat()).unwrap();
    }
    let stat = (&std::fs::metadata(&path).unwrap()).into();
    let mut crc = flate2::Crc::new();
    crc.update(content);
    crate::tree::Content::Zip(ZipContent {
        archive: SourceFile { path, stat, sha256: None, lasting: false }.into(),
        name: b"member".as_slice().into(),
        deflated,
        offset: 7,
        length: data.len() as u64,
        size: content.len() as u64,
        crc32: crc.sum(),
    })
}

/// The paths of files with facts, and the facts.
fn recognized(scan: &LayerScan<String>) -> Vec<(&str, &Recognized<String>)> {
    scan.members
        .iter()
        .filter_map(|member| Some((member.path.as_str(), member.file()?.recognized()?)))
        .collect()
}

#[test]
fn a_file_gives_the_same_facts_from_any_location() {
    let dir = tempfile::tempdir().unwrap();
    // Larger than the part that is kept in memory, and truncated because the whole takes long to inflate.
    let mut program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    program.truncate(5 << 20);
    let big = [&vec![1; 9 << 20][..], &[7]].concat();
    let files: [(&str, &[u8], bool); 8] = [
        ("app.py", b"x = 1", false),
        ("big.jar", &big, false),
        ("bin/program", &program, true),
        ("bin/script", b"#!/bin/sh\n", true),
        ("data.elf", &program, false),
        ("lib.so.1", &program, false),
        ("program", &program, false),
        ("text.txt", b"#!/bin/sh\n", false),
    ];
    let tree = |content: &dyn Fn(&[u8]) -> crate::tree::Content| {
        let files = files.iter().map(|(path, bytes, executable)| {
            (path.as_bytes().to_vec(), Entry::file(content(bytes), *executable))
        });
        FileTree::of(files).unwrap()
    };
    let in_memory = tree(&|bytes| crate::tree::Content::Bytes(bytes.into()));
    let stored = scanned(
        files
            .iter()
            .map(|(path, bytes, executable)| {
                (*path, Entry::file(crate::tree::Content::Bytes((*bytes).into()), *executable))
            })
            .collect(),
    );
    let paths: Vec<&str> = recognized(&stored).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["app.py", "big.jar", "bin/program", "bin/script", "lib.so.1", "program"]);
    let zipped = [true, false].map(|deflated| tree(&|bytes| in_archive(dir.path(), bytes, deflated)));
    for tree in [&in_memory, &zipped[0], &zipped[1]] {
        let (scan, found) = LayerScan::of_tree(tree, &layer_of(&stored), None, &Facts, &budget(), 1).unwrap();
        assert_eq!(recognized(&scan), recognized(&stored));
        assert_eq!(found.map(|found| found.len()), Some(6));
        assert_eq!((scan.uncompressed, scan.stored), (stored.uncompressed, stored.stored));
    }
    // The code of members is collected while the layer is written.
    for tree in zipped {
        let mut code = CodeCollector::default();
        let options = WriteOptions { epoch: 0, jobs: 1, progress: &|_| ControlFlow::Continue(()) };
        layer::write_seen(&tree, &options, &mut Vec::new(), &mut code).unwrap();
        let code = code.finish();
        assert_eq!(code.len(), 4);
        let (scan, found) =
            LayerScan::of_tree(&tree, &layer_of(&stored), Some(&code), &Facts, &budget(), 1).unwrap();
        assert_eq!((recognized(&scan), found.map(|found| found.len())), (recognized(&stored), Some(6)));
    }
}

#[test]
fn machine_code_above_the_limit_is_not_code_and_a_script_is() {
    let seen = |beginning: &[u8]| {
        let mut code = CodeCollector::default();
        assert!(code.begin(b"bin/x", 0o755, spool::KEPT_LIMIT + 1));
        code.piece(&[beginning, &[b' '; 600]].concat());
        code.end();
        code.finish().len()
    };
    assert_eq!((seen(&elf::tests::library_with_gaps(0, 0, 0)), seen(b"#!/bin/sh\n")), (0, 1));
}

#[test]
fn tables_are_found_anywhere_in_a_file() {
    const FAR: usize = 9 << 20;
    let dir = tempfile::tempdir().unwrap();
    for (before, between, after, is_complete) in [
        (0, 0, 0, true),
        (0, 0, FAR, true),
        (0, FAR, 0, true),
        (0, FAR, FAR, true),
        (FAR, 0, 0, true),
        (6 << 20, 0, 1 << 20, true),
        (FAR, 0, FAR, false),
    ] {
        let library = elf::tests::library_with_gaps(before, between, after);
        let content = in_archive(dir.path(), &library, false);
        let tree = FileTree::of([(b"lib.so".to_vec(), Entry::file(content, false))]).unwrap();
        let mut code = CodeCollector::default();
        assert!(code.begin(b"lib.so", 0o644, library.len() as u64));
        library.chunks(32 << 10).for_each(|piece| code.piece(piece));
        code.end();
        let code = code.finish();
        let glance = code.get(&b"lib.so"[..]).unwrap();
        assert_eq!(matches!(glance, Glance::Code(_)), is_complete, "{before} {between} {after}");
        let (scan, _) = LayerScan::of_tree(&tree, &any_layer(), Some(&code), &Facts, &budget(), 1).unwrap();
        let [(_, found)] = recognized(&scan)[..] else { panic!("one file") };
        let Some(Code::Elf(elf)) = &found.code else { panic!("not code") };
        let facts = (elf.needs_glibc, &*elf.needed);
        assert_eq!(facts, (Some((2, 34)), &["libc.so.6".to_owned()][..]), "{before} {between} {after}");
    }
}

#[test]
fn a_broken_member_of_an_archive_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let crate::tree::Content::Zip(member) = in_archive(dir.path(), &b"ab".repeat(1000), true) else {
        panic!("not a member of an archive")
    };
    let scan = |member: ZipContent| {
        let content = crate::tree::Content::Zip(member);
        let tree = FileTree::of([(b"a.jar".to_vec(), Entry::file(content, false))]).unwrap();
        let (scan, found) = LayerScan::of_tree(&tree, &any_layer(), None, &Facts, &budget(), 1).unwrap();
        (recognized(&scan).len(), found.is_some())
    };
    assert_eq!(scan(member.clone()), (1, true));
    assert_eq!(scan(ZipContent { crc32: 1, ..member.clone() }), (0, false));
    assert_eq!(scan(ZipContent { size: member.size - 1, ..member.clone() }), (0, false));
    assert_eq!(scan(ZipContent { length: member.length - 1, ..member.clone() }), (0, false));
    std::fs::write(&member.archive.path, "another").unwrap();
    assert_eq!(scan(member), (0, false));
}

#[test]
fn deletions_of_a_tree_are_members_as_in_its_archive() {
    let directory = Entry { uid: 7, ..Entry::new(EntryKind::Opaque, 0o750) };
    let entries = vec![
        ("a", directory),
        ("a/b", Entry::new(EntryKind::Whiteout, 0o644)),
        ("c.py", file(b"x = 1")),
        ("d", Entry::new(EntryKind::Device(Device::Fifo), 0o600)),
    ];
    let tree = FileTree::of(entries.iter().map(|(path, entry)| (path.as_bytes().to_vec(), entry.clone())));
    let tree = tree.unwrap();
    let stored = scanned(entries);
    let (scan, found) = LayerScan::of_tree(&tree, &layer_of(&stored), None, &Facts, &budget(), 1).unwrap();
    let plain = |scan: &LayerScan<String>| {
        let members = scan.members.iter().cloned();
        members
            .map(|member| member.map_content(|file| (file.size, file.recognized().cloned())))
            .collect::<Vec<_>>()
    };
    assert_eq!(plain(&scan), plain(&stored));
    let names: Vec<_> = scan.members.iter().map(|member| member.archive_name().into_owned()).collect();
    assert_eq!(names, ["a", "a/.wh..wh..opq", "a/.wh.b", "c.py", "d"]);
    assert_eq!(
        LayerScan::of_known_tree(&tree, &layer_of(&stored), &found.unwrap(), &budget(), 1).unwrap(),
        scan
    );
}
