//! The positions of an archive's members, found without reading their content.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use tar::{EntryType, Header, PaxExtensions};

use crate::image::paths::relative;

/// Upper bound on members: an archive of an image has a few hundred; one with more is not an image.
const MAX_MEMBERS: usize = 100_000;

/// Upper bound on the length of a name or a set of attributes, in bytes.
const MAX_NAME: u64 = 64 << 10;

/// Upper bound on the names of all members and the targets of links together, in bytes.
const MAX_NAMES: usize = 16 << 20;

/// The size of a tar block, in bytes.
const BLOCK: u64 = 512;

/// A member of an archive.
pub(super) enum Member {
    /// A file's bytes.
    File { offset: u64, size: u64 },
    /// A link to another member, by its path in the archive.
    Link(String),
}

impl Member {
    fn link(&self) -> Option<&str> {
        match self {
            Member::File { .. } => None,
            Member::Link(path) => Some(path),
        }
    }
}

/// Fields from the extension records before a header, which has no room for them: a long name, a size of over 8 GiB.
#[derive(Default)]
struct More {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

/// The members by name. If several have the same name, only the last one is kept.
pub(super) fn members(file: &File, stop: &AtomicBool) -> io::Result<HashMap<String, Member>> {
    let length = file.metadata()?.len();
    let mut reader = BufReader::with_capacity(8 << 10, file);
    reader.rewind()?;
    let (mut members, mut more, mut at) = (HashMap::new(), More::default(), 0_u64);
    let mut names = 0;
    for number in 0.. {
        if number > MAX_MEMBERS || stop.load(Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let Some(header) = header(&mut reader)? else { break };
        at += BLOCK;
        let kind = header.entry_type();
        let mut size = header.entry_size()?;
        let mut read = 0;
        match kind {
            EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader => {
                let text = small(&mut reader, size)?;
                read = size;
                more.take(kind, text)?;
            }
            EntryType::XGlobalHeader => {}
            _ => {
                let more = std::mem::take(&mut more);
                size = more.size.unwrap_or(size);
                if let Some((name, member)) = member(&header, more, at, size) {
                    names += name.len() + member.link().map_or(0, str::len);
                    if names > MAX_NAMES {
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                    members.insert(name, member);
                }
            }
        }
        // Seeking past the end is not an error.
        let end = size.checked_next_multiple_of(BLOCK).and_then(|size| at.checked_add(size));
        at = match end {
            Some(end) if at + size <= length => {
                reader.seek_relative(i64::try_from(end - at - read).map_err(io::Error::other)?)?;
                end
            }
            _ => return Err(io::ErrorKind::UnexpectedEof.into()),
        };
    }
    Ok(members)
}

fn member(header: &Header, more: More, offset: u64, size: u64) -> Option<(String, Member)> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let name = relative(&text(more.name.unwrap_or_else(|| header.path_bytes().into_owned())));
    let link = || {
        let own = header.link_name_bytes().map(|link| link.into_owned());
        text(more.link.clone().or(own).unwrap_or_default())
    };
    let member = match header.entry_type() {
        EntryType::Regular | EntryType::Continuous => Member::File { offset, size },
        EntryType::Link => Member::Link(relative(&link())),
        EntryType::Symlink => {
            let dir = name.rsplit_once('/').map_or("", |(dir, _)| dir);
            Member::Link(relative(&format!("{dir}/{}", link())))
        }
        _ => return None,
    };
    Some((name, member))
}

impl More {
    fn take(&mut self, kind: EntryType, mut text: Vec<u8>) -> io::Result<()> {
        if kind == EntryType::XHeader {
            return self.pax(&text);
        }
        // GNU tar ends names with a NUL.
        text.truncate(text.iter().position(|&byte| byte == 0).unwrap_or(text.len()));
        *(if kind == EntryType::GNULongName { &mut self.name } else { &mut self.link }) = Some(text);
        Ok(())
    }

    fn pax(&mut self, records: &[u8]) -> io::Result<()> {
        for record in PaxExtensions::new(records) {
            let record = record?;
            let value = record.value_bytes();
            match record.key_bytes() {
                b"path" => self.name = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => {
                    let size = record.value().ok().and_then(|value| value.parse().ok());
                    self.size = Some(size.ok_or(io::ErrorKind::InvalidData)?);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The next header; `None` at the end, with or without the two empty blocks that tar requires there.
fn header(reader: &mut impl Read) -> io::Result<Option<Header>> {
    let mut header = Header::new_old();
    let mut block = Vec::with_capacity(BLOCK as usize);
    reader.take(BLOCK).read_to_end(&mut block)?;
    if block.iter().all(|&byte| byte == 0) {
        return Ok(None);
    }
    if block.len() < BLOCK as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    header.as_mut_bytes().copy_from_slice(&block);
    let sum = block[..148].iter().chain(&block[156..]).map(|&byte| u32::from(byte)).sum::<u32>() + 8 * 32;
    match header.cksum()? == sum {
        true => Ok(Some(header)),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn small(reader: &mut impl Read, size: u64) -> io::Result<Vec<u8>> {
    if size > MAX_NAME {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; size as usize];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of empty files whose names have this length.
    fn archive(count: usize, length: usize) -> File {
        let mut archive = tar::Builder::new(tempfile::tempfile().unwrap());
        for number in 0..count {
            let mut header = Header::new_gnu();
            header.set_size(0);
            let name = format!("{number:09}/{}", "n".repeat(length));
            archive.append_data(&mut header, name, io::empty()).unwrap();
        }
        archive.into_inner().unwrap()
    }

    #[test]
    fn the_names_together_are_bounded() {
        let members = |count| members(&archive(count, 60_000), &AtomicBool::new(false));
        assert_eq!(members(200).unwrap().len(), 200);
        assert_eq!(members(400).err().unwrap().kind(), io::ErrorKind::InvalidData);
    }
}
