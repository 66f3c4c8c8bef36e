//! A scan as it is kept in the cache: a line of JSON about the layer, one for each member, and a digest of these lines.
//! It is written and read line by line, because all of it would take more memory than the scan.

use std::io::{self, BufRead, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::budget::{MemoryBudget, Share};
use super::layer_scan::LayerScan;
use crate::error::Result;
use crate::image::{Compression, Digest};

/// The facts about the layer as a whole.
#[derive(Serialize, Deserialize)]
struct Head {
    diff_id: Digest,
    uncompressed: u64,
    stored: u64,
    compression: Compression,
    members: usize,
}

impl<F> LayerScan<F> {
    /// Writes the scan.
    pub(crate) fn write(&self, out: impl Write) -> io::Result<()>
    where
        F: Serialize,
    {
        let LayerScan { diff_id, uncompressed, stored, compression, members, from_tree: _ } = self;
        let (diff_id, compression) = (*diff_id, *compression);
        let (uncompressed, stored) = (*uncompressed, *stored);
        let mut lines = Lines { out, hash: Sha256::new(), line: Vec::new() };
        lines.put(&Head { diff_id, uncompressed, stored, compression, members: members.len() })?;
        members.iter().try_for_each(|member| lines.put(member))?;
        let Lines { mut out, hash, .. } = lines;
        writeln!(out, "{}", Digest::from_bytes(hash.finalize().into()))?;
        out.flush()
    }

    /// Reads a scan. `None` if the record is incomplete, damaged or of another version.
    ///
    /// # Errors
    /// [`Error::TooManyFiles`](crate::Error::TooManyFiles) for a scan that exceeds the budget.
    pub(crate) fn read(mut from: impl BufRead, budget: &MemoryBudget<F>) -> Result<Option<LayerScan<F>>>
    where
        F: Serialize + DeserializeOwned,
    {
        let (mut hash, mut line, mut share) = (Sha256::new(), Vec::new(), Share::of(budget));
        let mut next = |line: &mut Vec<u8>| {
            line.clear();
            from.read_until(b'\n', line).ok().filter(|_| line.pop() == Some(b'\n')).is_some()
        };
        if !next(&mut line) {
            return Ok(None);
        }
        let Ok(head) = serde_json::from_slice::<Head>(&line) else { return Ok(None) };
        let mut members = Vec::new();
        for _ in 0..head.members {
            hash.update(&line);
            hash.update(b"\n");
            if !next(&mut line) {
                return Ok(None);
            }
            let Ok(member) = serde_json::from_slice(&line) else { return Ok(None) };
            share.take(&member)?;
            members.push(member);
        }
        hash.update(&line);
        hash.update(b"\n");
        let digest = Digest::from_bytes(hash.finalize().into()).to_string();
        if !next(&mut line) || line != digest.as_bytes() {
            return Ok(None);
        }
        share.keep();
        let Head { diff_id, uncompressed, stored, compression, .. } = head;
        Ok(Some(LayerScan { diff_id, uncompressed, stored, compression, members, from_tree: false }))
    }
}

/// Lines, and their digest.
struct Lines<W> {
    out: W,
    hash: Sha256,
    line: Vec<u8>,
}

impl<W: Write> Lines<W> {
    fn put(&mut self, value: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, value)?;
        self.line.push(b'\n');
        self.hash.update(&self.line);
        self.out.write_all(&self.line)
    }
}
