//! A layer read back: its tar in one pass, member by member, whoever wrote it.
//!
//! Nothing is written and nothing trusted. Names are kept within [`MAX_NAME`], and what comes out of the decompressor
//! within a bound that the caller sets, so that neither memory nor time depend on what a layer claims to be.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

use super::recompress::{too_large, zstd};
use crate::error::{Error, Result};
use crate::image::{Compression, Digest};

/// Tar's unit.
const BLOCK: usize = 512;

/// The longest name or set of attributes that is read, in bytes. Linux takes names of 4096.
pub const MAX_NAME: u64 = 256 << 10;

/// How much of a member is handed on at once.
const CHUNK: usize = 128 << 10;

/// The head of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// As it stands in the tar: it may begin with `/` or `./`, or hold `..`.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: HeadKind,
    /// Permission bits.
    pub mode: u32,
    /// The owner.
    pub uid: u64,
    /// The group.
    pub gid: u64,
    /// Bytes of content.
    pub size: u64,
    /// When it was last changed, in seconds since 1970.
    pub mtime: u64,
}

/// What a member of a tar is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link to this target.
    Symlink(Vec<u8>),
    /// Another name of this member.
    HardLink(Vec<u8>),
    /// A device, pipe, or what else has no content: the tar's letter for it.
    Special(u8),
}

/// Reads a layer's members, and sums up its tar on the way.
pub struct LayerReader<R: BufRead> {
    tar: Summed<Decoder<R>>,
    /// Content of the current member that was not read yet, and what fills it up to a whole block.
    left: u64,
    padding: u64,
    buffer: Vec<u8>,
    ended: bool,
}

