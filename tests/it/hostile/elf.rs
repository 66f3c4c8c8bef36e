//! Machine code whose tables refer to the same bytes many times.

use super::{Workspace, words};
use crate::support::image_builder::{Layer, Tar};

/// A section of an ELF file: its type, the linked section, and its content.
type Section<'a> = (u32, u32, &'a [u8]);

const STRINGS: u32 = 3;
const DYNAMIC: u32 = 6;
const NEEDED_VERSIONS: u32 = 0x6fff_fffe;
const DEFINED_VERSIONS: u32 = 0x6fff_fffd;

/// A library for amd64 with an interpreter's path and these sections; the first one has number 1.
fn library(interpreter: &[u8], sections: &[Section<'_>]) -> Vec<u8> {
    let mut file = vec![0_u8; 64 + 56];
    let set = |file: &mut Vec<u8>, at: usize, value: u64| {
        file[at..at + 8].copy_from_slice(&value.to_le_bytes());
    };
    // The only segment (PT_INTERP): type, offset and size.
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
    // e_type, e_machine, e_version; sizes and counts of program and section headers; e_shstrndx.
    let last = sections.len() as u16;
    for (at, value) in [(16, 3), (18, 62), (20, 1), (54, 56), (56, 1), (58, 64), (60, last + 1), (62, last)] {
        file[at..at + 2].copy_from_slice(&u16::to_le_bytes(value));
    }
    set(&mut file, 32, 64);
    set(&mut file, 40, at);
    file
}

/// Runs `check` and `inspect` on an image of these files, within the usual memory limit.
fn assert_read(files: &[Vec<u8>]) {
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
fn a_library_that_is_needed_a_hundred_thousand_times_is_stored_once() {
    let strings = [&[0_u8][..], &[b'x'; 4000], &[0]].concat();
    let needed = [entry(1, 1).repeat(100_000), entry(0, 0)].concat();
    assert_read(&[library(b"/lib/ld.so", &[(DYNAMIC, 2, &needed), (STRINGS, 0, &strings)])]);
}

#[test]
fn long_paths_of_interpreters_are_not_stored() {
    let long = library(&vec![b'i'; 4 << 20], &[]);
    assert_read(&vec![long; 40]);
}

#[test]
fn symbol_versions_that_are_needed_millions_of_times_are_bounded() {
    // 4096 libraries, each needed in 65,535 versions; all refer to the single version at the end.
    let mut needed = Vec::new();
    for left in (1..=4096_u32).rev() {
        let next: u32 = if left == 1 { 0 } else { 16 };
        // vn_version and vn_cnt, vn_file, vn_aux (offset of the first version), vn_next.
        needed.extend([[1, 0, 0xff, 0xff], [0; 4], (left * 16).to_le_bytes(), next.to_le_bytes()].concat());
    }
    // vna_hash, vna_flags, vna_name, vna_next of zero: the next version is again this one.
    needed.extend([[0; 4], [0; 4], 1_u32.to_le_bytes(), [0; 4]].concat());
    assert_read(&[library(b"/lib/ld.so", &[(NEEDED_VERSIONS, 2, &needed), (STRINGS, 0, b"\0GLIBC_2.4\0")])]);
}

#[test]
fn symbol_versions_that_are_defined_millions_of_times_are_bounded() {
    let mut defined = Vec::new();
    for left in (1..=4096_u32).rev() {
        let next: u32 = if left == 1 { 0 } else { 20 };
        // vd_version and vd_flags, vd_ndx and vd_cnt, vd_hash, vd_aux, vd_next.
        let head = [[1, 0, 0, 0], [0, 0, 0xff, 0xff], [0; 4], (left * 20).to_le_bytes(), next.to_le_bytes()];
        defined.extend(head.concat());
    }
    // vda_name, vda_next of zero.
    defined.extend([1_u32.to_le_bytes(), [0; 4]].concat());
    assert_read(&[library(
        b"/lib/ld.so",
        &[(DEFINED_VERSIONS, 2, &defined), (STRINGS, 0, b"\0GLIBC_2.4\0")],
    )]);
}
