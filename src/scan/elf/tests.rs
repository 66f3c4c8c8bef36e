use super::*;
use crate::image::Arch;

fn header(order: u8, machine: [u8; 2]) -> Vec<u8> {
    let mut header = b"\x7fELF\x02".to_vec();
    header.push(order);
    header.resize(18, 0);
    header.extend(machine);
    header
}

#[test]
fn the_machine_is_read_in_the_files_own_byte_order() {
    let arm = Machine::of(&header(1, [183, 0])).unwrap();
    assert!(arm.is(Arch::Arm64) && !arm.is(Arch::Amd64));
    assert!(Machine::of(&header(1, [62, 0])).unwrap().is(Arch::Amd64));
    let old = Machine::of(&header(2, [0, 22])).unwrap();
    assert_eq!((old.to_string(), arm.to_string()), ("s390x".to_owned(), "arm64".to_owned()));
    assert_eq!(Machine::of(&header(1, [9, 9])).unwrap().to_string(), "machine 2313");
}

#[test]
fn a_machine_has_several_names() {
    let machine = |number: u8| Machine::of(&header(1, [number, 0])).unwrap();
    for (number, words) in [
        (62, "x64 x86 64 amd64 AMD64 linux64 64bit"),
        (183, "arm64 aarch64 aarch armv8 linuxarm64"),
        (40, "arm armv7 armhf armel"),
        (3, "ia32 i386 x86 32bit"),
        (21, "ppc64le ppc"),
    ] {
        assert!(words.split(' ').all(|word| machine(number).is_called(word)), "{words}");
    }
    for (number, word) in
        [(62, "arm64"), (183, "x64"), (183, "64"), (183, "arm"), (62, "linux"), (62, ""), (247, "64")]
    {
        assert!(!machine(number).is_called(word), "{word}");
    }
}

#[test]
fn other_files_have_no_machine() {
    for other in [&b""[..], b"\x7fELF", b"#!/bin/sh\nexit 0 # long enough"] {
        assert_eq!(Machine::of(other), None);
    }
}

const TEXTS: &str = "\0libc.so.6\0libz.so.1\0GLIBC_2.34\0GLIBC_2.38\0GLIBC_PRIVATE\0GLIBC_2.9.1\0";

/// The offset of a string in [`TEXTS`].
fn text(name: &str) -> u64 {
    TEXTS.find(&format!("\0{name}\0")).unwrap() as u64 + 1
}

/// Little-endian numbers, each with its size in bytes.
fn fields(values: &[(u64, usize)]) -> Vec<u8> {
    values.iter().flat_map(|(value, size)| value.to_le_bytes()[..*size].to_vec()).collect()
}

/// A file for amd64 of this type, with a loader and sections (type and content) whose string table is [`TEXTS`]. A dynamic
/// section is a segment, too.
fn file(kind: u64, loader: &str, sections: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let segment = |number: u64, at: u64, long: u64| {
        fields(&[(number, 4), (4, 4), (at, 8), (0, 8), (0, 8), (long, 8), (long, 8), (1, 8)])
    };
    let loader = format!("{loader}\0");
    let start = 64 + 2 * 56;
    let mut segments = [segment(3, start, loader.len() as u64), segment(0, 0, 0)];
    let mut content = loader.into_bytes();
    let mut headers = vec![0; 64];
    for (number, bytes) in [&[(3, TEXTS.as_bytes().to_vec())][..], sections].concat() {
        let (at, long) = (start + content.len() as u64, bytes.len() as u64);
        let places =
            [(0, 4), (number, 4), (0, 8), (0, 8), (at, 8), (long, 8), (1, 4), (0, 4), (1, 8), (0, 8)];
        headers.extend(fields(&places));
        content.extend(bytes);
        if number == 6 {
            segments[1] = segment(2, at, long);
        }
    }
    let places = [(kind, 2), (62, 2), (1, 4), (0, 8), (64, 8), (start + content.len() as u64, 8), (0, 4)];
    let counts = [(64, 2), (56, 2), (2, 2), (64, 2), (headers.len() as u64 / 64, 2), (1, 2)];
    let ident = [&b"\x7fELF\x02\x01\x01"[..], &[0; 9]].concat();
    [ident, fields(&places), fields(&counts), segments.concat(), content, headers].concat()
}

