//! ELF files, as far as they tell whether an image can run them: the machine, the loader, the libraries, the glibc.
//!
//! <https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html>, and for versions of symbols
//! <https://refspecs.linuxfoundation.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/symversion.html>

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

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

    /// Whether a word, as in the name of a directory, stands for one.
    pub fn is_named(word: &str) -> bool {
        const NAMES: [&str; 16] = [
            "x64", "x86", "64", "amd64", "arm64", "aarch64", "ia32", "386", "i686", "arm", "armv6", "armv7",
            "ppc64", "s390x", "riscv64", "loong64",
        ];
        NAMES.contains(&word)
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
    /// The names of the libraries that it is linked to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needed: Vec<String>,
    /// The newest glibc that it uses something of, as `(2, 34)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_glibc: Option<(u32, u32)>,
    /// The glibc that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_glibc: Option<(u32, u32)>,
}

/// What may be read of a file: a malformed one can name the same bytes any number of times.
const BUDGET: u64 = 64 << 20;

impl Elf {
    /// Reads a file; `None` for one without even a head. Of one that is malformed further on, as much as there is.
    pub(super) fn read(file: &mut dyn ReadSeek) -> Option<Elf> {
        let file = ReadCache::new(Budget { file, left: BUDGET });
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
        let mut elf = Elf { machine: Machine(header.e_machine(endian).0), ..Elf::default() };
        for segment in header.program_headers(endian, data).unwrap_or_default() {
            if let Ok(Some(path)) = segment.interpreter(endian, data) {
                elf.interpreter = Some(String::from_utf8_lossy(path).into_owned());
            }
        }
        // What was stripped of its sections can be loaded all the same; it is taken for one that asks for nothing.
        if let Ok(sections) = header.sections(endian, data) {
            elf.needed = needed(&sections, endian, data).unwrap_or_default();
            elf.needs_glibc = needs_glibc(&sections, endian, data).unwrap_or_default();
            elf.is_glibc = is_glibc(&sections, endian, data).unwrap_or_default();
        }
        Some(elf)
    }
}

fn needed<'d, Header, R>(
    sections: &SectionTable<'d, Header, R>,
    endian: Endianness,
    data: R,
) -> object::Result<Vec<String>>
where
    Header: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let table = sections.dynamic_table(endian, data)?;
    let needed = table.iter().filter(|entry| entry.tag == elf::DT_NEEDED);
    needed.map(|entry| Ok(String::from_utf8_lossy(table.string(entry)?).into_owned())).collect()
}

fn needs_glibc<'d, Header, R>(
    sections: &SectionTable<'d, Header, R>,
    endian: Endianness,
    data: R,
) -> object::Result<Option<(u32, u32)>>
where
    Header: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let Some((mut libraries, strings)) = sections.gnu_verneed(endian, data)? else { return Ok(None) };
    let strings = sections.strings(endian, data, strings)?;
    let mut newest = None;
    while let Some((_, mut versions)) = libraries.next()? {
        while let Some(version) = versions.next()? {
            newest = newest.max(glibc(version.name(endian, strings)?));
        }
    }
    Ok(newest)
}

fn is_glibc<'d, Header, R>(
    sections: &SectionTable<'d, Header, R>,
    endian: Endianness,
    data: R,
) -> object::Result<Option<(u32, u32)>>
where
    Header: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let Some((mut definitions, strings)) = sections.gnu_verdef(endian, data)? else { return Ok(None) };
    let strings = sections.strings(endian, data, strings)?;
    let mut newest = None;
    while let Some((_, mut names)) = definitions.next()? {
        while let Some(name) = names.next()? {
            newest = newest.max(glibc(name.name(endian, strings)?));
        }
    }
    Ok(newest)
}

/// The version in the name of a set of symbols, as `GLIBC_2.34`.
fn glibc(name: &[u8]) -> Option<(u32, u32)> {
    let version = std::str::from_utf8(name).ok()?.strip_prefix("GLIBC_")?;
    let mut numbers = version.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// A file of which only so much can be read.
struct Budget<'f> {
    file: &'f mut dyn ReadSeek,
    left: u64,
}

impl Read for Budget<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(out)?;
        self.left =
            self.left.checked_sub(read as u64).ok_or_else(|| io::Error::other("it is read too often"))?;
        Ok(read)
    }
}

impl Seek for Budget<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
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
    fn other_files_have_none() {
        for other in [&b""[..], b"\x7fELF", b"#!/bin/sh\nexit 0 # long enough"] {
            assert_eq!(Machine::of(other), None);
        }
    }
}
