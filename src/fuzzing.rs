//! The readers that `tests/fuzz` calls and that are not public. Exists only with `--cfg fuzzing`.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use crate::error::Result;
use crate::image::{Compression, Manifest};
use crate::layer::LayerReader;
use crate::scan::{Elf, ReadSeek};
use crate::store::Archive;
use crate::tree::Member;

pub use crate::frontend::dockerfile::fuzzing::{expand, translate};
pub use crate::source::fuzzing::{Rules, node_lock, python_lock, zip};

/// The members of a layer with the contents that fit into `limit`, and the size of the tar. The compression is found by
/// the first bytes.
pub fn layer(bytes: &[u8], limit: u64) -> Result<(Vec<(Member<u64>, Option<Vec<u8>>)>, u64)> {
    let mut reader = LayerReader::new(bytes, Compression::sniff(bytes), limit);
    let mut members = Vec::new();
    while let Some(member) = reader.next()? {
        let mut content = reader.fits().then(Vec::new);
        if let Some(content) = &mut content {
            reader.content(|piece| {
                content.extend_from_slice(piece);
                Ok(())
            })?;
        }
        members.push((member, content));
    }
    let (_, size) = reader.finish()?;
    Ok((members, size))
}

/// The facts about an ELF file.
pub fn elf(file: &mut dyn ReadSeek) -> Option<Elf> {
    Elf::read(file)
}

/// The manifest and the config of the only image of a Docker archive.
pub fn archive(path: &Path) -> Result<(Option<Manifest>, Vec<u8>)> {
    let archive = Archive::open(path, None, &AtomicBool::new(false))?;
    Ok((archive.manifest(None), archive.config()))
}