/// A table of the versions required of one library: names and flags.
fn wants(versions: &[(&str, u64)]) -> (u64, Vec<u8>) {
    let mut table = fields(&[(1, 2), (versions.len() as u64, 2), (text("libc.so.6"), 4), (16, 4), (0, 4)]);
    for (number, (name, flags)) in versions.iter().enumerate() {
        let next = if number + 1 < versions.len() { 16 } else { 0 };
        table.extend(fields(&[(0, 4), (*flags, 2), (2, 2), (text(name), 4), (next, 4)]));
    }
    (0x6fff_fffe, table)
}

fn read(bytes: Vec<u8>) -> Option<Elf> {
    Elf::read(&mut std::io::Cursor::new(bytes))
}

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

#[test]
fn the_requirements_of_a_file_are_read() {
    let needed = [("libz.so.1", 1), ("libc.so.6", 1)].map(|(name, tag)| [(tag, 8), (text(name), 8)]);
    let dynamic = (6, fields(&needed.concat()));
    let versions = wants(&[("GLIBC_2.9.1", 0), ("GLIBC_2.34", 0), ("GLIBC_PRIVATE", 0), ("GLIBC_2.38", 2)]);
    let elf = read(file(3, LOADER, &[dynamic, versions])).unwrap();
    assert_eq!(elf.interpreter.as_deref(), Some(LOADER));
    assert_eq!(elf.needed, ["libc.so.6"]);
    assert_eq!((elf.needs_glibc, elf.is_glibc), (Some((2, 34)), None), "2.38 is required weakly");
    assert!(elf.machine.is(Arch::Amd64));
}

/// A library that requires a C library and glibc 2.34, with this number of bytes before, between and after its two tables.
pub(in crate::scan) fn library_with_gaps(before: usize, between: usize, after: usize) -> Vec<u8> {
    let gap = |bytes| (1, vec![0; bytes]);
    let dynamic = (6, fields(&[(1, 8), (text("libc.so.6"), 8)]));
    file(3, LOADER, &[gap(before), wants(&[("GLIBC_2.34", 0)]), gap(between), dynamic, gap(after)])
}

#[test]
fn the_version_of_a_c_library_is_read() {
    let one =
        |name, next| [(1, 2), (0, 2), (2, 2), (1, 2), (0, 4), (20, 4), (next, 4), (text(name), 4), (0, 4)];
    let table = fields(&[one("GLIBC_2.38", 28), one("GLIBC_2.9.1", 0)].concat());
    let elf = read(file(3, LOADER, &[(0x6fff_fffd, table)])).unwrap();
    assert_eq!((elf.needs_glibc, elf.is_glibc), (None, Some((2, 38))));
}

#[test]
fn a_file_that_no_loader_accepts_is_skipped() {
    assert!(read(file(2, LOADER, &[])).is_some());
    for kind in [0, 1, 4] {
        assert_eq!(read(file(kind, LOADER, &[])), None, "{kind}");
    }
}

#[test]
fn a_truncated_file_gives_fewer_facts() {
    let whole = file(3, LOADER, &[wants(&[("GLIBC_2.34", 0)])]);
    for end in 0..whole.len() {
        let elf = read(whole[..end].to_vec());
        assert!(elf.is_none_or(|elf| elf.needs_glibc.is_none()), "{end}");
    }
    assert_eq!(read(whole).unwrap().needs_glibc, Some((2, 34)));
}

#[test]
fn the_work_for_a_file_is_limited() {
    // Entries beyond the limit are not read.
    let last = |before: usize| {
        let versions = [vec![("GLIBC_2.9.1", 2); before], vec![("GLIBC_2.38", 0)]].concat();
        read(file(3, LOADER, &[wants(&versions)])).unwrap().needs_glibc
    };
    assert_eq!((last(100), last(MAX_ENTRIES)), (Some((2, 38)), None));
    // The same string is not read again and again.
    let often = [vec![("GLIBC_2.34", 0); MAX_ENTRIES - 1], vec![("GLIBC_2.38", 0)]].concat();
    assert_eq!(read(file(3, LOADER, &[wants(&often)])).unwrap().needs_glibc, Some((2, 34)));
    // A table above the limit is ignored.
    let (number, mut table) = wants(&[("GLIBC_2.38", 0)]);
    table.resize(MAX_READ as usize + 1, 0);
    assert_eq!(read(file(3, LOADER, &[(number, table)])).unwrap().needs_glibc, None);
    assert_eq!(read(file(3, &"x".repeat(MAX_LOADER + 1), &[])).unwrap().interpreter, None);
    let names = fields(&[(1, 8), (text("libc.so.6"), 8)].repeat(1000));
    assert_eq!(read(file(3, LOADER, &[(6, names)])).unwrap().needed.len(), MAX_NEEDED);
}
