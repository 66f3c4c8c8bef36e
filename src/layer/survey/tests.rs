use std::ops::ControlFlow;

use super::*;
use crate::layer::{self, Entry, FileTree, WriteOptions};

struct Notes;

impl Annotate for Notes {
    fn name(&self) -> String {
        "test".to_owned()
    }

    fn wants(&self, path: &str) -> bool {
        path.ends_with(".py")
    }

    fn notes(&self, path: &str, content: &[u8]) -> Vec<String> {
        vec![format!("{path} {}", content.len())]
    }
}

fn surveyed(entries: Vec<(&str, Entry)>) -> Survey {
    let tree =
        FileTree::of(entries.into_iter().map(|(path, entry)| (path.as_bytes().to_vec(), entry))).unwrap();
    let mut out = Vec::new();
    let options = WriteOptions { epoch: 0, jobs: 1, progress: &|_| ControlFlow::Continue(()) };
    let written = layer::write(&tree, &options, &mut out).unwrap();
    let survey = Survey::of(&out[..], Compression::Gzip, 1 << 30, &Notes, |_| Ok(())).unwrap();
    assert_eq!((survey.diff_id, survey.uncompressed), (written.diff_id, written.uncompressed));
    survey
}

fn file(content: &[u8]) -> Entry {
    Entry::file(layer::Content::Bytes(content.into()), true)
}

#[test]
fn what_was_written_is_found_again() {
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let big = vec![1; 3 << 20];
    let survey = surveyed(vec![
        ("a/app.py", file(b"x = 1")),
        ("a/big.py", file(&big)),
        ("a/link", Entry::symlink("../b")),
        ("bin/program", file(&program)),
        ("bin/script", file(b"#!/usr/bin/env python3\nprint()")),
        ("bin/text", file(b"hello")),
    ]);
    let paths: Vec<&str> = survey.members.iter().map(|member| member.path.as_str()).collect();
    let expected = ["a", "a/app.py", "a/big.py", "a/link", "bin", "bin/program", "bin/script", "bin/text"];
    assert_eq!(paths, expected);
    let member = |path: &str| survey.members.iter().find(|member| member.path == path).unwrap();
    assert_eq!(member("a").kind, MemberKind::Directory);
    assert_eq!(member("a/link").kind, MemberKind::Symlink("../b".to_owned()));
    assert_eq!(member("a/app.py").notes(), ["a/app.py 5"]);
    assert_eq!(member("a/big.py").notes(), [format!("a/big.py {SHOWN}")], "no more is shown");
    assert_eq!(member("a/big.py").sha256, Some(Digest::of(&big)));
    assert_eq!(member("bin/text").content, None);
    let script = Content::Script("/usr/bin/env python3".to_owned());
    assert_eq!(member("bin/script").content.as_deref(), Some(&script));
    // The test itself is a program of some size, and linked to a C library.
    let elf = member("bin/program").elf().expect("machine code");
    assert!(elf.interpreter.is_some() && elf.needed.iter().any(|name| name.starts_with("libc.")), "{elf:?}");
    assert!(
        elf.machine.is_computer() && (elf.needs_glibc > Some((2, 2)) || cfg!(target_env = "musl")),
        "{elf:?}"
    );
}

#[test]
fn it_is_kept_as_it_is() {
    let survey = surveyed(vec![("a/app.py", file(b"x = 1")), ("bin/script", file(b"#!/bin/sh"))]);
    let text = serde_json::to_vec(&survey).unwrap();
    assert_eq!(serde_json::from_slice::<Survey>(&text).unwrap(), survey);
}

#[test]
fn paths_are_plain_and_stay_apart() {
    for (name, expected) in [
        (&b"./a//b/"[..], "a/b"),
        (b"/a", "a"),
        (b"./", ""),
        (b"a\xff", "a\\xff"),
        (b"a\xfe", "a\\xfe"),
        (b"a\nb", "a\\x0ab"),
        ("\u{e9}".as_bytes(), "\u{e9}"),
    ] {
        assert_eq!(path(name), expected);
    }
}
