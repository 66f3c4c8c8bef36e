//! The members of a layer, one after the other.

use std::io::{self, BufRead, Read};

use tar::{EntryType, Header};

use super::decoder::Decoded;
use super::header::{BLOCK, broken, device_numbers, failed, is_unknown, padding, plain, size_of, trimmed};
use super::pax::Extended;
use super::sparse::{self, Segment};
use crate::error::Result;
use crate::image::{Compression, Digest};
use crate::layer::recompress::too_large;
use crate::tree::{Device, Entry, EntryKind, ImagePath, Member, whiteout};

/// The maximum length of a name or of extended attributes, in bytes. Linux accepts names of 4096 bytes.
const MAX_NAME: u64 = 256 << 10;

/// The maximum number of bytes of names and attributes before one member.
const MAX_EXTENDED: u64 = 4 << 20;

/// The maximum number of bytes of a member passed on at once.
const CHUNK: usize = 128 << 10;

/// Reads a layer's members, and hashes its tar meanwhile.
pub(crate) struct LayerReader<R: BufRead> {
    tar: Decoded<R>,
    /// The numbers of unread stored bytes of the current member, and of padding bytes after it.
    left: u64,
    padding: u64,
    /// The size of the current member's content, with its holes.
    size: u64,
    /// The positions of the stored bytes in the content of a sparse file.
    segments: Option<Vec<Segment>>,
    /// The number of bytes in holes so far. They count against the limit as if they were stored.
    holes: u64,
    /// The number of bytes in the extended headers of the current member.
    extended: u64,
    /// The number of recorded bytes up to the last header that is also for the members after the current one.
    globals: usize,
    buffer: Vec<u8>,
    ended: bool,
}

impl<R: BufRead> LayerReader<R> {
    /// Reads a layer with this compression, of at most `limit` uncompressed bytes.
    pub fn new(layer: R, compression: Compression, limit: u64) -> LayerReader<R> {
        let tar = Decoded::new(layer, compression, limit);
        let (left, padding, size, segments, holes) = (0, 0, 0, None, 0);
        LayerReader {
            tar,
            left,
            padding,
            size,
            segments,
            holes,
            extended: 0,
            globals: 0,
            buffer: vec![0; CHUNK],
            ended: false,
        }
    }

    /// The next member with the size of its content; `None` after the last. Unread content of the current member is
    /// skipped.
    ///
    /// # Errors
    /// [`Error::LayerRead`] for bytes that are not a layer, or not a complete one.
    pub fn next(&mut self) -> Result<Option<Member<u64>>> {
        self.skip(self.left)?;
        self.skip_padding()?;
        (self.left, self.padding) = (0, 0);
        let mut extended = Extended::default();
        (self.extended, self.globals) = (0, 0);
        loop {
            let Some(header) = self.header()? else {
                return match extended.is_empty() {
                    true => Ok(None),
                    false => Err(broken("it ends within a member's header")),
                };
            };
            let size = size_of(&header)?;
            self.extended = self.extended.saturating_add(BLOCK as u64);
            match header.entry_type() {
                EntryType::GNULongName => extended.name = Some(trimmed(self.small(size)?)),
                EntryType::GNULongLink => extended.link = Some(trimmed(self.small(size)?)),
                EntryType::XHeader => extended.take(&self.small(size)?)?,
                // Attributes of all members that follow; git writes its commit there.
                EntryType::XGlobalHeader => {
                    drop(self.small(size)?);
                    self.globals = self.tar.recorded().len();
                }
                flag => return self.member(&header, flag, size, extended).map(Some),
            }
        }
    }

    /// Passes on the current member's content, piece by piece, with zeros for the holes of a sparse file.
    ///
    /// # Errors
    /// As [`next`](LayerReader::next), and the errors of `each`.
    pub fn content(&mut self, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let Some(segments) = self.segments.take() else { return self.stored(self.left, &mut each) };
        let mut at = 0;
        for Segment { offset, length } in segments {
            self.hole(offset - at, &mut each)?;
            self.stored(length, &mut each)?;
            at = offset + length;
        }
        self.hole(self.size - at, &mut each)
    }

    /// As [`new`](LayerReader::new), for a reader whose members are passed on as they are stored, with
    /// [`pass`](LayerReader::pass).
    pub fn recording(layer: R, compression: Compression, limit: u64) -> LayerReader<R> {
        let mut reader = LayerReader::new(layer, compression, limit);
        reader.tar.record(true);
        reader
    }

    /// Passes on the bytes of the current member, piece by piece: its headers, its content as it is stored, its padding.
    ///
    /// # Errors
    /// As [`next`](LayerReader::next), and the errors of `each`.
    pub fn pass(&mut self, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.segments = None;
        self.tar.pass_on(&mut each)?;
        while self.left > 0 {
            self.skip(self.left.min(CHUNK as u64))?;
            self.left -= self.left.min(CHUNK as u64);
            self.tar.pass_on(&mut each)?;
        }
        self.skip_padding()?;
        self.tar.pass_on(&mut each)
    }

    /// The headers before the current member that are also for the members after it. They come before its own in what
    /// [`pass`](LayerReader::pass) passes on.
    pub fn globals(&self) -> &[u8] {
        &self.tar.recorded()[..self.globals]
    }

    /// Whether [`content`](LayerReader::content) stays within the limit. The holes of a sparse file are not in the tar,
    /// but count against the limit.
    pub fn fits(&self) -> bool {
        let holes = self.size.saturating_sub(self.left);
        self.segments.is_none()
            || self.position().saturating_add(self.holes).saturating_add(holes) <= self.tar.limit()
    }

