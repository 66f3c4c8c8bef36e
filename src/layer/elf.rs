//! ELF files, as far as they tell whether an image can run them: the machine, the loader, the libraries, the glibc.
//!
//! <https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html>, and for versions of symbols
//! <https://refspecs.linuxfoundation.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/symversion.html>

use std::cell::Cell;
use std::fmt;
use std::ops::Range;

use object::read::elf::{FileHeader, ProgramHeader, SectionTable};
use object::read::{FileKind, ReadCache, ReadRef};
use object::{Endianness, elf};
use serde::{Deserialize, Serialize};

use super::spool::ReadSeek;
use crate::image::Arch;

/// How such a file begins.
pub(super) const MAGIC: &[u8] = b"\x7fELF";

/// As much of a file as has to be read.
pub(crate) const HEADER: usize = 20;

/// Whether a file is one that a program or the kernel could be asked to load, by its name and permissions.
pub(crate) fn may_be_code(path: &[u8], mode: u32) -> bool {
    let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
    let has = |part: &[u8]| name.windows(part.len()).any(|window| window == part);
    mode & 0o111 != 0
        || name.ends_with(b".node")
        || name.ends_with(b".so")
        || has(b".so.")
        || !name.contains(&b'.')
}

/// A machine, by the number that the format has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine(u16);

impl Default for Machine {
    /// None of them.
    fn default() -> Machine {
        Machine(0)
    }
}

impl Machine {
    /// The machine of a file that begins so; `None` when it is no ELF file.
    pub(crate) fn of(header: &[u8]) -> Option<Machine> {
        let header = header.get(..HEADER).filter(|header| header.starts_with(MAGIC))?;
        let number = [header[18], header[19]];
        Some(Machine(if header[5] == 2 { u16::from_be_bytes(number) } else { u16::from_le_bytes(number) }))
    }

    /// The one that `arch` stands for.
    pub fn of_arch(arch: Arch) -> Machine {
        Machine(match arch {
            Arch::Amd64 => 62,
            Arch::Arm64 => 183,
        })
    }

    /// Whether it is one that runs programs, and no part of another, as a graphics card.
    pub fn is_computer(self) -> bool {
        [2, 3, 4, 8, 15, 20, 21, 22, 40, 42, 43, 50, 62, 183, 243, 258].contains(&self.0)
    }

    /// Whether a word, as in the name of a directory, stands for it.
    pub fn is_called(self, word: &str) -> bool {
        let names: &[&str] = match self.0 {
            2 | 43 => &["sparc"],
            3 => &["x86", "ia32", "i386", "i486", "i586", "i686", "386", "32"],
            8 => &["mips"],
            20 | 21 => &["ppc", "powerpc"],
            22 => &["s390"],
            40 => &["arm"],
            50 => &["ia64"],
            62 => &["x86", "x64", "amd64", "64"],
            183 => &["arm64", "aarch", "armv8"],
            243 => &["riscv"],
            258 => &["loong"],
            _ => &[],
        };
        let word = word.to_ascii_lowercase();
        let word = word.strip_prefix("linux").unwrap_or(&word);
        names.iter().any(|name| word.starts_with(name))
    }

    /// Whether it is the one that `arch` stands for.
    pub fn is(self, arch: Arch) -> bool {
        self == Machine::of_arch(arch)
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            3 => "x86",
            20 => "ppc",
            21 => "ppc64",
            22 => "s390x",
            40 => "arm",
            62 => "amd64",
            183 => "arm64",
            243 => "riscv",
            258 => "loongarch",
            number => return write!(f, "machine {number}"),
        };
        f.write_str(name)
    }
}

/// What machine code asks for, and what a C library provides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elf {
    /// The machine that it is for.
    pub machine: Machine,
    /// The program that loads it, of a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<String>,
    /// The names of the parts of a C library that it is linked to, as `libc.so.6`; of all libraries, only those tell
    /// where it can be loaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needed: Vec<String>,
    /// The newest glibc that it cannot do without, as `(2, 34)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_glibc: Option<(u32, u32)>,
    /// The glibc that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_glibc: Option<(u32, u32)>,
}

/// What may be read of any file, and besides as many bytes as it has: a malformed one can name the same bytes any
/// number of times.
const ALLOWANCE: u64 = 128 << 10;

