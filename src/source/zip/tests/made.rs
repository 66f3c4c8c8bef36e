//! Handmade archives, valid and invalid.

use flate2::{Compress, Compression, FlushCompress};

/// A member, and its records in the archive.
#[derive(Clone, Debug)]
pub struct MadeMember {
    pub name: Vec<u8>,
    /// The bytes in the archive.
    pub data: Vec<u8>,
    pub content: Vec<u8>,
    pub method: u16,
    pub flags: u16,
    /// The creator system (3: Unix).
    pub system: u8,
    pub attributes: u32,
    /// The name in the header before the data.
    pub local_name: Vec<u8>,
    pub local_extra: Vec<u8>,
    /// Extra fields of the record in the directory.
    pub extra: Vec<u8>,
    /// Whether the archive has only the record in the directory.
    pub absent: bool,
    /// Whether sizes and checksum follow the data instead of preceding them.
    pub descriptor: bool,
    /// Whether sizes and offset are in the 64-bit extra field.
    pub zip64: bool,
    /// Values that replace the correct ones in the directory.
    pub size: Option<u64>,
    pub length: Option<u64>,
    pub offset: Option<u64>,
    pub crc32: Option<u32>,
}

pub fn crc(content: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(content);
    crc.sum()
}

pub fn deflate(content: &[u8], level: u32) -> Vec<u8> {
    let mut compress = Compress::new(Compression::new(level), false);
    let mut stream = Vec::with_capacity(content.len() * 2 + 1000);
    compress.compress_vec(content, &mut stream, FlushCompress::Finish).unwrap();
    stream
}

pub fn stored(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> MadeMember {
    let (name, content) = (name.as_ref().to_vec(), content.as_ref().to_vec());
    MadeMember {
        local_name: name.clone(),
        name,
        data: content.clone(),
        content,
        method: 0,
        flags: 0,
        system: 3,
        attributes: 0o100_644 << 16,
        local_extra: Vec::new(),
        extra: Vec::new(),
        absent: false,
        descriptor: false,
        zip64: false,
        size: None,
        length: None,
        offset: None,
        crc32: None,
    }
}

pub fn deflated(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> MadeMember {
    let part = stored(name, content);
    MadeMember { data: deflate(&part.content, 6), method: 8, ..part }
}

impl MadeMember {
    pub fn mode(self, mode: u32) -> MadeMember {
        MadeMember { attributes: mode << 16, ..self }
    }

    fn header(&self, into: &mut Vec<u8>) {
        let known = !self.descriptor;
        let (sum, length, size) = match known {
            true => (crc(&self.content), self.data.len() as u64, self.content.len() as u64),
            false => (0, 0, 0),
        };
        let mut extra = self.local_extra.clone();
        if self.zip64 {
            extra.extend([[1, 0, 16, 0].as_slice(), &size.to_le_bytes(), &length.to_le_bytes()].concat());
        }
        let short = |value: u64| if self.zip64 { u32::MAX } else { value as u32 };
        into.extend(b"PK\x03\x04\x2d\0");
        into.extend((self.flags | if known { 0 } else { 8 }).to_le_bytes());
        into.extend(self.method.to_le_bytes());
        into.extend([0, 0, 0x21, 0]);
        into.extend(sum.to_le_bytes());
        into.extend(short(length).to_le_bytes());
        into.extend(short(size).to_le_bytes());
        into.extend((self.local_name.len() as u16).to_le_bytes());
        into.extend((extra.len() as u16).to_le_bytes());
        into.extend(&self.local_name);
        into.extend(extra);
        into.extend(&self.data);
        if self.descriptor {
            into.extend(b"PK\x07\x08");
            into.extend(crc(&self.content).to_le_bytes());
            let sizes = [self.data.len() as u64, self.content.len() as u64];
            for size in sizes {
                match self.zip64 {
                    true => into.extend(size.to_le_bytes()),
                    false => into.extend((size as u32).to_le_bytes()),
                }
            }
        }
    }

    fn record(&self, offset: u64, into: &mut Vec<u8>) {
        let size = self.size.unwrap_or(self.content.len() as u64);
        let length = self.length.unwrap_or(self.data.len() as u64);
        let offset = self.offset.unwrap_or(offset);
        let mut extra = self.extra.clone();
        if self.zip64 {
            extra.extend([1, 0, 24, 0]);
            [size, length, offset].iter().for_each(|value| extra.extend(value.to_le_bytes()));
        }
        let short = |value: u64| if self.zip64 { u32::MAX } else { value as u32 };
        into.extend(b"PK\x01\x02\x2d");
        into.push(self.system);
        into.extend([0x2d, 0]);
        into.extend((self.flags | if self.descriptor { 8 } else { 0 }).to_le_bytes());
        into.extend(self.method.to_le_bytes());
        into.extend([0, 0, 0x21, 0]);
        into.extend(self.crc32.unwrap_or(crc(&self.content)).to_le_bytes());
        into.extend(short(length).to_le_bytes());
        into.extend(short(size).to_le_bytes());
        into.extend((self.name.len() as u16).to_le_bytes());
        into.extend((extra.len() as u16).to_le_bytes());
        into.extend([0; 6]);
        into.extend(self.attributes.to_le_bytes());
        into.extend(short(offset).to_le_bytes());
        into.extend(&self.name);
        into.extend(extra);
    }
}

/// The archive of these members, in this order.
pub fn zip(parts: &[MadeMember]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for part in parts {
        part.record(bytes.len() as u64, &mut directory);
        if !part.absent {
            part.header(&mut bytes);
        }
    }
    let (begin, count) = (bytes.len() as u64, parts.len() as u64);
    let length = directory.len() as u64;
    bytes.extend(directory);
    if parts.iter().any(|part| part.zip64) {
        let end = bytes.len() as u64;
        bytes.extend(b"PK\x06\x06");
        bytes.extend(44u64.to_le_bytes());
        bytes.extend([0x2d, 3, 0x2d, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        [count, count, length, begin].iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        bytes.extend(b"PK\x06\x07\0\0\0\0");
        bytes.extend(end.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0");
    } else {
        bytes.extend(b"PK\x05\x06\0\0\0\0");
        bytes.extend((count as u16).to_le_bytes());
        bytes.extend((count as u16).to_le_bytes());
        bytes.extend((length as u32).to_le_bytes());
        bytes.extend((begin as u32).to_le_bytes());
        bytes.extend([0, 0]);
    }
    bytes
}
