//! The facts about ELF files that determine whether an image can run them: the machine, the loader, the libraries, the
//! glibc.
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

/// The requirements of machine code, and the version of a C library.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elf {
    /// The target machine.
    pub machine: Machine,
    /// The loader, if it is a program that names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<String>,
    /// The names of the parts of a C library that it is linked to, for example `libc.so.6`. Other libraries do not
    /// affect where it can be loaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needed: Vec<String>,
    /// The newest glibc that it requires, for example `(2, 34)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_glibc: Option<(u32, u32)>,
    /// Its own version, if it is a glibc.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_glibc: Option<(u32, u32)>,
}

/// The number of bytes that may be read beyond a file's size. The number is limited because a malformed file can refer
/// to the same bytes any number of times.
const ALLOWANCE: u64 = 128 << 10;

/// The maximum number of bytes read of a file of any size; the tables are small.
const MAX_READ: u64 = 4 << 20;

/// The maximum number of entries read of a table; glibc itself has about fifty versions.
const MAX_ENTRIES: usize = 4096;

/// The maximum number of library names that are kept.
const MAX_NEEDED: usize = 16;

/// The maximum length of a library name that is kept, in bytes.
const MAX_NAME: usize = 64;

/// The maximum length of a loader's path that is kept, in bytes.
const MAX_LOADER: usize = 255;

impl Elf {
    /// Reads a file; `None` for one without a valid header, and for one that no loader accepts. A file that is
    /// malformed further on gives the facts that can be read.
    pub(crate) fn read(file: &mut dyn ReadSeek) -> Option<Elf> {
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
        // Relocatable files are for a linker, the kernel, or a graphics card.
        if ![elf::ET_EXEC, elf::ET_DYN].contains(&header.e_type(endian)) {
            return None;
        }
        let segments = header.program_headers(endian, data).unwrap_or_default();
        // Linux uses the first interpreter segment.
        let loader = segments.iter().find_map(|segment| segment.interpreter(endian, data).transpose());
        let loader = loader.and_then(Result::ok).filter(|path| path.len() <= MAX_LOADER);
        let mut elf = Elf {
            machine: Machine::of_number(header.e_machine(endian).0),
            interpreter: loader.map(|path| String::from_utf8_lossy(path).into_owned()),
            ..Elf::default()
        };
        // A file without sections can still be loaded; it is treated as one without requirements.
        if let Ok(sections) = header.sections(endian, data) {
            let tables = Tables { sections, endian, data };
            elf.needed = tables.needed();
            elf.needs_glibc = tables.needs_glibc();
            elf.is_glibc = tables.is_glibc();
        }
        Some(elf)
    }
}

/// The place of the dynamic section, by the beginning of a file.
pub(super) fn dynamic_section(first: &[u8]) -> Option<Range<u64>> {
    fn of<H: FileHeader<Endian = Endianness>>(first: &[u8]) -> Option<Range<u64>> {
        let header = H::parse(first).ok()?;
        let endian = header.endian().ok()?;
        let mut segments = header.program_headers(endian, first).ok()?.iter();
        let (start, length) =
            segments.find(|segment| segment.p_type(endian) == elf::PT_DYNAMIC)?.file_range(endian);
        Some(start..start.checked_add(length)?)
    }
    match FileKind::parse(first).ok()? {
        FileKind::Elf32 => of::<elf::FileHeader32<Endianness>>(first),
        FileKind::Elf64 => of::<elf::FileHeader64<Endianness>>(first),
        _ => None,
    }
}

/// The tables in a file's sections.
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
        // For a weak requirement, the loader only prints a warning.
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

/// Whether a library is part of a C library or its loader.
fn is_of_libc(name: &str) -> bool {
    let starts = ["libc.", "libm.", "libdl.", "liblog.", "ld-"];
    name.len() <= MAX_NAME && starts.iter().any(|start| name.starts_with(start))
}

/// The newest glibc among the names of symbol versions.
fn newest<'d>(names: impl Iterator<Item = &'d [u8]>) -> Option<(u32, u32)> {
    names.filter_map(glibc).max()
}

/// The version in the name of a symbol version, for example `GLIBC_2.34`.
fn glibc(name: &[u8]) -> Option<(u32, u32)> {
    let version = std::str::from_utf8(name).ok()?.strip_prefix("GLIBC_")?;
    let mut numbers = version.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// A file with a limit on the number of bytes read in total, because they are kept in memory.
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
        // Strings are read in pieces of this size.
        self.take(256)?;
        let text = ReadRef::read_bytes_at_until(&self.file, range, delimiter)?;
        self.take(text.len() as u64)?;
        Ok(text)
    }
}

#[cfg(test)]
pub(super) mod tests;