impl<R: BufRead> LayerReader<R> {
    /// Reads a layer in this form, of at most `limit` bytes when it is not compressed.
    pub fn new(layer: R, compression: Compression, limit: u64) -> LayerReader<R> {
        let decoder = match compression {
            Compression::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(layer))),
            Compression::Zstd => Decoder::Zstd(Box::new(zstd(layer))),
            Compression::None => Decoder::None(layer),
        };
        let tar = Summed { from: decoder, hash: Sha256::new(), size: 0, limit };
        LayerReader { tar, left: 0, padding: 0, buffer: vec![0; CHUNK], ended: false }
    }

    /// The next member, whatever is left of the last one's content; `None` behind the last.
    ///
    /// # Errors
    /// [`Error::LayerRead`] for what is no layer, or not a whole one.
    pub fn next(&mut self) -> Result<Option<Head>> {
        self.skip(self.left)?;
        self.skip(self.padding)?;
        (self.left, self.padding) = (0, 0);
        let mut more = More::default();
        loop {
            let Some(header) = self.header()? else {
                return if more.is_empty() {
                    Ok(None)
                } else {
                    Err(broken("it ends within a member's head"))
                };
            };
            let size = size_of(&header)?;
            match header.entry_type() {
                EntryType::GNULongName => more.name = Some(trimmed(self.small(size)?)),
                EntryType::GNULongLink => more.link = Some(trimmed(self.small(size)?)),
                EntryType::XHeader => more.pax(&self.small(size)?)?,
                // Attributes for all that follows: git writes its commit there.
                EntryType::XGlobalHeader => drop(self.small(size)?),
                kind => return self.member(&header, kind, size, more).map(Some),
            }
        }
    }

    /// Hands on the current member's content, piece by piece.
    ///
    /// # Errors
    /// As [`next`](LayerReader::next), or what `each` fails with.
    pub fn content(&mut self, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        while self.left > 0 {
            let wanted = self.left.min(CHUNK as u64) as usize;
            self.tar.read_exact(&mut self.buffer[..wanted]).map_err(failed)?;
            self.left -= wanted as u64;
            each(&self.buffer[..wanted])?;
        }
        Ok(())
    }

    /// The digest and the size of the tar, once there is no next member.
    ///
    /// # Errors
    /// As [`next`](LayerReader::next), for what follows the last member.
    pub fn finish(mut self) -> Result<(Digest, u64)> {
        while self.next()?.is_some() {}
        loop {
            match self.tar.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok((Digest::from_bytes(self.tar.hash.finalize().into()), self.tar.size))
    }

    /// How much of the tar has been read, in bytes.
    pub fn position(&self) -> u64 {
        self.tar.size
    }

    fn member(&mut self, header: &Header, kind: EntryType, size: u64, more: More) -> Result<Head> {
        let has_content = matches!(kind, EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse);
        let size = more.size.filter(|_| has_content).unwrap_or(size);
        // Some writers give a link the size of what it leads to, and no content.
        self.left = if has_content || is_unknown(kind) { size } else { 0 };
        self.padding = padding(self.left);
        if kind == EntryType::GNUSparse {
            self.skip_sparse_map(header)?;
        }
        let name = more.name.unwrap_or_else(|| header.path_bytes().into_owned());
        let link =
            || more.link.clone().or_else(|| header.link_name_bytes().map(Into::into)).unwrap_or_default();
        let kind = match kind {
            // Old tars have no letter for a directory but a slash.
            EntryType::Regular if name.ends_with(b"/") => HeadKind::Directory,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => HeadKind::File,
            EntryType::Directory => HeadKind::Directory,
            EntryType::Symlink => HeadKind::Symlink(link()),
            EntryType::Link => HeadKind::HardLink(link()),
            other => HeadKind::Special(other.as_byte()),
        };
        let size = if kind == HeadKind::File { self.left } else { 0 };
        Ok(Head {
            name,
            kind,
            // A field that was left empty is a zero to every reader.
            mode: header.mode().unwrap_or_default() & 0o7777,
            uid: more.uid.or_else(|| header.uid().ok()).unwrap_or_default(),
            gid: more.gid.or_else(|| header.gid().ok()).unwrap_or_default(),
            size,
            mtime: more.mtime.or_else(|| header.mtime().ok()).unwrap_or_default(),
        })
    }

    /// The next block, as a head; `None` at the end of the tar.
    fn header(&mut self) -> Result<Option<Header>> {
        if self.ended {
            return Ok(None);
        }
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        let mut filled = 0;
        while filled < BLOCK {
            match self.tar.read(&mut block[filled..]) {
                // A tar without the empty blocks at its end is taken by every reader.
                Ok(0) if filled == 0 => {
                    self.ended = true;
                    return Ok(None);
                }
                Ok(0) => return Err(broken("it ends within a member's head")),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        if block.iter().all(|&byte| byte == 0) {
            self.ended = true;
            return Ok(None);
        }
        let sum: u32 =
            block[..148].iter().chain(&block[156..]).map(|&byte| u32::from(byte)).sum::<u32>() + 8 * 32;
        match header.cksum() {
            Ok(stored) if stored == sum => Ok(Some(header)),
            _ => Err(broken("a member's head has a wrong checksum: it is no tar")),
        }
    }

    /// A name or attributes, which are read into memory.
    fn small(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > MAX_NAME {
            return Err(broken("a member's name or attributes are longer than any system takes"));
        }
        let mut bytes = vec![0; size as usize];
        self.tar.read_exact(&mut bytes).map_err(failed)?;
        self.skip(padding(size))?;
        Ok(bytes)
    }

    /// Of a sparse file, only what is stored is looked at; where that lies in it does not matter here.
    fn skip_sparse_map(&mut self, header: &Header) -> Result<()> {
        let mut extended = header.as_bytes()[482] != 0;
        while extended {
            let mut block = [0; BLOCK];
            self.tar.read_exact(&mut block).map_err(failed)?;
            extended = block[504] != 0;
        }
        Ok(())
    }

    fn skip(&mut self, mut bytes: u64) -> Result<()> {
        while bytes > 0 {
            let wanted = bytes.min(CHUNK as u64) as usize;
            self.tar.read_exact(&mut self.buffer[..wanted]).map_err(failed)?;
            bytes -= wanted as u64;
        }
        Ok(())
    }
}

/// What stands before a member's own head.
#[derive(Default)]
struct More {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<u64>,
}

impl More {
    fn is_empty(&self) -> bool {
        self.name.is_none() && self.link.is_none() && self.size.is_none()
    }

    /// Each record is its own length, a key and a value, which may hold anything, ends of lines too.
    fn pax(&mut self, mut records: &[u8]) -> Result<()> {
        let malformed = || broken("a member's attributes are malformed");
        while !records.is_empty() {
            let digits = records.iter().position(|&byte| byte == b' ').ok_or_else(malformed)?;
            let length: Option<usize> = number(&records[..digits]);
            let length = length.filter(|&length| length > digits + 1 && length <= records.len());
            let (record, rest) = records.split_at(length.ok_or_else(malformed)?);
            let record = record[digits + 1..].strip_suffix(b"\n").ok_or_else(malformed)?;
            let equals = record.iter().position(|&byte| byte == b'=').ok_or_else(malformed)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => self.name = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = Some(number(value).and_then(sane).ok_or_else(no_size)?),
                b"uid" => self.uid = number(value),
                b"gid" => self.gid = number(value),
                b"mtime" => self.mtime = value.split(|&byte| byte == b'.').next().and_then(number),
                _ => {}
            }
            records = rest;
        }
        Ok(())
    }
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// How much content a head says that there is.
fn size_of(header: &Header) -> Result<u64> {
    let field = &header.as_old().size;
    // A number in binary; of one that is too large for 64 bits, the crate would give the lower ones.
    let fits = field[0] & 0x80 == 0 || (field[0] == 0x80 && field[1..4] == [0; 3]);
    header.entry_size().ok().filter(|_| fits).and_then(sane).ok_or_else(no_size)
}

/// A size that can be added to without care; nothing is as large.
fn sane(size: u64) -> Option<u64> {
    (size <= i64::MAX as u64).then_some(size)
}

fn no_size() -> Error {
    broken("a member has no valid size")
}

/// A letter of no standard: by all of them it is a file with content.
fn is_unknown(kind: EntryType) -> bool {
    !matches!(
        kind,
        EntryType::Link
            | EntryType::Symlink
            | EntryType::Char
            | EntryType::Block
            | EntryType::Directory
            | EntryType::Fifo
    )
}

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

/// GNU tar ends names with a NUL.
fn trimmed(mut name: Vec<u8>) -> Vec<u8> {
    if let Some(end) = name.iter().position(|&byte| byte == 0) {
        name.truncate(end);
    }
    name
}

fn broken(fault: &'static str) -> Error {
    failed(io::Error::new(io::ErrorKind::InvalidData, fault))
}

fn failed(source: io::Error) -> Error {
    Error::LayerRead { source }
}

enum Decoder<R: BufRead> {
    Gzip(Box<MultiGzDecoder<R>>),
    Zstd(Box<super::recompress::Zstd<R>>),
    None(R),
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Decoder::Gzip(gzip) => gzip.read(out),
            Decoder::Zstd(zstd) => zstd.read(out),
            Decoder::None(plain) => plain.read(out),
        }
    }
}

/// Counts and hashes what is read, up to a limit.
struct Summed<R> {
    from: R,
    hash: Sha256,
    size: u64,
    limit: u64,
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(out)?;
        self.hash.update(&out[..read]);
        self.size += read as u64;
        if self.size > self.limit {
            return Err(too_large(self.limit));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