    fn stored(&mut self, mut bytes: u64, each: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        while bytes > 0 {
            let wanted = bytes.min(CHUNK as u64) as usize;
            self.tar.read_exact(&mut self.buffer[..wanted]).map_err(failed)?;
            self.left -= wanted as u64;
            bytes -= wanted as u64;
            each(&self.buffer[..wanted])?;
        }
        Ok(())
    }

    fn hole(&mut self, mut bytes: u64, each: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        self.holes = self.holes.saturating_add(bytes);
        if self.position().saturating_add(self.holes) > self.tar.limit() {
            return Err(failed(too_large(self.tar.limit())));
        }
        self.buffer[..bytes.min(CHUNK as u64) as usize].fill(0);
        while bytes > 0 {
            let wanted = bytes.min(CHUNK as u64) as usize;
            bytes -= wanted as u64;
            each(&self.buffer[..wanted])?;
        }
        Ok(())
    }

    /// Reads to the end of the layer, and returns the digest and the size of the tar.
    ///
    /// # Errors
    /// As [`next`](LayerReader::next).
    pub fn finish(mut self) -> Result<(Digest, u64)> {
        while self.next()?.is_some() {}
        self.tar.record(false);
        loop {
            match self.tar.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(self.tar.finish())
    }

    /// The number of bytes of the tar read so far.
    pub fn position(&self) -> u64 {
        self.tar.position()
    }

    /// The number of bytes that the decoder holds for its window, if they are more than some kilobytes.
    pub fn window(&self) -> u64 {
        self.tar.window()
    }

    fn member(
        &mut self,
        header: &Header,
        flag: EntryType,
        size: u64,
        extended: Extended,
    ) -> Result<Member<u64>> {
        let Extended { name, sparse_name, link, size: long_size, uid, gid, mtime, device, xattrs, sparse } =
            extended;
        let has_content = matches!(flag, EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse);
        let stored = long_size.filter(|_| has_content).unwrap_or(size);
        // Some writers give a link the size of its target, but no content.
        self.left = if has_content || is_unknown(flag) { stored } else { 0 };
        self.padding = padding(self.left);
        (self.size, self.segments) = (self.left, None);
        let map = match flag {
            EntryType::GNUSparse => Some(sparse::old_gnu(header, &mut self.tar)?),
            EntryType::Regular => sparse.map(&mut self.tar, &mut self.left)?,
            _ => None,
        };
        if let Some((segments, size)) = map {
            self.segments = Some(sparse::checked(segments, size, self.left)?);
            self.size = size;
        }
        let name = sparse_name.or(name).unwrap_or_else(|| header.path_bytes().into_owned());
        let link = || link.or_else(|| header.link_name_bytes().map(Into::into)).unwrap_or_default();
        let (major, minor) = device_numbers(header, device);
        let kind = match flag {
            // In old tars, a slash at the end of the name marks a directory.
            EntryType::Regular if name.ends_with(b"/") => EntryKind::Directory,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => EntryKind::File(self.size),
            EntryType::Directory => EntryKind::Directory,
            EntryType::Symlink => EntryKind::Symlink(link()),
            EntryType::Link => EntryKind::HardLink(plain(&link())),
            EntryType::Char => EntryKind::Device(Device::Character { major, minor }),
            EntryType::Block => EntryKind::Device(Device::Block { major, minor }),
            EntryType::Fifo => EntryKind::Device(Device::Fifo),
            other => EntryKind::Device(Device::Unknown(other.as_byte())),
        };
        let path = plain(&name);
        let (kind, path) = whiteout::deletion(&path).unwrap_or((kind, path));
        let entry = Entry {
            kind,
            // All readers treat an empty field as zero.
            mode: header.mode().unwrap_or_default() & 0o7777,
            uid: uid.or_else(|| header.uid().ok()).unwrap_or_default(),
            gid: gid.or_else(|| header.gid().ok()).unwrap_or_default(),
            xattrs,
        };
        let mtime = mtime.or_else(|| header.mtime().ok()).unwrap_or_default();
        Ok(Member { path: ImagePath::new(&path), entry, mtime })
    }

    /// The next block as a header; `None` at the end of the tar.
    fn header(&mut self) -> Result<Option<Header>> {
        if self.ended {
            return Ok(None);
        }
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        let mut filled = 0;
        while filled < BLOCK {
            match self.tar.read(&mut block[filled..]) {
                // All readers accept a tar without the empty blocks at its end.
                Ok(0) if filled == 0 => {
                    self.ended = true;
                    return Ok(None);
                }
                Ok(0) => return Err(broken("it ends within a member's header")),
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
            _ => Err(broken("a member's header has a wrong checksum: it is not a tar")),
        }
    }

    /// Reads a name or attributes into memory. There may be several before one member.
    fn small(&mut self, size: u64) -> Result<Vec<u8>> {
        self.extended = self.extended.saturating_add(size);
        if size > MAX_NAME || self.extended > MAX_EXTENDED {
            return Err(broken("a member's name or attributes are longer than any system accepts"));
        }
        let mut bytes = vec![0; size as usize];
        self.tar.read_exact(&mut bytes).map_err(failed)?;
        self.skip(padding(size))?;
        Ok(bytes)
    }

    /// Skips the padding of the current member. The last one of a tar may lack it: umoci writes such layers, and Docker
    /// and containerd read them.
    fn skip_padding(&mut self) -> Result<()> {
        while self.padding > 0 {
            match self.tar.read(&mut self.buffer[..self.padding as usize]) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(());
                }
                Ok(read) => self.padding -= read as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
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