/// What may be read of a file at most, however large it is: the tables are small.
const MAX_READ: u64 = 4 << 20;

/// How many entries of a table are looked at; glibc itself has some fifty versions.
const MAX_ENTRIES: usize = 4096;

/// How many names of libraries are kept.
const MAX_NEEDED: usize = 16;

/// The longest name of a library that is kept.
const MAX_NAME: usize = 64;

/// The longest path of a loader that is kept.
const MAX_LOADER: usize = 255;

impl Elf {
    /// Reads a file; `None` for one without even a head, and for one that no loader takes. Of one that is malformed
    /// further on, as much as there is.
    pub(super) fn read(file: &mut dyn ReadSeek) -> Option<Elf> {
        let file = Bounded::of(file)?;
        match FileKind::parse(&file).ok()? {
            FileKind::Elf32 => Elf::of::<elf::FileHeader32<Endianness>, _>(&file),
            FileKind::Elf64 => Elf::of::<elf::FileHeader64<Endianness>, _>(&file),
            _ => None,
        }
    }

    fn of<'d, Header, R>(data: R) -> Option<Elf>
    where
        Header: FileHeader<Endian = Endianness>,
        R: ReadRef<'d>,
    {
        let header = Header::parse(data).ok()?;
        let endian = header.endian().ok()?;
        // What is relocatable is for a linker, the kernel, or a graphics card.
        if ![elf::ET_EXEC, elf::ET_DYN].contains(&header.e_type(endian)) {
            return None;
        }
        let segments = header.program_headers(endian, data).unwrap_or_default();
        // Linux goes by the first.
        let loader = segments.iter().find_map(|segment| segment.interpreter(endian, data).transpose());
        let loader = loader.and_then(Result::ok).filter(|path| path.len() <= MAX_LOADER);
        let mut elf = Elf {
            machine: Machine(header.e_machine(endian).0),
            interpreter: loader.map(|path| String::from_utf8_lossy(path).into_owned()),
            ..Elf::default()
        };
        // What was stripped of its sections can be loaded all the same; it is taken for one that asks for nothing.
        if let Ok(sections) = header.sections(endian, data) {
            let tables = Tables { sections, endian, data };
            elf.needed = tables.needed();
            elf.needs_glibc = tables.needs_glibc();
            elf.is_glibc = tables.is_glibc();
        }
        Some(elf)
    }
}

/// The tables of a file, where its sections have them.
struct Tables<'d, Header: FileHeader, R: ReadRef<'d>> {
    sections: SectionTable<'d, Header, R>,
    endian: Endianness,
    data: R,
}

impl<'d, Header, R> Tables<'d, Header, R>
where
    Header: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    fn needed(&self) -> Vec<String> {
        let Ok(table) = self.sections.dynamic_table(self.endian, self.data) else { return Vec::new() };
        let needed = table.iter().filter(|entry| entry.tag == elf::DT_NEEDED).take(MAX_ENTRIES);
        let names = needed.map_while(|entry| table.string(entry).ok());
        let names = names.filter_map(|name| std::str::from_utf8(name).ok());
        names.filter(|name| is_of_libc(name)).take(MAX_NEEDED).map(str::to_owned).collect()
    }

    fn needs_glibc(&self) -> Option<(u32, u32)> {
        let (libraries, strings) = self.sections.gnu_verneed(self.endian, self.data).ok()??;
        let strings = self.sections.strings(self.endian, self.data, strings).ok()?;
        let libraries = libraries.map_while(Result::ok).take(MAX_ENTRIES);
        let versions = libraries.flat_map(|(_, versions)| versions.map_while(Result::ok)).take(MAX_ENTRIES);
        // The loader only warns of what is wanted weakly.
        let versions =
            versions.filter(|version| !version.vna_flags.get(self.endian).contains(elf::VER_FLG_WEAK));
        newest(versions.map_while(|version| version.name(self.endian, strings).ok()))
    }

    fn is_glibc(&self) -> Option<(u32, u32)> {
        let (definitions, strings) = self.sections.gnu_verdef(self.endian, self.data).ok()??;
        let strings = self.sections.strings(self.endian, self.data, strings).ok()?;
        let definitions = definitions.map_while(Result::ok).take(MAX_ENTRIES);
        let names = definitions.flat_map(|(_, names)| names.map_while(Result::ok)).take(MAX_ENTRIES);
        newest(names.map_while(|name| name.name(self.endian, strings).ok()))
    }
}

