//! Java: whether a jar contains a class, by its central directory alone.

use rawzip::ZipArchive;

use crate::scan::ReadSeek;

/// Upper bound on the bytes of a central directory: about 600 000 classes.
const DIRECTORY_LIMIT: u64 = 64 << 20;

/// Whether the archive contains a class file, possibly only for some versions of Java. `None` when that is uncertain:
/// the file is not an archive, is truncated, or contains other jars.
pub fn has_class(archive: &mut dyn ReadSeek, class: &str) -> Option<bool> {
    let mut buffer = vec![0u8; rawzip::MAX_CENTRAL_DIRECTORY_RECORD_SIZE];
    let zip = ZipArchive::from_seekable(archive, &mut buffer).ok()?;
    if zip.eocd_offset().saturating_sub(zip.directory_offset()) > DIRECTORY_LIMIT {
        return None;
    }
    let mut entries = zip.entries(&mut buffer);
    let (mut count, mut nests) = (0u64, false);
    while let Some(entry) = entries.next_entry().ok()? {
        let path = entry.file_path();
        let name = path.as_bytes();
        if is_class(name, class.as_bytes()) {
            return Some(true);
        }
        nests |= name.ends_with(b".jar");
        count += 1;
    }
    // Without the 64-bit extension the count has 16 bits, and some tools let it overflow.
    let is_whole = zip.entries_hint() == count || zip.entries_hint() == count & 0xffff;
    (is_whole && !nests).then_some(false)
}

/// Whether an entry is the class file, directly or for one version of Java.
///
/// <https://docs.oracle.com/en/java/javase/21/docs/specs/jar/jar.html#multi-release-jar-files>
fn is_class(name: &[u8], class: &[u8]) -> bool {
    let of_version = name.strip_prefix(b"META-INF/versions/").and_then(|rest| {
        let slash = rest.iter().position(|&byte| byte == b'/')?;
        Some(&rest[slash + 1..])
    });
    name == class || of_version == Some(class)
}

/// An archive whose central directory has entries with these names.
#[cfg(test)]
pub fn jar(names: &[&str]) -> Vec<u8> {
    let mut directory: Vec<u8> = Vec::new();
    for name in names {
        directory.extend([&b"PK\x01\x02"[..], &[0; 24]].concat());
        directory.extend((name.len() as u16).to_le_bytes());
        directory.extend([0; 16]);
        directory.extend(name.as_bytes());
    }
    let before = b"content of the entries";
    let (count, length) = ((names.len() as u16).to_le_bytes(), (directory.len() as u32).to_le_bytes());
    let begin = (before.len() as u32).to_le_bytes();
    let end = [&b"PK\x05\x06"[..], &[0; 4], &count, &count, &length, &begin, &[0; 2]].concat();
    [&before[..], &directory, &end].concat()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn found(bytes: &[u8]) -> Option<bool> {
        has_class(&mut Cursor::new(bytes), "a/b/Main.class")
    }

    #[test]
    fn a_class_is_found_by_its_path() {
        for names in [
            &["META-INF/MANIFEST.MF", "a/b/Main.class"][..],
            &["META-INF/versions/21/a/b/Main.class"],
            &["a/b/Main.class", "lib/other.jar"],
        ] {
            assert_eq!(found(&jar(names)), Some(true), "{names:?}");
        }
        for names in [&["a/b/Other.class"][..], &["x/a/b/Main.class"], &["BOOT-INF/a/b/Main.class"], &[]] {
            assert_eq!(found(&jar(names)), Some(false), "{names:?}");
        }
        let nested = jar(&["BOOT-INF/classes/a/b/Main.class", "BOOT-INF/lib/other.jar"]);
        assert_eq!(found(&nested), None, "the inner jar may contain it");
        let with_program = [&b"#!/bin/sh\nexec java -jar\n"[..], &jar(&["a/b/Main.class"])].concat();
        assert_eq!(found(&with_program), Some(true));
    }

    #[test]
    fn a_damaged_archive_gives_no_answer() {
        let whole = jar(&["META-INF/MANIFEST.MF", "a/b/Other.class"]);
        assert_eq!(found(&whole), Some(false));
        for cut in 0..whole.len() {
            assert_eq!(found(&whole[..cut]), None, "{cut}");
        }
        let count = whole.len() - 12;
        for (at, byte) in [(count, 3), (whole.len() - 2, 9)] {
            let mut broken = whole.clone();
            broken[at] = byte;
            assert_eq!(found(&broken), None, "{at}");
        }
        for at in 0..whole.len() {
            let mut other = whole.clone();
            other[at] = !other[at];
            assert_ne!(found(&other), Some(true), "{at}");
        }
    }
}
