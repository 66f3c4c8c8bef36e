//! The path of a member, from the name in its record.
//!
//! The encodings are those of [APPNOTE](https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT), appendix D, as
//! `unzip` reads them: Info-ZIP's Unicode path field, else UTF-8, else code page 437.

use flate2::Crc;
use rawzip::extra_fields::{ExtraFieldId, ExtraFields};
use rawzip::{CreatorSystem, ZipFileHeaderRecord};

/// `PATH_MAX` of Linux, which counts the final NUL.
pub(super) const PATH_LIMIT: usize = 4096;

/// The bit of the flags that declares the name as UTF-8.
const UTF8_FLAG: u16 = 1 << 11;

/// The characters of code page 437 from 0x80 on: the encoding of names without the UTF-8 flag.
const CODE_PAGE_437: &str = "\
    ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
    └┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// The path of the record's member, relative, without empty and `.` components; empty for the archive's root. Also
/// whether the name ends in a slash.
pub(super) fn path(record: &ZipFileHeaderRecord<'_>) -> Result<(String, bool), &'static str> {
    let raw = record.file_path().as_bytes();
    let name = match unicode_path(record.extra_fields(), raw) {
        Some(name) => name,
        None => text(raw, record.flags().bits() & UTF8_FLAG != 0)?,
    };
    // PowerShell 5 and old .NET write names with backslashes, and declare the file system FAT.
    let name = match record.version_made_by().creator_system() {
        CreatorSystem::FAT if !name.contains('/') => name.replace('\\', "/"),
        _ => name,
    };
    Ok((relative(&name)?, name.ends_with('/')))
}

fn text(raw: &[u8], is_utf8: bool) -> Result<String, &'static str> {
    match str::from_utf8(raw) {
        // Many tools write UTF-8 without the flag.
        Ok(name) => Ok(name.to_owned()),
        Err(_) if is_utf8 => Err("its name is not in UTF-8"),
        Err(_) => Ok(raw.iter().map(|&byte| code_page_437(byte)).collect()),
    }
}

fn code_page_437(byte: u8) -> char {
    let upper = usize::from(byte).checked_sub(0x80);
    upper.and_then(|upper| CODE_PAGE_437.chars().nth(upper)).unwrap_or(char::from(byte))
}

/// The name in Info-ZIP's Unicode path field (APPNOTE 4.6.9), if the field is valid and belongs to the name in the
/// record.
fn unicode_path(fields: ExtraFields<'_>, raw: &[u8]) -> Option<String> {
    let (_, field) = { fields }.find(|(id, _)| *id == ExtraFieldId::INFO_ZIP_UNICODE_PATH)?;
    let (&[1, a, b, c, d], name) = field.split_first_chunk::<5>()? else { return None };
    let mut crc = Crc::new();
    crc.update(raw);
    let belongs = crc.sum() == u32::from_le_bytes([a, b, c, d]);
    str::from_utf8(name).ok().filter(|name| belongs && !name.is_empty()).map(str::to_owned)
}

fn relative(name: &str) -> Result<String, &'static str> {
    // Some readers end the name at a NUL, and some treat a backslash as a separator.
    if name.contains('\0') {
        return Err("its name has a NUL byte in it");
    }
    if name.contains('\\') {
        return Err("its name has a backslash in it");
    }
    let drive = name.len() >= 2 && name.as_bytes()[0].is_ascii_alphabetic() && name[1..].starts_with(":/");
    if name.starts_with('/') || drive {
        return Err("its name is an absolute path");
    }
    if name.len() >= PATH_LIMIT {
        return Err("its name is longer than a path can be");
    }
    let parts = || name.split('/').filter(|part| !matches!(*part, "" | "."));
    if parts().any(|part| part == "..") {
        return Err("its name has a `..` in it");
    }
    Ok(parts().collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_code_page_437_has_a_character() {
        assert_eq!(CODE_PAGE_437.chars().count(), 128);
        let text: String = [b'a', 0x80, 0x82, 0x9b, 0xe1, 0xff].map(code_page_437).iter().collect();
        assert_eq!(text, "aÇé¢ß\u{a0}");
    }
}
