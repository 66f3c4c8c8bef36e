use std::io::SeekFrom;
use std::ops::ControlFlow;

use super::*;
use crate::image::{Compression, Digest};
use crate::layer::{self, WriteOptions};
use crate::tree::{Entry, EntryKind, FileTree};

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

fn scanned(entries: Vec<(&str, Entry)>) -> LayerScan<String> {
    let tree =
        FileTree::of(entries.into_iter().map(|(path, entry)| (path.as_bytes().to_vec(), entry))).unwrap();
    let mut out = Vec::new();
    let options = WriteOptions { epoch: 0, jobs: 1, progress: &|_| ControlFlow::Continue(()) };
    let written = layer::write(&tree, &options, &mut out).unwrap();
    let scan = LayerScan::of(&out[..], Compression::Gzip, 1 << 30, &Facts, |_| Ok(())).unwrap();
    assert_eq!((scan.diff_id, scan.uncompressed), (written.diff_id, written.uncompressed));
    scan
}

fn file(content: &[u8]) -> Entry {
    Entry::file(crate::tree::Content::Bytes(content.into()), true)
}

#[test]
fn what_was_written_is_found_again() {
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
    assert_eq!(member("a/big.py").facts(), [format!("a/big.py {SHOWN}")], "no more is shown");
    assert_eq!(member("a/big.py").sha256(), Some(Digest::of(&big)));
    assert_eq!(member("bin/text").code(), None);
    let script = Code::Script("/usr/bin/env python3".to_owned());
    assert_eq!(member("bin/script").code(), Some(&script));
    // The test itself is a program of some size, and linked to a C library.
    let elf = member("bin/program").elf().expect("machine code");
    assert!(elf.interpreter.is_some() && elf.needed.iter().any(|name| name.starts_with("libc.")), "{elf:?}");
    assert!(
        elf.machine.is_computer() && (elf.needs_glibc > Some((2, 2)) || cfg!(target_env = "musl")),
        "{elf:?}"
    );
}

#[test]
fn the_whole_of_a_file_is_read_in_place() {
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    // More than is kept in memory.
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
    for scan in [&scan, &LayerScan::of_tree(&tree, scan.diff_id, &Facts, 2).unwrap().0] {
        let member = |path: &str| scan.members.iter().find(|member| member.path == path).unwrap();
        assert_eq!(member("a/big.jar").facts(), [format!("a/big.jar {} ends in 7", (9 << 20) + 1)]);
        assert_eq!(member("a/small.jar").facts(), ["a/small.jar 3 ends in 99"]);
        assert_eq!(member("a/empty.jar").facts(), [""; 0]);
        assert_eq!(member("a/program.py").facts(), [format!("a/program.py {SHOWN}")]);
        assert!(member("b/program").elf().is_some(), "what came before is forgotten");
    }
}

/// Files on disk, one of which is looked into because it may be executed.
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
fn what_was_found_in_files_is_good_without_them() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    for (name, text) in [("app.py", "x = 1"), ("bin-script", "#!/bin/sh"), ("text", "hello")] {
        write(name, text);
    }
    let tree = on_disk(dir.path()).under(b"var/task").unwrap();
    let diff_id = Digest::of(b"");
    let (scan, found) = LayerScan::of_tree(&tree, diff_id, &Facts, 2).unwrap();
    let kept = serde_json::to_vec(&found.unwrap()).unwrap();

    write("app.py", "x = 22");
    assert!(LayerScan::of_tree(&tree, diff_id, &Facts, 2).unwrap().1.is_none(), "it is another file now");
    std::fs::remove_file(dir.path().join("app.py")).unwrap();
    let (lacking, found) = LayerScan::of_tree(&tree, diff_id, &Facts, 2).unwrap();
    assert!(found.is_none() && lacking != scan);
    let found: RecognizedFiles<String> = serde_json::from_slice(&kept).unwrap();
    assert_eq!(LayerScan::of_known_tree(&tree, diff_id, &found, 2).unwrap(), scan);
    // Whether a tree spells its directories out makes no other layer.
    let spelled = scan.members.iter().filter(|member| member.is_directory());
    let mut whole: FileTree =
        FileTree::of(spelled.map(|dir| (dir.path.as_bytes().to_vec(), Entry::directory()))).unwrap();
    whole.extend(tree);
    assert_eq!(LayerScan::of_known_tree(&whole, diff_id, &found, 2).unwrap(), scan);
}

#[test]
fn many_entries_are_looked_into_by_several_threads() {
    let files = (0..9000).map(|number| {
        let content = crate::tree::Content::Bytes(vec![b'#'; number % 7].into());
        (format!("a/{number}.py").into_bytes(), Entry::file(content, false))
    });
    let tree = FileTree::of(files).unwrap();
    let (scan, found) = LayerScan::of_tree(&tree, Digest::of(b""), &Facts, 2).unwrap();
    assert_eq!(scan.members.len(), 9001);
    for member in &scan.members[1..] {
        assert_eq!(member.facts(), [format!("{} {}", member.path, member.size())]);
    }
    assert_eq!(LayerScan::of_known_tree(&tree, Digest::of(b""), &found.unwrap(), 2).unwrap(), scan);
}

#[test]
fn it_is_kept_as_it_is() {
    let scan = scanned(vec![("a/app.py", file(b"x = 1")), ("bin/script", file(b"#!/bin/sh"))]);
    let text = serde_json::to_vec(&scan).unwrap();
    assert_eq!(serde_json::from_slice::<LayerScan<String>>(&text).unwrap(), scan);
}
