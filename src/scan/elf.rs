//! ELF files, as far as they tell whether an image can run them: the machine, the loader, the libraries, the glibc.
//!
//! <https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html>, and for versions of symbols
//! <https://refspecs.linuxfoundation.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/symversion.html>

use std::cell::Cell;
use std::ops::Range;

use object::read::elf::{FileHeader, ProgramHeader, SectionTable};
use object::read::{FileKind, ReadCache, ReadRef};
use object::{Endianness, elf};
use serde::{Deserialize, Serialize};

use super::annotate::ReadSeek;
use crate::tree::Machine;

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
            machine: Machine::of_number(header.e_machine(endian).0),
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
mod tests;
