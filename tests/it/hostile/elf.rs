//! Machine code whose tables name the same bytes again and again.

use super::{Workspace, words};
use crate::support::image_builder::{Layer, Tar};

/// A section of an ELF file: its type, the section that it is linked to, and what is in it.
type Section<'a> = (u32, u32, &'a [u8]);

const STRINGS: u32 = 3;
const DYNAMIC: u32 = 6;
const NEEDED_VERSIONS: u32 = 0x6fff_fffe;
const DEFINED_VERSIONS: u32 = 0x6fff_fffd;

/// A library for amd64 of these sections, the first of which has the number 1, behind an interpreter's path.
fn library(interpreter: &[u8], sections: &[Section<'_>]) -> Vec<u8> {
    let mut file = vec![0_u8; 64 + 56];
    let set = |file: &mut Vec<u8>, at: usize, value: u64| {
        file[at..at + 8].copy_from_slice(&value.to_le_bytes());
    };
    // The one segment: its type, where it is, and how long.
    set(&mut file, 64, 3);
    set(&mut file, 64 + 8, 64 + 56);
    set(&mut file, 64 + 32, interpreter.len() as u64 + 1);
    file.extend([interpreter, &[0]].concat());
    let mut heads = vec![0_u8; 64];
    for (kind, link, content) in sections {
        file.resize(file.len().next_multiple_of(16), 0);
        let mut head = [0_u8; 64];
        head[4..8].copy_from_slice(&kind.to_le_bytes());
        head[24..32].copy_from_slice(&(file.len() as u64).to_le_bytes());
        head[32..40].copy_from_slice(&(content.len() as u64).to_le_bytes());
        head[40..44].copy_from_slice(&link.to_le_bytes());
        heads.extend(head);
        file.extend_from_slice(content);
    }
    file.resize(file.len().next_multiple_of(16), 0);
    let at = file.len() as u64;
    file.extend(heads);
    file[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\x00");
    // A library, for amd64; how long the heads of segments and sections are, how many, and which one has names.
    let last = sections.len() as u16;
    for (at, value) in [(16, 3), (18, 62), (20, 1), (54, 56), (56, 1), (58, 64), (60, last + 1), (62, last)] {
        file[at..at + 2].copy_from_slice(&u16::to_le_bytes(value));
    }
    set(&mut file, 32, 64);
    set(&mut file, 40, at);
    file
}

/// Looks at an image of these files, which holds none of them for long.
fn look(files: &[Vec<u8>]) {
    let workspace = Workspace::new();
    let add = |tar: Tar, (number, file): (usize, &Vec<u8>)| tar.file(&format!("lib{number}.so"), 0o755, file);
    let layer = Layer::gzip(files.iter().enumerate().fold(Tar::new(), add));
    let image = workspace.image("image", &[layer]);
    let done = workspace.run(&[words(&["check", &image]), words(&["inspect", &image, "--tree"])]);
    assert!([0, 8].contains(&done[0].code), "{}", done[0].err);
    assert_eq!((done[1].code, done[1].out.lines().count()), (0, files.len()), "{}", done[1].err);
}

fn entry(tag: u64, value: u64) -> Vec<u8> {
    [tag.to_le_bytes(), value.to_le_bytes()].concat()
}

#[test]
fn a_name_that_is_needed_a_hundred_thousand_times_is_not_kept_as_often() {
    let strings = [&[0_u8][..], &[b'x'; 4000], &[0]].concat();
    let needed = [entry(1, 1).repeat(100_000), entry(0, 0)].concat();
    look(&[library(b"/lib/ld.so", &[(DYNAMIC, 2, &needed), (STRINGS, 0, &strings)])]);
}

#[test]
fn paths_of_interpreters_are_not_kept_whatever_their_length() {
    let long = library(&vec![b'i'; 4 << 20], &[]);
    look(&vec![long; 40]);
}

#[test]
fn versions_that_are_named_millions_of_times_are_not_looked_up_as_often() {
    // 4096 libraries, each of which is needed in 65,535 versions: all are the one at the end.
    let mut needed = Vec::new();
    for left in (1..=4096_u32).rev() {
        let next: u32 = if left == 1 { 0 } else { 16 };
        // Version and count, file, the way to the first version, and to the next library.
        needed.extend([[1, 0, 0xff, 0xff], [0; 4], (left * 16).to_le_bytes(), next.to_le_bytes()].concat());
    }
    // Hash, flags, name, and no step to the next.
    needed.extend([[0; 4], [0; 4], 1_u32.to_le_bytes(), [0; 4]].concat());
    look(&[library(b"/lib/ld.so", &[(NEEDED_VERSIONS, 2, &needed), (STRINGS, 0, b"\0GLIBC_2.4\0")])]);
}

#[test]
fn versions_that_are_defined_millions_of_times_are_not_looked_up_as_often() {
    let mut defined = Vec::new();
    for left in (1..=4096_u32).rev() {
        let next: u32 = if left == 1 { 0 } else { 20 };
        // Version and flags, index and count, hash, the way to the first name, and to the next version.
        let head = [[1, 0, 0, 0], [0, 0, 0xff, 0xff], [0; 4], (left * 20).to_le_bytes(), next.to_le_bytes()];
        defined.extend(head.concat());
    }
    // The name, and no step to the next.
    defined.extend([1_u32.to_le_bytes(), [0; 4]].concat());
    look(&[library(b"/lib/ld.so", &[(DEFINED_VERSIONS, 2, &defined), (STRINGS, 0, b"\0GLIBC_2.4\0")])]);
}
