//! Extended headers, which precede a member's header if a value does not fit its fields.

use super::header::{broken, no_size, number, sane};
use super::sparse::PaxSparse;
use crate::error::Result;
use crate::tree::Xattrs;

/// The values of GNU's long names and of pax extended headers.
#[derive(Default)]
pub(super) struct Extended {
    pub name: Option<Vec<u8>>,
    /// The real name of a sparse file, which overrides the name in its header.
    pub sparse_name: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    pub mtime: Option<u64>,
    /// Major and minor number.
    pub device: (Option<u32>, Option<u32>),
    pub xattrs: Xattrs,
    pub sparse: PaxSparse,
}

impl Extended {
    /// Whether none of the values requires that a member follows.
    pub(super) fn is_empty(&self) -> bool {
        self.name.is_none() && self.link.is_none() && self.size.is_none()
    }

    /// Parses the records of a pax header. Each consists of its length, a keyword and a value; the value may contain
    /// any bytes, including line feeds.
    pub(super) fn take(&mut self, mut records: &[u8]) -> Result<()> {
        let malformed = || broken("a member's attributes are malformed");
        while !records.is_empty() {
            let digits = records.iter().position(|&byte| byte == b' ').ok_or_else(malformed)?;
            let length: Option<usize> = number(&records[..digits]);
            let length = length.filter(|&length| length > digits + 1 && length <= records.len());
            let (record, rest) = records.split_at(length.ok_or_else(malformed)?);
            let record = record[digits + 1..].strip_suffix(b"\n").ok_or_else(malformed)?;
            // The names of extended attributes may contain a `=`; the keywords that are read here do not.
            let equals = record.iter().position(|&byte| byte == b'=').ok_or_else(malformed)?;
            self.record(&record[..equals], &record[equals + 1..])?;
            records = rest;
        }
        Ok(())
    }

    fn record(&mut self, keyword: &[u8], value: &[u8]) -> Result<()> {
        match keyword {
            b"path" => self.name = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(number(value).and_then(sane).ok_or_else(no_size)?),
            b"uid" => self.uid = number(value),
            b"gid" => self.gid = number(value),
            b"mtime" => self.mtime = value.split(|&byte| byte == b'.').next().and_then(number),
            b"SCHILY.devmajor" => self.device.0 = number(value),
            b"SCHILY.devminor" => self.device.1 = number(value),
            b"GNU.sparse.name" => self.sparse_name = Some(value.to_vec()),
            _ => {
                if let Some(name) = keyword.strip_prefix(b"SCHILY.xattr.") {
                    self.xattrs.insert(name, value);
                } else if let Some(keyword) = keyword.strip_prefix(b"GNU.sparse.") {
                    self.sparse.take(keyword, value)?;
                }
            }
        }
        Ok(())
    }
}