/// Whether a library is a part of a C library, or its loader.
fn is_of_libc(name: &str) -> bool {
    let starts = ["libc.", "libm.", "libdl.", "liblog.", "ld-"];
    name.len() <= MAX_NAME && starts.iter().any(|start| name.starts_with(start))
}

/// The newest glibc among the names of sets of symbols.
fn newest<'d>(names: impl Iterator<Item = &'d [u8]>) -> Option<(u32, u32)> {
    names.filter_map(glibc).max()
}

/// The version in the name of a set of symbols, as `GLIBC_2.34`.
fn glibc(name: &[u8]) -> Option<(u32, u32)> {
    let version = std::str::from_utf8(name).ok()?.strip_prefix("GLIBC_")?;
    let mut numbers = version.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// A file of which only so much can be read, at once and altogether: what is read is kept in memory.
struct Bounded<'f> {
    file: ReadCache<&'f mut dyn ReadSeek>,
    left: Cell<u64>,
}

impl<'f> Bounded<'f> {
    fn of(file: &'f mut dyn ReadSeek) -> Option<Bounded<'f>> {
        let file = ReadCache::new(file);
        let length = ReadRef::len(&file).ok()?;
        Some(Bounded { file, left: Cell::new(length.saturating_add(ALLOWANCE).min(MAX_READ)) })
    }

    fn take(&self, bytes: u64) -> Result<(), ()> {
        self.left.set(self.left.get().checked_sub(bytes).ok_or(())?);
        Ok(())
    }
}

impl<'d> ReadRef<'d> for &'d Bounded<'_> {
    fn len(self) -> Result<u64, ()> {
        ReadRef::len(&self.file)
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'d [u8], ()> {
        self.take(size)?;
        ReadRef::read_bytes_at(&self.file, offset, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'d [u8], ()> {
        // Texts are read in pieces of this size.
        self.take(256)?;
        let text = ReadRef::read_bytes_at_until(&self.file, range, delimiter)?;
        self.take(text.len() as u64)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn words_stand_for_machines() {
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
    fn other_files_have_none() {
        for other in [&b""[..], b"\x7fELF", b"#!/bin/sh\nexit 0 # long enough"] {
            assert_eq!(Machine::of(other), None);
        }
    }

    const TEXTS: &str = "\0libc.so.6\0libz.so.1\0GLIBC_2.34\0GLIBC_2.38\0GLIBC_PRIVATE\0GLIBC_2.9.1\0";

    /// Where a text is among them.
    fn text(name: &str) -> u64 {
        TEXTS.find(&format!("\0{name}\0")).unwrap() as u64 + 1
    }

    /// Numbers of so many bytes.
    fn fields(values: &[(u64, usize)]) -> Vec<u8> {
        values.iter().flat_map(|(value, size)| value.to_le_bytes()[..*size].to_vec()).collect()
    }

    /// A file for amd64 of this type, with a loader and sections, by type and content, that have [`TEXTS`] for theirs.
    fn file(kind: u64, loader: &str, sections: &[(u64, Vec<u8>)]) -> Vec<u8> {
        let loader = format!("{loader}\0");
        let (at, long) = (120, loader.len() as u64);
        let segment = fields(&[(3, 4), (4, 4), (at, 8), (0, 8), (0, 8), (long, 8), (long, 8), (1, 8)]);
        let mut content = [segment, loader.into_bytes()].concat();
        let mut headers = vec![0; 64];
        for (number, bytes) in [&[(3, TEXTS.as_bytes().to_vec())][..], sections].concat() {
            let (at, long) = (64 + content.len() as u64, bytes.len() as u64);
            let places =
                [(0, 4), (number, 4), (0, 8), (0, 8), (at, 8), (long, 8), (1, 4), (0, 4), (1, 8), (0, 8)];
            headers.extend(fields(&places));
            content.extend(bytes);
        }
        let places = [(kind, 2), (62, 2), (1, 4), (0, 8), (64, 8), (64 + content.len() as u64, 8), (0, 4)];
        let counts = [(64, 2), (56, 2), (1, 2), (64, 2), (headers.len() as u64 / 64, 2), (1, 2)];
        let ident = [&b"\x7fELF\x02\x01\x01"[..], &[0; 9]].concat();
        [ident, fields(&places), fields(&counts), content, headers].concat()
    }

    /// A table of what one library is asked for: names and flags.
    fn wants(versions: &[(&str, u64)]) -> (u64, Vec<u8>) {
        let mut table =
            fields(&[(1, 2), (versions.len() as u64, 2), (text("libc.so.6"), 4), (16, 4), (0, 4)]);
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
    fn a_file_tells_what_it_asks_for() {
        let needed = [("libz.so.1", 1), ("libc.so.6", 1)].map(|(name, tag)| [(tag, 8), (text(name), 8)]);
        let dynamic = (6, fields(&needed.concat()));
        let versions =
            wants(&[("GLIBC_2.9.1", 0), ("GLIBC_2.34", 0), ("GLIBC_PRIVATE", 0), ("GLIBC_2.38", 2)]);
        let elf = read(file(3, LOADER, &[dynamic, versions])).unwrap();
        assert_eq!(elf.interpreter.as_deref(), Some(LOADER));
        assert_eq!(elf.needed, ["libc.so.6"]);
        assert_eq!((elf.needs_glibc, elf.is_glibc), (Some((2, 34)), None), "2.38 is wanted weakly");
        assert!(elf.machine.is(Arch::Amd64));
    }

    #[test]
    fn a_c_library_tells_its_version() {
        let one = |name, next| {
            [(1, 2), (0, 2), (2, 2), (1, 2), (0, 4), (20, 4), (next, 4), (text(name), 4), (0, 4)]
        };
        let table = fields(&[one("GLIBC_2.38", 28), one("GLIBC_2.9.1", 0)].concat());
        let elf = read(file(3, LOADER, &[(0x6fff_fffd, table)])).unwrap();
        assert_eq!((elf.needs_glibc, elf.is_glibc), (None, Some((2, 38))));
    }

    #[test]
    fn what_no_loader_takes_is_none() {
        assert!(read(file(2, LOADER, &[])).is_some());
        for kind in [0, 1, 4] {
            assert_eq!(read(file(kind, LOADER, &[])), None, "{kind}");
        }
    }

    #[test]
    fn of_a_file_that_is_cut_off_there_is_less() {
        let whole = file(3, LOADER, &[wants(&[("GLIBC_2.34", 0)])]);
        for end in 0..whole.len() {
            let elf = read(whole[..end].to_vec());
            assert!(elf.is_none_or(|elf| elf.needs_glibc.is_none()), "{end}");
        }
        assert_eq!(read(whole).unwrap().needs_glibc, Some((2, 34)));
    }

    #[test]
    fn no_file_can_ask_for_much_work() {
        // Those behind so many others are not looked at.
        let last = |before: usize| {
            let versions = [vec![("GLIBC_2.9.1", 2); before], vec![("GLIBC_2.38", 0)]].concat();
            read(file(3, LOADER, &[wants(&versions)])).unwrap().needs_glibc
        };
        assert_eq!((last(100), last(MAX_ENTRIES)), (Some((2, 38)), None));
        // Nor is the same text read again and again.
        let often = [vec![("GLIBC_2.34", 0); MAX_ENTRIES - 1], vec![("GLIBC_2.38", 0)]].concat();
        assert_eq!(read(file(3, LOADER, &[wants(&often)])).unwrap().needs_glibc, Some((2, 34)));
        // A table as large as that is none.
        let (number, mut table) = wants(&[("GLIBC_2.38", 0)]);
        table.resize(MAX_READ as usize + 1, 0);
        assert_eq!(read(file(3, LOADER, &[(number, table)])).unwrap().needs_glibc, None);
        assert_eq!(read(file(3, &"x".repeat(MAX_LOADER + 1), &[])).unwrap().interpreter, None);
        let names = fields(&[(1, 8), (text("libc.so.6"), 8)].repeat(1000));
        assert_eq!(read(file(3, LOADER, &[(6, names)])).unwrap().needed.len(), MAX_NEEDED);
    }
}
